"""The parts that are measured: Redis, its REST front, the provider, and workers of the keeper."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.system.redis_peer import redis_server
from tests.system.simulated_digikey import SimulatedDigiKeyPeer, simulated_digikey
from tests.system.upstash_front import UpstashPeer, upstash_front
from tests.system.workers import Workers, doors, public_url, running

WORKERS = 4
CONNECTION = "default"
API_KEY = {"x-api-key": "not-a-real-api-key-of-anything"}
# All servers are on the loopback interface; loading certificates takes longer than asking.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """All parts, running, each in a process of its own."""

    front: UpstashPeer
    provider: SimulatedDigiKeyPeer
    workers: Workers

    def provider_calls(self) -> int:
        """How many token requests the provider has answered since the login."""
        return sum(self.provider.stats().values())


@contextmanager
def stage() -> Iterator[Stage]:
    """Run all parts; somebody has logged in, and every worker has served a token."""
    with (
        TemporaryDirectory() as folder,
        doors(WORKERS) as opened,
        redis_server() as redis,
        upstash_front(redis) as front,
        simulated_digikey(redirect_uri=f"{public_url(opened)}/api/callback") as provider,
    ):
        environment = _environment(front, provider, public_url(opened))
        with running(opened, environment, Path(folder)) as workers:
            _log_in(provider, workers)
            yield Stage(front=front, provider=provider, workers=workers)


def _environment(front: UpstashPeer, provider: SimulatedDigiKeyPeer, url: str) -> dict[str, str]:
    return {
        "API_KEY": API_KEY["x-api-key"],
        "CLIENT_ID": provider.client_id,
        "CLIENT_SECRET": provider.client_secret,
        "AUTHORIZATION_ENDPOINT": provider.authorization_endpoint,
        "TOKEN_ENDPOINT": provider.token_endpoint,
        "PUBLIC_URL": url,
        "KV_REST_API_URL": front.url,
        "KV_REST_API_TOKEN": front.token,
    }


def _log_in(provider: SimulatedDigiKeyPeer, workers: Workers) -> None:
    with httpx.Client(
        headers=API_KEY, verify=NO_CERTIFICATES, trust_env=False, timeout=60
    ) as browser:
        begun = browser.post(f"{workers.urls[0]}/api/login").raise_for_status()
        callback = provider.allow(begun.json()["authorization_url"])
        browser.get(callback).raise_for_status()
        # The first request of a worker builds its clients.
        for url in workers.urls:
            browser.get(f"{url}/api/token").raise_for_status()
    provider.reset_stats()

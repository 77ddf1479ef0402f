"""Checks the provider: its endpoints, and its clock."""

from collections.abc import AsyncGenerator, Iterator
from urllib.parse import urlsplit

from domain.metadata import ServerMetadata
from domain.provider import PRESETS, Provider
from functions.admin.doctor.clocks import compare_clocks
from functions.admin.doctor.findings import Finding, fault, ok, warning
from functions.client_wiring import ClientWiring
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.discovery import DiscoveryError
from ports.web import NoWebAnswerError, Web

_CUSTOM = "custom"


async def check_providers(wiring: Wiring, web: Web) -> AsyncGenerator[Finding, None]:
    """Check the provider of each client that can be used."""
    for name in wiring.settings.clients.names:
        try:
            client = wiring.client(name)
        except SettingsError:
            # The check of the environment reports it.
            continue
        async for finding in _check_provider(client, web):
            yield finding.of_client(name)


async def _check_provider(wiring: ClientWiring, web: Web) -> AsyncGenerator[Finding, None]:
    """Check the provider's endpoints, reach its host, and compare clocks."""
    try:
        provider = await wiring.provider()
    except DiscoveryError as error:
        yield fault("ISSUER", f"cannot read its metadata: {error}")
        return
    except SettingsError as error:
        yield fault("provider", f"no request is possible: {error}")
        return
    for finding in check_endpoints(provider, wiring.client.overrides):
        yield finding
    parts = urlsplit(provider.token_endpoint)
    host = f"{parts.scheme}://{parts.netloc}"
    try:
        # Not to the endpoint itself, where requests may be counted.
        answer = await web.ask("HEAD", f"{host}/")
    except NoWebAnswerError as error:
        text = f"cannot connect to {host}: {error}; check its name and this machine's network"
        yield fault("provider", text)
    else:
        yield compare_clocks(f"the provider's clock ({parts.netloc})", answer)


def check_endpoints(provider: Provider, overrides: ServerMetadata) -> Iterator[Finding]:
    """Report endpoints of different providers, or of another one than the preset."""
    endpoints = {
        "AUTHORIZATION_ENDPOINT": provider.authorization_endpoint,
        "TOKEN_ENDPOINT": provider.token_endpoint,
        "REVOCATION_ENDPOINT": provider.revocation_endpoint or "",
        "REFRESH_ENDPOINT": (provider.wire and provider.wire.refresh_endpoint) or "",
    }
    hosts = {name: _host(url) for name, url in endpoints.items() if url}
    mixed = list(_of_another_preset(provider, hosts))
    yield from mixed
    if mixed:
        return
    # An issuer's own metadata may name several hosts.
    if overrides.issuer is None and len({_site(host) for host in hosts.values()}) > 1:
        where = ", ".join(f"{name} at {host}" for name, host in hosts.items())
        yield warning(
            "PROVIDER", f"its endpoints are on different hosts: {where}; check that this is right"
        )
        return
    yield ok("PROVIDER", f"{provider.name}, with the token endpoint {provider.token_endpoint}")


def _of_another_preset(provider: Provider, hosts: dict[str, str]) -> Iterator[Finding]:
    presets = {
        _host(preset.token_endpoint): name for name, preset in PRESETS.items() if name != _CUSTOM
    }
    for name, host in hosts.items():
        whose = presets.get(host, provider.name)
        if whose == provider.name:
            continue
        if provider.name == _CUSTOM:
            yield warning(
                "PROVIDER",
                f"it is custom, but {name} is {whose}'s: set PROVIDER={whose}, which knows its "
                "special rules",
            )
        else:
            yield fault(
                "PROVIDER",
                f"it is {provider.name}, but {name} is {whose}'s ({host}), which has other "
                f"accounts, credentials and data: set PROVIDER={whose}, or remove {name}",
            )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _site(host: str) -> str:
    """Return the last two labels of a host name, or the whole of an IP address."""
    labels = host.split(".")
    is_address = labels[-1].isdigit() or ":" in host
    return host if is_address else ".".join(labels[-2:])

"""A provider's metadata comes from its issuer, and from no other source."""

import asyncio
import json
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.authorization_server_discovered import SEND_WITHIN, DiscoveredAuthorizationServer
from adapters.discovery_httpx import DISCOVERY_LIMIT, HttpxDiscovery
from adapters.provider_metadata import read_metadata
from domain.metadata import ServerMetadata
from domain.policy import Policy
from domain.provider import ClientAuthentication, Pkce, Provider
from domain.providers.custom import PROVIDER as CUSTOM
from domain.providers.digikey import PROVIDER as DIGIKEY
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationRequest,
    TokenRequest,
    TokenTypeHint,
)
from ports.discovery import DiscoveryError, UnusableIssuerError
from tests.ports.asking import IMPATIENCE, REFRESH
from tests.ports.scripted_server import Connection, Script, ScriptedServer, answer, serving, stall

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
NOT_FOUND = answer("404 Not Found")
Pages = Mapping[str, Script]


@contextmanager
def issuing(pages: Callable[[str], Pages]) -> Iterator[ScriptedServer]:
    """Serve pages by their path, made for the issuer that the server is."""

    def script(connection: Connection) -> None:
        path = server.requests[-1].line.split()[1]
        pages(issuer_of(server)).get(path, NOT_FOUND)(connection)

    with serving(script) as server:
        yield server


def issuer_of(server: ScriptedServer) -> str:
    return server.endpoint.removesuffix("/token")


def document(issuer: str, /, **changes: object) -> dict[str, Any]:
    members = {
        "issuer": issuer,
        "authorization_endpoint": "https://login.test/authorize",
        "token_endpoint": "https://login.test/token",
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def page(members: object) -> Script:
    return answer("200 OK", json.dumps(members).encode())


def saying(path: str = OAUTH, /, **changes: object) -> AbstractContextManager[ScriptedServer]:
    return issuing(lambda issuer: {path: page(document(issuer, **changes))})


def found(
    issuer: str,
    *,
    provider: Provider = CUSTOM,
    told: ServerMetadata = ServerMetadata(),  # noqa: B008 - it is frozen
    limit: timedelta = DISCOVERY_LIMIT,
) -> Provider:
    discovery = HttpxDiscovery(provider, issuer=issuer, overrides=told, limit=limit)
    return asyncio.run(discovery.provider())


def paths(server: ScriptedServer) -> list[str]:
    return [request.line.split()[1] for request in server.requests]


# Metadata


def test_an_issuer_alone_is_enough() -> None:
    metadata = {
        "revocation_endpoint": "https://login.test/revoke",
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": True,
        "unknown": {"member": []},
    }
    with saying(**metadata) as server:
        issuer = issuer_of(server)
        assert found(issuer) == replace(
            CUSTOM,
            issuer=issuer,
            sends_issuer=True,
            authorization_endpoint="https://login.test/authorize",
            token_endpoint="https://login.test/token",
            revocation_endpoint="https://login.test/revoke",
            client_authentication=ClientAuthentication.BASIC,
            pkce=Pkce.S256,
        )
    assert paths(server) == [OAUTH]


def test_missing_members_have_the_defaults_of_rfc_8414() -> None:
    with saying() as server:
        provider = found(issuer_of(server))
    assert provider.client_authentication is ClientAuthentication.BASIC
    assert not provider.sends_issuer
    assert provider.revocation_endpoint is None


def test_the_form_is_preferred_if_both_methods_are_offered() -> None:
    methods = ["client_secret_basic", "client_secret_post"]
    with saying(token_endpoint_auth_methods_supported=methods) as server:
        assert found(issuer_of(server)).client_authentication is ClientAuthentication.POST


@pytest.mark.parametrize(
    ("methods", "pkce", "of_digikey"),
    [
        (None, Pkce.S256, Pkce.NONE),
        ([], Pkce.S256, Pkce.NONE),
        (["plain"], Pkce.NONE, Pkce.NONE),
    ],
    ids=["missing", "an empty list", "plain"],
)
def test_missing_pkce_methods_leave_the_presets_and_plain_pkce_is_not_used(
    methods: list[str] | None, pkce: Pkce, of_digikey: Pkce
) -> None:
    with saying(code_challenge_methods_supported=methods) as server:
        assert found(issuer_of(server)).pkce is pkce
        assert found(issuer_of(server), provider=DIGIKEY).pkce is of_digikey


def test_linkedin_takes_the_form_though_it_lists_no_method() -> None:
    issuer = "https://www.linkedin.com/oauth"
    metadata = read_metadata(document(issuer), issuer)
    assert metadata.client_authentication is ClientAuthentication.POST


def test_settings_win_over_the_issuer_and_the_issuer_over_the_preset() -> None:
    told = ServerMetadata(
        token_endpoint="https://mine.test/token",
        pkce=Pkce.NONE,
        client_authentication=ClientAuthentication.POST,
    )
    with saying(code_challenge_methods_supported=["S256"]) as server:
        provider = found(issuer_of(server), provider=DIGIKEY, told=told)
    assert provider.token_endpoint == "https://mine.test/token"
    assert provider.pkce is Pkce.NONE
    assert provider.client_authentication is ClientAuthentication.POST
    assert provider.authorization_endpoint == "https://login.test/authorize"
    assert provider.access_token_lifetime == DIGIKEY.access_token_lifetime


def test_openid_connects_path_is_tried_after_oauths() -> None:
    with saying(OPENID) as server:
        assert found(issuer_of(server)).token_endpoint == "https://login.test/token"
    assert paths(server) == [OAUTH, OPENID]


@pytest.mark.parametrize(
    "useless",
    [answer("200 OK", b"<!doctype html>"), answer("500 Oops"), page([])],
    ids=["a page", "an error", "a list"],
)
def test_an_invalid_document_does_not_hide_the_other_path(useless: Script) -> None:
    def pages(issuer: str) -> Pages:
        return {OAUTH: useless, OPENID: page(document(issuer))}

    with issuing(pages) as server:
        assert found(issuer_of(server)).token_endpoint == "https://login.test/token"


def test_the_path_of_an_issuer_is_kept() -> None:
    def pages(issuer: str) -> Pages:
        return {f"{OAUTH}/tenants/one": page(document(f"{issuer}/tenants/one"))}

    with issuing(pages) as server:
        issuer = f"{issuer_of(server)}/tenants/one"
        assert found(issuer).issuer == issuer


# Refused metadata


@pytest.mark.parametrize(
    "other",
    [
        lambda issuer: f"{issuer}/",
        lambda issuer: issuer.upper(),
        lambda issuer: f"{issuer}/x",
        lambda _: "https://evil.test",
    ],
)
def test_checklist_57_metadata_of_another_issuer_is_refused(other: Callable[[str], str]) -> None:
    # RFC 8414 §3.3: to the letter.
    with (
        issuing(lambda issuer: dict.fromkeys((OAUTH, OPENID), page(document(other(issuer))))) as it,
        pytest.raises(DiscoveryError, match="its issuer is"),
    ):
        found(issuer_of(it))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"token_endpoint": "http://login.test/token"}, "token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"revocation_endpoint": "http://10.0.0.1/"}, "revocation_endpoint"),
        ({"token_endpoint": None}, "token_endpoint"),
        ({"authorization_endpoint": ["https://login.test/"]}, "authorization_endpoint"),
        ({"issuer": None}, "issuer"),
        ({"code_challenge_methods_supported": "S256"}, "code_challenge_methods_supported"),
    ],
    ids=str,
)
def test_invalid_metadata_is_refused_and_its_member_named(
    changes: dict[str, object], named: str
) -> None:
    with saying(**changes) as server, pytest.raises(DiscoveryError, match=f"usable: {named}"):
        found(issuer_of(server))


def test_checklist_21_a_redirect_is_not_followed() -> None:
    with saying() as target:
        elsewhere = answer("302 Found", b"", f"Location: {issuer_of(target)}{OAUTH}")
        with serving(elsewhere) as server, pytest.raises(DiscoveryError, match="status 302"):
            found(issuer_of(server))
    assert target.requests == []


def test_a_redirect_to_an_invalid_address_is_reported_as_a_redirect() -> None:
    elsewhere = answer("302 Found", b"", "Location: :javascript://]@http")
    with serving(elsewhere) as server, pytest.raises(DiscoveryError, match="status 302"):
        found(issuer_of(server))


def test_a_document_of_more_than_64_kib_is_refused() -> None:
    with (
        saying(padding="x" * 64 * 1024) as server,
        pytest.raises(DiscoveryError, match="not a JSON object"),
    ):
        found(issuer_of(server))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "nowhere.pem"),
        ("SSL_CERT_DIR", "nowhere"),
        ("ALL_PROXY", "socks5://name:pass-word@127.0.0.1:9"),
        ("ALL_PROXY", "ftp://name:pass-word@127.0.0.1:9"),
        ("ALL_PROXY", "http://name:pass-word/@127.0.0.1:9"),
    ],
)
def test_a_variable_that_leaves_no_way_out_is_named_and_not_needed_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "[::1],fd00::/8")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(UnusableIssuerError, match=f"^{name} ") as raised:
        found("https://login.test")
    assert "pass-word" not in "".join(traceback.format_exception(raised.value))
    with saying() as server:
        assert found(issuer_of(server)).token_endpoint == "https://login.test/token"


@pytest.mark.parametrize("status", ["503 Away", "429 Slow down", "408 Late"])
def test_a_temporary_failure_differs_from_one_of_the_settings(status: str) -> None:
    with issuing(lambda _: {OPENID: answer(status)}) as server:
        with pytest.raises(DiscoveryError) as passing:
            found(issuer_of(server))
        with pytest.raises(UnusableIssuerError, match=r"^ISSUER: .*status 404"):
            found(f"{issuer_of(server)}/elsewhere")
    assert not isinstance(passing.value, UnusableIssuerError)


def test_a_silent_issuer_has_a_limit() -> None:
    with serving(stall) as server, pytest.raises(DiscoveryError, match="does not answer"):
        found(issuer_of(server), limit=IMPATIENCE)


def test_an_unreachable_issuer_is_reported() -> None:
    with pytest.raises(DiscoveryError, match="ConnectError"):
        found("http://127.0.0.9:9")


def test_the_request_has_the_user_agent_that_is_set() -> None:
    async def ask(issuer: str) -> None:
        told = ServerMetadata()
        custom = CUSTOM
        await HttpxDiscovery(custom, issuer=issuer, overrides=told).provider()
        await HttpxDiscovery(custom, issuer=issuer, overrides=told, user_agent="a name").provider()

    with saying() as server:
        asyncio.run(ask(issuer_of(server)))
    names = [name for request in server.requests for name in request.all("user-agent")]
    assert names == ["oauth-callback/0.1.0", "a name"]


# Number of requests


def test_concurrent_and_later_callers_share_one_request() -> None:
    async def ask(issuer: str) -> None:
        discovery = HttpxDiscovery(CUSTOM, issuer=issuer, overrides=ServerMetadata())
        first, *others = await asyncio.gather(*(discovery.provider() for _ in range(20)))
        assert all(other is first for other in others)
        assert await discovery.provider() is first

    with saying() as server:
        asyncio.run(ask(issuer_of(server)))
    assert len(server.requests) == 1


def test_a_request_is_repeated_after_a_failure_and_survives_its_first_caller() -> None:
    is_up = threading.Event()

    def pages(issuer: str) -> Pages:
        return {OAUTH: page(document(issuer))} if is_up.is_set() else {}

    async def ask(issuer: str) -> None:
        discovery = HttpxDiscovery(CUSTOM, issuer=issuer, overrides=ServerMetadata())
        with pytest.raises(DiscoveryError):
            await discovery.provider()
        is_up.set()
        first = asyncio.create_task(discovery.provider())
        second = asyncio.create_task(discovery.provider())
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).token_endpoint == "https://login.test/token"

    with issuing(pages) as server:
        asyncio.run(ask(issuer_of(server)))
    assert paths(server) == [OAUTH, OPENID, OAUTH]


# Token requests with discovery


REVOCATION = RevocationRequest(token="refresh", token_type_hint=TokenTypeHint.REFRESH_TOKEN)


class Sent:
    """A counting server, with the clock and discovery of a `DiscoveredAuthorizationServer`."""

    def __init__(self, *, fails: bool = False, takes: timedelta = timedelta(0)) -> None:
        self.providers: list[Provider] = []
        self.requests: list[TokenRequest | RevocationRequest] = []
        self._fails = fails
        self._takes = takes
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    async def provider(self) -> Provider:
        self._now += self._takes
        if self._fails:
            raise DiscoveryError("it is away")
        return DIGIKEY

    def of(self, provider: Provider) -> "Sent":
        self.providers.append(provider)
        return self

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        self.requests.append(request)
        return NoAnswer(delivery=Delivery.UNKNOWN, reason="it was sent")

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        self.requests.append(request)
        return NoAnswer(delivery=Delivery.UNKNOWN, reason="it was sent")

    def revoke(self) -> RevocationOutcome:
        server = DiscoveredAuthorizationServer(self, server_of=self.of, clock=self)
        return asyncio.run(server.revoke_token(REVOCATION))

    def ask(self, times: int = 1) -> list[Outcome]:
        server = DiscoveredAuthorizationServer(self, server_of=self.of, clock=self)

        async def ask() -> list[Outcome]:
            return [await server.request_tokens(REFRESH) for _ in range(times)]

        return asyncio.run(ask())


def test_a_revocation_is_sent_only_with_metadata() -> None:
    sent, away = Sent(), Sent(fails=True)
    assert sent.revoke() == NoAnswer(delivery=Delivery.UNKNOWN, reason="it was sent")
    assert sent.requests == [REVOCATION]
    outcome = away.revoke()
    assert isinstance(outcome, NoAnswer)
    assert outcome.delivery is Delivery.NOT_SENT
    assert away.requests == []


def test_requests_share_one_server() -> None:
    sent = Sent(takes=SEND_WITHIN)
    assert len(sent.ask(times=2)) == 2
    assert sent.providers == [DIGIKEY]
    assert sent.requests == [REFRESH, REFRESH]


def test_without_metadata_a_request_is_not_sent() -> None:
    sent = Sent(fails=True)
    [outcome] = sent.ask()
    assert outcome == NoAnswer(delivery=Delivery.NOT_SENT, reason="no metadata: it is away")
    assert sent.requests == []


def test_a_request_is_not_sent_after_a_long_discovery() -> None:
    sent = Sent(takes=SEND_WITHIN + timedelta(microseconds=1))
    [outcome] = sent.ask()
    assert isinstance(outcome, NoAnswer)
    assert outcome.delivery is Delivery.NOT_SENT
    assert sent.requests == []


def test_discovery_and_a_request_end_before_the_lease() -> None:
    policy = Policy(provider=CUSTOM, client="a-client")
    assert DISCOVERY_LIMIT < SEND_WITHIN
    assert policy.send_within + SEND_WITHIN + policy.request_timeout < policy.lease

"""The stored format: records read back as written, and unknown ones are refused."""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.grant_json import dump_record, load_record, load_stored
from adapters.login_json import dump_login, load_login
from adapters.stored_json import (
    ADOPTING_VERSION,
    CLIENT_CREDENTIALS_VERSION,
    FIRST_VERSION,
    FORMAT_VERSION,
    MOVING_VERSION,
    REVOKING_VERSION,
    FormatError,
)
from domain.authorization import PendingLogin
from domain.extra import Extra
from domain.grant import (
    Adopting,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
)
from domain.ledger import Entry, HistoryEvent, Ledger
from domain.provider import GrantType
from domain.token_endpoint import RevocationRequest, RevocationResult, TokenTypeHint
from domain.tokens import Tokens
from tests.strategies import grants, json_values, ledgers, pending_logins

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TOKENS = Tokens(
    generation=3,
    authorized_at=NOW,
    issued_at=NOW,
    access_token="access",
    token_type="Bearer",
    scope="read write",
    expires_at=NOW,
    refresh_token="refresh",
    refresh_token_expires_at=NOW,
    subject="subject",
    login_expires_at=NOW,
)
SETBACKS = FailureState(
    failures=2, failure=Failure.UNKNOWN, at=NOW, retry_at=NOW, in_doubt_since=NOW, since=NOW
)
ATTEMPT = Attempt(id="attempt", authorized_at=NOW, generation=3, client="client", started_at=NOW)
AUTHORIZED = Authorized(tokens=TOKENS, failure_state=SETBACKS)
REQUIRED = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client", since=NOW
)
OWN = Authorized(
    tokens=replace(TOKENS, refresh_token=None, grant_type=GrantType.CLIENT_CREDENTIALS)
)
EXAMPLES: tuple[Grant, ...] = (
    Unauthorized(),
    AUTHORIZED,
    Refreshing(tokens=TOKENS, attempt=ATTEMPT, failure_state=SETBACKS),
    REQUIRED,
    Moved(grant=AUTHORIZED, since=NOW),
    Moved(grant=REQUIRED, since=NOW),
    Revoking(
        request=RevocationRequest(token="refresh", token_type_hint=TokenTypeHint.REFRESH_TOKEN),
        at=NOW,
    ),
    Revoked(at=NOW, result=RevocationResult.NOT_SUPPORTED),
    Unauthorized(failure_state=SETBACKS, place=3, revoked=2),
    Requesting(attempt=ATTEMPT, failure_state=SETBACKS, place=3, revoked=2),
    OWN,
    Adopting(
        grant=Refreshing(tokens=TOKENS, attempt=ATTEMPT, failure_state=None),
        earlier=AUTHORIZED,
        replaces=True,
    ),
)
PENDING = PendingLogin(
    connection="default", redirect_uri="https://a.example/", code_verifier="v", expires_at=NOW
)
ENTRY = [0, "login", 1, None, "tokens"]
Members = dict[str, Any]
Path = tuple[str, ...]


def dump_grant(grant: Grant) -> bytes:
    return dump_record(grant, ())


def load_grant(text: bytes) -> Grant:
    return load_record(text)[0]


def paths_of(members: Members, above: Path = ()) -> Iterator[Path]:
    for name, value in members.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from paths_of(value, (*above, name))


def at(members: Members, path: Path) -> Members:
    """Find the object that holds the last member of the path."""
    for name in path[:-1]:
        members = members[name]
    return members


def members_of(grant: Grant) -> Members:
    members: Members = json.loads(dump_grant(grant))
    return members


def written(members: object) -> bytes:
    return json.dumps(members).encode()


def compressed(rows: object) -> str:
    return b64encode(zlib.compress(written(rows))).decode()


PLACES = [(grant, path) for grant in EXAMPLES for path in paths_of(members_of(grant))]
# Older grants lack the beginning of their failures.
SINCE: Path = ("setbacks", "since")
# Members that older grants lack, and their defaults.
CAME_LATER: dict[str, object] = {
    "subject": None,
    "place": 0,
    "revoked": 0,
    "login": None,
    "refresh_token_counted": "issue",
    "grant_type": None,
    "login_expires_at": None,
}
LOGIN_MEMBERS = sorted(json.loads(dump_login(PENDING)).keys() - {"read"})
places = pytest.mark.parametrize(
    ("grant", "path"),
    PLACES,
    ids=[f"{type(grant).__name__}-{'.'.join(path)}" for grant, path in PLACES],
)


@given(grant=grants, ledger=ledgers)
def test_every_grant_and_its_ledger_read_back_as_they_were_written(
    grant: Grant, ledger: Ledger
) -> None:
    text = dump_record(grant, ledger)
    assert load_record(text) == (grant, ledger)
    # Older versions ignore the ledger.
    members = json.loads(text)
    assert members.pop("ledger", []) == [] or ledger
    assert members == members_of(grant)


@pytest.mark.parametrize("grant", EXAMPLES, ids=lambda grant: type(grant).__name__)
def test_a_record_of_before_ledgers_has_none(grant: Grant) -> None:
    assert "ledger" not in members_of(grant)
    assert load_record(written(members_of(grant))) == (grant, ())


@pytest.mark.parametrize(
    "row",
    [
        None,
        1,
        "login",
        [],
        ENTRY[:-1],
        [*ENTRY, "said", "added later"],
        [0, "added-later", 1, None, "tokens"],
        [0, [], 1, None, "tokens"],
        ["0", "login", 1, None, "tokens"],
        [None, "login", 1, None, "tokens"],
        [1e300, "login", 1, None, "tokens"],
        [-1e17, "login", 1, None, "tokens"],
        [float("nan"), "login", 1, None, "tokens"],
    ],
    ids=repr,
)
def test_an_unknown_entry_is_skipped(
    row: object,
) -> None:
    members = {**members_of(AUTHORIZED), "ledger": compressed([ENTRY, row, ENTRY])}
    login = Entry(
        at=datetime(1970, 1, 1, tzinfo=UTC),
        event=HistoryEvent.LOGIN,
        generation=1,
        key_name=None,
        outcome="tokens",
    )
    assert load_record(written(members)) == (AUTHORIZED, (login, login))


@pytest.mark.parametrize("said", [None, "invalid_grant: \u2026 <b>"])
def test_the_providers_text_is_kept_and_optional(said: str | None) -> None:
    failure_state = replace(SETBACKS, quote=said)
    required = AuthorizationRequired(
        tokens=AUTHORIZED.tokens,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client",
        since=NOW,
        quote=said,
    )
    for grant in (Authorized(tokens=AUTHORIZED.tokens, failure_state=failure_state), required):
        text = dump_record(grant, ())
        assert (b"said" in text) is (said is not None)
        assert load_record(text) == (grant, ())


def test_an_entry_without_a_quotation_has_the_first_format() -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC)
    plain = Entry(at, HistoryEvent.LOGIN, 1, None, "tokens")
    quoting = Entry(
        at, HistoryEvent.REFRESH_REFUSED, 1, None, "refresh-token-rejected", "invalid_grant"
    )
    text = dump_record(AUTHORIZED, (plain, quoting))
    assert load_record(text) == (AUTHORIZED, (plain, quoting))
    rows = json.loads(zlib.decompress(b64decode(json.loads(text)["ledger"])))
    assert rows == [ENTRY, [0, "verdict", 1, None, "refresh-token-rejected", "invalid_grant"]]


@pytest.mark.parametrize(
    "ledger",
    [1, True, [ENTRY], "", "é", "[]", compressed(1), compressed(None), compressed([])[:-4]],
)
def test_an_invalid_ledger_is_refused(ledger: object) -> None:
    with pytest.raises(FormatError):
        load_record(written({**members_of(AUTHORIZED), "ledger": ledger}))


@given(ledger=json_values)
def test_any_ledger_is_read_or_refused(ledger: object) -> None:
    read_or_refused(written({**members_of(AUTHORIZED), "ledger": ledger}))
    for rows in (ledger, [ledger]):
        read_or_refused(written({**members_of(AUTHORIZED), "ledger": compressed(rows)}))


@given(pending=pending_logins)
def test_every_login_reads_back_as_it_was_written(pending: PendingLogin) -> None:
    assert load_login(dump_login(pending)) == pending


def test_instants_of_any_zone_are_read_as_utc() -> None:
    elsewhere = NOW.astimezone(tz=datetime.fromisoformat("2026-01-01T00:00+05:30").tzinfo)
    required = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_MISSING, client="client", since=elsewhere
    )
    loaded = load_grant(dump_grant(required))
    assert isinstance(loaded, AuthorizationRequired)
    assert loaded.since == NOW
    assert loaded.since.utcoffset() == timedelta(0)


@pytest.mark.parametrize("grant", EXAMPLES, ids=lambda grant: type(grant).__name__)
def test_another_version_is_refused(grant: Grant) -> None:
    versions: list[object] = [FORMAT_VERSION + 1, 0, -1, "1", None, [], 1.5]
    for version in versions:
        with pytest.raises(FormatError):
            load_grant(written({**members_of(grant), "version": version}))
        with pytest.raises(FormatError):
            load_login(written({**json.loads(dump_login(PENDING)), "version": version}))


@pytest.mark.parametrize("grant", EXAMPLES, ids=lambda grant: type(grant).__name__)
def test_a_grant_has_the_oldest_version_that_can_read_it(grant: Grant) -> None:
    later = {
        Moved: MOVING_VERSION,
        Revoking: REVOKING_VERSION,
        Revoked: REVOKING_VERSION,
        Requesting: CLIENT_CREDENTIALS_VERSION,
        Adopting: ADOPTING_VERSION,
    }
    oldest = CLIENT_CREDENTIALS_VERSION if grant is OWN else later.get(type(grant), FIRST_VERSION)
    assert members_of(grant)["version"] == oldest
    assert json.loads(dump_login(PENDING))["version"] == FIRST_VERSION


@pytest.mark.parametrize("grant", EXAMPLES, ids=lambda grant: type(grant).__name__)
def test_only_a_settled_grant_is_read_as_moved(grant: Grant) -> None:
    inside = members_of(grant)
    text = written({**members_of(Moved(grant=AUTHORIZED, since=NOW)), "grant": inside})
    if isinstance(grant, Authorized | AuthorizationRequired):
        assert load_grant(text) == Moved(grant=grant, since=NOW)
    else:
        with pytest.raises(FormatError):
            load_grant(text)


@pytest.mark.parametrize("refresh_token", ["refresh", None])
def test_a_revocation_keeps_the_access_token_and_an_older_one_is_read(
    refresh_token: str | None,
) -> None:
    request = RevocationRequest.for_tokens(access_token="access", refresh_token=refresh_token)
    members = members_of(Revoking(request=request, at=NOW))
    loaded = load_grant(written(members))
    assert isinstance(loaded, Revoking)
    assert loaded.request.access_token == "access"
    members["request"].pop("access_token", None)
    older = load_grant(written(members))
    assert isinstance(older, Revoking)
    assert older.request == request
    assert older.request.access_token == (None if refresh_token else "access")


def test_older_versions_read_a_temporary_refusal_as_unexplained() -> None:
    refused = replace(AUTHORIZED, failure_state=replace(SETBACKS, failure=Failure.REFUSED))
    assert load_grant(dump_grant(refused)) == refused
    members = members_of(refused)
    assert members["version"] == FIRST_VERSION
    assert members["setbacks"].pop("is_refused")
    older = replace(SETBACKS, failure=Failure.UNEXPLAINED)
    assert load_grant(written(members)) == replace(AUTHORIZED, failure_state=older)


@places
def test_a_missing_member_is_refused_unless_it_came_later(grant: Grant, path: Path) -> None:
    members = members_of(grant)
    del at(members, path)[path[-1]]
    if path[-2:] == SINCE:
        assert load_grant(written(members)) != grant
        return
    if path[-1] in CAME_LATER:
        read = members_of(load_grant(written(members)))
        assert at(read, path).get(path[-1]) == CAME_LATER[path[-1]]
        return
    if path == ("setbacks",) and isinstance(grant, Unauthorized):
        assert load_grant(written(members)) == Unauthorized()
        return
    with pytest.raises(FormatError):
        load_grant(written(members))


def test_a_record_without_extra_members_and_account_is_as_earlier_versions_wrote_it() -> None:
    extra: Extra = (("realmId", "123"), ("is_sandbox", True), ("number", 5), ("share", 0.5))
    named = replace(TOKENS, account="a@a.example", extra=extra)
    members = members_of(Authorized(tokens=named))
    assert members["version"] == FIRST_VERSION
    assert load_grant(written(members)) == Authorized(tokens=named)
    assert members["tokens"].pop("account") == "a@a.example"
    assert members["tokens"].pop("extra") == dict(extra)
    assert members == members_of(Authorized(tokens=TOKENS))
    assert load_grant(written(members)) == Authorized(tokens=TOKENS)


@pytest.mark.parametrize("extra", [None, [], "text", 1, [["a", 1]]], ids=repr)
def test_extra_members_that_are_no_object_are_refused(extra: object) -> None:
    members = members_of(AUTHORIZED)
    members["tokens"]["extra"] = extra
    with pytest.raises(FormatError):
        load_grant(written(members))


@given(extra=json_values)
def test_any_extra_members_are_read_or_refused(extra: object) -> None:
    members = members_of(AUTHORIZED)
    for value in (extra, {"x": extra}):
        members["tokens"]["extra"] = value
        read_or_refused(written(members))


@pytest.mark.parametrize("name", LOGIN_MEMBERS)
def test_a_missing_member_of_a_login_is_refused(name: str) -> None:
    members = json.loads(dump_login(PENDING))
    del members[name]
    if name in {"outcome", "renews"}:
        # Not in what earlier releases wrote.
        assert load_login(written(members)) == PENDING
        return
    with pytest.raises(FormatError):
        load_login(written(members))


def test_an_older_login_without_read_is_read() -> None:
    members = json.loads(dump_login(replace(PENDING, read=3)))
    del members["read"]
    assert load_login(written(members)) == replace(PENDING, read=None)


@pytest.mark.parametrize(
    ("grant", "path"),
    [place for place in PLACES if place[1][-1].endswith(("at", "since"))],
    ids=lambda part: ".".join(part) if isinstance(part, tuple) else "",
)
def test_an_invalid_instant_or_one_without_a_zone_is_refused(grant: Grant, path: Path) -> None:
    for text in ("2026-03-01T12:00:00", "2026-03-01", "soon", "", "1e9"):
        members = members_of(grant)
        at(members, path)[path[-1]] = text
        with pytest.raises(FormatError):
            load_grant(written(members))
        with pytest.raises(FormatError):
            load_login(written({**json.loads(dump_login(PENDING)), "expires_at": text}))


@given(place=st.sampled_from(PLACES), value=json_values)
def test_any_value_of_a_member_is_read_or_refused(place: tuple[Grant, Path], value: object) -> None:
    grant, path = place
    members = members_of(grant)
    at(members, path)[path[-1]] = value
    read_or_refused(written(members))


@given(text=st.binary() | json_values.map(written))
@example(text=b"")
@example(text=b"[]")
@example(text=b"null")
@example(text=b"5")
@example(text=b'"text"')
@example(text=b"\xff")
@example(text=b"[" * 100_000)
@example(text=b"{")
def test_any_text_is_read_or_refused(text: bytes) -> None:
    read_or_refused(text)


def read_or_refused(text: bytes) -> None:
    for load in (load_grant, load_login):
        try:
            load(text)
        except FormatError:
            continue


@given(place=st.sampled_from(PLACES))
def test_members_of_a_later_version_are_ignored(place: tuple[Grant, Path]) -> None:
    grant, path = place
    members = members_of(grant)
    at(members, path)["added-later"] = {"x": 1}
    assert load_grant(written(members)) == grant


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        pytest.param({"tokens": 3, "not-sent": 1}, {"tokens": 3, "not-sent": 1}, id="counts"),
        pytest.param({"tokens": "3", "not-sent": 1}, {"not-sent": 1}, id="a-text"),
        pytest.param(["tokens"], {}, id="a-list"),
        pytest.param(None, {}, id="null"),
    ],
)
def test_counts_of_refreshes_are_read_and_cost_no_grant(
    stored: object, read: dict[str, int]
) -> None:
    members = {**members_of(AUTHORIZED), "refreshes": stored}
    assert load_stored(written(members)) == (AUTHORIZED, (), None, read, ())
    assert load_stored(dump_record(AUTHORIZED, (), None, read)).refreshes == read
    assert ("refreshes" in json.loads(dump_record(AUTHORIZED, (), None, read))) is bool(read)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        pytest.param([312, 0], (312, 0), id="times"),
        pytest.param([1, 2, 3, 4, 5, 6], (2, 3, 4, 5, 6), id="more-than-are-kept"),
        pytest.param([312, "3", -1, 10**400, 2.5], (312,), id="no-times"),
        pytest.param({"312": 312}, (), id="an-object"),
        pytest.param(None, (), id="null"),
    ],
)
def test_times_of_refreshes_are_read_and_cost_no_grant(
    stored: object, read: tuple[int, ...]
) -> None:
    times = tuple(timedelta(milliseconds=each) for each in read)
    members = {**members_of(AUTHORIZED), "refresh_ms": stored}
    assert load_stored(written(members)) == (AUTHORIZED, (), None, {}, times)
    again = dump_record(AUTHORIZED, (), None, {}, times)
    assert load_stored(again).refresh_times == times
    assert ("refresh_ms" in json.loads(again)) is bool(times)

"""Values of the domain, drawn by hypothesis: every state, every enum, and text that hurts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from domain.alert_book import AlertBook, ChannelWait, Claim, Condition, EndingLogin, Owed
from domain.alerts import Alert, AlertKind
from domain.authorization import PendingLogin
from domain.grant import (
    Adopting,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Idle,
    Inactive,
    Moved,
    Proven,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
)
from domain.ledger import MAX_ENTRIES, Entry, HistoryEvent, Ledger
from domain.provider import GrantType
from domain.token_endpoint import RevocationRequest, RevocationResult, TokenTypeHint
from domain.tokens import Tokens

LONG_TOKEN_LENGTH = 8 * 1024

instants = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)
texts = st.text(max_size=40) | st.sampled_from(
    ["žluťoučký kůň 🐎", 'a"b\\c\n\0', "v1.x.y", "%+:/ é"]
)
ids = st.text(min_size=1, max_size=40)
long_tokens = st.text(min_size=1, max_size=8).map(
    lambda piece: (piece * LONG_TOKEN_LENGTH)[:LONG_TOKEN_LENGTH]
)
secrets = ids | long_tokens
extra = st.dictionaries(
    ids, texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
).map(lambda members: tuple(members.items()))

places = st.integers(min_value=0, max_value=2**40)
tokens = st.builds(
    Tokens,
    generation=st.integers(min_value=0, max_value=2**40),
    authorized_at=instants,
    issued_at=instants,
    access_token=secrets,
    token_type=texts,
    scope=st.none() | texts,
    expires_at=st.none() | instants,
    refresh_token=st.none() | secrets,
    refresh_token_expires_at=st.none() | instants,
    subject=st.none() | texts,
    login_expires_at=st.none() | instants,
    place=places,
    revoked=places,
    adopted=st.none() | texts,
    account=st.none() | texts,
    extra=extra,
    grant_type=st.sampled_from(GrantType),
)
failure_state = st.builds(
    FailureState,
    failures=st.integers(min_value=1, max_value=2**40),
    failure=st.sampled_from(Failure),
    at=instants,
    retry_at=instants,
    in_doubt_since=st.none() | instants,
    quote=st.none() | texts,
)
attempts = st.builds(
    Attempt,
    id=ids,
    authorized_at=instants,
    generation=st.integers(min_value=0, max_value=2**40),
    client=ids,
    started_at=instants,
)
settled: st.SearchStrategy[Idle] = st.one_of(
    st.builds(Authorized, tokens=tokens, failure_state=st.none() | failure_state),
    st.builds(
        AuthorizationRequired,
        tokens=tokens,
        cause=st.sampled_from(Cause),
        client=ids,
        since=instants,
        quote=st.none() | texts,
    ),
)
moved: st.SearchStrategy[Moved] = st.builds(Moved, grant=settled, since=instants, place=places)
revocation_requests = st.builds(
    RevocationRequest, token=secrets, token_type_hint=st.sampled_from(TokenTypeHint)
)
refreshing = st.builds(
    Refreshing, tokens=tokens, attempt=attempts, failure_state=st.none() | failure_state
)
inactive: st.SearchStrategy[Inactive] = st.one_of(
    st.just(Unauthorized()),
    st.builds(Unauthorized, failure_state=failure_state, place=places, revoked=places),
    st.builds(
        Requesting,
        attempt=attempts,
        failure_state=st.none() | failure_state,
        place=places,
        revoked=places,
    ),
    st.builds(
        Revoking, request=revocation_requests, at=instants, place=places, login=st.none() | instants
    ),
    st.builds(
        Revoked,
        at=instants,
        result=st.sampled_from(RevocationResult),
        place=places,
        login=st.none() | instants,
    ),
)
proven: st.SearchStrategy[Proven] = st.one_of(inactive, settled, refreshing, moved)
grants: st.SearchStrategy[Grant] = st.one_of(
    proven,
    st.builds(
        Adopting,
        grant=st.builds(Authorized, tokens=tokens, failure_state=st.none() | failure_state)
        | refreshing,
        earlier=inactive | settled,
        replaces=st.booleans(),
    ),
)
pending_logins = st.builds(
    PendingLogin,
    connection=ids,
    redirect_uri=texts,
    code_verifier=st.none() | texts,
    expires_at=instants,
    issuer=st.none() | texts,
    issuer_is_required=st.booleans(),
    browser=st.none() | texts,
    replaces=st.booleans(),
    read=st.none() | places,
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=8,
)

entries: st.SearchStrategy[Entry] = st.builds(
    Entry,
    at=instants.map(lambda instant: instant.replace(microsecond=0)),
    event=st.sampled_from(HistoryEvent),
    generation=st.none() | st.integers(min_value=0, max_value=2**40),
    key_name=st.none() | texts,
    outcome=texts,
    quote=st.none() | texts,
)
ledgers: st.SearchStrategy[Ledger] = st.lists(entries, max_size=MAX_ENTRIES).map(tuple)

alerts = st.builds(
    Alert,
    id=ids,
    kind=st.sampled_from(AlertKind),
    at=instants,
    cause=st.none() | texts,
    since=st.none() | instants,
    expires_at=st.none() | instants,
    account=st.none() | texts,
    quote=st.none() | texts,
)
books = st.builds(
    AlertBook,
    open=st.lists(
        st.builds(
            Condition,
            kind=st.sampled_from(AlertKind),
            since=instants,
            issued_at=st.none() | instants,
        ),
        max_size=3,
    ).map(tuple),
    ending=st.none()
    | st.builds(
        EndingLogin,
        since=instants,
        authorized_at=instants,
        expires_at=instants,
        threshold=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=900)),
    ),
    owed=st.lists(
        st.builds(Owed, alert=alerts, since=instants, done=st.frozensets(ids, max_size=3)),
        max_size=3,
    ).map(tuple),
    check_at=st.none() | instants,
    failing_since=st.none() | instants,
    unprolonged=st.none() | instants,
    prolonged=st.none() | instants,
    waits=st.lists(
        st.builds(ChannelWait, channel=ids, tries=st.integers(0, 2**31), next_try_at=instants),
        max_size=3,
    ).map(tuple),
    claim=st.none() | st.builds(Claim, id=ids, until=instants),
)

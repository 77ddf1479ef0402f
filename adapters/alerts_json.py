"""The stored format of a record's alerts. Only a record that has some needs it.

A part that cannot be read is left out: alerts must not cost the grant.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from adapters.stored_json import Json, format_instant, parse_instant
from domain.alert_book import AlertBook, ChannelWait, Claim, Condition, EndingLogin, Owed
from domain.alerts import Alert, AlertKind

_INSTANTS = ("check_at", "failing_since", "unprolonged", "prolonged")

_Part = TypeVar("_Part")


def alerts_to_json(book: AlertBook) -> Json:
    """Write a book, without empty members."""
    members = {
        "open": [_condition_to_json(each) for each in book.open],
        "ending": None if book.ending is None else _ending_to_json(book.ending),
        "owed": [_owed_to_json(each) for each in book.owed],
        "waits": [_wait_to_json(each) for each in book.waits],
        "claim": None if book.claim is None else _claim_to_json(book.claim),
        **{name: format_instant(getattr(book, name)) for name in _INSTANTS},
    }
    return _without_empty(members)


def alerts_from_json(members: object) -> AlertBook | None:
    """Read a book. Leave out each part of a later version; None if nothing can be read."""
    if not isinstance(members, dict):
        return None
    return AlertBook(
        open=tuple(_read_all(_condition_from_json, members.get("open"))),
        ending=_read(_ending_from_json, members.get("ending")),
        owed=tuple(_read_all(_owed_from_json, members.get("owed"))),
        waits=tuple(_read_all(_wait_from_json, members.get("waits"))),
        claim=_read(_claim_from_json, members.get("claim")),
        **{name: _read(_instant, members.get(name)) for name in _INSTANTS},
    )


def _read_all(parse: Callable[[Any], _Part], rows: object) -> Iterator[_Part]:
    for row in rows if isinstance(rows, list) else ():
        if (part := _read(parse, row)) is not None:
            yield part


def _read(parse: Callable[[Any], _Part], text: object) -> _Part | None:
    if text is None:
        return None
    try:
        return parse(text)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def _without_empty(members: Json) -> Json:
    return {name: value for name, value in members.items() if value not in (None, [])}


def _condition_to_json(condition: Condition) -> Json:
    return _without_empty(
        {
            "kind": condition.kind.value,
            "since": format_instant(condition.since),
            "issued_at": format_instant(condition.issued_at),
        }
    )


def _condition_from_json(members: Json) -> Condition:
    return Condition(
        kind=AlertKind(members["kind"]),
        since=_instant(members["since"]),
        issued_at=_optional_instant(members.get("issued_at")),
    )


def _ending_to_json(ending: EndingLogin) -> Json:
    return {
        "since": format_instant(ending.since),
        "authorized_at": format_instant(ending.authorized_at),
        "expires_at": format_instant(ending.expires_at),
        "threshold": ending.threshold.total_seconds(),
    }


def _ending_from_json(members: Json) -> EndingLogin:
    return EndingLogin(
        since=_instant(members["since"]),
        authorized_at=_instant(members["authorized_at"]),
        expires_at=_instant(members["expires_at"]),
        threshold=timedelta(seconds=members["threshold"]),
    )


def _owed_to_json(owed: Owed) -> Json:
    alert = owed.alert
    return _without_empty(
        {
            "id": alert.id,
            "kind": alert.kind.value,
            "at": format_instant(alert.at),
            "cause": alert.cause,
            "since": format_instant(alert.since),
            "expires_at": format_instant(alert.expires_at),
            "account": alert.account,
            "quote": alert.quote,
            "owed_since": format_instant(owed.since),
            "done": sorted(owed.done),
        }
    )


def _owed_from_json(members: Json) -> Owed:
    alert = Alert(
        id=_text(members, "id"),
        kind=AlertKind(members["kind"]),
        at=_instant(members["at"]),
        cause=_optional_text(members, "cause"),
        since=_optional_instant(members.get("since")),
        expires_at=_optional_instant(members.get("expires_at")),
        account=_optional_text(members, "account"),
        quote=_optional_text(members, "quote"),
    )
    return Owed(
        alert=alert,
        since=_instant(members["owed_since"]),
        done=frozenset(map(_as_text, members.get("done", ()))),
    )


def _wait_to_json(wait: ChannelWait) -> Json:
    at = format_instant(wait.next_try_at)
    return {"channel": wait.channel, "tries": wait.tries, "next_try_at": at}


def _wait_from_json(members: Json) -> ChannelWait:
    tries = members["tries"]
    if not isinstance(tries, int) or tries < 0:
        raise ValueError("tries")
    return ChannelWait(
        channel=_text(members, "channel"),
        tries=tries,
        next_try_at=_instant(members["next_try_at"]),
    )


def _claim_to_json(claim: Claim) -> Json:
    return {"id": claim.id, "until": format_instant(claim.until)}


def _claim_from_json(members: Json) -> Claim:
    return Claim(id=_text(members, "id"), until=_instant(members["until"]))


def _instant(text: str) -> datetime:
    """Read an instant as UTC, so that it can be written again, with the tokens of the record."""
    return parse_instant(text).astimezone(UTC)


def _optional_instant(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)


def _text(members: Json, name: str) -> str:
    return _as_text(members[name])


def _optional_text(members: Json, name: str) -> str | None:
    found = members.get(name)
    return None if found is None else _as_text(found)


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value

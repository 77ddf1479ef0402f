"""The token responses of a simulated provider, as a preset's data describes them."""

import secrets
from datetime import UTC, datetime

from domain.provider import Provider
from infra.local.simulated.grants import Tokens
from infra.local.simulated.requests import wire_of

# A member that ends so has the instant of the expiry.
_INSTANT = "_at"


def token_members(provider: Provider, tokens: Tokens, *, now: float) -> dict[str, object]:
    """Return the members of a token response."""
    wire = wire_of(provider)
    members = {
        name: value
        for name, value in {
            "access_token": tokens.access_token,
            "token_type": provider.token_type,
            "refresh_token": tokens.refresh_token,
            **_lifetimes(provider, tokens, now),
            "scope": tokens.scope,
        }.items()
        if value is not None
    }
    named = {wire.response_names.get(name, name): members[name] for name in members}
    # An empty name: the provider has no such member.
    named.pop("", None)
    answer: dict[str, object] = {}
    if wire.tokens_at is not None:
        # There are other tokens outside, of no use here: Slack's for its bot.
        answer["access_token"] = secrets.token_urlsafe(24)
        answer["token_type"] = provider.token_type
    for name in provider.response_members:
        outer, _, last = name.rpartition(".")
        _object_at(answer, outer)[last] = example_of(last)
    _object_at(answer, wire.tokens_at or "").update(named)
    return answer


def _object_at(members: dict[str, object], path: str) -> dict[str, object]:
    """Return the object at a path of names with dots between them, and create it if necessary."""
    for name in filter(None, path.split(".")):
        inner = members.setdefault(name, {})
        members = inner if isinstance(inner, dict) else {}
    return members


def example_of(name: str) -> str:
    """Return a plausible value of a member next to the tokens."""
    return f"https://{name.replace('_', '-')}.example" if "url" in name else f"simulated-{name}"


def _lifetimes(provider: Provider, tokens: Tokens, now: float) -> dict[str, int | str | None]:
    """Return the lifetimes that the response declares, under the provider's names."""
    return {
        name: _instant(now, seconds) if name.endswith(_INSTANT) else seconds
        for name in provider.lifetime_members
        for seconds in [tokens.refresh_token_expires_in if "refresh" in name else tokens.expires_in]
    }


def _instant(now: float, seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(now) + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

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
    others: dict[str, object] = {name: example_of(name) for name in provider.response_members}
    members = {wire.response_names.get(name, name): members[name] for name in members}
    if wire.tokens_at is None:
        return others | members
    # There are other tokens outside, of no use here: Slack's for its bot.
    outside = {"access_token": secrets.token_urlsafe(24), "token_type": provider.token_type}
    return outside | others | {wire.tokens_at: members}


def example_of(name: str) -> str:
    """Return a plausible value of a member beside the tokens."""
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

"""A token, and the keeper's answer that contains it."""

from __future__ import annotations

from types import MappingProxyType

from oauth_callback.errors import NotConfigured

TYPE_CHECKING = False  # `typing` costs a short command 10 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

_FAREST = 10**10
"""Seconds, over 300 years. A longer lifetime is a fault."""


class Token:
    """An access token. Its repr and its str do not contain it.

    - `access_token`, `token_type`, `scope`: as in RFC 6749 §5.1.
    - `expires_at`: epoch seconds by this machine's clock, so that local programs can compare.
      None if the token does not expire.
    - `ask_again_at`: epoch seconds by this machine's clock, when the keeper will have another
      token. None if it did not send the time.
    - `generation`: how often the refresh token was replaced. None from an older keeper.
    - `extra`: more members that the API needs, such as Salesforce's `instance_url`.
    """

    __slots__ = (
        "access_token",
        "ask_again_at",
        "expires_at",
        "extra",
        "generation",
        "scope",
        "token_type",
    )

    def __init__(
        self,
        access_token: str,
        *,
        token_type: str = "Bearer",  # noqa: S107
        expires_at: float | None = None,
        ask_again_at: float | None = None,
        scope: str | None = None,
        generation: int | None = None,
        extra: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.access_token = access_token
        self.token_type = token_type
        self.expires_at = expires_at
        self.ask_again_at = ask_again_at
        self.scope = scope
        self.generation = generation
        self.extra = dict(extra)

    @property
    def authorization(self) -> str:
        """The value of the header `Authorization`."""
        # RFC 6749 §5.1: the type is case-insensitive, but not every API takes `bearer`.
        is_bearer = self.token_type.lower() == "bearer"
        return f"{'Bearer' if is_bearer else self.token_type} {self.access_token}"

    def __repr__(self) -> str:
        return (
            f"<Token {self.token_type!r} expires_at={self.expires_at!r} scope={self.scope!r} "
            f"generation={self.generation!r}>"
        )


class TokenAnswer:
    """A token with durations in seconds from the time of the request, for a monotonic clock."""

    __slots__ = ("ask_again_in", "expires_in", "token")

    def __init__(
        self, token: Token, *, expires_in: float | None, ask_again_in: float | None
    ) -> None:
        self.token = token
        self.expires_in = expires_in
        self.ask_again_in = ask_again_in


def read_token(members: Mapping[str, object], *, asked_at: float) -> TokenAnswer:
    """Read the answer of `GET /api/token` to a request that was sent then, in epoch seconds.

    Raises NotConfigured.
    """
    expires_in = _seconds(members, "expires_in")
    ask_again_in = _seconds(members, "ask_again_in")
    extra = members.get("extra")
    token = Token(
        _access_token(members),
        token_type=_text(members, "token_type") or "Bearer",
        expires_at=None if expires_in is None else asked_at + expires_in,
        ask_again_at=None if ask_again_in is None else asked_at + ask_again_in,
        scope=_text(members, "scope"),
        generation=_generation(members),
        extra=extra if isinstance(extra, dict) else {},
    )
    return TokenAnswer(token, expires_in=expires_in, ask_again_in=ask_again_in)


def _access_token(members: Mapping[str, object]) -> str:
    value = members.get("access_token")
    # RFC 6749 appendix A.12; a line feed would end the header that the token goes into.
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise _malformed("access_token")
    return value


def _text(members: Mapping[str, object], name: str) -> str | None:
    value = members.get(name)
    if value is None or (isinstance(value, str) and value.isprintable()):
        return value
    raise _malformed(name)


def _seconds(members: Mapping[str, object], name: str) -> float | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _malformed(name)
    # NaN compares false with everything.
    if not -_FAREST < value < _FAREST:
        raise _malformed(name)
    return float(value)


def _generation(members: Mapping[str, object]) -> int | None:
    value = members.get("generation")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise _malformed("generation")


def _malformed(name: str) -> NotConfigured:
    return NotConfigured(
        f"The member {name!r} of the keeper's answer is missing or malformed. Set "
        "OAUTH_CALLBACK_URL to the address of the deployment."
    )

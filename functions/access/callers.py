"""Callers with an identity token: which entry of CALLERS accepts it.

A token is verified in this order, and the detail of an error names the first fault:

1. Its form, its algorithm and its issuer, before any request.
2. Its signature, by the keys of its issuer.
3. Its time, its audience and its claims. Only now the detail may name a claim.
"""

from collections.abc import Sequence
from datetime import datetime

from domain.identity_token import Claims, TokenRefusedError, check_times, subject_of
from functions.http.problems import problem
from functions.settings.api_keys import ApiKey, digest_of
from functions.settings.callers import CallerEntry
from ports.identity_tokens import IdentityTokens, IssuerUnavailableError


class Callers:
    """Finds the entry of a caller by its identity token."""

    def __init__(self, entries: Sequence[CallerEntry], tokens: IdentityTokens) -> None:
        """The first entry that accepts a token decides what it is for."""
        self._entries = entries
        self._tokens = tokens

    async def verify(self, token: bytes, *, now: datetime) -> ApiKey:
        """Return the token as a key, with the name and the restrictions of its entry.

        It is the key of this request only. Its `digest` is that of the token, its `subject` is whom
        the token names.

        Raises ProblemError: `api-key-invalid`, or `issuer-unavailable` if the keys of the issuer
        cannot be read.
        """
        try:
            claims = await self._tokens.claims_of(token)
            check_times(claims, now)
            entry = self._entry_for(claims)
        except TokenRefusedError as error:
            raise problem("api-key-invalid", f"{error} {_ADVICE}") from None
        except IssuerUnavailableError as error:
            raise problem(
                "issuer-unavailable",
                "The keys of the token's issuer cannot be read. Retry in "
                f"{error.retry_after} s; the log of the deployment has the reason.",
                retry_after=error.retry_after,
            ) from None
        return ApiKey(
            name=entry.name,
            digest=digest_of(token),
            connections=entry.connections,
            endpoints=entry.endpoints,
            variable="CALLERS",
            subject=subject_of(claims),
        )

    def _entry_for(self, claims: Claims) -> CallerEntry:
        """Return the first entry that accepts the claims. Raises TokenRefusedError."""
        of_issuer = [each for each in self._entries if each.rule.issuer == claims["iss"]]
        for_us = [each for each in of_issuer if each.rule.is_for(claims)]
        if not for_us:
            raise TokenRefusedError("No entry of CALLERS has the token's audience (`aud`).")
        faults = [each.rule.mismatches(claims) for each in for_us]
        for entry, names in zip(for_us, faults, strict=True):
            if not names:
                return entry
        # Those of the entry that comes nearest.
        nearest = ", ".join(f"`{name}`" for name in min(faults, key=len))
        raise TokenRefusedError(f"No entry of CALLERS has the token's claims: see {nearest}.")


_ADVICE = "Send an identity token that an entry of CALLERS accepts, or an API key."

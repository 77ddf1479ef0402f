"""Checks the issuers of CALLERS: whether their keys can be read."""

from collections.abc import AsyncGenerator

from functions.admin.doctor.findings import Finding, fault, ok
from functions.wiring import Wiring
from ports.identity_tokens import IssuerUnavailableError

_VARIABLE = "CALLERS"


async def check_callers(wiring: Wiring) -> AsyncGenerator[Finding, None]:
    """Read the keys of each issuer once, unless an entry gives them."""
    for issuer in dict.fromkeys(entry.rule.issuer for entry in wiring.settings.callers):
        try:
            number = await wiring.identity_tokens.check_keys(issuer)
        except IssuerUnavailableError as error:
            text = f"cannot read the keys of an issuer, so that its tokens are refused: {error}"
            yield fault(_VARIABLE, text)
        else:
            yield ok(_VARIABLE, f"the issuer {issuer} has usable keys: {number}")

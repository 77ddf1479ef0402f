"""inventree-part-import: its session for Digi-Key asks the keeper at each request.

Its own session fetches one token of ten minutes, and ends with `TokenExpiredError` after that.
"""

from __future__ import annotations

from importlib import import_module

from oauth_callback.adapters.for_requests import requests_session
from oauth_callback.shims.programs import missing, run_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from oauth_callback.source import TokenSource

_SUPPLIER = "inventree_part_import.suppliers.supplier_digikey"


def run(source: TokenSource, arguments: Sequence[str]) -> None:
    """Run `inventree-part-import ARGUMENTS…`. Raises CommandFailed."""
    try:
        supplier = import_module(_SUPPLIER)
    except ModuleNotFoundError as error:
        if error.name != "inventree_part_import":
            raise
        raise missing("inventree-part-import") from None
    replace_session(supplier.DigiKeyApi, source)
    run_module("inventree_part_import", arguments, program="inventree-part-import")


def replace_session(api: Any, source: TokenSource) -> None:  # noqa: ANN401 - untyped
    """Replace the session of its class `DigiKeyApi`."""

    def init(
        self: Any,  # noqa: ANN401
        client_id: str,
        _client_secret: str,
        currency: str,
        language: str,
        location: str,
    ) -> None:
        self.session = requests_session(source)
        self.session.headers.update(
            {
                "X-DIGIKEY-Client-Id": client_id,
                "X-DIGIKEY-Locale-Currency": currency,
                "X-DIGIKEY-Locale-Language": language,
                "X-DIGIKEY-Locale-Site": location,
            }
        )

    api.__init__ = init

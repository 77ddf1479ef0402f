"""KiCost, whose plug-ins for Digi-Key have a copy of digikey-api's token handler each."""

from __future__ import annotations

from oauth_callback.shims.programs import run_module
from oauth_callback.shims.token_handlers import serve_tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauth_callback.source import TokenSource

_PLUG_INS = ["kicost_digikey_api_v3", "kicost_digikey_api_v4"]


def run(source: TokenSource, arguments: Sequence[str]) -> None:
    """Run `kicost ARGUMENTS…`. Raises CommandFailed."""
    serve_tokens(source, _PLUG_INS)
    run_module("kicost", arguments, program="kicost")

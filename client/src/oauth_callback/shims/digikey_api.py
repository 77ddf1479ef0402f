"""digikey-api 1.1, and its forks for version 4: a script with keeper's tokens, never a browser."""

from __future__ import annotations

import os
import tempfile

from oauth_callback.shims.programs import run_as_python
from oauth_callback.shims.token_handlers import serve_tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauth_callback.source import TokenSource


def run(source: TokenSource, arguments: Sequence[str]) -> None:
    """Run `SCRIPT ARGUMENTS…` or `-m MODULE ARGUMENTS…`. Raises CommandFailed."""
    # The library refuses to start without them, and uses neither.
    os.environ.setdefault("DIGIKEY_CLIENT_SECRET", "unused")
    os.environ.setdefault("DIGIKEY_STORAGE_PATH", tempfile.gettempdir())
    serve_tokens(source, ["digikey"])
    run_as_python(arguments)

"""The step of the GitHub Action: asks for a token, and returns it as a masked output.

The exit codes are those of the command line: 75 try later, 77 a person has to log in, 78 a setting
is wrong.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

# The runner has this whole repository, and nothing installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from oauth_callback import Keeper, KeeperError, LoginNeeded, NotConfigured, Settings, TryLater
from oauth_callback.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from oauth_callback import Token

_TIMEOUT = 30.0
_OK = 200
# GitHub refuses to set these (docs: "Setting an environment variable").
_VARIABLE = re.compile(r"(?!(?:GITHUB|RUNNER)_|(?:NODE_OPTIONS|CI)$)[A-Za-z_][A-Za-z0-9_]*")


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Run the step, and return the exit code."""
    try:
        token = _get(environ)
        _hand_over(token, environ)
    except LoginNeeded as error:
        # Its link would let everybody who reads the log log in.
        return _fail(error, 77)
    except TryLater as error:
        return _fail(error, 75)
    except KeeperError as error:
        return _fail(error, 78)
    return 0


def _get(environ: Mapping[str, str]) -> Token:
    """Ask until there is a token, or the time is over. Raises KeeperError."""
    connection = environ.get("INPUT_CONNECTION") or None
    min_ttl, wait = _seconds("min-ttl", environ), _seconds("wait", environ)
    variable = environ.get("INPUT_VARIABLE", "")
    if variable and not _VARIABLE.fullmatch(variable):
        raise NotConfigured("The input `variable` is not the name of a variable that can be set.")
    ends = time.monotonic() + wait
    while True:
        try:
            settings = Settings(environ.get("INPUT_URL", ""), _key(environ))
            return Keeper(settings, timeout=_TIMEOUT).token(connection, min_ttl=min_ttl).token
        except TryLater as error:  # noqa: PERF203 - it waits anyway
            if time.monotonic() + error.retry_after > ends:
                raise
            _print(f"Next try in {error.retry_after:.0f} s: {error}")
            time.sleep(error.retry_after)


def _key(environ: Mapping[str, str]) -> str:
    """Return the API key, or the job's identity as a JWT. Raises KeeperError."""
    key = environ.get("INPUT_KEY", "").strip() or _identity(environ)
    _mask(key)
    return key


def _identity(environ: Mapping[str, str]) -> str:
    """Ask GitHub for the job's identity (docs: "OpenID Connect reference")."""
    url = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    bearer = environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not bearer:
        raise NotConfigured(
            "The job has no identity. Add `permissions: id-token: write` to it, or set the input "
            "`key`. Jobs of forks' pull requests get neither."
        )
    audience = environ.get("INPUT_AUDIENCE") or environ.get("INPUT_URL", "").rstrip("/")
    parts = urlsplit(url)
    answer = Transport(f"{parts.scheme}://{parts.netloc}").send(
        "GET",
        f"{parts.path}?{parts.query}&audience={quote(audience, safe='')}",
        headers={"Authorization": f"Bearer {bearer}", "Accept": "application/json"},
        body=None,
        timeout=_TIMEOUT,
    )
    try:
        value = json.loads(answer.body)["value"] if answer.status == _OK else None
    except (ValueError, TypeError, KeyError):
        value = None
    if not isinstance(value, str):
        raise TryLater(f"GitHub gave the job no identity (status {answer.status}).")
    return value


def _hand_over(token: Token, environ: Mapping[str, str]) -> None:
    """Mask the token, and write the outputs."""
    text = token.access_token
    _mask(text)
    expires_at = "" if token.expires_at is None else str(int(token.expires_at))
    _append(environ["GITHUB_OUTPUT"], {"token": text, "expires-at": expires_at})
    if variable := environ.get("INPUT_VARIABLE"):
        _append(environ["GITHUB_ENV"], {variable: text})


def _append(path: str, values: Mapping[str, str]) -> None:
    """Write values in the form that no value can leave (docs: "Multiline strings")."""
    with open(path, "a", encoding="utf-8") as file:
        for name, value in values.items():
            delimiter = f"end-{uuid4()}"
            file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")


def _seconds(name: str, environ: Mapping[str, str]) -> int:
    text = environ.get("INPUT_" + name.upper().replace("-", "_"), "").strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise NotConfigured(f"The input `{name}` must be a whole number of seconds.")
    return int(text)


def _mask(secret: str) -> None:
    _print(f"::add-mask::{_escape(secret)}")


def _fail(error: KeeperError, code: int) -> int:
    _print(f"::error title=No access token::{_escape(str(error))}")
    return code


def _escape(text: str) -> str:
    """Escape the data of a workflow command (docs: "Workflow commands")."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

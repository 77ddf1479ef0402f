"""What `make run` tells the application: the caller's environment, `.env`, and local defaults.

Whatever has to be the same at the next start (keys, tokens) is kept in `.local`, readable by its
owner only.
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

KEPT = Path(".local")
API_KEY_FILE = KEPT / "api-key"
SIMULATION_PREFIX = "/simulated-digikey"
SIMULATION_STATE = KEPT / "simulated-digikey.json"
SIMULATED_CLIENT_ID = "simulated-client"
_SIMULATED_SECRET_FILE = KEPT / "simulated-client-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEnvironment:
    """The variables to run with; whether the provider is simulated, and the API key our own."""

    variables: Mapping[str, str] = field(repr=False)
    is_simulated: bool
    keeps_api_key: bool
    port: int

    @classmethod
    def complete(cls, environ: Mapping[str, str]) -> Self:
        """Fill in what is not set; without a `CLIENT_ID` the provider is the simulated Digi-Key.

        Raises OSError where `.env` or `.local` cannot be used, ValueError for a bad `PORT`.
        """
        given = {**_dotenv(), **{name: value for name, value in environ.items() if value}}
        port = int(given.get("PORT", "8000"))
        address = f"http://localhost:{port}"
        variables = {
            "API_KEY": given.get("API_KEY") or kept_secret(API_KEY_FILE),
            "PUBLIC_URL": address,
            "SQLITE_PATH": str(KEPT / "grants.sqlite"),
            **given,
        }
        is_simulated = not given.get("CLIENT_ID")
        if is_simulated:
            endpoints = f"{address}{SIMULATION_PREFIX}/v1/oauth2"
            variables |= {
                "CLIENT_ID": SIMULATED_CLIENT_ID,
                "CLIENT_SECRET": kept_secret(_SIMULATED_SECRET_FILE),
                "PROVIDER": "digikey",
                "AUTHORIZATION_ENDPOINT": f"{endpoints}/authorize",
                "TOKEN_ENDPOINT": f"{endpoints}/token",
                "PUBLIC_URL": address,
                "SQLITE_PATH": str(KEPT / "simulated.sqlite"),
            }
        return cls(
            variables=variables,
            is_simulated=is_simulated,
            keeps_api_key="API_KEY" not in given,
            port=port,
        )


def kept_secret(path: Path) -> str:
    """Return the secret in a file, made at the first time. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text().strip()


def _dotenv() -> dict[str, str]:
    """Read `.env`: a variable a line, `#` comments, quotes and `export` as in a shell."""
    try:
        text = Path(".env").read_text()
    except FileNotFoundError:
        return {}
    lines = (line.strip().removeprefix("export ") for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, value in pairs}

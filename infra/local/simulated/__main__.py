"""`python -m infra.local.simulated`: a simulated provider alone, by default Digi-Key.

It prints its address, and serves on a loopback port until interrupted.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from functions.settings.presets import load, unknown_preset
from infra.local.listener import loopback_listener
from infra.local.simulated.application import SimulatedProvider
from infra.local.simulated.codes import Client
from infra.local.simulated.paths import prefix_of


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Serve until interrupted. Return the error that prevents it, if any."""
    options = _parser().parse_args(arguments)
    provider = load(options.provider)
    if provider is None:
        return f"--provider {options.provider!r} {unknown_preset(options.provider)}"
    prefix = prefix_of(provider.name) if options.prefix is None else options.prefix
    application = SimulatedProvider(
        provider=provider,
        client=Client(
            client_id=options.client_id,
            client_secret=options.client_secret,
            redirect_uris=tuple(options.redirect_uri),
        ),
        state_path=options.state,
        prefix=prefix,
    )
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    # The socket listens already, so clients can connect as soon as the address is printed.
    with loopback_listener(options.port) as listener:
        host, port = listener.getsockname()
        print(f"http://{host}:{port}{prefix}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A simulated provider, for development only.")
    parser.add_argument("--provider", default="digikey", help="the preset to play")
    parser.add_argument("--port", type=int, default=0, help="default 0: any free port")
    parser.add_argument("--client-id", default="simulated-client")
    parser.add_argument("--client-secret", default="simulated-secret")
    parser.add_argument("--redirect-uri", action="append", default=[], help="can be repeated")
    parser.add_argument("--prefix", help="default /simulated-NAME")
    parser.add_argument("--state", type=Path, help="a file that keeps codes and grants")
    return parser


if __name__ == "__main__":
    sys.exit(main())

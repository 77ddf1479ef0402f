"""The command: all that is looked at, side by side, within a minute."""

import asyncio
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Timer

from functions.admin.command import LocalCommand
from functions.admin.doctor.environment import check_environment
from functions.admin.doctor.findings import Finding, fault, summary, unknown
from functions.admin.doctor.live import check_live
from functions.admin.doctor.provider import check_provider
from functions.admin.doctor.store import check_store
from functions.admin.doctor.wiring import web
from functions.settings.api_keys import THE_API_KEY
from functions.settings.environment import EnvReader
from functions.settings.settings import Settings, SettingsError
from functions.wiring import Wired
from ports.store import StoreUnavailableError

# Of each part, which has limits of its own for all that it asks.
_LIMIT = timedelta(seconds=40)
# A thread that hangs in the operating system can be waited for only.
_END = timedelta(seconds=55)

_DESCRIPTION = """\
doctor [--live URL] [--strict]

Checks the environment that it runs in, the store and the provider that this names, and what is
kept; with --live also the deployment that answers at URL, by the API_KEY of the environment. It
prints a line for each thing: ok, unknown (it could not be looked at), warning, or fault, with what
to do. No secret is printed. It ends within a minute, and fails where there is a fault; with
--strict also where something could not be looked at.

It writes a counter and a login of its own into the store, which expire; with --live it begins one
login, and takes it back, and is refused once with a wrong key."""


async def diagnose(
    settings: Settings, *, live: str | None, api_key: str | None
) -> AsyncGenerator[Finding, None]:
    """Find what there is to say, in a fixed order. Raises SettingsError."""
    wired, asking = Wired(settings), web()
    parts = {"store": check_store(wired), "provider": check_provider(wired, asking)}
    if live is not None:
        parts["live"] = check_live(live, wired, asking, api_key=api_key)
    for finding in check_environment(settings, datetime.now(UTC)):
        yield finding
    # The first to begin is the store's, which looks at a file before anything here opens it.
    tasks = [asyncio.create_task(_in_time(name, part)) for name, part in parts.items()]
    try:
        for task in tasks:
            for finding in await task:
                yield finding
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(StoreUnavailableError):
            await wired.close()


async def _in_time(name: str, part: AsyncGenerator[Finding, None]) -> list[Finding]:
    """Gather what a part finds, up to the limit; what went wrong with it is found as well."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(_LIMIT.total_seconds()), aclosing(part) as findings:
            async for finding in findings:
                found.append(finding)  # noqa: PERF401 - what was found before the limit stays
    except TimeoutError:
        found.append(fault(name, f"there is no answer within {_LIMIT.seconds} s"))
    except Exception as error:  # noqa: BLE001 - the other parts have something to say
        found.append(fault(name, f"the doctor itself has failed: {type(error).__name__}"))
    return found


@contextmanager
def ending_within(limit: timedelta) -> Iterator[None]:
    """End the process, come what may, where the block is not left in time."""

    def end() -> None:
        print(fault("doctor", f"something hangs for {limit.seconds} s; the rest is not known"))
        sys.stdout.flush()
        # No thread is waited for.
        os._exit(1)

    timer = Timer(limit.total_seconds(), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


async def _report(settings: Settings, options: Namespace) -> str | None:
    found: list[Finding] = []
    key = EnvReader(os.environ).optional(THE_API_KEY)
    async with aclosing(diagnose(settings, live=options.live, api_key=key)) as findings:
        async for finding in findings:
            print(finding, flush=True)
            found.append(finding)
    return summary(found, strict=options.strict)


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("--live", metavar="URL", help="the address of a deployment that runs")
    parser.add_argument(
        "--strict", action="store_true", help="fail also where something is unknown"
    )


def _run(options: Namespace) -> str | None:
    try:
        settings = Settings.from_environ()
        with ending_within(_END):
            return asyncio.run(_report(settings, options))
    except SettingsError as error:
        found = [fault("variables", text) for text in error.faults]
        rest = (
            "not looked at until the variables can be used: README.md says of each what it is, "
            "below Environment variables, and .env is not read"
        )
        print(*found, unknown("the rest", rest), sep="\n")
        return summary(found, strict=options.strict)
    except KeyboardInterrupt:
        return "Interrupted."


COMMAND = LocalCommand(
    summary="say what is wrong with the environment, the store, and a running deployment",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

"""The command: runs every check in parallel, within a minute."""

import asyncio
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Timer

from functions.admin.command import LocalCommand
from functions.admin.doctor.callers import check_callers
from functions.admin.doctor.environment import check_environment
from functions.admin.doctor.findings import Finding, fault, summary, unknown
from functions.admin.doctor.live import check_live
from functions.admin.doctor.provider import check_providers
from functions.admin.doctor.store import check_store
from functions.admin.doctor.wiring import web
from functions.settings.api_keys import THE_API_KEY
from functions.settings.environment import EnvReader
from functions.settings.settings import Settings, SettingsError
from functions.wiring import Wiring
from ports.store import StoreUnavailableError

# For each part; its requests have limits of their own.
_LIMIT = timedelta(seconds=40)
# A thread that hangs in the operating system cannot be stopped.
_PROCESS_LIMIT = timedelta(seconds=55)

_DESCRIPTION = """\
doctor [--live URL] [--strict]

Checks the environment, the store and its records, and the provider. With --live it also checks the
deployment at URL, with the API_KEY of the environment. It prints one line per check: ok, unknown
(it could not be checked), warning or fault, and what to do. It prints no secret. It ends within a
minute, and fails on a fault; with --strict also on an unknown.

It writes a counter and a login into the store, which expire. With --live it also starts one login,
which it takes back, and sends one wrong key."""


async def diagnose(
    settings: Settings, *, live: str | None, api_key: str | None
) -> AsyncGenerator[Finding, None]:
    """Yield every finding, in a fixed order. Raises SettingsError."""
    wiring, asking = Wiring(settings), web()
    parts = {
        "store": check_store(wiring),
        "provider": check_providers(wiring, asking),
        "callers": check_callers(wiring),
    }
    if live is not None:
        parts["live"] = check_live(live, wiring, asking, api_key=api_key)
    for finding in check_environment(settings, datetime.now(UTC)):
        yield finding
    # The store first: it looks at the file before anything here opens it.
    tasks = [asyncio.create_task(_collect(name, part)) for name, part in parts.items()]
    try:
        for task in tasks:
            for finding in await task:
                yield finding
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(StoreUnavailableError):
            await wiring.close()


async def _collect(name: str, part: AsyncGenerator[Finding, None]) -> list[Finding]:
    """Collect the findings of a part within the limit; its failure is a finding as well."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(_LIMIT.total_seconds()), aclosing(part) as findings:
            async for finding in findings:
                found.append(finding)  # noqa: PERF401 - what was found before the limit stays
    except TimeoutError:
        found.append(fault(name, f"no answer within {_LIMIT.seconds} s"))
    except Exception as error:  # noqa: BLE001 - the other parts may have findings
        found.append(fault(name, f"this check failed itself: {type(error).__name__}"))
    return found


@contextmanager
def exit_after(limit: timedelta) -> Iterator[None]:
    """End the process if the block takes longer than the limit."""

    def end() -> None:
        print(fault("doctor", f"a check hangs for {limit.seconds} s; the rest is unknown"))
        sys.stdout.flush()
        # Without waiting for threads.
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
    parser.add_argument("--live", metavar="URL", help="the URL of a running deployment")
    parser.add_argument("--strict", action="store_true", help="fail also on an unknown")


def _run(options: Namespace) -> str | None:
    try:
        settings = Settings.from_environ(allows_programs=True)
        with exit_after(_PROCESS_LIMIT):
            return asyncio.run(_report(settings, options))
    except SettingsError as error:
        found = [fault("variables", text) for text in error.faults]
        rest = (
            "not checked until the variables are valid: see docs/configuration.md; .env is not read"
        )
        print(*found, unknown("the rest", rest), sep="\n")
        return summary(found, strict=options.strict)
    except KeyboardInterrupt:
        return "Interrupted."


COMMAND = LocalCommand(
    summary="check the environment, the store, the provider and a running deployment",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

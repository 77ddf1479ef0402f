"""The settings of one instance: the environment, and what a secret adds to it.

The variable SECRET_ID names the secret. It is read ahead of the first event and now and then after
that, so that it can be changed without a deployment. Here, and nowhere else, Lambda's adapters are
named.
"""

import logging
import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from adapters.clock_system import SystemClock
from functions.aws.secret import with_secret
from functions.settings.settings import (
    RemoteSettingsError,
    Settings,
    SettingsError,
    missing_library,
)
from ports.clock import Clock

if TYPE_CHECKING:
    # Imported where it is made.
    from adapters.secrets_manager import Secret

# How long it takes, after a change of the secret, until every instance has it. AWS takes 5 cents
# for 10,000 readings: what an instance that is never idle costs in a month.
GOOD_FOR = timedelta(minutes=5)
# Meanwhile a fault is told from memory, so that nobody can run up the bill by calling.
FAULTY_FOR = timedelta(seconds=10)
# Each time that is over, one caller waits for AWS, in vain perhaps, though there are settings.
USED_ON_FOR = timedelta(seconds=30)

# The names that AWS allows, and its ARNs.
_SECRET_ID = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}")

_log = logging.getLogger(__name__)


class InstanceSettings:
    """What one instance has been told, remembered for some time."""

    def __init__(self, environ: Mapping[str, str] = os.environ, clock: Clock | None = None) -> None:
        self._source = _Source(environ)
        # The time of day: in an instance that was frozen, other clocks may have stood still.
        self._clock = clock or SystemClock()
        self._settings: Settings | None = None
        self._fault: SettingsError | None = None
        self._read_at: datetime | None = None
        self._stands_for = timedelta(0)

    def current(self) -> Settings:
        """Return the last settings that could be used. Raises SettingsError."""
        if self._settings is not None:
            return self._settings
        if self._fault is None:
            raise AssertionError("nothing has been read yet")
        # Raised again and again, it would grow by its way here each time.
        raise self._fault.with_traceback(None)

    def update(self) -> bool:
        """Read anew if it is time; tell whether other settings are in the place of those before.

        It blocks. A fault is logged, the same one once; `current` has what came of it.
        """
        now, before = self._clock.now(), self._settings
        if self._read_at is not None and self._read_at <= now < self._read_at + self._stands_for:
            return False
        self._read_at = now
        try:
            latest = self._source.read()
        except SettingsError as error:
            self._note(error)
            self._stands_for = FAULTY_FOR if before is None else USED_ON_FOR
            return False
        self._fault, self._stands_for = None, GOOD_FOR
        if latest != before:
            self._settings = latest
        return before is not None and latest != before

    def _note(self, error: SettingsError) -> None:
        if self._fault is None or self._fault.faults != error.faults:
            consequence = "" if self._settings is None else "; the settings from before are kept"
            _log.error("not configured: %s%s", error, consequence)
        self._fault = error


class _Source:
    """Where settings are read: the environment, and the secret if it names one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._secret: Secret | None = None

    def read(self) -> Settings:
        """Return the settings as they are now. It blocks. Raises SettingsError."""
        secret_id = self._environ.get("SECRET_ID", "").strip()
        if not secret_id:
            return Settings.from_environ(self._environ)
        if self._secret is None:
            self._secret = _secret(secret_id, region=self._environ.get("AWS_REGION"))
        return self._read_with(self._secret)

    def _read_with(self, secret: "Secret") -> Settings:
        from adapters.secrets_manager import SecretError

        try:
            return Settings.from_environ(with_secret(self._environ, secret.text()))
        except SecretError as error:
            retry_after = FAULTY_FOR if error.is_passing else None
            raise RemoteSettingsError([str(error)], retry_after=retry_after) from None
        except SettingsError as error:
            how = f"the secret is {secret.name}: {secret.putting}"
            raise RemoteSettingsError([*error.faults, how]) from None


def _secret(secret_id: str, *, region: str | None) -> "Secret":
    """Import what only a secret needs. Raises RemoteSettingsError."""
    if not _SECRET_ID.fullmatch(secret_id):
        raise RemoteSettingsError(["SECRET_ID must be the name or the ARN of a secret"])
    try:
        from adapters.secrets_manager import Secret
    except ModuleNotFoundError as error:
        raise RemoteSettingsError([missing_library("SECRET_ID", error)]) from error
    # botocore does not read that variable by itself.
    return Secret(secret_id, region_name=region or None)

"""The settings of one Lambda instance: the environment, and the secret that SECRET_ID names.

The secret is read before the first event, and every few minutes after that, so that it can change
without a deployment. Only this module names Lambda's adapters.
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

# The time until every instance has a changed secret. AWS charges 5 cents for 10,000 reads, which is
# one busy instance for a month.
VALID_FOR = timedelta(minutes=5)
# The time until the next read after a fault, so that requests cannot run up the bill.
FAULT_FOR = timedelta(seconds=10)
# The time between reads while AWS fails: one request waits for AWS each time.
STALE_FOR = timedelta(seconds=30)

# The names that AWS allows, and its ARNs.
_SECRET_ID = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}")

_log = logging.getLogger(__name__)


class InstanceSettings:
    """The settings of one instance, cached for some minutes."""

    def __init__(self, environ: Mapping[str, str] = os.environ, clock: Clock | None = None) -> None:
        self._source = _Source(environ)
        # The wall clock: other clocks may stand still while an instance is frozen.
        self._clock = clock or SystemClock()
        self._settings: Settings | None = None
        self._fault: SettingsError | None = None
        self._read_at: datetime | None = None
        self._valid_for = timedelta(0)

    def current(self) -> Settings:
        """Return the last valid settings. Raises SettingsError."""
        if self._settings is not None:
            return self._settings
        if self._fault is None:
            raise AssertionError("nothing has been read yet")
        # A traceback would grow with every raise.
        raise self._fault.with_traceback(None)

    def update(self) -> bool:
        """Read the settings if they are due; return whether they changed.

        It blocks. A fault is logged, the same one once; `current` raises it.
        """
        now, before = self._clock.now(), self._settings
        if self._read_at is not None and self._read_at <= now < self._read_at + self._valid_for:
            return False
        self._read_at = now
        try:
            latest = self._source.read()
        except SettingsError as error:
            self._log_fault(error)
            self._valid_for = FAULT_FOR if before is None else STALE_FOR
            return False
        self._fault, self._valid_for = None, VALID_FOR
        if latest != before:
            self._settings = latest
        return before is not None and latest != before

    def _log_fault(self, error: SettingsError) -> None:
        if self._fault is None or self._fault.faults != error.faults:
            consequence = "" if self._settings is None else "; the previous settings stay in use"
            _log.error("not configured: %s%s", error, consequence)
        self._fault = error


class _Source:
    """Reads the settings from the environment, and from the secret if there is one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._secret: Secret | None = None

    def read(self) -> Settings:
        """Return the current settings. It blocks. Raises SettingsError."""
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
            retry_after = FAULT_FOR if error.is_passing else None
            raise RemoteSettingsError([str(error)], retry_after=retry_after) from None
        except SettingsError as error:
            how = f"the secret is {secret.name}: {secret.put_command}"
            raise RemoteSettingsError([*error.faults, how]) from None


def _secret(secret_id: str, *, region: str | None) -> "Secret":
    """Make the adapter, whose import only a secret needs. Raises RemoteSettingsError."""
    if not _SECRET_ID.fullmatch(secret_id):
        raise RemoteSettingsError(["SECRET_ID must be the name or the ARN of a secret"])
    try:
        from adapters.secrets_manager import Secret
    except ModuleNotFoundError as error:
        raise RemoteSettingsError([missing_library("SECRET_ID", error)]) from error
    # botocore does not read that variable by itself.
    return Secret(secret_id, region_name=region or None)

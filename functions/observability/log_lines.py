"""Log lines, each with its time (UTC, ISO 8601) and its request's id: as JSON, or as text.

A process that configures logging itself (a handler of the root logger, as `make run` or uvicorn's
`--log-config` set it) keeps its configuration. Otherwise, and on platforms with handlers of their
own, this software's loggers get a JSON handler.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from functions.observability.tracing import current

_OUR_LOGGERS = (logging.getLogger("adapters"), logging.getLogger("functions"))
# The runtimes of AWS Lambda and Vercel, whose handlers write plain text.
_PLATFORMS = frozenset({"awslambdaric", "vercel_runtime"})
# The prefix of every message about a connection.
_CONNECTION_PREFIX = "connection %s: "


class JsonLine(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line feed."""
        trace = current()
        members = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": trace and trace.request_id,
            "key": trace and trace.key_name,
            "connection": _connection(record),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        known = {name: value for name, value in members.items() if value is not None}
        return json.dumps(known, ensure_ascii=False)


class TextLine(logging.Formatter):
    """Formats a record as `make run` prints it: time, level, request id or `-`, message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if there is one."""
        trace = current()
        request_id = trace.request_id if trace else "-"
        return f"{_time_of(record)} {record.levelname} {request_id} {super().format(record)}"


class _Output(logging.Handler):
    """Writes WARNING and above to standard error, the rest to standard output.

    Platforms classify lines by the stream. The streams are looked up each time, because platforms
    replace them.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Raises nothing."""
        try:
            stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
            # In one write, so that lines do not mix.
            stream.write(self.format(record) + "\n")
            stream.flush()
        except Exception:  # noqa: BLE001 - as logging does: an error of the log must not stop the work
            self.handleError(record)


def write_json_lines() -> None:
    """Let our loggers write JSON, unless the process configures logging itself."""
    if not all(map(_is_platform_handler, logging.getLogger().handlers)):
        return
    for logger in _OUR_LOGGERS:
        if not logger.handlers:
            _add_handler(logger)


def _add_handler(logger: logging.Logger) -> None:
    handler = _Output()
    handler.setFormatter(JsonLine())
    logger.addHandler(handler)
    # The platform's handler would write the line again.
    logger.propagate = False
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)


def _is_platform_handler(handler: logging.Handler) -> bool:
    return type(handler).__module__.partition(".")[0] in _PLATFORMS


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _connection(record: logging.LogRecord) -> str | None:
    if isinstance(record.args, tuple) and str(record.msg).startswith(_CONNECTION_PREFIX):
        return str(record.args[0])
    return None

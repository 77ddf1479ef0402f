"""The log: one JSON object a line, with the request that it is about.

Whoever runs the process may say how it logs (a handler of the root logger, as of `make run`, or of
uvicorn's `--log-config`), and is left alone. Where nobody has, and on platforms whose own handlers
are always there, the loggers of this software get a handler of their own.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from functions.observability.tracing import current

_OUR_LOGGERS = ("adapters", "functions")
# The runtimes of AWS Lambda and of Vercel: what their handlers leave of a record is a text.
_PLATFORMS = frozenset({"awslambdaric", "vercel_runtime"})
# So begins each message that is about one, and so it stays where people read it.
_ABOUT_A_CONNECTION = "connection %s: "


class JsonLine(logging.Formatter):
    """Write a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        trace = current()
        members = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": trace and trace.request_id,
            "key": trace and trace.key_name,
            "connection": _connection(record),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        told = {name: value for name, value in members.items() if value is not None}
        return json.dumps(told, ensure_ascii=False)


class _Output(logging.Handler):
    """Standard error for what somebody should look at, and standard output for the rest.

    By that, platforms tell errors from what is just told. The streams are looked up each time:
    platforms replace them.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Raises nothing."""
        try:
            stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
            # In one piece, so that no other line comes in between.
            stream.write(self.format(record) + "\n")
            stream.flush()
        except Exception:  # noqa: BLE001 - logging's own way: what is done matters more than its log
            self.handleError(record)


def write_json_lines() -> None:
    """Let our loggers write JSON, unless whoever runs the process has said how it logs."""
    if not all(map(_is_a_platforms, logging.getLogger().handlers)):
        return
    for name in _OUR_LOGGERS:
        logger = logging.getLogger(name)
        if not logger.handlers:
            _equip(logger)


def _equip(logger: logging.Logger) -> None:
    handler = _Output()
    handler.setFormatter(JsonLine())
    logger.addHandler(handler)
    # The platform's handler would tell it a second time.
    logger.propagate = False
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)


def _is_a_platforms(handler: logging.Handler) -> bool:
    return type(handler).__module__.partition(".")[0] in _PLATFORMS


def _connection(record: logging.LogRecord) -> str | None:
    if isinstance(record.args, tuple) and str(record.msg).startswith(_ABOUT_A_CONNECTION):
        return str(record.args[0])
    return None

"""The function behind `/api/health`: is alive."""

from functions.asgi import app

__all__ = ["app"]

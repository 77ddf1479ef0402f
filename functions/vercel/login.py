"""The function behind `/api/login`: begins a login."""

from functions.asgi import app

__all__ = ["app"]

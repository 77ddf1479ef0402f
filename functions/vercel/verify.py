"""The function behind `/api/verify`: tells how the tokens stand."""

from functions.asgi import app

__all__ = ["app"]

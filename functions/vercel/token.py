"""The function behind `/api/token`: gives out a token that works now."""

from functions.asgi import app

__all__ = ["app"]

"""The function behind `/api/callback`: takes the browser that comes back from the provider."""

from functions.asgi import app

__all__ = ["app"]

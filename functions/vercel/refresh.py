"""The function behind `/api/refresh`: refreshes what is near its end."""

from functions.asgi import app

__all__ = ["app"]

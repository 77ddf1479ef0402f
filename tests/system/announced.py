"""The application, and a line in the log for each request that it begins."""

from functions.asgi import app as application
from functions.http.messages import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Print the caller's port, then answer."""
    if scope["type"] == "http":
        print(f"begun {scope['client'][1]}", flush=True)  # noqa: T201 - this is the log
    await application(scope, receive, send)

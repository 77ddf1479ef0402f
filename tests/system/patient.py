"""The application and its operator's commands, with patience for a busy machine's stores.

The application logs each request that it begins.
"""

from runpy import run_module

from functions.asgi import app as application
from functions.http.messages import Receive, Scope, Send
from tests.patience import be_patient

be_patient()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Print the caller's port, then answer."""
    if scope["type"] == "http":
        print(f"begun {scope['client'][1]}", flush=True)  # noqa: T201 - this is the log
    await application(scope, receive, send)


if __name__ == "__main__":
    run_module("functions.admin", run_name="__main__")

"""How each library is given its tokens, and one call of it. The call raises nothing after a 401."""

import asyncio
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from oauth_callback import TokenSource
from oauth_callback.adapters import (
    anthropic_async_credentials,
    anthropic_credentials,
    azure_async_credential,
    azure_credential,
    github_auth,
    google_credentials,
    httpx_auth,
    requests_auth,
    requests_session,
)

Call = Callable[[], object]


@dataclass(frozen=True)
class Library:
    """`connect` makes a client, and returns a call of it. `module` has to be installed."""

    module: str
    connect: Callable[[TokenSource, str], Call]
    tries_again: bool = True
    """A refused token costs the caller nothing."""


def _requests(source: TokenSource, url: str) -> Call:
    import requests

    return lambda: requests.post(url, data=b"body", auth=requests_auth(source), timeout=60)


def _gitlab(source: TokenSource, url: str) -> Call:
    import gitlab

    client = gitlab.Gitlab(url, session=requests_session(source))
    return _quiet(client.auth, gitlab.exceptions.GitlabAuthenticationError)


def _httpx(source: TokenSource, url: str) -> Call:
    import httpx

    def call() -> None:
        with httpx.Client(auth=httpx_auth(source)) as client:
            client.post(url, content=b"body")

    return call


def _httpx_async(source: TokenSource, url: str) -> Call:
    import httpx

    async def call() -> None:
        async with httpx.AsyncClient(auth=httpx_auth(source, httpx)) as client:
            await client.post(url, content=b"body")

    return lambda: asyncio.run(call())


def _httpx2(source: TokenSource, url: str) -> Call:
    import httpx2

    def call() -> None:
        with httpx2.Client(auth=httpx_auth(source)) as client:
            client.post(url, content=b"body")

    return call


def _httpx2_async(source: TokenSource, url: str) -> Call:
    import httpx2

    async def call() -> None:
        async with httpx2.AsyncClient(auth=httpx_auth(source, httpx2)) as client:
            await client.post(url, content=b"body")

    return lambda: asyncio.run(call())


def _google(source: TokenSource, url: str) -> Call:
    from google.auth.transport.requests import AuthorizedSession

    credentials = google_credentials(source)
    # google-auth has no types.
    make: Any = AuthorizedSession

    def call() -> None:
        with make(credentials) as session:
            session.get(url)

    return call


def _azure(source: TokenSource, url: str) -> Call:
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy
    from azure.core.rest import HttpRequest

    policy = BearerTokenCredentialPolicy(azure_credential(source), "any")
    client: Any = PipelineClient(url, policies=[policy])
    return lambda: client.send_request(HttpRequest("GET", url), enforce_https=False)


def _azure_async(source: TokenSource, url: str) -> Call:
    from azure.core.pipeline import policies

    credential = azure_async_credential(source)
    policy: Any = policies.AsyncBearerTokenCredentialPolicy(credential, "any")
    return lambda: asyncio.run(_azure_call(policy, url))


async def _azure_call(policy: Any, url: str) -> None:
    """Send a request with the policy's header: azure-core's own transport needs aiohttp."""
    import httpx
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.rest import HttpRequest

    context: Any = PipelineContext(None, enforce_https=False)
    request: Any = PipelineRequest(HttpRequest("GET", url), context)
    await policy.on_request(request)
    async with httpx.AsyncClient() as client:
        await client.get(url, headers=dict(request.http_request.headers))


def _openai(source: TokenSource, url: str) -> Call:
    import openai

    def call() -> None:
        with openai.OpenAI(api_key=source, base_url=f"{url}/v1") as client:
            client.models.list()

    return _quiet(call, openai.AuthenticationError)


def _openai_async(source: TokenSource, url: str) -> Call:
    import openai

    async def call() -> None:
        async with openai.AsyncOpenAI(api_key=source.atoken, base_url=f"{url}/v1") as client:
            await client.models.list()

    return _quiet(lambda: asyncio.run(call()), openai.AuthenticationError)


def _anthropic(source: TokenSource, url: str) -> Call:
    import anthropic

    credentials = anthropic_credentials(source)

    def call() -> None:
        with anthropic.Anthropic(credentials=credentials, base_url=url) as client:
            client.models.list()

    return call


def _anthropic_async(source: TokenSource, url: str) -> Call:
    import anthropic

    credentials = anthropic_async_credentials(source)

    async def call() -> None:
        async with anthropic.AsyncAnthropic(credentials=credentials, base_url=url) as client:
            await client.models.list()

    return lambda: asyncio.run(call())


def _github(source: TokenSource, url: str) -> Call:
    import github

    client = github.Github(auth=github_auth(source), base_url=url, retry=None)
    return _quiet(lambda: client.get_user().login, github.GithubException)


def _mcp(source: TokenSource, url: str) -> Call:
    import httpx2
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def call() -> None:
        async with (
            httpx2.AsyncClient(auth=httpx_auth(source)) as http,
            streamable_http_client(f"{url}/mcp", http_client=http) as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            await session.list_tools()

    return lambda: asyncio.run(call())


def _quiet(call: Call, refusal: type[Exception]) -> Call:
    """Ignore the exception of a 401; the API has counted it."""

    def called() -> None:
        with suppress(refusal), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()

    return called


LIBRARIES: Mapping[str, Library] = {
    "requests": Library("requests", _requests),
    "python-gitlab": Library("gitlab", _gitlab),
    "httpx": Library("httpx", _httpx),
    "httpx, asynchronous": Library("httpx", _httpx_async),
    "httpx2": Library("httpx2", _httpx2),
    "httpx2, asynchronous": Library("httpx2", _httpx2_async),
    "google-auth": Library("google.auth", _google),
    "azure-core": Library("azure.core", _azure, tries_again=False),
    "azure-core, asynchronous": Library("azure.core", _azure_async, tries_again=False),
    "openai": Library("openai", _openai, tries_again=False),
    "openai, asynchronous": Library("openai", _openai_async, tries_again=False),
    "anthropic": Library("anthropic", _anthropic),
    "anthropic, asynchronous": Library("anthropic", _anthropic_async),
    "PyGithub": Library("github", _github, tries_again=False),
    "mcp": Library("mcp", _mcp),
}

"""Checks the provider: its endpoints, and its clock."""

import re
from collections.abc import AsyncGenerator, Callable, Iterator
from urllib.parse import urlsplit

from domain.metadata import ServerMetadata
from domain.provider import Provider
from functions.admin.doctor.clocks import compare_clocks
from functions.admin.doctor.findings import Finding, fault, ok, warning
from functions.client_wiring import ClientWiring
from functions.settings.presets import load, names
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.discovery import DiscoveryError
from ports.web import NoWebAnswerError, Web

_CUSTOM = "custom"
_ANY_HOST = ".+"


async def check_providers(wiring: Wiring, web: Web) -> AsyncGenerator[Finding, None]:
    """Check the provider of each client that can be used."""
    # The check of the environment reports the others.
    for client in wiring.usable_clients():
        async for finding in _check_provider(client, web):
            yield finding.of_client(client.client.name)


async def _check_provider(wiring: ClientWiring, web: Web) -> AsyncGenerator[Finding, None]:
    """Check the provider's endpoints, reach its host, and compare clocks."""
    try:
        provider = await wiring.provider()
    except DiscoveryError as error:
        yield fault("ISSUER", f"cannot read its metadata: {error}")
        return
    except SettingsError as error:
        yield fault("provider", f"no request is possible: {error}")
        return
    for finding in check_endpoints(provider, wiring.client.overrides):
        yield finding
    parts = urlsplit(provider.token_endpoint)
    host = f"{parts.scheme}://{parts.netloc}"
    try:
        # Not to the endpoint itself, where requests may be counted.
        answer = await web.ask("HEAD", f"{host}/")
    except NoWebAnswerError as error:
        text = f"cannot connect to {host}: {error}; check its name and this machine's network"
        yield fault("provider", text)
    else:
        yield compare_clocks(f"the provider's clock ({parts.netloc})", answer)


def check_endpoints(provider: Provider, overrides: ServerMetadata) -> Iterator[Finding]:
    """Report endpoints of different providers, or of another one than the preset."""
    endpoints = {
        "AUTHORIZATION_ENDPOINT": provider.authorization_endpoint,
        "TOKEN_ENDPOINT": provider.token_endpoint,
        "REVOCATION_ENDPOINT": provider.revocation_endpoint or "",
        "REFRESH_ENDPOINT": (provider.wire and provider.wire.refresh_endpoint) or "",
    }
    hosts = {name: _host(url) for name, url in endpoints.items() if url}
    mixed = list(_of_another_preset(provider, hosts))
    yield from mixed
    if mixed:
        return
    # An issuer's own metadata may name several hosts, and so may a preset.
    is_known = overrides.issuer is not None or all(map(_own_hosts(provider.name), hosts.values()))
    if not is_known and len({_site(host) for host in hosts.values()}) > 1:
        where = ", ".join(f"{name} at {host}" for name, host in hosts.items())
        yield warning(
            "PROVIDER", f"its endpoints are on different hosts: {where}; check that this is right"
        )
        return
    yield ok("PROVIDER", f"{provider.name}, with the token endpoint {provider.token_endpoint}")


def _of_another_preset(provider: Provider, hosts: dict[str, str]) -> Iterator[Finding]:
    is_own = _own_hosts(provider.name)
    for variable, host in hosts.items():
        whose = [] if is_own(host) else _presets_at(host)
        if not whose:
            continue
        known, first = " or ".join(whose), whose[0]
        if provider.name == _CUSTOM:
            yield warning(
                "PROVIDER",
                f"it is custom, but {variable} is {known}'s: set PROVIDER={first}, which knows its "
                "special rules",
            )
        else:
            yield fault(
                "PROVIDER",
                f"it is {provider.name}, but {variable} is {known}'s ({host}), which has other "
                f"accounts, credentials and data: set PROVIDER={first}, or remove {variable}",
            )


def _own_hosts(name: str) -> Callable[[str], bool]:
    """Return whether a host is of a preset's own endpoints."""
    preset = load(name)
    endpoints = () if preset is None else _endpoints(preset)
    patterns = [_pattern(url) for url in endpoints]
    return lambda host: any(pattern.fullmatch(host) for pattern in patterns)


def _endpoints(provider: Provider) -> tuple[str, ...]:
    found = (provider.authorization_endpoint, provider.token_endpoint, provider.revocation_endpoint)
    return tuple(url for url in found if url)


def _presets_at(host: str) -> list[str]:
    """Return the presets with the token endpoint at a host."""
    found = ((name, load(name)) for name in names())
    patterns = {name: _pattern(preset.token_endpoint) for name, preset in found if preset}
    return [
        name
        for name, pattern in patterns.items()
        if pattern.pattern != _ANY_HOST and pattern.fullmatch(host)
    ]


def _pattern(endpoint: str) -> re.Pattern[str]:
    """Return the pattern of an endpoint's hosts, with any value in the place of `{name}`."""
    return re.compile(re.sub(r"\\{\w+\\}", _ANY_HOST, re.escape(_host(endpoint))))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _site(host: str) -> str:
    """Return the last two labels of a host name, or the whole of an IP address."""
    labels = host.split(".")
    is_address = labels[-1].isdigit() or ":" in host
    return host if is_address else ".".join(labels[-2:])

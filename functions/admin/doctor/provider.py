"""The provider: whether its endpoints belong together and to the preset, and its clock."""

from collections.abc import AsyncGenerator, Iterator
from urllib.parse import urlsplit

from domain.metadata import ServerMetadata
from domain.provider import PRESETS, Provider
from functions.admin.doctor.clocks import compare_clocks
from functions.admin.doctor.findings import Finding, fault, ok, warning
from functions.settings.settings import SettingsError
from functions.wiring import Wired
from ports.discovery import DiscoveryError
from ports.web import NoWebAnswerError, Web

_CUSTOM = "custom"


async def check_provider(wired: Wired, web: Web) -> AsyncGenerator[Finding, None]:
    """Find out where the provider is, and ask there for the time."""
    try:
        provider = await wired.provider()
    except DiscoveryError as error:
        yield fault("ISSUER", f"it does not say where its endpoints are: {error}")
        return
    except SettingsError as error:
        yield fault("provider", f"nothing can be asked of it: {error}")
        return
    for finding in check_endpoints(provider, wired.settings.overrides):
        yield finding
    parts = urlsplit(provider.token_endpoint)
    host = f"{parts.scheme}://{parts.netloc}"
    try:
        # Nothing is sent to the endpoint itself, where each request may count.
        answer = await web.ask("HEAD", f"{host}/")
    except NoWebAnswerError as error:
        text = f"{host} cannot be reached from here: {error}; see whether its name is right, and"
        yield fault("provider", f"{text} whether this machine's network leads there")
    else:
        yield compare_clocks(f"the provider's clock ({parts.netloc})", answer)


def check_endpoints(provider: Provider, overrides: ServerMetadata) -> Iterator[Finding]:
    """Judge whether the endpoints are those of one provider, and of the one that is named."""
    endpoints = {
        "AUTHORIZATION_ENDPOINT": provider.authorization_endpoint,
        "TOKEN_ENDPOINT": provider.token_endpoint,
        "REVOCATION_ENDPOINT": provider.revocation_endpoint or "",
    }
    hosts = {name: _host(url) for name, url in endpoints.items() if url}
    mixed = list(_of_another_preset(provider, hosts))
    yield from mixed
    if mixed:
        return
    # An issuer vouches for what it names itself.
    if overrides.issuer is None and len({_site(host) for host in hosts.values()}) > 1:
        where = ", ".join(f"{name} at {host}" for name, host in hosts.items())
        yield warning("PROVIDER", f"its endpoints are at different hosts: {where}; is that right?")
        return
    yield ok("PROVIDER", f"{provider.name}, with its tokens from {provider.token_endpoint}")


def _of_another_preset(provider: Provider, hosts: dict[str, str]) -> Iterator[Finding]:
    presets = {
        _host(preset.token_endpoint): name for name, preset in PRESETS.items() if name != _CUSTOM
    }
    for name, host in hosts.items():
        whose = presets.get(host, provider.name)
        if whose == provider.name:
            continue
        if provider.name == _CUSTOM:
            yield warning(
                "PROVIDER",
                f"it is custom, and {name} is {whose}'s: PROVIDER={whose} knows what is special "
                "about it",
            )
        else:
            yield fault(
                "PROVIDER",
                f"it is {provider.name}, and {name} is {whose}'s ({host}), which has accounts, "
                f"credentials and data of its own: set PROVIDER={whose}, or take {name} away",
            )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _site(host: str) -> str:
    """Return what hosts of one owner have in common, as a rule; an address of its own is all."""
    labels = host.split(".")
    is_address = labels[-1].isdigit() or ":" in host
    return host if is_address else ".".join(labels[-2:])

"""Checks the settings by themselves, without any request."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from domain.metadata import is_loopback
from domain.provider import GrantType
from functions.admin.doctor.alerts import check_alerts
from functions.admin.doctor.findings import Finding, fault, ok, warning
from functions.settings.api_keys import ApiKey, digest_of
from functions.settings.client import ClientSettings
from functions.settings.clients import ClientError
from functions.settings.environment import weakness_of
from functions.settings.settings import Settings

# Time to make a new key and to hand it out.
_EXPIRES_SOON = timedelta(days=30)
_ADVICE = "generate one with openssl rand -hex 32"


def check_environment(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Report weak, missing and expiring settings."""
    yield ok("variables", "all required ones are set, and each is valid")
    if settings.api_keys or not settings.callers:
        yield from _check_keys(settings.api_keys, now)
    yield _check_cron_secret(settings)
    yield from check_alerts(settings)
    yield from _check_clients(settings)
    if settings.oauth_state is not None:
        yield warning(
            "OAUTH_STATE",
            "it is set, so that anybody who knows it can complete a login that was started "
            "elsewhere: remove it unless such a login is under way",
        )
    unnamed = settings.clients.unnamed
    if not settings.encryption_keys and unnamed is not None:
        yield _warn_of_derived_key(unnamed.client_secret)


def _check_keys(keys: tuple[ApiKey, ...], now: datetime) -> Iterator[Finding]:
    expired = [key for key in keys if key.expires_at is not None and key.expires_at <= now]
    for key in keys:
        if key in expired:
            yield warning("API_KEYS", f"the key {key.name!r} has expired: remove its entry")
        elif key.expires_at is not None and key.expires_at <= now + _EXPIRES_SOON:
            day = key.expires_at - timedelta(days=1)
            yield warning(
                "API_KEYS",
                f"the key {key.name!r} expires at the end of {day:%Y-%m-%d}: replace it in time "
                "(python -m functions.admin keys new)",
            )
    if len(expired) == len(keys):
        yield fault("API keys", "every key has expired, so every request is refused")
    else:
        yield ok("API keys", f"valid: {len(keys) - len(expired)}")


def _check_cron_secret(settings: Settings) -> Finding:
    if settings.cron_secret is None and not _needs_logins(settings):
        return ok("CRON_SECRET", "it is not set, and client credentials need no sweep")
    if settings.cron_secret is None:
        return warning(
            "CRON_SECRET",
            f"it is not set, so that the sweep cannot run, and unused logins expire: {_ADVICE}",
        )
    if _is_a_key(settings.cron_secret, settings.api_keys):
        return warning(
            "CRON_SECRET",
            f"it is an API key as well, so that the scheduler can read every token: {_ADVICE}",
        )
    return ok("CRON_SECRET", "it is set, and differs from the API keys")


def _check_clients(settings: Settings) -> Iterator[Finding]:
    if settings.public_url is None and _needs_logins(settings):
        yield fault("PUBLIC_URL", "it is not set, so that nobody can log in: logins redirect to it")
    for name in settings.clients.names:
        try:
            client = settings.clients.get(name)
        except ClientError as error:
            yield from (fault("CLIENTS", text) for text in error.faults)
            continue
        for finding in _check_client(client, settings):
            yield finding.of_client(name)


def _check_client(client: ClientSettings, settings: Settings) -> Iterator[Finding]:
    if _is_a_key(client.client_secret, settings.api_keys):
        yield warning(
            "CLIENT_SECRET",
            f"it is an API key as well, so that every caller has it: for API_KEY, {_ADVICE}",
        )
    if client.previous_client_secret is not None:
        yield warning(
            "PREVIOUS_CLIENT_SECRET",
            "it is set, so that the old secret stays in use if the provider refuses CLIENT_SECRET: "
            "remove it once the provider accepts CLIENT_SECRET",
        )
    if not _has_logins(client):
        yield ok("GRANT", "it is client_credentials: nobody has to log in")
    elif settings.public_url is not None:
        yield _check_redirect_uri(client, settings.public_url)


def _warn_of_derived_key(client_secret: str) -> Finding:
    weakness = weakness_of(client_secret)
    guessed = (
        "" if weakness is None else f" (it {weakness}, so that a thief of the store may guess it)"
    )
    return warning(
        "ENCRYPTION_KEYS",
        f"it is not set, so that the key is derived from CLIENT_SECRET{guessed}, and a new "
        "CLIENT_SECRET requires new logins: generate one with openssl rand -base64 32; existing "
        "records stay readable",
    )


def _is_a_key(secret: str, keys: tuple[ApiKey, ...]) -> bool:
    digest = digest_of(secret.encode())
    return any(key.digest == digest for key in keys)


def _check_redirect_uri(client: ClientSettings, public_url: str) -> Finding:
    uri = f"{public_url}{client.callback_path}"
    register = f"the redirect URI to register at the provider is {uri}"
    provider = client.provider.authorization_endpoint or client.overrides.issuer or ""
    if _is_on_this_machine(public_url) and not _is_on_this_machine(provider):
        return warning(
            "PUBLIC_URL",
            f"it is an address of this machine: only its own browsers can log in; {register}",
        )
    return ok("PUBLIC_URL", register)


def _needs_logins(settings: Settings) -> bool:
    """Whether a client has logins, as far as clients can be used."""
    return any(map(_has_logins, settings.clients.usable()))


def _has_logins(client: ClientSettings) -> bool:
    return client.provider.grant_type is GrantType.AUTHORIZATION_CODE


def _is_on_this_machine(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")

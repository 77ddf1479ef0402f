"""What can be said of the settings by themselves: nothing is asked."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from domain.metadata import is_loopback
from functions.admin.doctor.findings import Finding, fault, ok, warning
from functions.settings.api_keys import ApiKey, digest_of
from functions.settings.environment import weakness_of
from functions.settings.settings import Settings

# Time to make another key and to give it to whoever has the old one.
_EXPIRES_SOON = timedelta(days=30)
_MAKE_ONE = "openssl rand -hex 32 makes one"


def check_environment(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Judge what is set, and what is not."""
    yield ok("variables", "all that are needed are set, and each can be used")
    yield from _check_keys(settings.api_keys, now)
    yield _check_cron_secret(settings)
    yield from _check_client_secret(settings)
    yield _check_redirect_uri(settings)
    if settings.oauth_state is not None:
        yield warning(
            "OAUTH_STATE",
            "it is set, so that a login can be finished without having been begun here, by whoever "
            "knows it; unless one is under way that needs it, take it away",
        )
    if not settings.encryption_keys:
        yield _warn_of_the_derived_key(settings.client_secret)


def _check_keys(keys: tuple[ApiKey, ...], now: datetime) -> Iterator[Finding]:
    expired = [key for key in keys if key.expires_at is not None and key.expires_at <= now]
    for key in keys:
        if key in expired:
            yield warning("API_KEYS", f"the key {key.name!r} has expired: take its entry away")
        elif key.expires_at is not None and key.expires_at <= now + _EXPIRES_SOON:
            day = key.expires_at - timedelta(days=1)
            yield warning(
                "API_KEYS",
                f"the key {key.name!r} expires at the end of {day:%Y-%m-%d}: give whoever has it "
                "another in time (python -m functions.admin keys new)",
            )
    if len(expired) == len(keys):
        yield fault("API keys", "every key has expired, and nobody is let in")
    else:
        yield ok("API keys", f"in force: {len(keys) - len(expired)}")


def _check_cron_secret(settings: Settings) -> Finding:
    if settings.cron_secret is None:
        return warning(
            "CRON_SECRET",
            "it is not set, so that no request can start the sweep, and a login that nobody uses "
            f"dies of its age; {_MAKE_ONE}",
        )
    if _is_a_key(settings.cron_secret, settings.api_keys):
        return warning(
            "CRON_SECRET",
            "it is an API key as well, so that who starts the sweep can have every token; "
            f"{_MAKE_ONE}",
        )
    return ok("CRON_SECRET", "it is set, and no API key")


def _check_client_secret(settings: Settings) -> Iterator[Finding]:
    if _is_a_key(settings.client_secret, settings.api_keys):
        yield warning(
            "CLIENT_SECRET",
            f"it is an API key as well, and every caller has it; {_MAKE_ONE} for API_KEY",
        )


def _warn_of_the_derived_key(client_secret: str) -> Finding:
    weakness = weakness_of(client_secret)
    guessed = "" if weakness is None else f" (it {weakness}: who has the store may guess it)"
    return warning(
        "ENCRYPTION_KEYS",
        f"it is not set: the key is derived from CLIENT_SECRET{guessed}, and everybody has to log "
        "in again when that changes; openssl rand -base64 32 makes one, and what the derived key "
        "has sealed stays readable",
    )


def _is_a_key(secret: str, keys: tuple[ApiKey, ...]) -> bool:
    digest = digest_of(secret.encode())
    return any(key.digest == digest for key in keys)


def _check_redirect_uri(settings: Settings) -> Finding:
    if settings.public_url is None:
        return fault("PUBLIC_URL", "it is not set, and nobody can log in: logins come back to it")
    register = f"the redirect URI to register at the provider is {settings.redirect_uri}"
    provider = settings.provider.authorization_endpoint or settings.overrides.issuer or ""
    if _is_here(settings.public_url) and not _is_here(provider):
        return warning(
            "PUBLIC_URL",
            f"it is an address of this machine: only browsers on it can log in; {register}",
        )
    return ok("PUBLIC_URL", register)


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")

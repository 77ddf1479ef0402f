"""The keeper's address and the API key: from arguments, the environment, or a profile.

Arguments win over the environment, and the environment over the profile file. A key is sent only
to the address that it was set with: a profile's members are never mixed with the other two.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from oauth_callback.errors import NotConfigured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

URL = "OAUTH_CALLBACK_URL"
KEY = "OAUTH_CALLBACK_KEY"
KEY_FILE = "OAUTH_CALLBACK_KEY_FILE"
PROFILE = "OAUTH_CALLBACK_PROFILE"
ALLOW_HTTP = "OAUTH_CALLBACK_ALLOW_HTTP"

_LARGEST_KEY_FILE = 16 * 1024
_TRUE = {"1": True, "true": True, "0": False, "false": False, "": False}


class Settings:
    """A valid address, and the API key or the file that has it. The repr does not contain the key.

    `url` has no slash at its end. Raises NotConfigured.
    """

    __slots__ = ("_key", "allow_http", "key_file", "url")

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        key_file: str | None = None,
        allow_http: bool = False,
    ) -> None:
        if (key is None) == (key_file is None):
            raise NotConfigured(f"Set the API key as {KEY} or as {KEY_FILE}, one of the two.")
        self.url = _check_url(url, allow_http=allow_http)
        self.allow_http = allow_http
        self.key_file = key_file
        self._key = None if key is None else _check_key(key, KEY)

    def key(self) -> str:
        """Return the API key. A file is read each time, so that it can be replaced.

        Raises NotConfigured.
        """
        return self._key if self._key is not None else _key_in(str(self.key_file))

    def __repr__(self) -> str:
        return f"<Settings url={self.url!r} key_file={self.key_file!r}>"


def load_settings(
    *,
    url: str | None = None,
    key: str | None = None,
    key_file: str | None = None,
    profile: str | None = None,
    allow_http: bool | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings; an argument that is None is looked up.

    Raises NotConfigured.
    """
    env = os.environ if environ is None else environ
    if profile is not None and (url, key, key_file) == (None, None, None):
        return _from_profile(profile, allow_http=allow_http, environ=env)
    if profile is not None:
        raise NotConfigured("Set `profile`, or `url` with `key` or `key_file`, not both.")
    if url is None and not env.get(URL):
        if key is None and key_file is None and not env.get(KEY) and not env.get(KEY_FILE):
            return _from_profile(env.get(PROFILE), allow_http=allow_http, environ=env)
        raise NotConfigured(f"{URL} is not set. Set it to the address of the deployment.")
    if url is None and env.get(PROFILE):
        raise NotConfigured(f"Set {URL} or {PROFILE}, not both.")
    if key is None and key_file is None:
        key, key_file = env.get(KEY) or None, env.get(KEY_FILE) or None
    if allow_http is None:
        allow_http = _boolean(env.get(ALLOW_HTTP, ""))
    return Settings(
        url if url is not None else env[URL], key, key_file=key_file, allow_http=allow_http
    )


def _from_profile(
    name: str | None, *, allow_http: bool | None, environ: Mapping[str, str]
) -> Settings:
    from oauth_callback.profiles import read_profile

    profile = read_profile(name, environ)
    return Settings(
        profile.url,
        profile.key,
        key_file=profile.key_file,
        allow_http=profile.allow_http if allow_http is None else allow_http,
    )


def _check_url(url: str, *, allow_http: bool) -> str:
    """Return the address without a slash at its end."""
    advice = f"Set {URL} to the deployment's address, such as https://NAME.example."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise NotConfigured(f"The keeper's URL is malformed. {advice}") from None
    if not url.isascii() or not url.isprintable() or " " in url or not host:
        raise NotConfigured(f"The keeper's URL is malformed. {advice}")
    if parts.username is not None or parts.query or parts.fragment:
        # Its text may have a secret.
        raise NotConfigured(f"The keeper's URL has a user, a query or a fragment. {advice}")
    if parts.scheme not in {"http", "https"}:
        raise NotConfigured(f"The keeper's URL has to begin with https://. {advice}")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise NotConfigured(
            f"The keeper's URL is http, so that the API key would be sent unencrypted to {host}. "
            f"Use https, or set {ALLOW_HTTP}=1 in a network that only you can read."
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name alone."""
    quads = host.split(".")
    is_ipv4 = len(quads) == 4 and all(quad.isdigit() for quad in quads)  # noqa: PLR2004
    return host in {"localhost", "::1"} or (is_ipv4 and quads[0] == "127")


def _check_key(key: str, name: str) -> str:
    key = key.strip()
    if not key:
        raise NotConfigured(f"{name} is empty. Set it to an API key of the deployment.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise NotConfigured(f"{name} has characters that no API key has. Copy the key again.")
    return key


def _key_in(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_LARGEST_KEY_FILE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        failure = NotConfigured(f"Cannot read {KEY_FILE} {path}: {reason}.")
    else:
        return _check_key(text, f"{KEY_FILE} {path}")
    raise failure


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE:
        raise NotConfigured(f"{ALLOW_HTTP} is neither 1 nor 0. Set it to one of them.")
    return _TRUE[text.lower()]

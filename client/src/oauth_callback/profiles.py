"""The profile file: addresses and API keys by name, in the user's configuration folder.

`~/.config/oauth-callback/profiles.json`, for its owner alone (mode 0600):

    {"default": {"url": "https://NAME.example", "key": "…"},
     "work": {"url": "https://OTHER.example", "key_file": "/run/secrets/keeper"}}
"""

from __future__ import annotations

import json
import os
import stat

from oauth_callback.errors import NotConfigured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PROFILE = "default"
_LARGEST = 256 * 1024
_MEMBERS = frozenset({"url", "key", "key_file", "allow_http"})


class Profile:
    """An entry of the file, whose members have the right types. The repr does not contain the key.

    A missing text is None; `url` is empty then.
    """

    __slots__ = ("allow_http", "key", "key_file", "url")

    def __init__(
        self, *, url: str, key: str | None, key_file: str | None, allow_http: bool
    ) -> None:
        self.url = url
        self.key = key
        self.key_file = key_file
        self.allow_http = allow_http

    def __repr__(self) -> str:
        return f"<Profile url={self.url!r} key_file={self.key_file!r}>"


def profile_path(environ: Mapping[str, str]) -> str:
    """Return the path of the file, which need not exist."""
    if os.name == "nt":
        folder = environ.get("APPDATA") or os.path.expanduser("~")
    else:
        # XDG Base Directory Specification: a relative path is ignored.
        folder = environ.get("XDG_CONFIG_HOME", "")
        if not os.path.isabs(folder):
            folder = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return os.path.join(folder, "oauth-callback", "profiles.json")


def read_profile(name: str | None, environ: Mapping[str, str]) -> Profile:
    """Return a profile, `default` if the name is None. Raises NotConfigured."""
    path = profile_path(environ)
    text = _read(path)
    if text is None:
        raise NotConfigured(
            "OAUTH_CALLBACK_URL and OAUTH_CALLBACK_KEY are not set, and the profile file "
            f"{path} does not exist. Set the two variables."
        )
    profiles = _parse(path, text)
    chosen = DEFAULT_PROFILE if name is None else name
    if chosen not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise NotConfigured(f"{path} has no profile {chosen!r}. It has: {known}.")
    return _profile(f"Profile {chosen!r} in {path}", profiles[chosen])


def _read(path: str) -> str | None:
    """Return the text of the file if only its owner can read it, or None without a file."""
    reason = ""
    try:
        with open(path, encoding="utf-8") as file:
            # The open file, so that it is the one that is read.
            status = os.fstat(file.fileno())
            if os.name == "nt" or not (reason := _exposed(path, status)):
                return file.read(_LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = f"Cannot read {path}: {error.strerror}."
    except ValueError:
        reason = f"{path} is not UTF-8."
    raise NotConfigured(reason)


def _exposed(path: str, status: os.stat_result) -> str:
    """Return why a file is not its owner's alone, or an empty text."""
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"Other users can read {path}, which has API keys. Run: chmod 600 {path}"
    if status.st_uid not in {os.geteuid(), 0}:
        return f"{path} belongs to another user. Run: chown $(id -u) {path}"
    return ""


def _parse(path: str, text: str) -> dict[str, object]:
    try:
        profiles = json.loads(text)
    except (ValueError, RecursionError):
        profiles = None
    if not isinstance(profiles, dict):
        raise NotConfigured(
            f'{path} is not a JSON object. Write {{"default": {{"url": "…", "key": "…"}}}}.'
        )
    return profiles


def _profile(where: str, members: object) -> Profile:
    if not isinstance(members, dict):
        raise NotConfigured(f"{where} is not a JSON object.")
    if unknown := sorted(members.keys() - _MEMBERS):
        allowed = ", ".join(sorted(_MEMBERS))
        raise NotConfigured(f"{where} has an unknown member {unknown[0]!r}. Allowed: {allowed}.")
    if not isinstance(allow_http := members.get("allow_http", False), bool):
        raise NotConfigured(f"{where}: `allow_http` is neither true nor false.")
    for name in ("url", "key", "key_file"):
        if not isinstance(members.get(name, ""), str):
            raise NotConfigured(f"{where}: {name!r} is not a text.")
    if not members.get("url") or ("key" in members) == ("key_file" in members):
        raise NotConfigured(f"{where} needs `url`, and one of `key` and `key_file`.")
    return Profile(
        url=members["url"],
        key=members.get("key"),
        key_file=members.get("key_file"),
        allow_http=allow_http,
    )

"""The data of each preset: complete, immutable, and of one owner."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from urllib.parse import urlsplit

import pytest

from domain.metadata import is_safe_url
from domain.provider import (
    AssumedLifetime,
    LifetimeStart,
    Pkce,
    Provider,
    Rotation,
    RotationKind,
)
from tests.docs.providers import LABELS, description, module_of
from tests.presets import NAMES, preset_named

PRESETS = [name for name in NAMES if name != "custom"]
# Two presets of one registration form: the kind of app decides what its tokens are.
SAME_ENDPOINTS = [{"github-app", "github-oauth-app"}]
# Endpoints at several sites of one owner.
SITES = {
    "dropbox": {"dropbox.com", "dropboxapi.com"},
    "google": {"google.com", "googleapis.com"},
    "hubspot": {"hubspot.com", "hubapi.com"},
    "intercom": {"intercom.com", "intercom.io"},
    "nest-sdm": {"google.com", "googleapis.com"},
    "polar": {"polar.com", "polarremote.com"},
    "tiktok": {"tiktok.com", "tiktokapis.com"},
    "withings": {"withings.com", "withings.net"},
    # Seller Centrals are at Amazon's site of each country.
    "amazon-sp-api": {"amazon.com", "the site of {host}"},
}
# Suffixes of two labels, below which anybody can register a name.
SUFFIXES = {"co.uk", "co.jp", "co.za", "com.au", "com.be", "com.br", "com.cn", "com.mx", "com.tr"}
# RFC 6749 §5.2, and what error_meanings knows.
CODES = {"invalid_grant", "invalid_client", "temporarily_unavailable"}
SETTINGS = {"SCOPE", "REDIRECT_URI"}
PLACEHOLDER = r"\{(\w+)\}"
OWN_PARAMS = {"client_id", "redirect_uri", "response_type", "scope", "state"}

each_preset = pytest.mark.parametrize("name", PRESETS)


def endpoints(provider: Provider) -> list[str]:
    """Return all endpoints, those of the wire format too."""
    found = [
        provider.authorization_endpoint,
        provider.token_endpoint,
        provider.revocation_endpoint,
        None if provider.wire is None else provider.wire.refresh_endpoint,
    ]
    return [url for url in found if url is not None]


def site(url: str) -> str:
    """Return the part of a host that its owner registered."""
    host = urlsplit(url).netloc
    if re.fullmatch(PLACEHOLDER, host):
        return f"the site of {host}"
    labels = re.sub(PLACEHOLDER, "x", host).split(".")
    return ".".join(labels[-3 if ".".join(labels[-2:]) in SUFFIXES else -2 :])


def mutable_parts(value: object) -> Iterator[object]:
    """Return the parts of a value that can change."""
    match value:
        case None | bool() | str() | timedelta() | Enum():
            return
        case tuple():
            for part in value:
                yield from mutable_parts(part)
        case MappingProxyType():
            for part in value.items():
                yield from mutable_parts(part)
        case _ if is_dataclass(value) and _is_frozen(value):
            for field in fields(value):
                yield from mutable_parts(getattr(value, field.name))
        case _:
            yield value


def _is_frozen(value: object) -> bool:
    params = getattr(value, "__dataclass_params__", None)
    return params is not None and params.frozen is True


@pytest.mark.parametrize("value", [[], {}, (1, []), MappingProxyType({"a": {}})], ids=repr)
def test_mutable_part_is_found(value: object) -> None:
    assert list(mutable_parts(value)) != []


def test_there_are_presets_for_most_providers() -> None:
    assert len(PRESETS) >= 60


def test_no_two_presets_are_the_same() -> None:
    pairs = [
        (preset_named(name).authorization_endpoint, preset_named(name).token_endpoint)
        for name in PRESETS
    ]
    twice = {pair for pair, count in Counter(pairs).items() if count > 1}
    found = [
        {name for name, own in zip(PRESETS, pairs, strict=True) if own == pair} for pair in twice
    ]
    assert found == SAME_ENDPOINTS


@each_preset
def test_name_is_that_of_the_module(name: str) -> None:
    assert preset_named(name).name == name


@each_preset
def test_docstring_has_each_line(name: str) -> None:
    found = description(name)
    assert list(found.lines) == [label for label in LABELS if label in found.lines]
    assert {*LABELS} - {*found.lines} <= {"Unverified"}
    assert all(text.endswith(".") for text in (found.title, *found.lines.values()))


@each_preset
def test_endpoints_are_https_and_have_no_query(name: str) -> None:
    provider = preset_named(name)
    for url in [*endpoints(provider), *filter(None, [provider.issuer])]:
        assert urlsplit(url).scheme == "https"
        assert is_safe_url(re.sub(PLACEHOLDER, "x", url)), url
        assert "?" not in url


@each_preset
def test_endpoints_have_one_owner(name: str) -> None:
    found = {site(url) for url in endpoints(preset_named(name))}
    assert len(found) == 1 or found == SITES[name]


def test_no_exception_is_left_over() -> None:
    several = {
        name for name in PRESETS if len({site(url) for url in endpoints(preset_named(name))}) > 1
    }
    assert several == SITES.keys()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.b.example.co.uk/x", "example.co.uk"),
        ("https://example.com/x", "example.com"),
        ("https://accounts.zoho.{dc}/x", "zoho.x"),
        ("https://{a}.example.com/x", "example.com"),
        ("https://{host}/x", "the site of {host}"),
    ],
)
def test_site_is_what_an_owner_registers(url: str, expected: str) -> None:
    assert site(url) == expected


@each_preset
def test_preset_cannot_be_changed(name: str) -> None:
    assert list(mutable_parts(preset_named(name))) == []


@each_preset
def test_placeholders_are_those_of_the_endpoints(name: str) -> None:
    provider = preset_named(name)
    code_params = () if provider.wire is None else provider.wire.code_params
    params = [value for _, value in (*provider.authorization_params, *code_params)]
    used = re.findall(PLACEHOLDER, " ".join([*endpoints(provider), *params]))
    # `{client_id}` is the client's.
    assert {*used} - {"client_id"} == provider.placeholders.keys()
    for values in provider.placeholders.values():
        assert len(set(values)) == len(values)
        assert all(re.fullmatch(r"[a-z0-9.-]+", value) for value in values)


@each_preset
def test_what_the_person_has_to_set_is_in_the_docstring(name: str) -> None:
    provider = preset_named(name)
    assert {*provider.required_settings} <= SETTINGS
    shown = " ".join(description(name).lines.values())
    for variable in provider.required_settings:
        assert f"`{variable}" in shown
    for placeholder in provider.placeholders:
        assert f"{placeholder}=" in shown


@each_preset
def test_aliases_are_found_by_the_adapter(name: str) -> None:
    for word, code in preset_named(name).error_aliases.items():
        assert word == word.lower().strip(" .!")
        assert code in CODES


@each_preset
def test_parameters_do_not_repeat_those_of_each_request(name: str) -> None:
    provider = preset_named(name)
    wire = provider.wire
    names = [name for name, _ in (*provider.authorization_params,)]
    assert len(set(names)) == len(names)
    assert not OWN_PARAMS & {*names}
    for code in () if wire is None else (wire.code_params, wire.refresh_params):
        together = [name for name, _ in (*provider.token_params, *code)]
        assert len(set(together)) == len(together)
        assert not (OWN_PARAMS - {"scope"}) & {*together}


@each_preset
def test_lifetimes_are_positive_and_grace_fits_them(name: str) -> None:
    provider = preset_named(name)
    access = provider.access_token_lifetime
    access = access.lifetime if isinstance(access, AssumedLifetime) else access
    assert access is None or access > timedelta(0)
    refresh = provider.refresh_token_lifetime
    assert refresh is None or refresh > (access or timedelta(0)) or access is None
    assert provider.rotation.grace <= (refresh or timedelta.max)
    only_within = provider.refresh_only_within
    assert only_within is None or (access is not None and only_within < access)
    # Without a lifetime of the refresh token, there is nothing to count.
    assert refresh is not None or provider.refresh_token_counted is LifetimeStart.ISSUE


@each_preset
def test_what_is_not_verified_has_the_safe_default(name: str) -> None:
    """The preset makes no promise that a line of its docstring calls unverified."""
    provider = preset_named(name)
    text = description(name).lines.get("Unverified", "").lower()
    if "grace" in text:
        assert provider.rotation.grace == timedelta(0)
        assert provider.rotation.kind is not RotationKind.NONE
    if "pkce" in text:
        assert provider.pkce is Pkce.NONE
    if "a refresh replaces" in text or "works once" in text:
        assert provider.rotation == Rotation(kind=RotationKind.ALWAYS)
    if "ends the old access token" in text:
        assert provider.refresh_ends_access_token
    if re.search(r"the lifetimes?\b(?! of the refresh token)", text):
        assert not isinstance(provider.access_token_lifetime, timedelta)


def test_each_module_is_short() -> None:
    lengths: Mapping[str, int] = {
        name: len(module_of(name).read_text().splitlines()) for name in PRESETS
    }
    assert max(lengths.values()) <= 60

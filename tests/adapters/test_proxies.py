"""The proxy of a request: none for this machine, and an unusable variable is named."""

import pytest

from adapters.proxies import Proxy, proxy_of
from ports.network_settings import NetworkSettingsError

URL = "https://provider.test/token"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("http://proxy.test:3128", Proxy(scheme="http", host="proxy.test", port=3128, auth=None)),
        ("proxy.test:3128", Proxy(scheme="http", host="proxy.test", port=3128, auth=None)),
        ("proxy.test", Proxy(scheme="http", host="proxy.test", port=None, auth=None)),
        ("https://[fd00::1]:8443/", Proxy(scheme="https", host="fd00::1", port=8443, auth=None)),
        (
            "http://a%40b:c%3A@p.test",
            Proxy(scheme="http", host="p.test", port=None, auth=("a@b", "c:")),
        ),
    ],
)
def test_a_proxy_is_read_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, proxy: Proxy
) -> None:
    monkeypatch.setenv(name, value)
    assert proxy_of(URL) == proxy


UNUSABLE = [
    "socks5h://name:pass-word@127.0.0.1:9",
    "socks5://127.0.0.1:9",
    "ftp://name:pass-word@127.0.0.1:9",
    "http://name:pass-word/@127.0.0.1:9",
    "http://",
    "http://proxy.test:port",
    "http://proxy.test:99999",
    "http://[::1",
    f"http://{'a' * 64}.test",
]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("value", UNUSABLE)
def test_a_variable_that_names_no_usable_proxy_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(NetworkSettingsError, match=f"^{name} ") as raised:
        proxy_of(URL)
    assert "pass-word" not in str(raised.value)


@pytest.mark.parametrize("value", UNUSABLE)
def test_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    for url in ("http://127.0.0.1/", "http://localhost/", "https://127.0.0.1/", "https://[::1]:1/"):
        assert proxy_of(url) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_straight"),
    [
        ("*", URL, True),
        ("other.test, provider.test", URL, True),
        ("provider.test:443", URL, True),
        ("provider.test:8443", URL, False),
        ("PROVIDER.test", URL, True),
        (".test", URL, True),
        ("*.test", URL, True),
        ("vider.test", URL, False),
        ("https://provider.test", URL, True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("fd00::/8", "https://[fd12::1]/", True),
        ("[fd00::1]", "https://[fd00::1]/", True),
        ("[fd00::1]:443", "https://[fd00::1]/", True),
        ("[fd00::1]:8443", "https://[fd00::1]/", False),
        ("fd00::1", "https://[fd00:0::1]/", True),
        ("::1,fd00::/8,[::1],[::]/0,10.0.0.0/99,:,[,],,http://[", URL, False),
    ],
)
def test_no_proxy_names_hosts_in_all_the_ways_in_use(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, *, is_straight: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_of(url) is None) is is_straight

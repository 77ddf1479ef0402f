"""Endpoints with placeholders: a value never leads a request to the host of another owner."""

import pytest

from domain.endpoint_templates import TemplateError, fill_endpoint, fill_text, placeholders_in

# RFC 1035 §2.3.4: 255 bytes on the wire.
LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])
DCS = {"dc": ("com", "eu", "com.au"), "shard": ("na1", "eu1")}


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        pytest.param(
            "https://{org}.okta.com/oauth2/{server}/v1/token",
            {"org": "Dev-1234-Z", "server": "Default_~Z"},
            "https://Dev-1234-Z.okta.com/oauth2/Default_~Z/v1/token",
            id="Okta",
        ),
        pytest.param(
            "https://accounts.zoho.{dc}/oauth/v2/token",
            {"dc": "com.au"},
            "https://accounts.zoho.com.au/oauth/v2/token",
            id="Zoho",
        ),
        pytest.param(
            "https://api.{shard}.adobesign.com/oauth/v2/token",
            {"shard": "eu1"},
            "https://api.eu1.adobesign.com/oauth/v2/token",
            id="Adobe Sign",
        ),
        pytest.param(
            "https://{host}/oauth/token",
            {"host": "git.example.org:8443"},
            "https://git.example.org:8443/oauth/token",
            id="GitLab of one's own",
        ),
        pytest.param(
            "https://{host}/token", {"host": LONGEST}, f"https://{LONGEST}/token", id="longest"
        ),
        pytest.param(
            "https://{host}/token",
            {"host": "A0.0X.test:65535"},
            "https://A0.0X.test:65535/token",
            id="capitals and the last port",
        ),
        pytest.param(
            "https://login.microsoftonline.com/{tenant}/v2.0",
            {"tenant": "contoso.onmicrosoft.com"},
            "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0",
            id="Entra",
        ),
        pytest.param(
            "https://{a}-{b}.x.test:444/{b}?p={a}",
            {"a": "1", "b": "2"},
            "https://1-2.x.test:444/2?p=1",
            id="several",
        ),
        pytest.param("https://{a}.TEST/", {"a": "b"}, "https://b.TEST/", id="capitals"),
        pytest.param("https://{a}.test/../x", {"a": "b"}, "https://b.test/../x", id="own dots"),
        pytest.param(
            "https://a.test/{t}?r=/../{t}", {"t": "b"}, "https://a.test/b?r=/../b", id="query"
        ),
        pytest.param("https://x{shard}/", {"shard": "na1"}, "https://xna1/", id="a single label"),
        pytest.param(
            "https://{org}.crm.{dc}:8443/",
            {"org": "acme", "dc": "com.au"},
            "https://acme.crm.com.au:8443/",
            id="a list after a label",
        ),
        pytest.param("https://a.test/{not a", {}, "https://a.test/{not a", id="a brace"),
    ],
)
def test_placeholders_are_replaced_by_their_values(
    template: str, values: dict[str, str], expected: str
) -> None:
    assert fill_endpoint(template, values, DCS) == expected
    assert fill_endpoint(expected, {}, DCS) == expected


HOSTILE = [
    *("", ".", "..", "evil.test", "evil.test/", "evil.test#", "evil.test?", "a@evil.test", "a b"),
    *("evil.test\\", "evil.test:443", "[::1]", "%2e%2e", "a%2fb", "ä", "a_b", "a\n", "a/../b"),
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_in_a_host_does_not_leave_it(value: str) -> None:
    with pytest.raises(TemplateError, match=r"\{org\} must be one part of a host name"):
        fill_endpoint("https://{org}.okta.com/token", {"org": value}, {})


@pytest.mark.parametrize("value", [*HOSTILE, "au", "COM"])
def test_a_value_of_a_list_is_in_the_list(value: str) -> None:
    with pytest.raises(TemplateError, match=r"\{dc\} must be one of: com, eu, com\.au"):
        fill_endpoint("https://accounts.zoho.{dc}/token", {"dc": value}, DCS)


@pytest.mark.parametrize(
    "value",
    [
        *("", ".", "a..b", "a.test/", "a.test?", "a.test#", "x@a.test", "https://a.test", "a b"),
        *("127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::1]", "a.0x7f", "10.1", "a.test."),
        *("a.test:", "a.test:0", "a.test:65536", "a.test:4:4", "a.test:x", "-a.test", "ä.test"),
        *(f"{'a' * 64}.test", f"{LONGEST}a", "a.0XAF", "0x"),
    ],
)
def test_a_value_that_is_the_whole_host_is_a_host_name(value: str) -> None:
    with pytest.raises(TemplateError, match=r"\{host\} must be a host name"):
        fill_endpoint("https://{host}/token", {"host": value}, {})


@pytest.mark.parametrize("value", ["", "..", ".", "a/b", "a%2fb", "a?b", "a#b", "a b", "ä", "a\\b"])
def test_a_value_after_the_host_stays_in_its_place(value: str) -> None:
    with pytest.raises(TemplateError, match=r"\{tenant\}"):
        fill_endpoint("https://a.test/{tenant}/token", {"tenant": value}, {})


@pytest.mark.parametrize(
    ("template", "values"),
    [
        pytest.param("{scheme}://a.test", {"scheme": "https"}, id="scheme"),
        pytest.param("https://a.test:{port}/", {"port": "443"}, id="port"),
        pytest.param("https://a.test:{n}/", {"n": "443"}, id="a port of a list"),
        pytest.param("https://{user}@a.test/", {"user": "u"}, id="user"),
        pytest.param("https://u@{n}.a.test/", {"n": "443"}, id="after a user"),
        pytest.param("https://a.{tld}/", {"tld": "test"}, id="last label"),
        pytest.param("https://a{tld}/", {"tld": "test"}, id="end of the only label"),
        pytest.param("https://{a}.{b}/", {"a": "x", "b": "test"}, id="two in the host"),
        pytest.param("https://{a}.1/", {"a": "127"}, id="an address"),
        pytest.param("https://{a}b.test/", {"a": "-"}, id="hyphen at the beginning"),
        pytest.param("https://{a}{b}.test/", {"a": "x" * 40, "b": "y" * 40}, id="long label"),
        pytest.param("https://a.test/{a}{b}/", {"a": ".", "b": "."}, id="dots of two values"),
    ],
)
def test_a_placeholder_elsewhere_is_refused(template: str, values: dict[str, str]) -> None:
    with pytest.raises(TemplateError, match=r"^\{\w+\} ") as raised:
        fill_endpoint(template, values, {"n": ("443",)})
    assert not raised.value.is_missing


def test_a_missing_value_is_reported_as_such() -> None:
    with pytest.raises(TemplateError) as raised:
        fill_endpoint("https://{org}.okta.com/{server}", {"org": "a"}, {})
    assert (str(raised.value), raised.value.is_missing) == ("{server}", True)


def test_only_the_named_placeholders_of_a_text_are_replaced() -> None:
    text = 'claims={"a":{b}} {c} {d}'
    assert placeholders_in(text) == ("b", "c", "d")
    assert fill_text(text, {"b": "1", "c": "2"}, ["c"]) == 'claims={"a":{b}} 2 {d}'

"""Any value of a placeholder is refused, or keeps the host below its fixed end."""

from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from domain.endpoint_templates import TemplateError, fill_endpoint
from domain.metadata import is_safe_url
from tests.domain.test_endpoint_templates import HOSTILE


@given(
    value=st.text(max_size=12)
    | st.text(st.sampled_from("a1.-:/@?#[]%\\ \t\n"), max_size=12)
    | st.sampled_from(HOSTILE)
)
@example("a.test")
@example("xn--a")
def test_any_value_is_refused_or_keeps_the_host_below_its_end(value: str) -> None:
    for template, end in (
        ("https://{x}.okta.com/a/token", ".okta.com"),
        ("https://api-{x}.okta.com/a/token", ".okta.com"),
        ("https://a.okta.com/{x}/token", "a.okta.com"),
        ("https://a.okta.com/token?t={x}", "a.okta.com"),
    ):
        try:
            url = fill_endpoint(template, {"x": value}, {})
        except TemplateError:
            continue
        parts = urlsplit(url)
        assert is_safe_url(url)
        assert (parts.hostname or "").endswith(end)
        assert parts.path.endswith("/token")
        assert parts.netloc.lower() == parts.hostname
        assert value in url

"""A client with a private key: it signs an assertion for each request, and nothing quotes it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from tests.client_keys import claims_of, pem_of
from tests.docs.pages import run_python
from tests.functions.commands import environ_in
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, query_of
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_json, expect_page, expect_problem, expect_token
from tests.functions.grants import OVER
from tests.functions.token_endpoint import Answer, TokenEndpoint

PEM = pem_of("p256")
BY_KEY = {
    "CLIENT_SECRET": None,
    "TOKEN_ENDPOINT_AUTH_METHOD": "private_key_jwt",
    "CLIENT_PRIVATE_KEY": PEM.replace("\n", "\\n"),
    "CLIENT_KEY_ID": "key-1",
    "ENCRYPTION_KEYS": encryption_key("deployment"),
}


def logged_in(deployment: Deployment) -> None:
    state = query_of(deployment.begin_login("default"))["state"]
    expect_page(deployment.callback(code="a-code", state=state))


def test_each_request_has_an_assertion_of_its_own(deploy: Deploy, endpoint: TokenEndpoint) -> None:
    deployment = deploy(**endpoint.environ, **BY_KEY)
    logged_in(deployment)
    first = expect_token(deployment.token("default"))
    deployment.age("default", by=OVER)
    assert expect_token(deployment.token("default")) != first
    expect_json(deployment.post("/api/revoke"))
    requests = [*endpoint.seen, *endpoint.revocations]
    assert len(requests) == 3
    ids = set()
    for seen in requests:
        assert seen.authorization is None
        assert "client_secret" not in seen.form
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert seen.form["client_assertion_type"] == kind
        claims = claims_of(seen.form["client_assertion"], PEM, audience=f"{endpoint.url}/token")
        assert claims["iss"] == claims["sub"] == seen.form["client_id"]
        ids.add(claims["jti"])
    assert len(ids) == 3


@pytest.mark.parametrize("echo", [Answer.echo, Answer.echo_values], ids=["whole", "values"])
def test_no_part_of_an_assertion_is_quoted(
    deploy: Deploy, endpoint: TokenEndpoint, echo: Callable[..., Answer]
) -> None:
    deployment = deploy(**endpoint.environ, **BY_KEY)
    logged_in(deployment)
    deployment.age("default", by=OVER)
    endpoint.plan(*[echo(status=400)] * 2)
    said = deployment.token("default").text
    assertion = endpoint.seen[-1].form["client_assertion"]
    deployment.running.stop()
    for part in assertion.split("."):
        # A quote may be cut.
        assert part[:12] not in said
        assert part[:12] not in deployment.running.log()
    assert PEM.splitlines()[1] not in deployment.running.log()


def test_a_fresh_token_needs_neither_the_library_nor_the_key(endpoint: TokenEndpoint) -> None:
    program = """
import sys
from functions.settings.settings import Settings
from functions.wiring import Wiring
client = Wiring(Settings.from_environ()).client(None)
assert client.client.private_key is not None
print(sorted({name for name in sys.modules if name.partition(".")[0] == "jwt"}))
print("cryptography.hazmat.primitives.serialization" in sys.modules)
print("ports.client_key" in sys.modules)
"""
    given = {**environ_in(Path()), **endpoint.environ, **BY_KEY}
    environ = {name: value for name, value in given.items() if value is not None}
    printed = run_python(program, environ).split()
    assert printed == ["[]", "False", "False"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"CLIENT_PRIVATE_KEY": pem_of("k256", form=PrivateFormat.PKCS8)}, id="another-curve"
        ),
        pytest.param({"TOKEN_ENDPOINT_AUTH_SIGNING_ALG": "RS256"}, id="another-kind"),
    ],
)
def test_a_key_that_cannot_sign_is_reported_before_anybody_logs_in(
    deploy: Deploy, endpoint: TokenEndpoint, changes: dict[str, str]
) -> None:
    deployment = deploy(**endpoint.environ, **(BY_KEY | changes))
    problem = expect_problem(deployment.post("/api/login"), 500, "not-configured")
    assert "CLIENT_PRIVATE_KEY" in problem["detail"]
    assert endpoint.seen == []

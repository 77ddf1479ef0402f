"""Members next to the tokens: kept at the login, returned with each token, and never shown."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence

import pytest

from domain.extra import MAX_BYTES
from tests.functions.conftest import Deploy
from tests.functions.deployment import HTML, JSON, Deployment
from tests.functions.expect import expect_json, expect_page, expect_problem, expect_token
from tests.functions.grants import OVER
from tests.functions.stores import raw_content
from tests.functions.token_endpoint import Answer, TokenEndpoint

# A query of the callback, and members of responses. No other text contains these values.
REALM = "9341453172058474"
INSTANCE = "https://of-somebody.instance.example"


def tokens(number: int, **members: object) -> Answer:
    found = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
    return Answer.json({**found, "token_type": "bearer", "expires_in": 1800, **members})


def log_in(
    deployment: Deployment, connection: str, query: Mapping[str, str], *, replaces: bool = False
) -> None:
    parameters = "&replace=true" if replaces else ""
    begun = deployment.post(f"/api/login?connection={connection}{parameters}")
    state = expect_json(begun)["authorization_url"].partition("state=")[2].partition("&")[0]
    expect_page(deployment.callback(code="a-code", state=state, **query))


def extra_of(deployment: Deployment, connection: str) -> object:
    return expect_json(deployment.token(connection)).get("extra")


@pytest.mark.parametrize(
    ("variables", "query", "answers", "extra"),
    [
        pytest.param(
            {"CALLBACK_MEMBERS": "realmId"},
            {"realmId": REALM, "other": "ignored"},
            [{}, {}, {}],
            [{"realmId": REALM}] * 3,
            id="intuit",
        ),
        pytest.param(
            {"RESPONSE_MEMBERS": "instance_url, id"},
            {},
            [{"instance_url": INSTANCE, "id": "i"}, {}, {"instance_url": f"{INSTANCE}/2"}],
            [{"instance_url": INSTANCE, "id": "i"}] * 2
            + [{"instance_url": f"{INSTANCE}/2", "id": "i"}],
            id="salesforce",
        ),
        pytest.param(
            {"RESPONSE_MEMBERS": "api_domain location", "CALLBACK_MEMBERS": "location,hub"},
            {"location": "eu", "hub": "žluťoučký / + %"},
            [{"api_domain": "a"}, {"api_domain": 5, "location": True}, {"api_domain": None}],
            [
                {"location": "eu", "hub": "žluťoučký / + %", "api_domain": "a"},
                *[{"location": True, "hub": "žluťoučký / + %", "api_domain": 5}] * 2,
            ],
            id="both",
        ),
        pytest.param(
            {"RESPONSE_MEMBERS": "id", "CALLBACK_MEMBERS": "id"},
            {"id": "of-the-redirect"},
            [{"id": "of-the-response"}, {}, {}],
            [{"id": "of-the-response"}] * 3,
            id="the-same-name",
        ),
        pytest.param(
            {"RESPONSE_MEMBERS": "authed_user.id"},
            {},
            [{"authed_user": {"id": "U1"}}, {"authed_user": {}}, {}],
            [{"authed_user.id": "U1"}] * 3,
            id="slack",
        ),
        pytest.param(
            {"RESPONSE_MEMBERS": "a", "CALLBACK_MEMBERS": "b"},
            {"b": "x" * (MAX_BYTES + 1)},
            [{"a": ["x"]}, {"a": "x\ny"}, {"a": {"b": 1}}],
            [None] * 3,
            id="unusable",
        ),
    ],
)
def test_members_survive_refreshes_and_are_replaced_by_a_login(
    deploy: Deploy,
    endpoint: TokenEndpoint,
    *,
    variables: dict[str, str],
    query: dict[str, str],
    answers: Sequence[Mapping[str, object]],
    extra: Sequence[object],
) -> None:
    deployment = deploy(**endpoint.environ, **variables)
    login, *refreshes = (tokens(number, **each) for number, each in enumerate(answers))
    endpoint.plan(login)
    log_in(deployment, "extra", query)
    assert extra_of(deployment, "extra") == extra[0]
    for refresh, expected in zip(refreshes, extra[1:], strict=True):
        deployment.age("extra", by=OVER)
        endpoint.plan(refresh)
        assert extra_of(deployment, "extra") == expected
    endpoint.plan(tokens(9))
    log_in(deployment, "extra", {}, replaces=True)
    members = expect_json(deployment.token("extra"))
    assert members["access_token"] == "access-9"
    assert "extra" not in members


def test_members_are_returned_with_the_token_only_and_never_logged(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(
        **endpoint.environ, CALLBACK_MEMBERS="realmId", RESPONSE_MEMBERS="instance_url"
    )
    account = urlsafe_b64encode(
        json.dumps(
            {"iss": "https://issuer.test", "sub": "s", "email": "a@account.example"}
        ).encode()
    )
    id_token = f"e30.{account.rstrip(b'=').decode()}.x"
    endpoint.plan(tokens(0, instance_url=INSTANCE, id_token=id_token))
    log_in(deployment, "seen", {"realmId": REALM})
    deployment.age("seen", by=OVER)
    endpoint.plan(None, tokens(1))
    said = [deployment.token("seen").text, deployment.verify("seen").text]
    said += [deployment.refresh("seen").text, deployment.get("/api/verify?history=1").text]
    assert deployment.verify("seen").json()["account"] == "a@account.example"
    stored = raw_content(deployment.environ)
    deployment.running.stop()
    log = deployment.running.log()
    assert "connection seen" in log
    for secret in (REALM, INSTANCE):
        assert secret not in "".join(said)
    for secret in (REALM, INSTANCE, "a@account.example", id_token):
        assert secret not in log
        assert secret not in stored


BAD_QUERIES = ["realmId=1&realmId=1", "realmId=1&realm%49d=2", "realmId=%ff", "realmId=%ed%a0%80"]


def test_a_repeated_or_malformed_member_is_refused_and_uses_up_nothing(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.environ, CALLBACK_MEMBERS="realmId")
    state = deployment.begin("refused")
    rows = deployment.rows()
    for query in BAD_QUERIES:
        answer = deployment.call("GET", f"/api/callback?code=a&state={state}&{query}", JSON)
        expect_problem(answer, 400, "invalid-request")
    assert (deployment.rows(), endpoint.seen) == (rows, [])
    # Others in any spelling are ignored.
    others = "x=%ff&x=1&realmid=5&n%e9m=x"
    query = f"realmId={REALM}&{others}&code=a&state={state}"
    expect_page(deployment.call("GET", f"/api/callback?{query}", HTML))
    assert extra_of(deployment, "refused") == {"realmId": REALM}


def test_a_missing_member_of_a_callback_is_logged_and_costs_no_login(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.environ, CALLBACK_MEMBERS="realmId shop hub")
    deployment.callback(code="a", state="of-somebody-else", shop="a")
    log_in(deployment, "lacks", {"shop": "a", "realmId": "x\ny"})
    assert expect_token(deployment.token("lacks"), extra={"shop": "a"})
    log = deployment.running.log()
    assert log.count("the callback lacks a usable value of hub, realmId") == 1
    assert log.count("the callback lacks") == 1


@pytest.mark.parametrize("name", ["theCode", "theState"])
def test_a_member_that_repeats_the_code_or_the_state_is_not_kept(
    deploy: Deploy, endpoint: TokenEndpoint, name: str
) -> None:
    deployment = deploy(**endpoint.environ, CALLBACK_MEMBERS=name)
    state = deployment.begin("repeats")
    secret = {"theCode": "a-code", "theState": state}[name]
    expect_page(deployment.callback(code="a-code", state=state, **{name: secret}))
    assert extra_of(deployment, "repeats") is None
    assert endpoint.given

"""Where calls to AWS go: without a search, or as botocore finds it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import create_loader

from adapters.aws_access import AwsAccess, access_without_search

KEYS = {"AWS_ACCESS_KEY_ID": "not-a-real-id", "AWS_SECRET_ACCESS_KEY": "not-a-real-key"}
VARIABLE = "AWS_ENDPOINT_URL_DYNAMODB"
REGION = {"AWS_DEFAULT_REGION": "eu-central-1"}
NO_FILES = {"AWS_CONFIG_FILE": "/nothing", "AWS_SHARED_CREDENTIALS_FILE": "/nothing"}


def found(
    environ: Mapping[str, str], access: Mapping[str, str | None] | None = None
) -> AwsAccess | None:
    return access_without_search(
        "dynamodb", access or {}, variable=VARIABLE, environ={**NO_FILES, **environ}
    )


def test_a_lambda_function_says_it_all() -> None:
    environ = {**KEYS, **REGION, "AWS_SESSION_TOKEN": "not-a-real-token"}
    assert found(environ) == AwsAccess(
        endpoint="https://dynamodb.eu-central-1.amazonaws.com",
        region="eu-central-1",
        key_id="not-a-real-id",
        secret_key="not-a-real-key",
        session_token="not-a-real-token",
    )


def test_arguments_go_before_the_environment() -> None:
    access = {
        "region_name": "us-east-1",
        "endpoint_url": "http://127.0.0.1:8000/path",
        "aws_access_key_id": "other-id",
        "aws_secret_access_key": "other-key",
    }
    environ = {**KEYS, **REGION, VARIABLE: "http://127.0.0.1:9000", "AWS_SESSION_TOKEN": "token"}
    assert found(environ, access) == AwsAccess(
        endpoint="http://127.0.0.1:8000/path",
        region="us-east-1",
        key_id="other-id",
        secret_key="other-key",
        session_token=None,
    )


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        pytest.param({VARIABLE: "http://[::1]:1/"}, "http://[::1]:1/", id="of the service"),
        pytest.param({"AWS_ENDPOINT_URL": "https://a.b"}, "https://a.b", id="of all services"),
        pytest.param(
            {VARIABLE: "https://one", "AWS_ENDPOINT_URL": "https://two"}, "https://one", id="both"
        ),
    ],
)
def test_a_variable_names_the_endpoint(environ: dict[str, str], endpoint: str) -> None:
    access = found({**KEYS, **REGION, **environ})
    assert access is not None
    assert access.endpoint == endpoint


@pytest.mark.parametrize(
    "environ",
    [
        *(
            pytest.param({name: "x"}, id=name)
            for name in (
                "AWS_ACCOUNT_ID",
                "AWS_CA_BUNDLE",
                "AWS_CREDENTIAL_EXPIRATION",
                "AWS_DATA_PATH",
                "AWS_DEFAULT_PROFILE",
                "AWS_ENDPOINT_DISCOVERY_ENABLED",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                "AWS_PROFILE",
                "AWS_SDK_UA_APP_ID",
                "AWS_USE_DUALSTACK_ENDPOINT",
                "AWS_USE_FIPS_ENDPOINT",
                "BOTOCORE_TCP_KEEPALIVE",
                "HTTPS_PROXY",
                "https_proxy",
            )
        ),
        pytest.param({"AWS_DEFAULT_REGION": ""}, id="no region"),
        pytest.param({"AWS_DEFAULT_REGION": "local"}, id="a region of botocore's own"),
        pytest.param({"AWS_DEFAULT_REGION": "us-gov-west-1"}, id="another partition"),
        pytest.param({"AWS_ACCESS_KEY_ID": ""}, id="no key: a role"),
        pytest.param({"AWS_SECRET_ACCESS_KEY": ""}, id="half a key"),
        pytest.param({"AWS_SESSION_TOKEN": "a\nb"}, id="a token that no header can hold"),
        pytest.param({"AWS_CONFIG_FILE": __file__}, id="a file of settings"),
        pytest.param({"AWS_SHARED_CREDENTIALS_FILE": __file__}, id="a file of keys"),
        *(
            pytest.param({VARIABLE: url}, id=url)
            for url in (
                "ftp://host",
                "host",
                "http://user:password@host",
                "http://host:99999",
                "http://host/a/../b",
                "http://host/?a=b",
                "http://host/%61",
                "http://höst",
            )
        ),
    ],
)
def test_all_else_is_left_to_botocore(environ: dict[str, str]) -> None:
    assert found({**KEYS, **REGION, **environ}) is None


def test_an_argument_that_is_not_known_is_left_to_botocore() -> None:
    assert found({**KEYS, **REGION}, {"verify": "/nothing"}) is None


def test_http_needs_no_authorities_and_has_its_own_proxy() -> None:
    environ = {**KEYS, **REGION, VARIABLE: "http://host", "AWS_CA_BUNDLE": "x", "HTTPS_PROXY": "x"}
    assert found(environ) is not None
    assert found({**environ, "HTTP_PROXY": "x"}) is None
    assert found({**environ, "http_proxy": "x"}) is None


@pytest.mark.parametrize("service", ["dynamodb", "secretsmanager"])
def test_each_region_has_the_endpoint_that_botocore_finds(service: str) -> None:
    resolve = endpoints_of(service)
    partitions = create_loader().load_data("partitions")["partitions"]
    regions = {
        region: partition["id"]
        for partition in partitions
        for region in partition["regions"]
        if not region.endswith("-global")
    }
    for region, partition in regions.items():
        is_ours = partition in {"aws", "aws-cn"}
        assert endpoint_of(service, region) == (resolve(region) if is_ours else None)


def endpoint_of(service: str, region: str) -> str | None:
    access = access_without_search(
        service,
        {"region_name": region},
        variable="AWS_ENDPOINT_URL_OTHER",
        environ={**NO_FILES, **KEYS},
    )
    return None if access is None else access.endpoint


def endpoints_of(service: str) -> Callable[[str], str]:
    """Return botocore's endpoints of a service by region."""
    loader = create_loader()
    rules = loader.load_service_model(service, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, loader.load_data("partitions"))

    def resolve(region: str) -> str:
        answer: Any = provider.resolve_endpoint(Region=region, UseDualStack=False, UseFIPS=False)
        return str(answer.url)

    return resolve

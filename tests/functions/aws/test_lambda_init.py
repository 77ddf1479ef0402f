"""The modules that INIT of the Lambda function imports.

`python -m tests.bench.lambda_start` measures it.
"""

import sys

from tests.functions.stores import dynamodb_store
from tests.system.lambda_artifact import lambda_artifact
from tests.system.lambda_init import lambda_init
from tests.system.secrets_peer import secrets_server

MODULE = "functions.aws.api"
VARIABLES = {
    "CLIENT_ID": "client",
    "CLIENT_SECRET": "not-a-real-secret",
    "API_KEY": "not-a-real-api-key-of-anything",
}
# Without the modules of C that begin with `_`.
OF_OTHERS = {"cryptography", "mangum", "typing_extensions"}
ADAPTERS = {
    "adapters",
    "adapters.aws_access",
    "adapters.aws_client",
    "adapters.aws_errors",
    "adapters.aws_json_calls",
    "adapters.aws_retries",
    "adapters.aws_signature",
    "adapters.clock_system",
    "adapters.dynamodb_listing",
    "adapters.dynamodb_table",
    "adapters.entropy_system",
    "adapters.grant_json",
    "adapters.http_connections",
    "adapters.ledger_json",
    "adapters.listing",
    "adapters.rescue_log",
    "adapters.sealed_records",
    "adapters.sealing",
    "adapters.secrets_manager",
    "adapters.store_dynamodb",
    "adapters.stored_json",
    "adapters.tls",
    "adapters.tokens_json",
}
ENDPOINTS = {"functions.endpoints", "functions.endpoints.token"}


def test_init_with_a_secret_and_a_table_imports_nothing_but_this() -> None:
    artifact = lambda_artifact()
    with dynamodb_store() as store, secrets_server() as secrets:
        name = secrets.new_secret()
        secrets.put(name, VARIABLES)
        environ = {**store.environ, **secrets.environ, "SECRET_ID": name}
        modules = lambda_init(artifact, environ, MODULE).modules
    assert {name for name in modules if name.startswith("adapters")} == ADAPTERS
    assert {name for name in modules if name.startswith("functions.endpoints")} == ENDPOINTS
    ours = {"adapters", "domain", "functions", "ports"}
    packages = {name.partition(".")[0] for name in modules if not name.startswith("_")}
    assert packages - ours - sys.stdlib_module_names == OF_OTHERS

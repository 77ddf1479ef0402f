"""Calls to AWS without botocore: retries, the clock, checksums, TLS and connections."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from select import select
from zlib import crc32

import pytest

from adapters import aws_json_calls, aws_retries
from adapters.aws_access import AwsAccess
from adapters.aws_client import _JSON_SERVICES, AwsClient
from adapters.aws_errors import NoAnswerError, RefusedError
from adapters.aws_json_calls import JsonCalls
from tests.ports.scripted_server import Connection, Script, _request, answer, in_turn, serving
from tests.system.certificates import server_certificate

LIMIT = timedelta(seconds=20)
NAMESPACE = "com.amazonaws.dynamodb.v20120810"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_json_calls, "pause", lambda: None)


def calls_to(endpoint: str, *, is_adaptive: bool = False) -> JsonCalls:
    access = AwsAccess(
        endpoint=endpoint,
        region="eu-central-1",
        key_id="not-a-real-id",
        secret_key="not-a-real-key",
        session_token="not-a-real-token",
    )
    return JsonCalls(
        _JSON_SERVICES["dynamodb"],
        access,
        label="DynamoDB",
        connect_limit=LIMIT,
        read_limit=LIMIT,
        tries=2,
        is_adaptive=is_adaptive,
    )


def amz(members: object, *headers: str, status: str = "200 OK") -> Script:
    body = json.dumps(members).encode()
    kind = "application/x-amz-json-1.0"
    return answer(status, body, "x-amzn-RequestId: 1", *headers, content_type=kind)


def refusal(code: str, *headers: str) -> Script:
    return amz({"__type": f"{NAMESPACE}#{code}"}, *headers, status="400 Bad Request")


def test_a_call_is_a_signed_object() -> None:
    with serving(amz({"Item": {}})) as server:
        calls = calls_to(server.endpoint)
        assert calls.call("batch_get_item", {"TableName": "höhe"}) == {"Item": {}}
        calls.close()
    (request,) = server.requests
    assert request.line == "POST /token HTTP/1.1"
    assert json.loads(request.body) == {"TableName": "höhe"}
    assert request.all("x-amz-target") == ["DynamoDB_20120810.BatchGetItem"]
    assert request.all("content-type") == ["application/x-amz-json-1.0"]
    assert request.all("x-amz-security-token") == ["not-a-real-token"]
    assert request.all("host") == [server.endpoint.split("/")[2]]
    (authorization,) = request.all("authorization")
    assert "/eu-central-1/dynamodb/aws4_request" in authorization


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param(refusal("SomeException"), "SomeException", id="type"),
        pytest.param(
            amz({}, "x-amzn-ErrorType: SomeException:http://internal/", status="400 Bad Request"),
            "SomeException",
            id="header",
        ),
        pytest.param(amz({"code": "Some"}, status="400 Bad Request"), "Some", id="code"),
        pytest.param(answer("403 Forbidden", b"<html>"), "403", id="no JSON"),
        pytest.param(amz([], status="302 Found"), "302", id="a redirect"),
    ],
)
def test_the_code_of_a_refusal(script: Script, code: str) -> None:
    with serving(script) as server, pytest.raises(RefusedError) as caught:
        calls_to(server.endpoint).call("get_item", {})
    assert (caught.value.code, caught.value.operation) == (code, "GetItem")


# Repetitions


def test_a_wrong_checksum_is_a_lost_answer() -> None:
    body = b'{"Item": {}}'
    right = amz({"Item": {}}, f"x-amz-crc32: {crc32(body)}")
    wrong = amz({"Item": {}}, f"x-amz-crc32: {crc32(body) ^ 1}")
    with serving(in_turn([wrong, right])) as server:
        assert calls_to(server.endpoint).call("get_item", {}) == {"Item": {}}
    with serving(wrong) as server, pytest.raises(NoAnswerError, match="checksum"):
        calls_to(server.endpoint).call("get_item", {})
    assert len(server.requests) == 2


def date(seconds: float) -> str:
    return f"Date: {formatdate(time.time() + seconds, usegmt=True)}"


def test_a_wrong_clock_is_corrected_once_for_all_calls() -> None:
    refused = refusal("InvalidSignatureException", date(86_400))
    with serving(in_turn([refused, amz({}), amz({})])) as server:
        calls = calls_to(server.endpoint)
        for _ in range(2):
            calls.call("get_item", {})
    today, *corrected = (request.all("x-amz-date")[0][:8] for request in server.requests)
    tomorrow = time.strftime("%Y%m%d", time.gmtime(time.time() + 86_400))
    assert today < tomorrow
    assert corrected == [tomorrow, tomorrow]


@pytest.mark.parametrize(
    ("dates", "requests"),
    [
        pytest.param(tuple, 1, id="without a date"),
        pytest.param(lambda: ("Date: then",), 1, id="with another text"),
        pytest.param(lambda: (date(120),), 1, id="with a clock like ours"),
        pytest.param(lambda: (date(-3600),), 2, id="also after the correction"),
    ],
)
def test_a_wrong_key_is_not_taken_for_a_wrong_clock(
    dates: Callable[[], tuple[str, ...]], requests: int
) -> None:
    # Made now: the table is made long before the last test runs.
    with (
        serving(refusal("InvalidSignatureException", *dates())) as server,
        pytest.raises(NoAnswerError, match="refused the credentials"),
    ):
        calls_to(server.endpoint).call("get_item", {})
    assert len(server.requests) == requests


def test_an_outage_uses_the_quota_of_repetitions_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_retries, "_QUOTA", 10)
    failed = amz({}, status="503 Service Unavailable")
    with serving(in_turn([failed] * 5 + [amz({})] * 5 + [failed, amz({})])) as server:
        calls = calls_to(server.endpoint)
        for _ in range(3):
            with pytest.raises(RefusedError):
                calls.call("get_item", {})
        assert len(server.requests) == 5
        # Each success gives a fifth of a repetition back.
        for _ in range(6):
            calls.call("get_item", {})
    assert len(server.requests) == 12


def test_calls_wait_for_their_turn_after_a_throttle_only() -> None:
    throttle = refusal("ThrottlingException")
    with serving(in_turn([amz({}), throttle, amz({})])) as server:
        calls = calls_to(server.endpoint, is_adaptive=True)
        turns = []
        for _ in range(2):
            calls.call("get_item", {})
            turns.append(calls._retries.has_rate_limit)
    assert turns == [False, True]


# Connections


KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-amzn-RequestId: 1\r\n\r\n{}"


def keep_until_the_end(connection: Connection) -> None:
    connection.send(KEPT)
    connection.wait_until_client_leaves()


def test_a_connection_is_used_again_until_it_ends() -> None:
    def twice(connection: Connection) -> None:
        connection.send(KEPT)
        _request(connection.socket)
        connection.send(KEPT)

    with serving(twice) as server:
        calls = calls_to(server.endpoint)
        for _ in range(2):
            assert calls.call("get_item", {}) == {}
        ((connection, _),) = calls._connections._idle
        select([connection.sock], [], [], LIMIT.total_seconds())
        assert calls.call("get_item", {}) == {}
        assert server.connections == 2
        # It was not tried on the connection that had ended.
        assert server.requests[1].all("amz-sdk-request") == ["attempt=1; max=2"]
        calls.close()
        assert not calls._connections._idle


def test_a_connection_ends_with_its_owner() -> None:
    with serving(keep_until_the_end) as server:
        calls = calls_to(server.endpoint)
        calls.call("get_item", {})
        # No warning about an open socket, and the server's script ends.
        del calls


def test_the_certificate_of_a_stranger_is_refused(tmp_path: Path) -> None:
    context = server_certificate(tmp_path, "127.0.0.1")
    with (
        serving(amz({}), tls=context) as server,
        pytest.raises(NoAnswerError, match="SSLCertVerificationError"),
    ):
        calls_to(server.endpoint).call("get_item", {})
    assert server.requests == []


def test_tls_checks_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = server_certificate(tmp_path, "127.0.0.1")
    ours = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    monkeypatch.setattr(aws_json_calls, "bundled_context", lambda: ours)
    with serving(amz({}), tls=theirs) as server:
        assert calls_to(server.endpoint).call("get_item", {}) == {}
        other = server.endpoint.replace("127.0.0.1", "localhost")
        with pytest.raises(NoAnswerError, match="SSLCertVerificationError"):
            calls_to(other).call("get_item", {})


# The choice


def test_a_client_without_a_search_imports_no_botocore() -> None:
    program = (
        "import sys\n"
        "from adapters.aws_client import AwsClient\n"
        "client = AwsClient('dynamodb', label='x', max_connections=1, region_name='eu-central-1')\n"
        "print(type(client._open()).__name__, 'botocore' in sys.modules)\n"
    )
    keys = {"AWS_ACCESS_KEY_ID": "not-a-real-id", "AWS_SECRET_ACCESS_KEY": "not-a-real-key"}
    command = [sys.executable, "-c", program]
    root = str(Path(__file__).parents[2])
    given = {"PYTHONPATH": root, "HOME": "/nothing", **keys}
    printed = subprocess.check_output(command, env=given, text=True)
    assert printed == "JsonCalls False\n"
    printed = subprocess.check_output(
        command, env={**given, "AWS_USE_FIPS_ENDPOINT": "true"}, text=True
    )
    assert printed == "BotocoreCalls True\n"


def test_services_of_other_protocols_are_botocores() -> None:
    keys = {"aws_access_key_id": "not-a-real-id", "aws_secret_access_key": "not-a-real-key"}
    client = AwsClient("sns", label="x", max_connections=1, region_name="eu-central-1", **keys)
    assert type(client._open()).__name__ == "BotocoreCalls"
    client.close()

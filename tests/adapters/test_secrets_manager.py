"""A secret in AWS Secrets Manager: its text, and the error of a missing one."""

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import timedelta

import pytest

from adapters.secrets_manager import Secret, SecretError
from tests.ports.scripted_server import (
    Connection,
    Script,
    answer,
    in_turn,
    raw,
    serving,
    stall,
)
from tests.system.lossy_proxy import lossy_proxy
from tests.system.secrets_peer import SecretsPeer, secrets_server

# A text of AWS or of a secret, which no error may repeat.
MARK = "TextThatIsNotRepeated"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def peer() -> Iterator[SecretsPeer]:
    with secrets_server() as peer:
        yield peer


def text_of(peer: SecretsPeer, name: str, **access: str | None) -> str:
    secret = Secret(name, **{**peer.access, **access})
    try:
        return secret.text()
    finally:
        secret.close()


def fault_of(peer: SecretsPeer, name: str, *, is_passing: bool, **access: str | None) -> str:
    """Return the error, which repeats no text of AWS or of the secret."""
    with pytest.raises(SecretError) as caught:
        text_of(peer, name, **access)
    assert caught.value.is_passing is is_passing
    assert MARK not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


# A real service


def test_the_text_is_the_latest_one_by_name_and_by_arn(peer: SecretsPeer) -> None:
    name = peer.new_secret(SecretString="one")
    secret = Secret(name, **peer.access)
    assert secret.text() == "one"
    peer.client.put_secret_value(SecretId=name, SecretString="two")
    assert secret.text() == "two"
    secret.close()
    arn = peer.client.describe_secret(SecretId=name)["ARN"]
    assert text_of(peer, arn) == "two"


def test_an_empty_and_a_missing_secret_have_different_errors(peer: SecretsPeer) -> None:
    name = peer.new_secret()
    assert fault_of(peer, name, is_passing=False) == (
        f"secret {name!r} (SECRET_ID) has no value yet: aws secretsmanager put-secret-value "
        f"--secret-id {name} --secret-string file://variables.json"
    )
    assert "'nothing' (SECRET_ID) does not exist" in fault_of(peer, "nothing", is_passing=False)


def test_a_binary_secret_is_an_error(peer: SecretsPeer) -> None:
    name = peer.new_secret(SecretBinary=MARK.encode())
    error = fault_of(peer, name, is_passing=False)
    assert "is binary" in error
    assert f"put-secret-value --secret-id {name}" in error


def test_a_secret_that_is_about_to_be_deleted_can_be_restored(peer: SecretsPeer) -> None:
    name = peer.new_secret(SecretString="one")
    peer.client.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    assert f"restore-secret --secret-id {name}" in fault_of(peer, name, is_passing=False)


def test_a_call_whose_answer_is_lost_is_repeated_once(peer: SecretsPeer) -> None:
    name = peer.new_secret(SecretString="one")
    with lossy_proxy(peer.access["endpoint_url"], lambda _, attempt: attempt == 1) as proxy:
        assert text_of(peer, name, endpoint_url=proxy.url) == "one"
        assert proxy.lost["GetSecretValue"] == 1
    with lossy_proxy(peer.access["endpoint_url"], lambda _, __: True) as proxy:
        error = fault_of(peer, name, is_passing=True, endpoint_url=proxy.url)
        assert proxy.lost["GetSecretValue"] == 2
    assert "Secrets Manager cannot be reached" in error


# Refusals and silence, of a scripted server


def amz(members: object, *, status: str = "200 OK") -> Script:
    body = json.dumps(members).encode()
    return answer(status, body, "x-amzn-RequestId: 1", content_type="application/x-amz-json-1.1")


def refusal(code: str, message: str = MARK, *, status: str = "400 Bad Request") -> Script:
    return amz({"__type": code, "Message": message}, status=status)


def scripted_fault(peer: SecretsPeer, script: Script, *, requests: int, is_passing: bool) -> str:
    """Return the error after so many requests."""
    with serving(script) as server:
        error = fault_of(peer, "the-secret", is_passing=is_passing, endpoint_url=server.endpoint)
    assert len(server.requests) == requests
    assert error
    return error


# AWS's words for two cases with one code.
NO_KEY = f"Access to KMS is not allowed {MARK}"
NO_RIGHT = f"User: {MARK} is not authorized to perform: secretsmanager:GetSecretValue"


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("AccessDeniedException", NO_RIGHT, "do not allow secretsmanager:GetSecretValue on secret"),
        ("AccessDeniedException", NO_KEY, "do not allow kms:Decrypt"),
        ("DecryptionFailure", MARK, "check that its key is enabled"),
        # Its message quotes the request's headers, the session token among them.
        ("InvalidSignatureException", MARK, "AWS refused the credentials"),
        ("ValidationException", MARK, "GetSecretValue failed: ValidationException"),
        ("SomethingNewException", MARK, "GetSecretValue failed: SomethingNewException"),
    ],
)
def test_a_refusal_is_not_repeated_and_names_the_secret(
    peer: SecretsPeer, code: str, message: str, error: str
) -> None:
    found = scripted_fault(peer, refusal(code, message), requests=1, is_passing=False)
    assert error in found
    assert "'the-secret' (SECRET_ID)" in found


@pytest.mark.parametrize(
    "script",
    [
        refusal("ThrottlingException"),
        refusal("InternalServiceError", status="500 Internal Server Error"),
        answer("502 Bad Gateway", f"<html>{MARK}</html>".encode(), content_type="text/html"),
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nx-amzn-RequestId: 1\r\n\r\n{"),
        Connection.reset,
    ],
)
def test_a_temporary_failure_is_repeated_once(peer: SecretsPeer, script: Script) -> None:
    scripted_fault(peer, script, requests=2, is_passing=True)


@pytest.mark.parametrize(
    "script",
    [
        answer("200 OK", f"<html>{MARK}</html>".encode(), content_type="text/html"),
        answer("200 OK", b'{"SecretString": "x"}'),
        amz({}),
        amz([]),
        amz(None),
        amz({"SecretString": None}),
        amz({"SecretString": {"API_KEY": MARK}}),
    ],
)
def test_an_invalid_answer_is_an_error(peer: SecretsPeer, script: Script) -> None:
    scripted_fault(peer, script, requests=1, is_passing=True)


def test_a_secret_of_aws_without_a_value_is_reported_as_empty(peer: SecretsPeer) -> None:
    # AWS refuses it with the code of a missing secret, in other words.
    message = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
    script = refusal("ResourceNotFoundException", message)
    assert "has no value yet" in scripted_fault(peer, script, requests=1, is_passing=False)


def test_a_call_that_is_throttled_once_succeeds_at_the_second_try(peer: SecretsPeer) -> None:
    with serving(in_turn([refusal("ThrottlingException"), amz({"SecretString": "x"})])) as server:
        assert text_of(peer, "the-secret", endpoint_url=server.endpoint) == "x"


def test_a_call_to_a_silent_server_has_a_limit(
    peer: SecretsPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.aws_client._READ_LIMIT", timedelta(milliseconds=200))
    assert "ReadTimeoutError" in scripted_fault(peer, stall, requests=2, is_passing=True)


def test_an_unreachable_server_is_a_temporary_failure(peer: SecretsPeer) -> None:
    assert "cannot be reached" in fault_of(peer, "x", is_passing=True, endpoint_url=NOWHERE)


def test_no_secret_is_logged_at_any_level(
    peer: SecretsPeer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"session-{MARK}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "not-a-real-one")
    caplog.set_level(logging.DEBUG)
    name = peer.new_secret(SecretString=MARK)
    access = {"aws_access_key_id": None, "aws_secret_access_key": None}
    with serving(amz({"SecretString": MARK})) as server:
        assert text_of(peer, name, endpoint_url=server.endpoint, **access) == MARK
    assert server.requests[0].all("x-amz-security-token") == [f"session-{MARK}"]
    assert "GetSecretValue" not in caplog.text
    assert MARK not in caplog.text


# AWS's own variables


@pytest.mark.usefixtures("no_credentials")
def test_the_error_of_missing_credentials_or_region_names_the_variables(peer: SecretsPeer) -> None:
    none = {"aws_access_key_id": None, "aws_secret_access_key": None}
    assert "AWS_SECRET_ACCESS_KEY" in fault_of(peer, "x", is_passing=False, **none)
    error = fault_of(peer, "x", is_passing=False, region_name=None)
    assert "AWS_REGION is not set" in error

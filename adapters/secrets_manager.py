"""One secret in AWS Secrets Manager: its text, and advice if it cannot be read."""

import shlex
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from adapters.aws_client import AwsClient
from adapters.aws_errors import THROTTLED, NoAnswerError, RefusedError


class SecretError(Exception):
    """The secret cannot be read. The message names it and what to do.

    `is_passing`: whether a retry can succeed without any change.
    """

    def __init__(self, text: str, *, is_passing: bool = False) -> None:
        super().__init__(text)
        self.is_passing = is_passing


class Secret:
    """The secret of a name or ARN, with the region and credentials of AWS's own variables."""

    def __init__(self, secret_id: str, **access: str | None) -> None:
        """`access` (`region_name`, `endpoint_url`, …) overrides the variables."""
        self._id = secret_id
        self._client = AwsClient(
            "secretsmanager", label="Secrets Manager", max_connections=1, **access
        )

    @property
    def name(self) -> str:
        """The secret's name in messages."""
        return f"secret {self._id!r} (SECRET_ID)"

    @property
    def put_command(self) -> str:
        """The command that sets its value: a JSON object of variables, from a file."""
        return (
            f"aws secretsmanager put-secret-value --secret-id {shlex.quote(self._id)} "
            "--secret-string file://variables.json"
        )

    def text(self) -> str:
        """Return its current value. Blocks. Raises SecretError."""
        try:
            answer = self._client.call("get_secret_value", SecretId=self._id)
        except RefusedError as error:
            raise self._refusal(error) from None
        except NoAnswerError as error:
            raise SecretError(f"{self.name}: {error}", is_passing=error.is_passing) from None
        return self._text_of(answer)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _text_of(self, answer: Mapping[str, Any]) -> str:
        match answer:
            case {"SecretString": str(text)}:
                return text
            case {"SecretBinary": _}:
                raise SecretError(f"{self.name} is binary, but must be text: {self.put_command}")
            case {"ARN": str()} if "SecretString" not in answer:
                # AWS imitations answer so where AWS refuses, as below.
                raise self._empty_error()
            case _:
                text = f"{self.name}: another server answered instead of Secrets Manager"
                raise SecretError(text, is_passing=True)

    def _empty_error(self) -> SecretError:
        return SecretError(f"{self.name} has no value yet: {self.put_command}")

    def _refusal(self, error: RefusedError) -> SecretError:
        """Return what to do. Some cases differ by AWS's message only, not by its code."""
        match error.code:
            case "ResourceNotFoundException" if "staging label" in error.message:
                return self._empty_error()
            case "ResourceNotFoundException":
                where = "in this account and region"
                return SecretError(
                    f"{self.name} does not exist {where}: correct its name, or create it"
                )
            case "InvalidRequestException" if "deletion" in error.message:
                restoring = f"aws secretsmanager restore-secret --secret-id {shlex.quote(self._id)}"
                return SecretError(f"{self.name} is scheduled for deletion: {restoring}")
            case "AccessDeniedException" if "KMS" in error.message:
                key = "the key that it is encrypted with"
                return SecretError(
                    f"the credentials do not allow kms:Decrypt on {key}: {self.name}"
                )
            case "AccessDeniedException":
                action = "secretsmanager:GetSecretValue"
                return SecretError(f"the credentials do not allow {action} on {self.name}")
            case "DecryptionFailure" | "DecryptionFailureException":
                return SecretError(
                    f"{self.name} cannot be decrypted: check that its key is enabled"
                )
            case code if code in THROTTLED:
                return SecretError(f"{self.name} is asked for too often ({code})", is_passing=True)
            case code:
                text = f"{self.name}: {error.operation} failed: {code}"
                return SecretError(text, is_passing=_is_server_error(error))


def _is_server_error(error: RefusedError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return bool(status >= HTTPStatus.INTERNAL_SERVER_ERROR)

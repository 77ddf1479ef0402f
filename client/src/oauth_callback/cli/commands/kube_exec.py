"""`oauth-callback kube-exec`: the token as an ExecCredential, for kubectl and its libraries.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
import os

from oauth_callback.cli.arguments import Parser, add_connection, add_token_options
from oauth_callback.cli.asking import ask_by
from oauth_callback.cli.output import print_result
from oauth_callback.cli.times import rfc3339
from oauth_callback.errors import NotConfigured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSIONS = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    add_connection(parser)
    add_token_options(parser)


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print the ExecCredential. Raises KeeperError, OSError."""
    options = parser.read(arguments)
    version = _version(os.environ.get("KUBERNETES_EXEC_INFO"))
    token = ask_by(options).token
    status = {"token": token.access_token}
    if (expires_at := rfc3339(token.expires_at)) is not None:
        status["expirationTimestamp"] = expires_at
    document = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    print_result(json.dumps(document) + "\n")
    return 0


def _version(info: str | None) -> str:
    """Return the version that the caller wants, which has to be the answer's."""
    if not info:
        return _VERSIONS[0]
    try:
        members = json.loads(info)
    except (ValueError, RecursionError):
        members = None
    version = members.get("apiVersion") if isinstance(members, dict) else None
    if version not in _VERSIONS:
        raise NotConfigured(f"KUBERNETES_EXEC_INFO: use apiVersion {' or '.join(_VERSIONS)}.")
    return str(version)

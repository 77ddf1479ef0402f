"""AWS's signature, version 4, of a POST without a query: the only kind of AWS's JSON protocols.

Source: AWS General Reference, "Create a signed AWS API request". A test compares it with botocore.
"""

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256

from adapters.aws_access import AwsAccess

_ALGORITHM = "AWS4-HMAC-SHA256"


def signed(
    headers: Mapping[str, str],
    body: bytes,
    *,
    path: str,
    service: str,
    access: AwsAccess,
    at: float,
) -> dict[str, str]:
    """Return the headers of a signed request.

    `headers`: names in lower case, `host` among them. All are signed.
    `at`: the time in seconds since 1970.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    token = {} if access.session_token is None else {"x-amz-security-token": access.session_token}
    known = dict(sorted({**headers, **token, "x-amz-date": moment}.items()))
    names = ";".join(known)
    lines = "".join(f"{name}:{value}\n" for name, value in known.items())
    request = f"POST\n{path}\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{access.region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    signature = _keyed(_key(access.secret_key, scope), text).hex()
    known["authorization"] = (
        f"{_ALGORITHM} Credential={access.key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return known


def _key(secret_key: str, scope: str) -> bytes:
    """Return the key for a scope, which one part after the other makes."""
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = _keyed(key, part)
    return key


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")

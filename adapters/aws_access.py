"""Where a call to AWS goes, and with which credentials, if that needs no search.

The environment of a Lambda function says it all: a region, and keys. Everything else is left to
botocore: profiles, roles, single sign-on, proxies, own authorities, FIPS and dual-stack endpoints.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Only botocore does as these say.
_LEFT_TO_BOTOCORE = (
    "AWS_ACCOUNT_ID",
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
)
_LEFT_BY_SCHEME = {
    "http": ("HTTP_PROXY", "http_proxy"),
    "https": ("AWS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy"),
}
# A file can hold a region, keys, endpoints and more.
_FILES = {
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
}
_KNOWN = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "endpoint_url",
        "region_name",
    }
)
# botocore's regular expressions of two partitions. The others are few, and have rules of their own.
_SUFFIXES = (
    (re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+"), "amazonaws.com"),
    (re.compile(r"cn-[a-z]+-\d+"), "amazonaws.com.cn"),
)
# A name or an address, a port and a path that need no escapes. Letters of a name have one case.
_ENDPOINT = re.compile(
    r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?(?:/[A-Za-z0-9_~-]+)*/?"
)
# Keys and tokens are printable and go into a header as they are.
_SENDABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """An endpoint's URL, the region to sign for, and the credentials."""

    endpoint: str
    region: str
    key_id: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)


def access_without_search(
    service: str,
    overrides: Mapping[str, str | None],
    *,
    variable: str,
    environ: Mapping[str, str] = os.environ,
) -> AwsAccess | None:
    """Return the access to a service, or None if botocore has to find it.

    `overrides`: arguments of botocore's client. They go before the environment.
    `variable`: the service's own variable for an endpoint's URL.
    """
    region = overrides.get("region_name") or environ.get("AWS_DEFAULT_REGION")
    keys = _keys(overrides, environ)
    if not region or keys is None or not overrides.keys() <= _KNOWN:
        return None
    endpoint = (
        overrides.get("endpoint_url")
        or environ.get(variable)
        or environ.get("AWS_ENDPOINT_URL")
        or _endpoint(service, region)
    )
    if endpoint is None or not _is_plain_url(endpoint) or not _is_plain(environ, endpoint):
        return None
    key_id, secret_key, session_token = keys
    return AwsAccess(
        endpoint=endpoint,
        region=region,
        key_id=key_id,
        secret_key=secret_key,
        session_token=session_token,
    )


def _is_plain(environ: Mapping[str, str], endpoint: str) -> bool:
    """Whether nothing else is set for this endpoint, in any place that botocore reads."""
    names = (*_LEFT_TO_BOTOCORE, *_LEFT_BY_SCHEME[endpoint.partition(":")[0]])
    return (
        # Other systems have proxies in their settings.
        sys.platform == "linux"
        and not any(map(environ.get, names))
        and not any(_exists(environ.get(name, path)) for name, path in _FILES.items())
    )


def _exists(path: str) -> bool:
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111 - on each cold start


def _keys(
    overrides: Mapping[str, str | None], environ: Mapping[str, str]
) -> tuple[str, str, str | None] | None:
    """Return key id, secret key and session token of one source, or None for others."""
    if overrides.get("aws_access_key_id"):
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        key_id, secret_key, token = map(overrides.get, names)
    else:
        key_id = environ.get("AWS_ACCESS_KEY_ID")
        secret_key = environ.get("AWS_SECRET_ACCESS_KEY")
        # The first is the earlier name, and botocore's first choice.
        token = environ.get("AWS_SECURITY_TOKEN") or environ.get("AWS_SESSION_TOKEN")
    if not key_id or not secret_key:
        return None
    is_sendable = all(map(_SENDABLE.fullmatch, filter(None, (key_id, secret_key, token))))
    return (key_id, secret_key, token or None) if is_sendable else None


def _endpoint(service: str, region: str) -> str | None:
    suffixes = (suffix for regions, suffix in _SUFFIXES if regions.fullmatch(region))
    suffix = next(suffixes, None)
    return None if suffix is None else f"https://{service}.{region}.{suffix}"


def _is_plain_url(url: str) -> bool:
    try:
        return bool(_ENDPOINT.fullmatch(url)) and urlsplit(url).port != 0
    except ValueError:
        return False

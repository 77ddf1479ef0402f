"""The one TLS context of a process: loading the certificate authorities is slow."""

import os
import ssl
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ports.network_settings import NetworkSettingsError


def tls_context() -> ssl.SSLContext:
    """Return the context for clients. It checks certificates and host names.

    Raises NetworkSettingsError.

    The authorities are those of SSL_CERT_FILE or SSL_CERT_DIR, else certifi's, as in httpx.
    """
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


def bundled_context() -> ssl.SSLContext:
    """Return the context for AWS, whose clients do not read SSL_CERT_FILE and SSL_CERT_DIR.

    Raises NetworkSettingsError if certifi's authorities cannot be read.
    """
    return _context(None, None)


@cache
def _context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    subject = "SSL_CERT_FILE" if cafile else "certifi's bundle"
    if not (cafile or capath):
        cafile = str(_certifi_bundle())
    elif not cafile and not any(map(os.path.isdir, (capath or "").split(os.pathsep))):
        # OpenSSL would report no error, and trust no certificate.
        raise NetworkSettingsError("SSL_CERT_DIR is not a directory")
    try:
        return ssl.create_default_context(cafile=cafile, capath=capath)
    except OSError as error:
        reason = "is not a file of PEM certificates" if isinstance(error, ssl.SSLError) else None
        reason = reason or f"cannot be read ({error.strerror or type(error).__name__})"
        raise NetworkSettingsError(f"{subject} {reason}") from error


def _certifi_bundle() -> Path:
    """Return the path of `certifi.where()` without the import, which costs a cold start 5 ms."""
    spec = find_spec("certifi")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("certifi is not installed")
    return Path(spec.submodule_search_locations[0], "cacert.pem")

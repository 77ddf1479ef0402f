"""The one TLS context of a process: loading the certificate authorities is what takes long."""

import os
import ssl
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def tls_context() -> ssl.SSLContext:
    """Return a context for clients, which checks certificates and host names.

    The authorities are certifi's, or those that OpenSSL's own variables name, as with httpx.
    """
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    if not (cafile or capath):
        cafile = str(_certifis_file())
    return ssl.create_default_context(cafile=cafile, capath=capath)


def _certifis_file() -> Path:
    """Return what `certifi.where()` would, whose import costs a cold start 5 ms."""
    spec = find_spec("certifi")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("certifi is not installed")
    return Path(spec.submodule_search_locations[0], "cacert.pem")

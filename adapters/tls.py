"""The one TLS context of a process: loading the certificate authorities is what takes long."""

import os
import ssl
from functools import cache

import certifi


def tls_context() -> ssl.SSLContext:
    """Return a context for clients, which checks certificates and host names.

    The authorities are certifi's, or those that OpenSSL's own variables name, as with httpx.
    """
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    if not (cafile or capath):
        cafile = certifi.where()
    return ssl.create_default_context(cafile=cafile, capath=capath)

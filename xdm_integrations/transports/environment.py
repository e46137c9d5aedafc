"""What the machine's environment says about proxies and certificates, for both transports.

Read once per session of a transport, not once per request: the libraries' own reading costs
more than the rest of a request. `~/.netrc` is never read: it would replace the API key.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def ca_bundle() -> str | None:
    """Return the path of the CA bundle or folder to trust, or None for the platform's own."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        path = os.environ.get(name)
        if path:
            return path
    try:
        import certifi  # noqa: PLC0415 - comes with requests; only needed for TLS
    except ImportError:
        return None
    return certifi.where()


def ssl_context() -> ssl.SSLContext:
    """Return the shared TLS context. Loading a bundle takes 20 ms, so once per bundle."""
    return _context_for(ca_bundle())


@lru_cache(maxsize=8)
def _context_for(path: str | None) -> ssl.SSLContext:
    if path and os.path.isdir(path):  # noqa: PTH112 - the rest of this takes a string too
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for `url`, or None."""
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = "http://" + proxy
    return proxy

"""What the environment says about proxies and certificates, for both transports.

Asked once per URL and session, not once per request: reading the environment costs more than
the rest of a request. `~/.netrc` is never read: it would replace the API key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from base64 import b64encode
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from xdm_integrations.core.errors.tree import ConfigurationError

from .locks import ProcessLock

BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

_PROXY_SCHEMES = {
    # "socks" is what desktops write; names are looked up by the proxy then.
    **{scheme: scheme for scheme in ("http", "https", "socks4", "socks4a", "socks5", "socks5h")},
    "socks": "socks5h",
}

_contexts: dict[str | None, ssl.SSLContext] = {}
_CONTEXT_LOCK = ProcessLock()


def ca_bundle() -> str | None:
    """Return the path of the CA bundle or folder to trust, or None for the platform's own."""
    for name in BUNDLE_VARIABLES:
        if path := os.environ.get(name):
            return path
    try:
        import certifi  # noqa: PLC0415 - comes with requests; only needed for TLS
    except ImportError:
        return None
    return certifi.where()


def ssl_context() -> ssl.SSLContext:
    """Return the shared TLS context. Loading a bundle takes 20 ms, so once per bundle.

    Raises:
        ConfigurationError: The environment names a bundle that can't be read.
    """
    path = ca_bundle()
    with _CONTEXT_LOCK.held:  # the threads of a batch need it at the same moment
        context = _contexts.get(path)
        if context is None:
            context = _contexts[path] = _load(path)
        return context


def _load(path: str | None) -> ssl.SSLContext:
    try:
        if path and os.path.isdir(path):  # noqa: PTH112 - the rest of this takes a string too
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ConfigurationError(
            f"{' or '.join(BUNDLE_VARIABLES)}: {path!r} can't be read as a CA bundle ({error})."
        ) from error


class Proxy(NamedTuple):
    """A proxy, and the variable of the environment that names it."""

    url: str
    variable: str

    @property
    def is_socks(self) -> bool:
        """True if it speaks SOCKS, not HTTP."""
        return self.url.startswith("socks")

    @property
    def address(self) -> str:
        """The URL without user name and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def authorization(self) -> str | None:
        """Its user name and password, as a header's value; None if it has none."""
        parts = urlsplit(self.url)
        if parts.username is None:
            return None
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return "Basic " + b64encode(credentials.encode()).decode()

    def __str__(self) -> str:
        """Name it without its password."""
        return f"{self.address} (from {self.variable})"


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment names for `url`, or None.

    `no_proxy` may hold names, name:port, addresses and networks such as 10.0.0.0/8.

    Raises:
        ConfigurationError: The environment's value is no proxy; the message names its variable.
    """
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.netloc) or _in_bypassed_network(parts.hostname):
        return None
    proxies = getproxies()
    for name in (parts.scheme, "all"):
        if value := proxies.get(name):
            return _checked(value.strip(), _variable(f"{name}_proxy"))
    return None


def _variable(name: str) -> str:
    """Return the name as it stands in the environment; the one in small letters wins."""
    for written in (name, name.upper()):
        if os.environ.get(written):
            return written
    return next((written for written in os.environ if written.lower() == name), "the system's settings")


def _checked(value: str, variable: str) -> Proxy:
    url = value if "://" in value else "http://" + value
    try:
        parts = urlsplit(url)
        sound = parts.hostname and (parts.port or 1) and not re.search(r"[\s\x00-\x1f]", url)
    except ValueError:  # the port is no number
        sound = False
    if not sound or parts.scheme not in _PROXY_SCHEMES:
        raise ConfigurationError(
            f"{variable}: this environment variable must name a proxy, such as http://127.0.0.1:7890 or "
            f"socks5h://127.0.0.1:1080; what it holds can't be used."
        )
    return Proxy(_PROXY_SCHEMES[parts.scheme] + url[len(parts.scheme) :], variable)


def socks_missing(proxy: Proxy) -> ConfigurationError:
    """Return the error for a SOCKS proxy without the packages that speak to one."""
    return ConfigurationError(
        f'The proxy {proxy} speaks SOCKS, which needs more packages: pip install "xdm-integrations[socks]".'
    )


def _in_bypassed_network(host: str) -> bool:
    """True if `no_proxy` holds a network with this address; the standard library knows names only."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(","):
        with suppress(ValueError):  # a name
            if address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
    return False

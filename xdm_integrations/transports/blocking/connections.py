"""Where the blocking transport gets its connections: requests' adapter, and what is changed in it.

- `_get_conn` runs under one lock, because vcrpy un-patches classes globally while it makes a
  connection: a replay from several threads would reach the network (vcrpy #849). With another
  `ConnectionCls` vcrpy would be by-passed.
- One TLS context is shared, and pool, proxy and target of a URL are found once; requests loads the
  CA bundle for every connection, and looks the others up for every request.
"""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from xdm_integrations.transports.environment import proxy_for, socks_missing, ssl_context
from xdm_integrations.transports.locks import ProcessLock

if TYPE_CHECKING:
    from .header_deadline import HeaderDeadline

Theirs: TypeAlias = Any
"""A value of requests or urllib3, or of a tool that stands in the place of one."""

POOL_SIZE = 64
"""Idle connections kept per host: the default of 10 throws connections of larger batches away."""
ROUTES = 32
"""URLs remembered; a client has one, and more only where a server redirects it."""

_VCR_LOCK = ProcessLock()


class CurrentDeadline(threading.local):
    """The deadline of the request that this thread is sending."""

    deadline: HeaderDeadline | None = None


CURRENT = CurrentDeadline()


def _is_not_ours(_: logging.LogRecord) -> bool:
    """Keep urllib3 from quoting broken headers, with a traceback, while a request of ours is sent."""
    return CURRENT.deadline is None


logging.getLogger("urllib3.connection").addFilter(_is_not_ours)


class _LockedPool(HTTPConnectionPool):
    """Tells the deadline of the current request which connection it got."""

    def _get_conn(self, timeout: float | None = None) -> Theirs:
        with _VCR_LOCK.held:
            connection = super()._get_conn(timeout)  # closes one on whose socket anything has arrived
        sock = getattr(connection, "sock", None)
        if sock is not None and getattr(sock, "pending", int)():  # or in the buffer of TLS
            connection.close()
        deadline = CURRENT.deadline
        if deadline is not None:
            deadline.connection = connection
            deadline.reused = getattr(connection, "sock", None) is not None
        return connection

    def _validate_conn(self, conn: Theirs) -> None:
        """Connect, and send nothing where the request was ended meanwhile: there was no socket to be shut down."""
        super()._validate_conn(conn)
        deadline = CURRENT.deadline
        if deadline is not None and not deadline.reused:
            if conn.sock is None:  # urllib3 leaves it to the sending
                conn.connect()
            if deadline.expired:
                conn.close()
                deadline.connected = False  # for all that the server knows
                raise TimeoutError


class _LockedTLSPool(_LockedPool, HTTPSConnectionPool):
    """The same for https, and it tells when the handshakes are over, with a proxy too."""

    def _get_conn(self, timeout: float | None = None) -> Theirs:
        connection = super()._get_conn(timeout)
        if CURRENT.deadline is not None:
            CURRENT.deadline.connected = CURRENT.deadline.reused
        return connection

    def _validate_conn(self, conn: Theirs) -> None:
        super()._validate_conn(conn)
        if CURRENT.deadline is not None:
            CURRENT.deadline.connected = True


_POOLS = {"http": _LockedPool, "https": _LockedTLSPool}


@lru_cache(maxsize=1)
def _socks_pools() -> dict[str, Any]:
    """Return our pools over urllib3's connections through SOCKS."""
    from urllib3.contrib import socks  # noqa: PLC0415 - needs PySocks, of the extra `socks`

    class SocksPool(_LockedPool):
        ConnectionCls = socks.SOCKSConnection

    class SocksTLSPool(_LockedTLSPool):
        ConnectionCls = socks.SOCKSHTTPSConnection

    return {"http": SocksPool, "https": SocksTLSPool}


class _Route(NamedTuple):
    """How a URL is reached."""

    pool: Theirs
    target: str
    """What stands in the request line: the path, or the complete URL for a proxy."""


class Adapter(HTTPAdapter):
    """requests' adapter with our pools and one TLS context. `send` returns urllib3's reply.

    What its methods are told of proxies and certificates isn't looked at: the environment decides.

    Without a `Session` around it there is no netrc lookup that replaces the key, no cookie is
    stored or sent, and no redirect is followed.
    """

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        super().__init__(pool_connections=16, pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Theirs, **kwargs: Theirs) -> None:
        """See `HTTPAdapter`."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Theirs) -> Theirs:
        """See `HTTPAdapter`."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _socks_pools() if proxy.startswith("socks") else _POOLS
        return manager

    def build_connection_pool_key_attributes(self, request: Theirs, *_: Theirs, **__: Theirs) -> Theirs:
        """Return what tells pools apart: the origin, and our TLS context."""
        parts = urlsplit(request.url)
        tls = {"ssl_context": ssl_context()} if parts.scheme == "https" else {}
        return {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}, tls

    def cert_verify(self, *_: Theirs, **__: Theirs) -> None:
        """Do nothing: the context verifies, and setting `ca_certs` would load them again."""

    def get_connection_with_tls_context(self, request: Theirs, *_: Theirs, **__: Theirs) -> Theirs:
        """Return the pool of a URL."""
        return (self._routes.get(request.url) or self._find_route(request)).pool

    def request_url(self, request: Theirs, *_: Theirs) -> str:
        """Return what stands in the request line."""
        return (self._routes.get(request.url) or self._find_route(request)).target

    def _find_route(self, request: Theirs) -> _Route:
        """Find the way to a URL, and remember it."""
        parts = urlsplit(request.url)
        proxy = proxy_for(request.url)
        if proxy is not None and proxy.is_socks and find_spec("socks") is None:
            raise socks_missing(proxy)
        proxies = {parts.scheme: proxy.url} if proxy else {}
        pool = super().get_connection_with_tls_context(request, verify=True, proxies=proxies)
        path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        by_proxy = proxy is not None and parts.scheme == "http" and not proxy.is_socks
        route = _Route(pool, request.url if by_proxy else path)
        if len(self._routes) >= ROUTES:
            self._routes.clear()
        self._routes[request.url] = route
        return route

    def close(self) -> None:
        """Close every idle connection; urllib3 leaves that to the garbage collector."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - urllib3's container can't be iterated
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()

    def build_response(self, req: Theirs, resp: Theirs) -> Theirs:
        """Return urllib3's reply as it is; requests' own around one from no pool, which a tool has made up."""
        return resp if getattr(resp, "_pool", None) is not None else super().build_response(req, resp)

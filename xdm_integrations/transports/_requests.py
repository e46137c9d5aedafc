"""The blocking transport, over requests.

What is changed in requests, and why (each measured; `tests/transports` proves them):

- Requests are prepared by hand and sent by the adapter, without a `Session`: no netrc lookup
  that replaces the key, no cookies, no redirects, and half the cost.
- `_get_conn` runs under one lock, because vcrpy un-patches classes globally while it makes a
  connection: a replay from several threads would reach the network (vcrpy #849).
- One TLS context is shared; requests loads the CA bundle for every connection.
- Bodies are read by `read1`, which alone returns bytes as they arrive in every framing.
- A forked child gets connections of its own; shared ones would swap replies.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from xdm_integrations.core.errors import APIConnectionError, APIResponseError, APITimeoutError, XDMError
from xdm_integrations.core.flow import time_is_up
from xdm_integrations.core.wire import Limits, Reply, Request

from .environment import proxy_for, ssl_context
from .watchdog import WATCHDOG, Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 65536
DRAIN_READS = 2
DRAIN_SECONDS = 0.1
POOL_SIZE = 64
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)
_VCR_LOCK = threading.Lock()
_current = threading.local()


class _LockedPool(HTTPConnectionPool):
    """A pool that tells the alarm of the current request which connection it got."""

    def _get_conn(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - urllib3's or a stub
        with _VCR_LOCK:
            connection = super()._get_conn(timeout)
        alarm: Alarm | None = getattr(_current, "alarm", None)
        if alarm is not None:
            alarm.connection = connection
            alarm.reused = getattr(connection, "sock", None) is not None
        return connection


class _LockedTLSPool(_LockedPool, HTTPSConnectionPool):
    """The same for https."""


_POOLS = {"http": _LockedPool, "https": _LockedTLSPool}


class _Adapter(HTTPAdapter):
    """requests' adapter with our pools, one TLS context, and neither cookies nor re-resolution."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        super().__init__(pool_connections=16, pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's manager
        manager = super().proxy_manager_for(proxy, **kwargs)  # type: ignore[no-untyped-call]
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(
        self,
        request: Any,  # noqa: ANN401 - a PreparedRequest
        verify: Any,  # noqa: ANN401, ARG002 - the environment decides
        cert: Any = None,  # noqa: ANN401, ARG002 - the environment decides
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        parts = urlsplit(request.url)
        tls = {"ssl_context": ssl_context()} if parts.scheme == "https" else {}
        return {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}, tls

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401
        """Do nothing: the context verifies, and setting `ca_certs` would load them again."""

    def get_connection_with_tls_context(
        self,
        request: Any,  # noqa: ANN401 - a PreparedRequest
        verify: Any,  # noqa: ANN401 - passed on
        proxies: Any = None,  # noqa: ANN401, ARG002 - the environment decides
        cert: Any = None,  # noqa: ANN401 - passed on
    ) -> Any:  # noqa: ANN401 - urllib3's pool
        pool = self._found.get(request.url)
        if pool is None:
            proxy = proxy_for(request.url)
            proxies = {urlsplit(request.url).scheme: proxy} if proxy else {}
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._found[request.url] = pool
        return pool

    def request_url(self, request: Any, proxies: Any) -> str:  # noqa: ANN401, ARG002 - the environment decides
        parts = urlsplit(request.url)
        if parts.scheme == "http" and proxy_for(request.url):
            return str(request.url)
        return (parts.path or "/") + ("?" + parts.query if parts.query else "")

    def build_response(self, req: Any, resp: Any) -> Any:  # noqa: ANN401, ARG002 - urllib3's reply, as it is
        return resp


class RequestsTransport:
    """Blocking HTTP. Threads may share it; `close` leaves it usable."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._adapter: _Adapter | None = None
        self._owner = 0

    def send(self, request: Request) -> Reply:
        """See `Transport.send`."""
        adapter = self._adapter
        if adapter is None or self._owner != os.getpid():
            adapter = self._open()
        prepared: Any = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        prepared.body = request.body
        prepared.headers = dict(request.headers)
        if request.body is not None:
            prepared.headers["Content-Length"] = str(len(request.body))
        clock = _Clock(request)
        alarm = WATCHDOG.set(clock.headers())
        _current.alarm = alarm
        try:
            raw: Any = adapter.send(prepared, stream=True, timeout=clock.pair(), proxies=None)
        except _FAILURES as error:
            alarm.off = True
            clock.failed(error, alarm)
        finally:
            alarm.off = True
            _current.alarm = None
        body = _OpenBody(raw, clock)
        if alarm.rang:
            body.close()
            clock.failed(OSError("headers came too slowly"), alarm)
        headers = {name.lower(): value for name, value in raw.headers.items()}
        status = raw.status
        if status < 200:  # noqa: PLR2004 - an interim reply, whose final one http.client can't read
            body.close()
            raise APIConnectionError(f"{_host(request)} sent an interim reply ({status}) that can't be followed.")
        if request.streaming and status < 300:  # noqa: PLR2004 - 2xx
            return Reply(status, headers, b"", body)
        return Reply(status, headers, body.read_all(self._limits.body))

    def sleep(self, seconds: float) -> None:
        """See `Transport.sleep`."""
        time.sleep(seconds)

    def close(self) -> None:
        """See `Transport.close`."""
        with self._lock:
            adapter, self._adapter = self._adapter, None
        if adapter is not None and self._owner == os.getpid():
            adapter.close()  # type: ignore[no-untyped-call]

    def _open(self) -> _Adapter:
        with self._lock:
            if self._adapter is None or self._owner != os.getpid():
                self._adapter = _Adapter()
                self._owner = os.getpid()
            return self._adapter


class _Clock:
    """The limits of one request, in seconds, and what their passing means."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def remaining(self, limit: float | None) -> float | None:
        """Return `limit`, or less where the deadline of the call is nearer."""
        deadline = self._request.deadline
        if deadline is None:
            return limit
        left = deadline - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left if limit is None else min(limit, left)

    def pair(self) -> tuple[float | None, float | None]:
        """Return the limits for connecting and for one read."""
        timeout = self._request.timeout
        return self.remaining(timeout.connect), self.remaining(timeout.read)

    def read(self, within: float | None) -> float | None:
        """Return the limit for one read of the body."""
        limit = self._request.timeout.read
        if within is not None:
            limit = within if limit is None else min(limit, within)
        return self.remaining(limit)

    def headers(self) -> float:
        """Return the limit for everything up to the end of the headers."""
        connect, read, _ = self._request.timeout
        whole = self.remaining((connect or 3600.0) + read if read is not None else None)
        return 86400.0 if whole is None else whole

    def passed(self) -> APITimeoutError:
        """Return the error for a limit that has passed."""
        timeout, deadline = self._request.timeout, self._request.deadline
        if deadline is not None and time.monotonic() >= deadline - 0.01:
            return time_is_up("total", timeout.total or 0.0)
        return time_is_up("read", timeout.read or 0.0)

    def failed(self, error: BaseException, alarm: Alarm | None = None) -> NoReturn:
        """Raise our own error for one of requests, urllib3 or the socket."""
        raise _own_error(error, self._request, alarm, self.passed) from error


class _OpenBody:
    """The open body of a reply. Closing it early closes the connection."""

    __slots__ = ("_clock", "_limit", "_raw", "_sock")

    def __init__(self, raw: Any, clock: _Clock) -> None:  # noqa: ANN401 - urllib3's reply or a stub
        raw.decode_content = True
        self._raw = raw
        self._clock = clock
        self._sock = getattr(getattr(raw, "_connection", None), "sock", None)
        self._limit: float | None = -1.0

    def read(self, within: float | None = None) -> bytes:
        try:
            limit = self._clock.read(within)
            if limit != self._limit and self._sock is not None:
                self._limit = limit
                self._sock.settimeout(limit)
            return self._raw.read1(BLOCK)  # type: ignore[no-any-return] # bytes
        except _FAILURES as error:
            self.close()
            if isinstance(error, XDMError):
                raise
            self._clock.failed(error)
        except BaseException:  # Ctrl-C, and whatever a signal handler raises
            self.close()
            raise

    def read_all(self, limit: int) -> bytes:
        """Read to the end and give the connection back."""
        blocks: list[bytes] = []
        size = 0
        while True:
            block = self.read()
            if not block:
                return b"".join(blocks) if len(blocks) != 1 else blocks[0]
            blocks.append(block)
            size += len(block)
            if size > limit:
                self.close()
                raise APIResponseError(
                    f"The server sent a body of more than {limit:,} bytes; raise `limits.body` if you expect that."
                )

    def drain(self) -> None:
        try:
            if self._sock is not None:
                self._sock.settimeout(DRAIN_SECONDS / DRAIN_READS)
            for _ in range(DRAIN_READS):
                if not self._raw.read1(BLOCK):
                    return
        except _FAILURES:
            pass  # the answer is whole; only the connection is lost
        self.close()

    def close(self) -> None:
        with suppress(*_FAILURES):
            self._raw.close()


def _own_error(
    error: BaseException, request: Request, alarm: Alarm | None, passed: Callable[[], APITimeoutError]
) -> APIConnectionError:
    host = _host(request)
    reason = _reason(error)
    if (alarm is not None and alarm.rang) or isinstance(reason, (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)):
        return passed()
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.ConnectTimeoutError):
        limit = request.timeout.connect or 0.0
        timeout = APITimeoutError(
            f"Could not connect to {host} within {limit:g} s. Check `base_url`, the network and the proxy settings."
        )
        return timeout
    if isinstance(reason, TimeoutError):
        return passed()
    if isinstance(error, requests.exceptions.SSLError) or isinstance(reason, urllib3.exceptions.SSLError):
        return APIConnectionError(f"TLS to {host} failed: {_words(reason)}", retry=_retry_of_tls(reason))
    if isinstance(reason, (ValueError, requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError)):
        return APIConnectionError(f"The request to {host} can't be sent: {_words(reason)}", retry="never")
    own = APIConnectionError(
        f"No answer from {host}: {_words(reason)}. Check `base_url`, the network and the proxy settings."
    )
    own.stale = bool(alarm and alarm.reused)
    return own


def _retry_of_tls(reason: BaseException) -> Any:  # noqa: ANN401 - a Retry
    return "never" if "certificate" in str(reason).lower() or "hostname" in str(reason).lower() else "backoff"


def _reason(error: BaseException) -> BaseException:
    """Return what lies at the bottom of the wrappers that requests and urllib3 put around it."""
    for _ in range(6):
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner
    return error


def _words(reason: BaseException) -> str:
    text = str(reason)
    return f"{type(reason).__name__}: {text}" if text else type(reason).__name__


def _host(request: Request) -> str:
    return urlsplit(request.url).netloc.rpartition("@")[2]

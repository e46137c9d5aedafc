"""The transport for event loops, over aiohttp.

What it does differently from aiohttp's defaults, and why (`tests/transports` proves each):

- One session per running loop, closed with it; see `sessions`.
- No cookies, no netrc, no redirects; the proxy is looked up once.
- The time for the headers is limited as a whole; aiohttp's limit starts anew at every byte.
"""

from __future__ import annotations

import asyncio
import io
from functools import lru_cache
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from xdm_integrations.core.protocol.wire import Limits, Reply, Request
from xdm_integrations.transports import failures
from xdm_integrations.transports.environment import Proxy, proxy_for, ssl_context

from .body import OpenBody
from .errors import FAILURES, raise_translated
from .sessions import LoopSessions

if TYPE_CHECKING:
    import ssl


LARGE = 2**19
ROUTES = 32
"""URLs remembered; a client has one, and more only where a server redirects it."""


class AiohttpTransport:
    """HTTP from event loops: any number of them, one after the other or at once in threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions = LoopSessions()
        self._routes: dict[str, tuple[URL, Proxy | None, ssl.SSLContext | bool]] = {}

    async def send(self, request: Request) -> Reply:
        """See `Transport.send`."""
        try:
            url, proxy, tls = self._routes.get(request.url) or self._find_route(request.url)
        except ValueError as error:
            raise_translated(error, request, reused=False)
        socks, http = (proxy, None) if proxy is not None and proxy.is_socks else (None, proxy)
        current = self._sessions.known() or await self._sessions.make(socks)
        connect, read, *_ = request.timeout
        limit = current.limits.set(failures.limit_for_headers(request))
        try:
            response = await current.session.request(
                request.method,
                url,
                data=_sendable(request.body),
                headers=request.headers,
                allow_redirects=False,
                proxy=http.address if http is not None else None,  # aiohttp's errors show it
                proxy_headers={"Authorization": http.authorization}
                if http is not None and http.authorization
                else None,
                ssl=tls,
                timeout=_timeout(connect, read),
            )
        except (*FAILURES, asyncio.CancelledError) as error:
            if limit is not None and limit.has_passed():
                raise failures.limit_passed(request) from None
            if isinstance(error, asyncio.CancelledError):
                raise
            raise_translated(error, request, reused=current.used)
        finally:
            current.limits.cancel(limit)
        current.used = True
        headers = {name.lower(): value for name, value in response.headers.items()}
        if len(headers) < len(response.headers):
            headers = {name: ", ".join(response.headers.getall(name)) for name in headers}
        status = response.status
        body = OpenBody(response, request, current.limits, self)
        if request.streaming and 200 <= status < 300:  # noqa: PLR2004 - 2xx
            return Reply(status, headers, b"", body)
        whole = await body.read_all(self._limits.body, refuse=status < 300)  # noqa: PLR2004 - 2xx
        return Reply(status, headers, whole, way="" if status < 400 else failures.way_of(request))  # noqa: PLR2004 - errors

    async def sleep(self, seconds: float) -> None:
        """See `Transport.sleep`."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close the session of this loop; those of other loops close with their loops."""
        await self._sessions.close()

    def __del__(self) -> None:
        """Close what is still open, without a loop if it must be."""
        self._sessions.close_from_outside()

    def _find_route(self, url: str) -> tuple[URL, Proxy | None, ssl.SSLContext | bool]:
        if len(self._routes) >= ROUTES:
            self._routes.clear()
        tls = ssl_context() if url.startswith("https:") else True
        route = self._routes[url] = URL(url, encoded=True), proxy_for(url), tls
        return route


@lru_cache(maxsize=64)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


def _sendable(body: bytes | None) -> bytes | io.BytesIO | None:
    """Return the body in the form for its size: aiohttp warns of large ones that aren't a file."""
    return io.BytesIO(body) if body is not None and len(body) > LARGE else body

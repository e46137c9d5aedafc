"""The transport for event loops, over aiohttp.

What is done differently from aiohttp's defaults, and why (`tests/transports` proves each):

- One session per running loop, since a session dies with its loop. An async generator owns it,
  so that `asyncio.run` closes it with the loop (`shutdown_asyncgens`).
- No limit on connections: queueing for one would count as a timeout; callers bound themselves.
- No cookies, no netrc (`trust_env`), no redirects; the proxy is looked up once.
- The body is read by `readany`, never by line: a long line would raise.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from xdm_integrations.core.errors import APIConnectionError, APIResponseError, APITimeoutError, XDMError
from xdm_integrations.core.flow import time_is_up
from xdm_integrations.core.wire import Limits, Reply, Request

from .environment import proxy_for, ssl_context

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

if sys.version_info >= (3, 11):
    from asyncio import timeout as time_limit
else:
    from async_timeout import timeout as time_limit  # comes with aiohttp before Python 3.11

DRAIN_READS = 2
DRAIN_SECONDS = 0.1
HEADER_SIZE = 65536
_FAILURES = (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError, EOFError, RuntimeError)


class _LoopSession:
    """The session of one loop, and what is remembered with it."""

    __slots__ = ("guard", "session", "used")

    def __init__(self, session: aiohttp.ClientSession, guard: AsyncGenerator[None, None]) -> None:
        self.session = session
        self.guard = guard
        self.used = False


class AiohttpTransport:
    """HTTP from event loops: any number of them, one after the other or at once in threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: dict[asyncio.AbstractEventLoop, _LoopSession] = {}
        self._urls: dict[str, tuple[URL, str | None]] = {}

    async def send(self, request: Request) -> Reply:
        """See `Transport.send`."""
        mine = self._sessions.get(asyncio.get_running_loop()) or await self._open()
        where = self._urls.get(request.url)
        if where is None:
            where = self._urls[request.url] = (URL(request.url, encoded=True), proxy_for(request.url))
        url, proxy = where
        connect, read, _ = request.timeout
        whole = _remaining(request, None if read is None else (connect or 3600.0) + read)
        try:
            async with time_limit(whole):
                response = await mine.session.request(
                    request.method,
                    url,
                    data=request.body,
                    headers=request.headers,
                    allow_redirects=False,
                    proxy=proxy,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
                )
        except _FAILURES as error:
            _fail(error, request, stale=mine.used)
        mine.used = True
        status = response.status
        headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
        body = _OpenBody(response, request)
        if request.streaming and 200 <= status < 300:  # noqa: PLR2004 - 2xx
            return Reply(status, headers, b"", body)
        return Reply(status, headers, await body.read_all(self._limits.body))

    async def sleep(self, seconds: float) -> None:
        """See `Transport.sleep`."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close the session of this loop; those of other loops close with their loops."""
        mine = self._sessions.pop(asyncio.get_running_loop(), None)
        if mine is not None:
            await mine.guard.aclose()

    def __del__(self) -> None:
        """Close what is still open, without a loop if it must be."""
        for loop, mine in list(self._sessions.items()):
            _abandon(loop, mine)

    async def _open(self) -> _LoopSession:
        for loop in [loop for loop in self._sessions if loop.is_closed()]:
            _abandon(loop, self._sessions.pop(loop))
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=True,
            max_line_size=HEADER_SIZE,
            max_field_size=HEADER_SIZE,
        )
        loop = asyncio.get_running_loop()
        guard = _own(session, self._sessions, loop)
        await anext(guard)
        mine = self._sessions[loop] = _LoopSession(session, guard)
        return mine


async def _own(
    session: aiohttp.ClientSession,
    sessions: dict[asyncio.AbstractEventLoop, _LoopSession],
    loop: asyncio.AbstractEventLoop,
) -> AsyncGenerator[None, None]:
    """Own a session: the loop closes its async generators when it ends, and so the session."""
    try:
        yield
    finally:
        sessions.pop(loop, None)
        await session.close()


def _abandon(loop: asyncio.AbstractEventLoop, mine: _LoopSession) -> None:
    """Close a session from outside its loop."""
    if loop.is_running():
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(lambda: loop.create_task(mine.session.close()))
            return
    connector = mine.session.connector
    if connector is not None and not connector.closed:
        for connections in list(getattr(connector, "_conns", {}).values()):
            for connection in connections:
                transport = getattr(connection[0], "transport", None)
                sock = transport.get_extra_info("socket") if transport is not None else None
                with suppress(OSError, RuntimeError, AttributeError):
                    if loop.is_closed():
                        sock._sock.close()  # noqa: SLF001 - asyncio's wrapper has no close of its own
                    else:
                        transport.abort()
        getattr(connector, "_conns", {}).clear()
        with suppress(RuntimeError):
            connector._closed = True  # noqa: SLF001 - closing needs the loop, which is gone
    mine.session.detach()


class _OpenBody:
    """The open body of a reply. Closing it early closes the connection."""

    __slots__ = ("_content", "_request", "_response")

    def __init__(self, response: aiohttp.ClientResponse, request: Request) -> None:
        self._response = response
        self._content = response.content
        self._request = request

    async def read(self, within: float | None = None) -> bytes:
        try:
            if within is None and self._request.deadline is None:
                return await self._content.readany()
            async with time_limit(_remaining(self._request, within)):
                return await self._content.readany()
        except _FAILURES as error:
            self.close()
            if isinstance(error, XDMError):
                raise
            _fail(error, self._request)
        except BaseException:  # cancelled
            self.close()
            raise

    async def read_all(self, limit: int) -> bytes:
        """Read to the end and give the connection back."""
        blocks: list[bytes] = []
        size = 0
        while True:
            block = await self.read()
            if not block:
                return b"".join(blocks) if len(blocks) != 1 else blocks[0]
            blocks.append(block)
            size += len(block)
            if size > limit:
                self.close()
                raise APIResponseError(
                    f"The server sent a body of more than {limit:,} bytes; raise `limits.body` if you expect that."
                )

    async def drain(self) -> None:
        try:
            async with time_limit(DRAIN_SECONDS):
                for _ in range(DRAIN_READS):
                    if not await self._content.readany():
                        self._response.release()
                        return
        except _FAILURES:
            pass  # the answer is whole; only the connection is lost
        self.close()

    def close(self) -> None:
        self._response.close()


def _remaining(request: Request, limit: float | None) -> float | None:
    if request.deadline is None:
        return limit
    left = request.deadline - time.monotonic()
    if left <= 0:
        raise time_is_up("total", request.timeout.total or 0.0)
    return left if limit is None else min(limit, left)


def _fail(error: BaseException, request: Request, *, stale: bool = False) -> NoReturn:
    """Raise our own error for one of aiohttp or the socket."""
    raise _own_error(error, request, stale=stale) from error


def _own_error(error: BaseException, request: Request, *, stale: bool) -> XDMError:
    if isinstance(error, XDMError):
        return error
    host = urlsplit(request.url).netloc.rpartition("@")[2]
    if isinstance(error, (aiohttp.ConnectionTimeoutError)):
        limit = request.timeout.connect or 0.0
        return APITimeoutError(
            f"Could not connect to {host} within {limit:g} s. Check `base_url`, the network and the proxy settings."
        )
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        deadline = request.deadline
        if deadline is not None and time.monotonic() >= deadline - 0.01:
            return time_is_up("total", request.timeout.total or 0.0)
        return time_is_up("read", request.timeout.read or 0.0)
    if isinstance(error, aiohttp.ClientSSLError):
        certificate = isinstance(error, aiohttp.ClientConnectorCertificateError)
        retry: Any = "never" if certificate or "certificate" in str(error).lower() else "backoff"
        return APIConnectionError(f"TLS to {host} failed: {_words(error)}", retry=retry)
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return APIConnectionError(f"The request to {host} can't be sent: {_words(error)}", retry="never")
    own = APIConnectionError(
        f"No answer from {host}: {_words(error)}. Check `base_url`, the network and the proxy settings."
    )
    own.stale = stale
    return own


def _words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

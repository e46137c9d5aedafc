"""One aiohttp session per event loop, closed with its loop.

A session dies with the loop that made it, and one client may meet many loops: a script that
calls `asyncio.run` again and again, threads with loops of their own, a notebook. An async
generator owns each session, because a loop that ends closes its async generators
(`shutdown_asyncgens`, which `asyncio.run` calls), and so nobody has to think of `aclose`.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import aiohttp

from xdm_integrations.transports.environment import socks_missing

from .connector import Connector
from .deadlines import LoopLimits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from xdm_integrations.transports.environment import Proxy

HEADER_SIZE = 65536
"""Bytes of a header line; aiohttp's own 8190 are less than some gateways send."""
KEEP_ALIVE = 60.0
"""Seconds an idle connection is kept: longer than a person reads, shorter than servers wait (75 s)."""


_open_sessions: set[LoopSession] = set()
"""Keeps each session until it is closed. Else the collector might meet it before its transport, where an error that
left `run_until_complete` holds both in a cycle, and aiohttp would warn that nobody has closed it."""


@atexit.register
def _close_at_exit() -> None:
    """Close what is open when the program ends: a loop that was never closed doesn't, and aiohttp would warn."""
    for found in list(_open_sessions):
        found.close_from_outside()


class LoopSession:
    """The session of one loop, and what is remembered with it.

    Attributes:
        session: aiohttp's session.
        guard: What closes it when the loop ends.
        limits: The limits of the requests that are being sent.
        used: True once a request has been answered, so that a connection may be a reused one.
    """

    __slots__ = ("_loop", "_process", "guard", "limits", "session", "used")

    def __init__(self, session: aiohttp.ClientSession, guard: AsyncGenerator[None, None]) -> None:
        self.session = session
        self.guard = guard
        self._loop = asyncio.get_running_loop()
        self.limits = LoopLimits(self._loop)
        self.used = False
        self._process = os.getpid()

    def close_from_outside(self) -> None:
        """Close the session from outside its loop, which may be closed already."""
        loop = self._loop
        _open_sessions.discard(self)
        connector: Any = self.session.connector
        if connector is None or connector.closed:
            return
        if self._process != os.getpid():  # the sockets, and the loop's selector, are the parent's
            connector._closed = True  # noqa: SLF001 - see below
            self._detach()
            return
        if loop.is_running():
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(_close_soon, self)
                return
        idle = getattr(connector, "_conns", {})
        for protocol in [entry[0] for entries in list(idle.values()) for entry in entries]:
            with suppress(OSError, RuntimeError, AttributeError):
                _drop(protocol.transport, loop)
        idle.clear()
        connector._closed = True  # noqa: SLF001 - closing it needs the loop, which is gone
        self._detach()

    def _detach(self) -> None:
        """Let go of the session, and end its guard here: the loop would only plan that, and may never run again."""
        self.session.detach()  # so that the guard finds nothing to wait for
        with suppress(StopIteration, RuntimeError):  # its end, or its loop is ending it in another thread
            self.guard.aclose().send(None)


class LoopSessions:
    """The sessions of one client, by loop."""

    def __init__(self) -> None:
        self._by_loop: dict[asyncio.AbstractEventLoop, LoopSession] = {}

    def known(self) -> LoopSession | None:
        """Return the session of the running loop, or None if it has none yet."""
        return self._by_loop.get(asyncio.get_running_loop())

    async def make(self, socks: Proxy | None) -> LoopSession:
        """Make the session of the running loop, which has none yet; it goes by way of `socks`."""
        loop = asyncio.get_running_loop()
        for other in [other for other in list(self._by_loop) if other.is_closed()]:
            forgotten = self._by_loop.pop(other, None)
            if forgotten is not None:
                forgotten.close_from_outside()
        session = aiohttp.ClientSession(
            # No limit: waiting for a connection would count as a timeout. Callers bound themselves.
            connector=_connector(socks, limit=0, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # netrc would meet the key; proxies are looked up in `environment`
            max_line_size=HEADER_SIZE,
            max_field_size=HEADER_SIZE,
        )
        guard = _own(session, self._by_loop, loop)
        made = self._by_loop[loop] = LoopSession(session, guard)
        _open_sessions.add(made)
        await anext(guard)
        return made

    async def close(self) -> None:
        """Close the session of the running loop; those of other loops close with them."""
        found = self._by_loop.pop(asyncio.get_running_loop(), None)
        if found is not None:
            _open_sessions.discard(found)
            await found.guard.aclose()

    def close_from_outside(self) -> None:
        """Close every session, from wherever this is called."""
        while self._by_loop:
            self._by_loop.popitem()[1].close_from_outside()


def _connector(socks: Proxy | None, **settings: Any) -> aiohttp.BaseConnector:
    if socks is None:
        return Connector(**settings)
    if find_spec("aiohttp_socks") is None:
        raise socks_missing(socks)
    from .socks import SocksConnector  # noqa: PLC0415 - needs the extra `socks`

    return SocksConnector(socks.url, **settings)


async def _own(
    session: aiohttp.ClientSession,
    sessions: dict[asyncio.AbstractEventLoop, LoopSession],
    loop: asyncio.AbstractEventLoop,
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        known = sessions.pop(loop, None)
        if known is not None:
            _open_sessions.discard(known)
        await session.close()


def _drop(transport: Any, loop: Any) -> None:  # noqa: ANN401 - asyncio's or uvloop's
    """Close an idle connection whose loop doesn't run; an orderly close would need it to."""
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
    sock = getattr(inner, "_sock", None)
    if sock is None:
        transport.abort()
        return
    if not loop.is_closed():
        loop._remove_reader(sock.fileno())  # noqa: SLF001 - the public one refuses the socket of a transport
    inner._sock = None  # noqa: SLF001 - a transport that still has one warns when it is collected
    inner._closing = True  # noqa: SLF001 - or the loop refuses the next socket that gets this number
    sock.close()


def _close_soon(found: LoopSession) -> None:
    """Close a session in its running loop. The loop holds the task only weakly, so this does."""
    task = asyncio.ensure_future(_close(found))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _close(found: LoopSession) -> None:
    await found.session.close()  # before the guard, which then has nothing to wait for: the loop may be ending it too
    with suppress(RuntimeError):  # the loop is
        await found.guard.aclose()


_closing: set[asyncio.Future[None]] = set()

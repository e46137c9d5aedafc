"""The body of a reply that aiohttp brings: read until it ends, or given up.

It is read by `readany`, never by line: a long line would raise.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp

from xdm_integrations.core.protocol.wire import ERROR_BODY
from xdm_integrations.transports import failures

from .errors import FAILURES, raise_translated

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.wire import Request

    from .deadlines import LoopLimits

if sys.version_info >= (3, 11):
    from asyncio import timeout as time_limit
else:
    from async_timeout import timeout as time_limit  # comes with aiohttp before Python 3.11

DRAIN_READS = 2
DRAIN_SECONDS = 0.1


class OpenBody:
    """The open body of a reply. Closing it early closes the connection."""

    __slots__ = ("_content", "_limits", "_process", "_request", "_response", "_transport")

    def __init__(
        self, response: aiohttp.ClientResponse, request: Request, limits: LoopLimits, transport: object
    ) -> None:
        self._response = response
        self._content = response.content
        self._request = request
        self._limits = limits
        self._transport = transport  # dropping it closes every connection, so not before this is done
        self._process = os.getpid()
        response._request_info = None  # type: ignore[assignment] # noqa: SLF001 - it shows the key to whoever prints it
        _take_over_waiting(response)

    async def read(self, within: float | None = None) -> bytes:
        """See `Body.read`."""
        limit = None
        try:
            seconds = self._request.timeout.read
            if within is not None:
                seconds = within if seconds is None else min(seconds, within)
            if self._request.deadline is not None:
                seconds = failures.time_left(self._request, seconds)
            limit = self._limits.set(seconds)
            return await self._content.readany()
        except (*FAILURES, asyncio.CancelledError) as error:
            passed = limit is not None and limit.has_passed()
            if isinstance(error, asyncio.CancelledError) and not passed:
                self.close()
                raise
            arrived = self._unread()
            self.close()
            if arrived:
                return arrived  # the error comes with the next read
            if passed:
                raise failures.limit_passed(self._request) from None
            raise_translated(error, self._request)
        except BaseException:
            self.close()
            raise
        finally:
            self._limits.cancel(limit)

    def _unread(self) -> bytes:
        """Return what had arrived before the connection failed: aiohttp raises without giving it out."""
        take = getattr(self._content, "_read_nowait", None)
        try:
            return take(-1) if take is not None else b""
        except FAILURES:
            return b""

    async def read_all(self, limit: int, *, refuse: bool) -> bytes:
        """Read to the end and give the connection back.

        Args:
            limit: The most bytes of an answer.
            refuse: Raise at a body that is longer. Otherwise it is an error's: its beginning is returned.
        """
        if not refuse:
            limit = min(limit, ERROR_BODY)
        content = self._content
        blocks: list[bytes] = []
        size = 0
        if content.is_eof() and content.exception() is None:  # it came with the headers: nothing to wait for
            blocks.append(content.read_nowait(-1))
            size = len(blocks[0])
        while size <= limit and not content.at_eof() and (block := await self.read()):
            blocks.append(block)
            size += len(block)
        if size > limit:
            self.close()
            if refuse:
                blocks.clear()  # the traceback would hold them
                raise failures.too_large(limit)
        return blocks[0][:limit] if len(blocks) == 1 else b"".join(blocks)[:limit]

    async def drain(self) -> None:
        """See `Body.drain`."""
        if self._content.at_eof() and self._content.exception() is None:  # as mostly: the end came with the last event
            self._response.release()
            return
        try:
            async with time_limit(DRAIN_SECONDS):
                for _ in range(DRAIN_READS):
                    if not await self._content.readany():
                        self._response.release()
                        return
        except FAILURES:
            pass  # the answer is complete; only the connection is lost
        except BaseException:  # cancelled
            self.close()
            raise
        self.close()

    def close(self) -> None:
        """See `Body.close`."""
        if self._process != os.getpid():
            _leave_to_parent(self._response)
            return
        self._response.close()
        connection = self._response.connection
        if connection is not None:  # aiohttp leaves it alone where the loop is closed, and warns of it later
            with suppress(RuntimeError):
                connection.close()


def _take_over_waiting(response: aiohttp.ClientResponse) -> None:
    """Wake the reader of a body when its connection is lost, and never while nobody reads.

    aiohttp's parser in C closes the connection at broken framing, but tells nobody who waits for the
    body; and aiohttp's limit for one wait runs on while the reader does something else.
    """
    content = response.content
    if content.is_eof():
        return
    connection = response.connection
    protocol = connection.protocol if connection is not None else None  # None in a recording
    if protocol is None:
        return
    protocol.read_timeout = None
    protocol.start_timeout()  # which stops it

    def lost(closed: asyncio.Future[None] | None) -> None:
        if closed is not None and not closed.cancelled():
            closed.exception()  # asyncio reports errors that nobody looks at
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the body was cut off, or its framing is broken"))

    closed: Any = getattr(protocol, "closed", False)  # False: this aiohttp can't tell
    if closed is None:
        lost(None)  # it is gone already
    elif closed:
        closed.add_done_callback(lost)
        content.on_eof(lambda: closed.remove_done_callback(lost))  # the connection may serve many bodies


def _leave_to_parent(response: Any) -> None:  # noqa: ANN401 - its insides
    """Forget a reply in a forked child: its socket and the loop's selector are the parent's too."""
    connection = response.connection
    response._closed = True  # noqa: SLF001 - or it warns when it is collected, and closes
    response._connection = None  # noqa: SLF001 - as above
    if connection is not None:
        connection._protocol = None  # noqa: SLF001 - as above

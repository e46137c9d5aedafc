"""The blocking transport, over requests.

What it does differently from requests, and why (`tests/transports` proves them):

- Requests are prepared by hand and sent by the adapter, without a `Session`; see `connections`.
- Bodies are read as they arrive; `iter_lines` waits for the end of those that aren't chunked.
- Headers that drip in are ended; see `header_deadline`.
- A forked child gets connections of its own; shared ones would swap replies.
"""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import requests

from xdm_integrations.core.errors.tree import APIConnectionError, XDMError
from xdm_integrations.core.protocol.wire import ERROR_BODY, Limits, Reply, Request
from xdm_integrations.transports import failures
from xdm_integrations.transports.locks import ProcessLock

from .chunked import Dechunker
from .connections import CURRENT, Adapter
from .errors import FAILURES, raise_translated
from .header_deadline import DEADLINES, HeaderDeadline

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK = 65536
DRAIN_READS = 2
DRAIN_SECONDS = 0.1
_CLOSED = (*FAILURES, AttributeError)  # what a reader meets when another thread closes its reply
_TRANSPORT_LOCK = ProcessLock()
"""Held while a transport gets its adapter, so that its threads share one."""


class RequestsTransport:
    """Blocking HTTP. Threads may share it; `close` leaves it usable."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._adapter: Adapter | None = None
        self._owner = 0
        self._sending: dict[int, HeaderDeadline] = {}
        """By the identifier of a thread, what can end the request that it waits for."""
        self._aborted: WeakSet[threading.Thread] = WeakSet()

    def send(self, request: Request) -> Reply:
        """See `Transport.send`."""
        try:
            return self._send(request)
        finally:
            self._sending.pop(threading.get_ident(), None)

    def _send(self, request: Request) -> Reply:
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
        connect, read, *_ = request.timeout
        limits: Any = connect, read
        for_headers = None if connect is None or read is None else connect + read
        if request.deadline is not None:
            limits = failures.time_left(request, connect), failures.time_left(request, read)
            for_headers = failures.time_left(request, for_headers)
        deadline = CURRENT.deadline = DEADLINES.set(for_headers)
        self._sending[threading.get_ident()] = deadline
        try:
            if self._aborted:
                self._refuse_aborted()  # first `_sending`, then this: `abort` may come in between
            raw: Any = adapter.send(prepared, stream=True, timeout=limits)
        except FAILURES as error:
            raise_translated(error, request, deadline)
        finally:
            CURRENT.deadline = None
            DEADLINES.cancel(deadline)
        # A tool that stands in the place of `HTTPAdapter.send` returns a reply of requests.
        raw = raw.raw if isinstance(raw, requests.Response) else raw
        status = raw.status
        body = _OpenBody(raw, request)
        if deadline.expired or status < 200:  # noqa: PLR2004 - 1xx
            body.close()
            if deadline.expired:
                raise failures.limit_passed(request)
            raise APIConnectionError(  # the final reply follows, but http.client takes the interim one for it
                f"{failures.host_of(request)} sent an interim reply ({status}) that can't be followed."
            )
        headers: dict[str, str] = {}
        for name, value in raw.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        if request.streaming and status < 300:  # noqa: PLR2004 - 2xx
            return Reply(status, headers, b"", body)
        whole = body.read_all(self._limits.body, refuse=status < 300)  # noqa: PLR2004 - 2xx
        return Reply(status, headers, whole, way="" if status < 400 else failures.way_of(request))  # noqa: PLR2004 - errors

    def sleep(self, seconds: float) -> None:
        """See `Transport.sleep`."""
        self._refuse_aborted()
        time.sleep(seconds)
        self._refuse_aborted()

    def abort(self, threads: Iterable[threading.Thread]) -> None:
        """See `Transport.abort`."""
        for thread in threads:
            self._aborted.add(thread)  # first this, then the look at what it sends: it may be about to begin
            # Another thread may have got the identifier of one that has ended.
            sending = self._sending.get(thread.ident or 0) if thread.is_alive() else None
            if sending is not None:
                sending.expire()

    def _refuse_aborted(self) -> None:
        if threading.current_thread() in self._aborted:
            raise failures.Aborted

    def close(self) -> None:
        """See `Transport.close`."""
        with _TRANSPORT_LOCK.held:
            adapter, self._adapter = self._adapter, None
        if adapter is not None and self._owner == os.getpid():
            adapter.close()

    def _open(self) -> Adapter:
        with _TRANSPORT_LOCK.held:
            if self._adapter is None or self._owner != os.getpid():
                self._adapter = Adapter()
                self._owner = os.getpid()
            return self._adapter


class _OpenBody:
    """The open body of a reply. Closing it early closes the connection."""

    __slots__ = ("_closed", "_framed", "_framing", "_limit", "_process", "_raw", "_request", "_sock")

    def __init__(self, raw: Any, request: Request) -> None:  # noqa: ANN401 - urllib3's reply or a stub
        raw.decode_content = True
        self._raw = raw
        self._request = request
        self._closed = False
        self._process = os.getpid()
        self._limit: float | None = -1.0
        self._framed, self._framing = _framed_body(raw)
        connection: Any = getattr(raw, "_connection", None)
        self._sock: Any = getattr(connection, "sock", None)
        if self._framed is None and self._sock is not None and isinstance(getattr(raw, "_fp", None), HTTPResponse):
            # http.client forgets what it has read beyond the end: the connection ends with this body, by the
            # means of "Connection: close". The reply holds the socket too, until it is read.
            connection.sock = None
            self._sock.close()
        elif self._sock is None:
            # http.client lets go of the socket where the connection ends with the body.
            self._sock = getattr(getattr(getattr(getattr(raw, "_fp", None), "fp", None), "raw", None), "_sock", None)

    def read(self, within: float | None = None) -> bytes:
        try:
            limit = self._request.timeout.read
            if within is not None:
                limit = within if limit is None else min(limit, within)
            if self._request.deadline is not None:
                limit = failures.time_left(self._request, limit)
            if limit != self._limit:
                self._limit_reads(limit)
            block: bytes = self._raw.read1(BLOCK) if self._framed is None else self._unpack(limit)
            if not block and self._closed:  # by another thread: no end that the server has sent
                raise ConnectionAbortedError("closed while it was read")  # noqa: TRY301 - one way for all errors
        except XDMError:
            self.close()
            raise
        except _CLOSED as error:
            self.close()
            raise_translated(error, self._request)
        except BaseException:  # Ctrl-C, and whatever a signal handler raises
            self.close()
            raise
        else:
            return block

    def _unpack(self, limit: float | None) -> bytes:
        """Read what has arrived; `limit` holds even if only the framing drips in."""
        framing = self._framing
        end = None if limit is None else time.monotonic() + limit
        while not framing.ended:
            block = self._framed.read1(BLOCK)
            if not block:
                raise IncompleteRead(b"")
            data: bytes = framing.feed(block)
            if framing.ended:
                self._give_back()
                return data
            if data:
                return data
            if end is not None:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._limit_reads(left)
        return b""

    def _give_back(self) -> None:
        """Return the connection to its pool after the last byte, unless more has come than the body."""
        if self._framing.trailing:
            self._raw.close()
        else:
            self._raw._fp.close()  # noqa: SLF001 - the reply, not the socket; `_framed_body` has looked at it
            self._raw.release_conn()

    def _limit_reads(self, limit: float | None) -> None:
        """Set the socket's timeout, unless the connection serves another request already."""
        if self._sock is not None and getattr(self._raw, "_connection", None) is not None:
            self._limit = limit
            self._sock.settimeout(limit)

    def read_all(self, limit: int, *, refuse: bool) -> bytes:
        """Read to the end and give the connection back.

        A body of more bytes than `limit` is refused; or it is an error's, whose beginning is returned.
        """
        if not refuse:
            limit = min(limit, ERROR_BODY)
        blocks: list[bytes] = []
        size = 0
        while block := self.read():
            blocks.append(block)
            size += len(block)
            if size > limit:
                self.close()
                if not refuse:
                    break
                blocks.clear()  # the traceback would hold them
                raise failures.too_large(limit)
            if self._framed is not None and self._framing.ended:
                break
        return blocks[0][:limit] if len(blocks) == 1 else b"".join(blocks)[:limit]

    def drain(self) -> None:
        try:
            self._limit_reads(DRAIN_SECONDS / DRAIN_READS)
            for _ in range(DRAIN_READS):
                if not (self._raw.read1(BLOCK) if self._framed is None else self._unpack(DRAIN_SECONDS / DRAIN_READS)):
                    return
        except _CLOSED:
            pass  # the answer is complete; only the connection is lost
        self.close()

    def close(self) -> None:
        self._closed = True
        with suppress(*_CLOSED):
            # A forked child shares the connection with its parent, who may be reading still.
            if self._process == os.getpid() and self._raw._connection is not None:  # noqa: SLF001 - it serves nobody else
                self._sock.shutdown(socket.SHUT_RDWR)  # wakes a reader in another thread
        with suppress(*_CLOSED):
            self._raw.close()


def _framed_body(raw: Any) -> tuple[Any, Any]:  # noqa: ANN401 - urllib3's reply or a stub
    """Return the file under an uncompressed body that nobody has read from yet, and its framing; else None twice.

    Whatever isn't exactly as expected of urllib3 and `http.client` (a recording, a later version) is left to `read1`.
    """
    inner = getattr(raw, "_fp", None)
    if type(inner) is not HTTPResponse or type(inner.fp) is not io.BufferedReader:
        return None, None
    if raw.headers.get("content-encoding", "identity").lower() != "identity":
        return None, None
    last_coding = raw.headers.get("transfer-encoding", "").rpartition(",")[2]
    if not inner.chunked and last_coding.strip().lower() == "chunked":
        return inner.fp, Dechunker()  # http.client knows the word only alone, and would wait for the connection's end
    if inner.will_close:
        return None, None
    if inner.chunked:
        return (inner.fp, Dechunker()) if inner.chunk_left is None else (None, None)
    return (inner.fp, _Sized(inner.length)) if inner.length else (None, None)


class _Sized:
    """The framing of a body with Content-Length (RFC 9112, section 6.2); see `Dechunker`.

    `http.client` stops at the length and forgets what its buffer holds beyond it. That is the
    beginning of an answer nobody asked for, so the connection must not be used again.
    """

    __slots__ = ("_left", "ended", "trailing")

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = False
        self.trailing = b""

    def feed(self, block: bytes) -> bytes:
        block, self.trailing = block[: self._left], block[self._left :]
        self._left -= len(block)
        self.ended = not self._left
        return block

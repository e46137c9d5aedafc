r"""Server-sent events from bytes, whatever the slicing (WHATWG HTML, section 9.2).

    >>> decoder = SSEDecoder()
    >>> decoder.feed(b'data: {"text": "Hel')
    []
    >>> decoder.feed(b'lo"}\n\ndata: [DONE]')
    [('', b'{"text": "Hello"}')]
    >>> decoder.close()
    [('', b'[DONE]')]

Beyond the standard: a line that is no field at all (a bare JSON object, HTML) is not dropped
but handed out as an event of kind `BARE`, since gateways send errors that way; an event whose
data is blank is dropped; an event that the end of the stream cut short is handed out by
`close`, for the caller to judge. `id` and `retry` serve reconnection, which a completion must
not do, and are ignored.
"""

from __future__ import annotations

from typing import TypeAlias

from xdm_integrations.core.errors.tree import APIResponseError

from .wire import Limits

BARE = "bare"
_FIELDS = (b"data", b"event", b"id", b"retry")
_BOM = b"\xef\xbb\xbf"


ServerEvent: TypeAlias = tuple[str, bytes]
"""An event: its `event` field ("" if it had none; `BARE` for a line that was no field), and its `data` lines joined
with LF. A plain tuple, since there is one for each token."""


class SSEDecoder:
    """Bytes in, events out. Time is linear in the bytes, memory is bounded by `limits`.

    Attributes:
        failure: Set once a line or an event is longer than the limits allow: nothing is read after it.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        self.failure: APIResponseError | None = None
        self._limits = limits
        self._tail = bytearray()
        """The beginning of a line."""
        self._after_cr = False
        self._first_line = True
        self._kind = ""
        self._data: list[bytes] = []
        """The data lines of an event in a block; where others go before, all are in `_more`, as one."""
        self._more = bytearray()

    def feed(self, block: bytes) -> list[ServerEvent]:
        """Take the next bytes and return the events that they complete, up to a `failure`."""
        if self.failure is not None:
            return []
        if self._after_cr and block:
            self._after_cr = False
            block = block.removeprefix(b"\n")
        if b"\r" in block:
            self._after_cr = block.endswith(b"\r")
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = block.split(b"\n")
        last = lines.pop()
        events = self._take_lines(lines, len(block)) if lines else []
        if last and self.failure is None:
            self._tail += last
            if len(self._tail) > self._limits.line:
                self._fail("line", self._limits.line)
        return events

    def close(self) -> list[ServerEvent]:
        """Return what the end of the stream cut short: nothing, or one last event."""
        if self.failure is not None:
            return []
        last = bytes(self._tail)
        self._tail.clear()
        if self._first_line:
            last = last.removeprefix(_BOM)
        return self._take([last, b""] if last else [b""])

    def _take_lines(self, lines: list[bytes], size: int) -> list[ServerEvent]:
        """Take complete lines of `size` bytes, of which the first ends the one that was kept."""
        if self._tail:
            size += len(self._tail)
            lines[0] = b"".join((self._tail, lines[0]))
            self._tail.clear()
        if size > self._limits.line:
            for i, line in enumerate(lines):
                if len(line) > self._limits.line:
                    self._fail("line", self._limits.line)
                    del lines[i:]
                    break
        if self._first_line and lines:
            self._first_line = False
            lines[0] = lines[0].removeprefix(_BOM)
        return self._take(lines)

    def _take(self, lines: list[bytes]) -> list[ServerEvent]:
        events: list[ServerEvent] = []
        data, limit = self._data, self._limits.event
        for line in lines:
            if line.startswith(b"data: "):
                data.append(line[6:])
            elif line:
                self._field(line, events)
            else:
                if data or self._more:
                    joined = data[0] if len(data) == 1 and not self._more else self._joined()
                    if len(joined) > limit:
                        break  # and refused below
                    if joined and not joined.isspace():
                        events.append((self._kind, joined))
                    data.clear()
                    self._more.clear()
                self._kind = ""
        if data and (self._more or len(data) > 1):
            if self._more:
                self._more += b"\n"
            self._more += b"\n".join(data)
            data.clear()
        if len(data[0] if data else self._more) > limit:
            self._fail("event", limit)
        return events

    def _joined(self) -> bytes:
        """Return the data lines so far as one."""
        return b"\n".join([self._more, *self._data] if self._more else self._data)

    def _field(self, line: bytes, events: list[ServerEvent]) -> None:
        """Take a line that isn't the common `data: ...`."""
        name, _, value = line.partition(b":")
        if not name:  # a comment
            return
        if name not in _FIELDS:
            events.append((BARE, line))
            return
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")

    def _fail(self, what: str, limit: int) -> None:
        self.failure = APIResponseError(
            f"The server sent a stream with a {what} of more than {limit:,} bytes; raise "
            f"`limits.{what}` if you expect that much."
        )

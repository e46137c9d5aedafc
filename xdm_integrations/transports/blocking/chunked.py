"""The chunked framing of HTTP/1.1 bodies (RFC 9112, section 7.1): framed bytes in, the body out.

`http.client` unpacks one chunk per call; a fast stream holds a token per chunk, so that the unpacking
costs more than everything else. Here a block is unpacked in one go.
"""

from __future__ import annotations

from http.client import HTTPException

LONGEST_LINE = 65536
KEPT_SIZES, KEPT_LINE = 256, 16
"""The tokens of a stream have few different sizes, so that these are parsed once."""
_DATA, _DATA_END, _SIZE, _TRAILER = range(4)


class BadChunkError(HTTPException):
    """The framing is broken; what follows can't be told from it."""


class Dechunker:
    """Takes the blocks of a chunked body, in any slicing.

    Attributes:
        ended: True once the last chunk and its trailer have come.
        trailing: Bytes that came after the end: nobody asked for them.
    """

    __slots__ = ("_left", "_sizes", "_state", "_tail", "_trailer_size", "ended", "trailing")

    def __init__(self) -> None:
        self.ended = False
        self.trailing = b""
        self._state = _SIZE
        self._left = 0
        self._sizes: dict[bytes, int] = {}
        self._tail = b""
        self._trailer_size = 0

    def feed(self, block: bytes) -> bytes:  # noqa: C901, PLR0912 - one loop over four states, in the hot path
        """Take the next bytes and return the part of the body in them; maybe none.

        Raises:
            BadChunkError: A size isn't a number, a chunk doesn't end with a line break, or a line
                is longer than `LONGEST_LINE`.
        """
        if self._tail:
            block = self._tail + block
            self._tail = b""
        parts: list[bytes] = []
        at, end = 0, len(block)
        while at < end:
            if self._state == _DATA:
                part = block[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if self._left:
                    break
                self._state = _DATA_END
            elif self._state == _DATA_END:
                if block[at:] == b"\r":
                    self._tail = b"\r"
                    break
                if block[at : at + 2] != b"\r\n" and block[at : at + 1] != b"\n":
                    raise BadChunkError("a chunk is longer than its size says")
                at = block.index(b"\n", at) + 1
                self._state = _SIZE
            else:
                line_end = block.find(b"\n", at)
                if line_end < 0:
                    self._tail = block[at:]
                    if len(self._tail) > LONGEST_LINE:
                        raise BadChunkError("a line between chunks is too long")
                    break
                line = block[at:line_end]
                at = line_end + 1
                if self._state == _SIZE:
                    size = self._size(line)
                    stop = at + size
                    if size and block[stop : stop + 2] == b"\r\n":  # a complete chunk: the usual case
                        parts.append(block[at:stop])
                        at = stop + 2
                        continue
                    self._left = size
                    self._state = _DATA if size else _TRAILER
                elif line in (b"", b"\r"):
                    self.ended = True
                    self.trailing = block[at:]
                    break
                else:
                    self._trailer_size += len(line)
                    if self._trailer_size > LONGEST_LINE:
                        raise BadChunkError("the trailer is too long")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _size(self, line: bytes) -> int:
        size = self._sizes.get(line)
        if size is None:
            size = _parse_size(line)
            if len(line) < KEPT_LINE and len(self._sizes) < KEPT_SIZES:
                self._sizes[line] = size
        return size


def _parse_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        if digits.isalnum():  # int() would take a sign and underscores too
            return int(digits, 16)
    except ValueError:
        pass
    raise BadChunkError("the size of a chunk is no number")  # not quoted: it may be part of an echoed key

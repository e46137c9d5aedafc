"""The framing of bodies whose length the headers name (RFC 9112, section 6.2); the twin of `chunked`."""

from __future__ import annotations


class Sized:
    """Takes the blocks of a body with Content-Length, in any slicing.

    `http.client` stops at the length and forgets what its buffer holds beyond it. That is the
    beginning of an answer nobody asked for, so the connection must not be used again.

    Attributes:
        ended: True once so many bytes have come.
        trailing: Bytes that came after the end: nobody asked for them.
    """

    __slots__ = ("_left", "ended", "trailing")

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0
        self.trailing = b""

    def feed(self, block: bytes) -> bytes:
        """Take the next bytes and return the part of the body in them."""
        if len(block) > self._left:
            self.trailing = block[self._left :]
            block = block[: self._left]
        self._left -= len(block)
        self.ended = not self._left
        return block

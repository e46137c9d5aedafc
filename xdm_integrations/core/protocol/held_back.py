"""The last piece of a stream waits for the token counts, which come after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator


class Piece(Protocol):
    """A piece of a stream, as far as it matters here."""

    @property
    def index(self) -> int:
        """The choice it belongs to."""

    @property
    def text(self) -> str:
        """The new text."""

    @property
    def finish_reason(self) -> str | None:
        """Given once for each choice."""

    @property
    def logprobs(self) -> object:
        """Log probabilities of the new text, or None."""


P = TypeVar("P", bound=Piece)


class HeldBack(Generic[P]):
    """Keeps the piece with the finish_reason back until the stream is over.

    Token counts and all that describes the answer can then travel with the last piece, on exactly one. If more
    comes after it, it wasn't the last one: it goes first, unless it is empty.
    """

    def __init__(self) -> None:
        self._held: P | None = None

    def ready(self, pieces: deque[P]) -> Iterator[P]:
        """Take pieces away from the left, and yield those of the first choice that can be delivered now."""
        while pieces:
            piece = pieces.popleft()
            if piece.index:
                continue
            held, self._held = self._held, None
            if held is not None and (held.text or held.logprobs is not None):
                yield held
            if piece.finish_reason is None:
                yield piece
            else:
                self._held = piece

    def end(self) -> P | None:
        """Return the last piece, if one with a finish_reason came."""
        return self._held

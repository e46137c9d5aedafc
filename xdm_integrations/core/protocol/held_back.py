"""The last piece of a stream waits for the token counts, which come after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Piece(Protocol):
    """A piece of a stream, as far as it matters here."""

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

    def feed(self, piece: P) -> Sequence[P]:
        """Return the pieces that can be delivered now."""
        held = self._held
        if held is None:
            if piece.finish_reason is None:
                return (piece,)
            self._held = piece
            return ()
        self._held = piece if piece.finish_reason is not None else None
        released = (held,) if held.text or held.logprobs is not None else ()
        return released if self._held is not None else (*released, piece)

    def end(self) -> P | None:
        """Return the last piece, if one with a finish_reason came."""
        return self._held

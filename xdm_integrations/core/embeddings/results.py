"""What comes back: the vectors of a call."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdm_integrations.core.protocol.results import Usage


@dataclass(frozen=True)
class Embeddings:
    """The vectors of a call, one for each text, in the order of the texts.

    It is as long as the list of texts, and `embeddings[i]` is the vector of text `i`, as a list of floats.

    Attributes:
        rows: The vectors as they came: an `array("f")` each, or an `array("d")` where the server sent JSON numbers.
            Lists of floats take six to twelve times as much memory.
        usage: Token counts over all requests of the call, or None if the server gave none.
        model: The model that served, as the server names it; "" if it doesn't.
        request_ids: The gateway's ids of the requests that brought the vectors, as they arrived.
    """

    rows: tuple[array[float], ...] = field(default=(), repr=False)
    usage: Usage | None = None
    model: str = ""
    request_ids: tuple[str, ...] = field(default=(), repr=False)

    @property
    def dimensions(self) -> int:
        """Numbers per vector; 0 if there is no vector."""
        return len(self.rows[0]) if self.rows else 0

    @cached_property
    def vectors(self) -> list[list[float]]:
        """All vectors as lists of floats, made when they are first asked for."""
        return [row.tolist() for row in self.rows]

    @cached_property
    def array(self) -> array[float]:
        """All numbers as one `array("f")`, one vector after the other, made when it is first asked for."""
        joined = array("f")
        for row in self.rows:
            joined.extend(row if row.typecode == "f" else array("f", row))
        return joined

    def numpy(self) -> Any:  # noqa: ANN401 - numpy may not be installed, nor its types
        """Return a numpy array of float32, a row per text. It shares the memory of `array`.

        Raises:
            ModuleNotFoundError: numpy isn't installed.
        """
        import numpy as np  # noqa: PLC0415 - optional, and slow to load

        return np.frombuffer(self.array, dtype=np.float32).reshape(len(self), self.dimensions)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> list[float]:
        return self.rows[position].tolist()

    def __iter__(self) -> Iterator[list[float]]:
        return (row.tolist() for row in self.rows)

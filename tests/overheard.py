"""The body of a stream, between a client and its transport: what happens to it, and moments to step in."""

from __future__ import annotations

from typing import Any


class Overheard:
    """A body that says when it is about to be read or drained, and whether it has been closed.

    Attributes:
        on_read: Called before each read; what it raises is raised by the read.
        on_drain: The same before the body is drained.
        closed: True once it has been closed.
    """

    def __init__(self, body: Any) -> None:
        self.body = body
        self.on_read: Any = lambda: None
        self.on_drain: Any = lambda: None
        self.closed = False

    def read(self, within: float | None = None) -> Any:
        self.on_read()
        return self.body.read(within)

    def drain(self) -> Any:
        self.on_drain()
        return self.body.drain()

    def close(self) -> None:
        self.closed = True
        self.body.close()

"""Ports that nobody else takes meanwhile: a port that has just been free may be anybody's a moment later."""

from __future__ import annotations

import random
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def where_nobody_listens() -> Iterator[str]:
    """The URL of a server that refuses connections: its port is held, but nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


def port_to_use_twice() -> int:
    """Return a free port for a server that is ended and started again.

    It lies below those that systems hand out by themselves, to servers and to every connection.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - workers mustn't choose the same one
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

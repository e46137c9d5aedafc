"""Requests in flight, counted by the server that holds them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripted import Seen, Step


class Gauge:
    """A script for a server: holds every request until as many have come as may come at once.

    Attributes:
        peak: The most that were in flight together.
    """

    def __init__(self, respond: Callable[[Seen], list[Step]], most: int) -> None:
        self.peak = 0
        self._respond = respond
        self._most = most
        self._now = 0
        self._lock = threading.Lock()
        self._full = threading.Event()

    def __call__(self, seen: Seen) -> list[Step]:
        with self._lock:
            self._now += 1
            self.peak = max(self.peak, self._now)
            if self._now == self._most:
                self._full.set()
        self._full.wait(60)
        with self._lock:
            self._now -= 1
        return self._respond(seen)

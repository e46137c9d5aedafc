"""One shared thread that ends what a socket's own timeout can't: headers that drip in.

A socket's timeout starts anew with every byte, so that a server which sends one byte of its
headers each second holds a blocking client for as long as it likes. An `Alarm` is set before a
request and switched off when its headers are there; if it goes off first, it shuts the socket
down, and the blocked reader wakes up.
"""

from __future__ import annotations

import heapq
import itertools
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any


class Alarm:
    """One request's limit.

    Attributes:
        connection: The connection that the request got; its `sock` is shut down.
        rang: True if the limit passed.
        reused: True if the connection had carried a request before.
    """

    __slots__ = ("connection", "off", "rang", "reused")

    def __init__(self) -> None:
        self.connection: Any = None
        self.off = False
        self.rang = False
        self.reused = False

    def ring(self) -> None:
        """Shut the socket down."""
        self.rang = True
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """Alarms in the order of their time, and the daemon thread that watches them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._count = itertools.count()
        self._thread_of = 0

    def set(self, seconds: float) -> Alarm:
        """Return an alarm that goes off in `seconds`, unless its `off` is set by then."""
        alarm = Alarm()
        when = time.monotonic() + seconds
        with self._condition:
            if self._thread_of != os.getpid():  # the first time, or in a forked child
                self._start()
            earlier = not self._alarms or when < self._alarms[0][0]
            heapq.heappush(self._alarms, (when, next(self._count), alarm))
            if len(self._alarms) > 64 and sum(a.off for _, _, a in self._alarms) > len(self._alarms) // 2:  # noqa: PLR2004 - any small number
                self._alarms = [entry for entry in self._alarms if not entry[2].off]
                heapq.heapify(self._alarms)
            if earlier:
                self._condition.notify()
        return alarm

    def _start(self) -> None:
        self._alarms.clear()
        self._thread_of = os.getpid()
        threading.Thread(target=self._watch, name="xdm-watchdog", daemon=True).start()

    def _watch(self) -> None:
        with self._condition:
            while True:
                now = time.monotonic()
                while self._alarms and (self._alarms[0][2].off or self._alarms[0][0] <= now):
                    alarm = heapq.heappop(self._alarms)[2]
                    if not alarm.off:
                        alarm.ring()
                self._condition.wait(self._alarms[0][0] - now if self._alarms else None)


WATCHDOG = Watchdog()


def _forget_after_fork() -> None:
    # The lock may have been held by another thread of the parent at the moment of the fork.
    WATCHDOG.__init__()  # type: ignore[misc] # makes it as new


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)

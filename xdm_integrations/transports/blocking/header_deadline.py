"""One shared thread that ends what a socket's own timeout can't: headers that drip in.

A socket's timeout starts anew with every byte, so that a server which sends one byte of its
headers each second holds a blocking client for as long as it likes. An `Alarm` is set before a
request and switched off when its headers are there; if it goes off first, it shuts the socket
down, and the blocked reader wakes up.

Setting an alarm and switching it off cost a microsecond and take no lock, because nearly every
alarm is switched off; the thread looks at all of them, but only when one may be due.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from math import inf
from typing import Any

LONGEST = 86400.0
"""Seconds; a lock can't wait for more than some 292 years, and nobody for more than a day."""
AGAIN = 1.0
"""Seconds until a due alarm rings again, for as long as nobody switches it off."""


class Alarm:
    """One request's limit.

    Attributes:
        connected: False while the handshakes of TLS or of a tunnel go on.
        connection: The connection that the request got; its `sock` is shut down.
        rang: True if the limit passed.
        reused: True if the connection had carried a request before.
        when: The moment it goes off, by the monotonic clock.
    """

    __slots__ = ("connected", "connection", "rang", "reused", "when")

    def __init__(self, when: float) -> None:
        self.connected = True
        self.connection: Any = None
        self.rang = False
        self.reused = False
        self.when = when

    def ring(self) -> None:
        """Shut the socket down."""
        self.rang = True
        sock: Any = getattr(self.connection, "sock", None)
        with suppress(OSError, AttributeError):  # no socket yet, closed already, or a recording's
            sock.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """The alarms that are set, and the daemon thread that watches them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._alarms: set[Alarm] = set()
        self._next = inf
        """When the thread wakes up. An alarm that is due earlier has to wake it."""
        self._started = False

    def set(self, seconds: float | None) -> Alarm:
        """Return an alarm that goes off in `seconds`, or never, unless it is switched off by then."""
        if seconds is None:
            return Alarm(inf)
        alarm = Alarm(time.monotonic() + min(seconds, LONGEST))
        self._alarms.add(alarm)  # first this, then the look at `_next`: see `_watch`
        if alarm.when < self._next:
            with self._condition:
                if not self._started:
                    with suppress(RuntimeError):  # no thread to be had: go on unwatched, the next alarm tries again
                        threading.Thread(target=self._watch, name="xdm-watchdog", daemon=True).start()
                        self._started = True
                self._condition.notify()
        return alarm

    def off(self, alarm: Alarm) -> None:
        """Switch an alarm off."""
        self._alarms.discard(alarm)

    def _watch(self) -> None:
        with self._condition:
            while True:
                self._next = inf  # whoever adds an alarm from here on waits for the lock and notifies
                now = time.monotonic()
                for alarm in list(self._alarms):
                    if alarm.when <= now and alarm in self._alarms:
                        alarm.when = now + AGAIN
                        alarm.ring()
                    self._next = min(self._next, alarm.when)
                self._condition.wait(self._next - now if self._next < inf else None)


WATCHDOG = Watchdog()


def _forget_after_fork() -> None:
    # The thread is gone, and its lock may have been held at the moment of the fork.
    WATCHDOG.__init__()  # type: ignore[misc] # makes it as new


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)

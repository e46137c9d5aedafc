"""One shared thread that ends what a socket's own timeout can't: headers that drip in.

A socket's timeout starts anew with every byte, so that a server which sends one byte of its
headers each second holds a blocking client for as long as it likes. A `HeaderDeadline` is set before a
request and cancelled when its headers are there; if it expires first, it shuts the socket
down, and the blocked reader wakes up.

Setting a deadline and cancelling it take no lock, because nearly every one is cancelled; the thread
looks at all of them, but only when one may be due.
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
REPEAT = 1.0
"""Seconds until a due deadline expires again, for as long as nobody cancels it."""


class HeaderDeadline:
    """One request's limit.

    Attributes:
        connected: False while the handshakes of TLS or of a tunnel go on.
        connection: The connection that the request got; its `sock` is shut down.
        expired: True if the limit passed.
        reused: True if the connection had carried a request before.
        when: The moment it expires, by the monotonic clock.
    """

    __slots__ = ("connected", "connection", "expired", "reused", "when")

    def __init__(self, when: float) -> None:
        self.connected = True
        self.connection: Any = None
        self.expired = False
        self.reused = False
        self.when = when

    def expire(self) -> None:
        """Shut the socket down."""
        self.expired = True
        sock: Any = getattr(self.connection, "sock", None)
        with suppress(OSError, AttributeError):  # no socket yet, closed already, or a recording's
            sock.shutdown(socket.SHUT_RDWR)


class Deadlines:
    """The deadlines that are set, and the daemon thread that watches them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._deadlines: set[HeaderDeadline] = set()
        self._next = inf
        """When the thread wakes up. A deadline that is due earlier has to wake it."""
        self._started = False

    def set(self, seconds: float | None) -> HeaderDeadline:
        """Return a deadline that expires in `seconds`, or never, unless it is cancelled by then."""
        if seconds is None:
            return HeaderDeadline(inf)
        deadline = HeaderDeadline(time.monotonic() + min(seconds, LONGEST))
        self._deadlines.add(deadline)  # first this, then the look at `_next`: see `_watch`
        if deadline.when < self._next:
            with self._condition:
                if not self._started:
                    with suppress(RuntimeError):  # no thread to be had: go on unwatched, the next deadline tries again
                        threading.Thread(target=self._watch, name="xdm-deadlines", daemon=True).start()
                        self._started = True
                self._condition.notify()
        return deadline

    def cancel(self, deadline: HeaderDeadline) -> None:
        """Cancel a deadline."""
        self._deadlines.discard(deadline)

    def _watch(self) -> None:
        with self._condition:
            while True:
                self._next = inf  # whoever adds a deadline from here on waits for the lock and notifies
                now = time.monotonic()
                for deadline in list(self._deadlines):
                    if deadline.when <= now and deadline in self._deadlines:
                        deadline.when = now + REPEAT
                        deadline.expire()
                    self._next = min(self._next, deadline.when)
                self._condition.wait(self._next - now if self._next < inf else None)


DEADLINES = Deadlines()


if hasattr(os, "register_at_fork"):  # the thread is gone in a child, and its lock may have been held
    os.register_at_fork(after_in_child=DEADLINES.__init__)  # type: ignore[misc] # makes it as new

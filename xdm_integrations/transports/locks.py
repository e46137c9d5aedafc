"""Locks that a process shares."""

from __future__ import annotations

import os
import threading


class ProcessLock:
    """A lock that is free in a forked child, whoever held it in the parent at the moment of the fork.

    with LOCK.held: ...

    Attributes:
        held: The lock of this process, to be entered at once.
    """

    held: threading.Lock

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.held = threading.Lock()

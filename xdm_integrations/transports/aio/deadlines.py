"""Limits for many tasks of one event loop, with one timer among them.

`asyncio.timeout` sets a timer for every request, and takes it back a moment later; with many
requests at once that costs as much as a tenth of a request. Here a timer is only set where one
is due earlier than the one that runs already, as in `header_deadline` for threads.
"""

from __future__ import annotations

import asyncio
import sys
from math import inf


class Limit:
    """The limit of one task.

    Attributes:
        task: What is cancelled when it passes.
        when: The moment, by the loop's clock.
    """

    __slots__ = ("_earlier_cancels", "_expired", "task", "when")

    def __init__(self, task: asyncio.Task[object], when: float) -> None:
        self.task = task
        self.when = when
        self._expired = False
        self._earlier_cancels = task.cancelling() if sys.version_info >= (3, 11) else 0

    def expire(self) -> None:
        """Cancel the task."""
        self._expired = True
        self.task.cancel()

    def has_passed(self) -> bool:
        """Say whether the task was cancelled by this limit alone; the cancellation is taken back."""
        if not self._expired:
            return False
        return sys.version_info < (3, 11) or self.task.uncancel() <= self._earlier_cancels


class LoopLimits:
    """The limits that are set in one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._limits: set[Limit] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = inf

    def set(self, seconds: float | None) -> Limit | None:
        """Limit the running task to so many seconds from now, until `cancel`."""
        task = asyncio.current_task()
        if seconds is None or task is None:
            return None
        limit = Limit(task, self._loop.time() + seconds)
        self._limits.add(limit)
        if limit.when < self._next:
            self._arm(limit.when)
        return limit

    def cancel(self, limit: Limit | None) -> None:
        """Take a limit back."""
        if limit is not None:
            self._limits.discard(limit)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = self._loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._timer, self._next = None, inf
        now = self._loop.time()
        for limit in [limit for limit in self._limits if limit.when <= now]:
            self._limits.discard(limit)
            limit.expire()
        if self._limits:
            self._arm(min(limit.when for limit in self._limits))

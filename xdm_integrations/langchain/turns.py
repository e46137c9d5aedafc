"""Whose turn it is: how many answers of one chat model are under way, and who asks the rate limiter."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.rate_limiters import BaseRateLimiter

_FIRST: ContextVar[list[None] | None] = ContextVar("xdm_integrations_langchain_first_request", default=None)
"""Holds one item until the call that runs in this context has sent its first request."""


@contextmanager
def first_turn_taken() -> Iterator[None]:
    """Say that LangChain's base class has asked the rate limiter already, for the first request of a call."""
    token = _FIRST.set([None])
    try:
        yield
    finally:
        _FIRST.reset(token)


class LaterTurns:
    """A rate limiter for a client, which asks it before each request: the question for the first one is dropped."""

    def __init__(self, limiter: BaseRateLimiter) -> None:
        self._limiter = limiter

    def acquire(self) -> None:
        """Wait for a turn, blocking."""
        if not _is_first():
            self._limiter.acquire(blocking=True)

    async def aacquire(self) -> None:
        """Wait for a turn."""
        if not _is_first():
            await self._limiter.aacquire(blocking=True)


def _is_first() -> bool:
    first = _FIRST.get()
    if not first:
        return False
    first.pop()
    return True


class UnderWay:
    """Counts the answers that are under way: of all threads, and on each event loop.

    Copies, pickled ones and forked children count anew.
    """

    def __init__(self) -> None:
        self._threads: dict[tuple[int, int], threading.BoundedSemaphore] = {}
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, asyncio.Semaphore]] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type[UnderWay], tuple[()]]:
        return UnderWay, ()

    def of_threads(self, at_most: int) -> threading.BoundedSemaphore:
        """Return what a thread holds while its answer is under way."""
        return self._threads.setdefault((os.getpid(), at_most), threading.BoundedSemaphore(at_most))  # atomic

    def of_loop(self, at_most: int) -> asyncio.Semaphore:
        """Return what a task holds while its answer is under way."""
        return self._loops.setdefault(asyncio.get_running_loop(), {}).setdefault(at_most, asyncio.Semaphore(at_most))

"""Costs in function calls: a number that no machine's speed changes.

`sys.setprofile` counts every call, Python's and C's, in the calling thread and in those that it begins. The difference
between a long and a short stream is what the tokens cost; a longer one shows whether that grows.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT, LONG, LONGEST = 300, 900, 2700


def calls_of(work: Callable[[], Any]) -> int:
    """Return how many functions `work` calls, in this thread and in those that it begins."""
    count = 0

    def note(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    work()  # imports, connections and caches don't count
    gc.collect()  # nor does what earlier tests have left to be finalized
    gc.disable()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        gc.enable()
    return count


def per_token(make, url):
    """Return the calls per token."""
    short, long = (calls_of(make(url, count)) for count in (SHORT, LONG))
    return (long - short) / (LONG - SHORT)


def per_token_and_later(make, url):
    """Return the calls per token, and those of the later tokens of a long stream."""
    short, long, longest = (calls_of(make(url, count)) for count in (SHORT, LONG, LONGEST))
    return (long - short) / (LONG - SHORT), (longest - long) / (LONGEST - LONG)


def per_call(call):
    """Return the calls of functions per awaited call, in a loop that runs already."""

    async def many(count):
        for _ in range(count):
            await call()

    loop = asyncio.new_event_loop()
    few, more = (calls_of(lambda count=count: loop.run_until_complete(many(count))) for count in (10, 30))
    return loop, (more - few) / 20

"""The rows of the table by name and subject, and how their figures are taken."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Callable, Coroutine
from typing import Any

CALLS = 300
AT_ONCE = 64
TOKENS = 4000
STREAMS = 100
BATCH = 1000
PACED = 1000

ROWS: dict[tuple[str, str], Callable[[str], float]] = {}


def row(name: str, subject: str) -> Callable[[Callable[[str], float]], Callable[[str], float]]:
    def register(measure: Callable[[str], float]) -> Callable[[str], float]:
        ROWS[name, subject] = measure
        return measure

    return register


def cpu_per(count: int, work: Callable[[], Any]) -> float:
    """Return the microseconds of CPU per item, after one warm-up."""
    work()
    gc.collect()
    start = time.process_time()
    work()
    return (time.process_time() - start) / count * 1e6


def cpu_per_async(count: int, work: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    async def both() -> float:
        await work()
        gc.collect()
        start = time.process_time()
        await work()
        return (time.process_time() - start) / count * 1e6

    return asyncio.run(both())


def wall(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

"""The rows of the table by name and subject, and how their figures are taken."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import cache
from statistics import median, quantiles
from typing import Any, TypeVar

T = TypeVar("T")

CALLS = 300
AT_ONCE = 64
TOKENS = 4000
STREAMS = 100
BATCH = 1000
PACED = 1000

ROWS: dict[tuple[str, str], Callable[[str], Any]] = {}
"""By name and subject, what takes the server's address and returns a figure; a curve (`growth`) by count."""


def row(name: str, subject: str) -> Callable[[Callable[[str], Any]], Callable[[str], Any]]:
    def register(measure: Callable[[str], Any]) -> Callable[[str], Any]:
        ROWS[name, subject] = measure
        return measure

    return register


def in_one_process(names: Sequence[str]) -> list[list[str]]:
    """Return the rows that share a process: those with the same words before a colon. All others have their own."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition(":")[0], []).append(name)
    return list(groups.values())


def cpu_per(count: int, work: Callable[[], Any]) -> float:
    """Return the microseconds of CPU per item, after one warm-up."""
    work()
    gc.collect()
    start = time.process_time()
    work()
    return (time.process_time() - start) / count * 1e6


async def cpu_per_awaited(count: int, work: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    await work()
    gc.collect()
    start = time.process_time()
    await work()
    return (time.process_time() - start) / count * 1e6


def cpu_per_async(count: int, work: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    return asyncio.run(cpu_per_awaited(count, work))


async def nothing() -> None:
    pass


def finished(aclose: Callable[[], Awaitable[Any]], work: Awaitable[T]) -> T:
    """Run `work` in a loop of its own, and `aclose` at its end."""

    async def both() -> T:
        try:
            return await work
        finally:
            await aclose()

    return asyncio.run(both())


def wall(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


async def wall_awaited(work: Coroutine[Any, Any, Any]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def first_token(stream: Callable[[], Iterable[Any]]) -> float:
    """Return the median microseconds from the call to the first piece."""
    times = []
    for _ in range(60):
        start = time.perf_counter()
        iterator = iter(stream())
        next(iterator)
        times.append(time.perf_counter() - start)
        for _ in iterator:
            pass
    return median(times) * 1e6


async def async_first_token(at_once: int, stream: Callable[[], Any]) -> float:
    """See `first_token`, with so many streams at once."""
    times = []

    async def one() -> None:
        start = time.perf_counter()
        iterator = aiter(stream())
        await anext(iterator)
        times.append(time.perf_counter() - start)
        async for _ in iterator:
            pass

    for number in range(1 + max(10, 60 // at_once)):
        await asyncio.gather(*(one() for _ in range(at_once)))
        if not number:
            times.clear()  # the connections are being opened
    return median(times) * 1e6


async def consumed(stream: Any) -> None:
    async for _ in stream:
        pass


def lags(texts: Iterable[str]) -> list[float]:
    """Return the seconds that each text came late: it is the moment of its sending."""
    return [time.monotonic() - float(text) for text in texts if text]


async def async_lags(texts: Any) -> list[float]:
    return [time.monotonic() - float(text) async for text in texts if text]


def lag_rows(name: str, subject: str, measure: Callable[[str], list[float]]) -> None:
    """Make two rows of one stream: the median of its lags, and the 99th percentile."""
    measured = cache(measure)
    row(f"{name}: median", subject)(lambda url: median(measured(url)) * 1e6)
    row(f"{name}: p99", subject)(lambda url: quantiles(measured(url), n=100)[98] * 1e6)


def peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

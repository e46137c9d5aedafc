"""Connections: when they are closed, who may share them, and how long a call waits for them."""

from __future__ import annotations

import asyncio
import gc
import pickle
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from tests.scripted import HANG, ScriptedServer, Seen, slowly, stream
from xdm_integrations import Timeout

from . import CONTENDERS, LLAMA_INDEX, situation
from .cuts import STREAMS
from .words import error_name, outcome, root_cause, times

STAY = 2.0
"""Seconds that a stream which was left may stay open before the garbage collector is called."""
FOREVER = 6.0
"""Seconds after which a call whose limit is 1 s is waiting for ever."""


# Leaving a stream


def closing(server: ScriptedServer, start: float) -> str:
    """Say when the server saw the connection closed. Blocks, as programs do that go on with something else."""
    if server.wait_until(lambda: bool(server.disconnects), STAY):
        return f"closed after {max(server.disconnects[0] - start, 0):.1f} s"
    gc.collect()
    collected = server.wait_until(lambda: bool(server.disconnects), STAY)
    return f"still open after {STAY:.0f} s, {'closed' if collected else 'and'} after `gc.collect()`"


@situation("Leaving a stream", "`close()` after the first word", *STREAMS)
def _(contender: Any) -> str:
    with ScriptedServer([stream(contender.word("one"), HANG)]) as server:
        llm = contender.make(server.url, max_retries=0)
        pieces: Any = contender.stream(llm)
        next(pieces)
        start = time.monotonic()
        pieces.close()
        return closing(server, start)


@situation("Leaving a stream", "`await aclose()` after the first word", *STREAMS)
def _(contender: Any) -> str:
    async def leave(server: ScriptedServer) -> str:
        llm = contender.make(server.url, max_retries=0)
        pieces: Any = await contender.astream(llm)
        await anext(pieces)
        start = time.monotonic()
        await pieces.aclose()
        return await asyncio.to_thread(closing, server, start)

    with ScriptedServer([stream(contender.word("one"), HANG)]) as server:
        return asyncio.run(leave(server))


# Threads, event loops and processes


def tally(outcomes: list[Any], server: ScriptedServer) -> str:
    """Say what became of the calls, and of how many requests."""
    errors = [o for o in outcomes if isinstance(o, BaseException)]
    said = [f"{times(len(outcomes) - len(errors), 'answer')}"]
    for name, count in Counter(f"{error_name(e)} ({root_cause(e)})" for e in errors).items():
        said.append(f"{count} x {name}")
    return f"{', '.join(said)}; {times(len(server.requests), 'request')}"


def caught(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever comes is the observation
        return error


@situation("One object for all", "3 `asyncio.run()` of a call each", *CONTENDERS)
def _(contender: Any) -> str:
    with ScriptedServer(contender.healthy) as server:
        llm = contender.make(server.url)
        return tally([caught(lambda: asyncio.run(contender.acomplete(llm))) for _ in range(3)], server)


@situation("One object for all", "the same, with `max_retries=0`", *CONTENDERS)
def _(contender: Any) -> str:
    with ScriptedServer(contender.healthy) as server:
        llm = contender.make(server.url, max_retries=0)
        return tally([caught(lambda: asyncio.run(contender.acomplete(llm))) for _ in range(3)], server)


@situation(
    "One object for all",
    "20 calls on one loop, then 4 threads with a loop each (varies from run to run)",
    *CONTENDERS,
    limit=12,
)
def _(contender: Any) -> str:
    async def many(llm: Any) -> None:
        await asyncio.gather(*(contender.acomplete(llm) for _ in range(20)))

    with ScriptedServer(contender.healthy) as server:
        llm = contender.make(server.url)
        asyncio.run(many(llm))
        server.requests.clear()
        outcomes: list[Any] = []
        threads = [
            threading.Thread(target=lambda: outcomes.append(caught(lambda: asyncio.run(contender.acomplete(llm)))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tally(outcomes, server)


@situation("One object for all", "pickled after a call, and asked again", *CONTENDERS)
def _(contender: Any) -> str:
    with ScriptedServer(contender.healthy) as server:
        llm = contender.make(server.url)
        contender.complete(llm)
        return outcome(caught(lambda: contender.complete(pickle.loads(pickle.dumps(llm)))))  # noqa: S301 - our own


# Limits


@situation("Limits", "what a blocking call gives its socket, with no `timeout` set", *STREAMS)
def _(contender: Any) -> str:
    given: list[Any] = []
    original = socket.socket.settimeout

    def watched(connection: socket.socket, seconds: float | None) -> None:
        given.append(seconds)
        original(connection, seconds)

    with ScriptedServer(contender.healthy) as server:
        llm = contender.make(server.url)
        socket.socket.settimeout = watched
        contender.complete(llm)
        socket.socket.settimeout = original
    connect, read = ("no limit" if seconds is None else f"{seconds:.0f} s" for seconds in (given[0], given[-1]))
    return f"{connect} to connect, {read} to read"


def waits(contender: Any, *steps: Any, timeout: Any = 1) -> str:
    with ScriptedServer(lambda seen: contender.healthy(seen) if len(server.requests) == 1 else list(steps)) as server:
        llm = contender.make(server.url, timeout=timeout, max_retries=0)
        list(contender.stream(llm))  # imports what is late
        start = time.monotonic()
        error = caught(lambda: [contender.text_of(piece) for piece in contender.stream(llm)])
        return f"{outcome(error)} after {time.monotonic() - start:.1f} s"


@situation("Limits", "`timeout=1`; the server says nothing", *STREAMS, limit=FOREVER)
def _(contender: Any) -> str:
    return waits(contender, HANG)


@situation("Limits", "`timeout=1`; the reply's headers come a byte every 0.3 s", *STREAMS, limit=FOREVER)
def _(contender: Any) -> str:
    return waits(contender, *slowly(stream()[0], 0.3))


@situation("Limits", "`timeout=1`; a stream falls silent after a word", *STREAMS, limit=FOREVER)
def _(contender: Any) -> str:
    return waits(contender, *stream(contender.word("one"), HANG))


def commenting(contender: Any) -> list[Any]:
    """Return a stream that sends only comments after a word."""
    comments = [step for _ in range(40) for step in (": still here\n\n", lambda: time.sleep(0.3))]
    return stream(contender.word("one"), *comments)


@situation("Limits", "`timeout=1`; a stream sends only comments after a word, one every 0.3 s", *STREAMS, limit=FOREVER)
def _(contender: Any) -> str:
    return waits(contender, *commenting(contender))


@situation("Limits", "the same with `Timeout(read=1, event=1)`, where that is known", *STREAMS, limit=FOREVER)
def _(contender: Any) -> str:
    return waits(contender, *commenting(contender), timeout=Timeout(read=1, event=1) if contender.ours else 1)


# Async that is async


async def standstill(
    work: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic
) -> tuple[float, float]:
    """Return how many seconds `work` took by this clock, and for how many of them at most its event loop stood still.

    By `time.thread_time` the loop's own computing is counted, and no wait for a busy machine.
    """
    gaps = [0.0]

    async def tick() -> None:
        last = clock()
        while True:
            await asyncio.sleep(0.01)
            gaps.append(clock() - last)
            last = clock()

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    start = clock()
    await work()
    seconds = clock() - start
    await asyncio.sleep(0.02)  # for the tick that was due
    ticking.cancel()
    return seconds, max(gaps)


@situation(
    "Async methods",
    "4 `acomplete()` at once, of 0.5 s each",
    "Text completions",
    frameworks=(*LLAMA_INDEX, "CustomLLM"),
)
def _(contender: Any) -> str:
    def script(seen: Seen) -> list[Any]:
        return [lambda: time.sleep(0.5), *contender.healthy(seen)]

    async def together(llm: Any) -> str:
        await contender.acomplete(llm)  # connects, and imports what is late
        seconds, gap = await standstill(lambda: asyncio.gather(*(contender.acomplete(llm) for _ in range(4))))
        return f"{seconds:.1f} s; the loop stood still for up to {gap:.1f} s"

    with ScriptedServer(script) as server:
        return asyncio.run(together(contender.make(server.url)))

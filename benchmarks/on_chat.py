"""Chat: what a call, a token, a piece of a tool call and a wait cost, by the client and by both frameworks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.chat_subjects import LANGCHAIN, LLAMA_INDEX, WORKERS, Asked, client, plain
from benchmarks.rows import (
    AT_ONCE,
    BATCH,
    CALLS,
    STREAMS,
    TOKENS,
    async_first_token,
    async_lags,
    consumed,
    cpu_per,
    cpu_per_awaited,
    finished,
    first_token,
    lag_rows,
    lags,
    row,
    wall,
    wall_awaited,
)

EACH = 200
"""Tokens of each of many streams at once."""
PACED = 500
LONG_CALL = 1500
"""Pieces of a tool call; peers need half a millisecond for each."""


class Names(NamedTuple):
    """What the methods are called."""

    call: str
    acall: str
    stream: str
    astream: str
    batch: str
    abatch: str


def _calls(group: str, subject: str, make: Callable[..., Asked], names: Names) -> None:
    @row(f"{group}: {names.call}", subject)
    def _(url: str) -> float:
        one = make(url)
        return cpu_per(CALLS, lambda: [one.call() for _ in range(CALLS)])

    @row(f"{group}: {names.acall}, 64 at once", subject)
    def _(url: str) -> float:
        one = make(url)

        async def work() -> None:
            for _ in range(4):
                await asyncio.gather(*(one.acall() for _ in range(AT_ONCE)))

        return finished(one.aclose, cpu_per_awaited(4 * AT_ONCE, work))


def _tokens(group: str, subject: str, make: Callable[..., Asked], names: Names) -> None:
    for tools, what in ((False, ""), (True, ", a tool's arguments")):

        @row(f"{group}: {names.stream}{what}", subject)
        def _(url: str, tools: bool = tools) -> float:
            count = LONG_CALL if tools else TOKENS
            one = make(url, tokens=count, tools=tools)
            return cpu_per(count, lambda: sum(1 for _ in one.stream()))

        @row(f"{group}: {names.astream}{what}", subject)
        def _(url: str, tools: bool = tools) -> float:
            count = LONG_CALL if tools else TOKENS
            one = make(url, tokens=count, tools=tools)
            return finished(one.aclose, cpu_per_awaited(count, lambda: consumed(one.astream())))

    @row(f"{group}: 100 {names.astream}s at once", subject)
    def _(url: str) -> float:
        one = make(url, tokens=EACH)

        async def work() -> None:
            await asyncio.gather(*(consumed(one.astream()) for _ in range(STREAMS)))

        return finished(one.aclose, cpu_per_awaited(EACH * STREAMS, work))


def _first_tokens(group: str, subject: str, make: Callable[..., Asked], names: Names) -> None:
    @row(f"{group}: {names.stream}, first token", subject)
    def _(url: str) -> float:
        return first_token(make(url, tokens=1).stream)

    for at_once, what in ((1, ""), (AT_ONCE, f", {AT_ONCE} at once")):

        @row(f"{group}: {names.astream}, first token{what}", subject)
        def _(url: str, at_once: int = at_once) -> float:
            one = make(url, tokens=1)
            return finished(one.aclose, async_first_token(at_once, one.astream))


def _waits(group: str, subject: str, make: Callable[..., Asked], names: Names) -> None:
    @row(f"{group}: {names.abatch}", subject)
    def _(url: str) -> float:
        one = make(url, "delay-50")

        async def work() -> float:
            await one.abatch(WORKERS)  # opens the connections
            return await wall_awaited(one.abatch(BATCH))

        return finished(one.aclose, work())

    if names.batch:

        @row(f"{group}: {names.batch}", subject)
        def _(url: str) -> float:
            one = make(url, "delay-50")
            assert one.batch is not None
            one.batch(WORKERS)
            return wall(lambda: one.batch(BATCH))


def _lags(group: str, subject: str, make: Callable[..., Asked], names: Names) -> None:
    def sync(url: str) -> list[float]:
        one = make(url, "paced-2", PACED)
        return lags(map(one.text, one.stream()))

    def awaited(url: str) -> list[float]:
        one = make(url, "paced-2", PACED)

        async def texts() -> Any:
            async for piece in one.astream():
                yield one.text(piece)

        return finished(one.aclose, async_lags(texts()))

    lag_rows(f"{group}: lag of a token, {names.stream}", subject, sync)
    lag_rows(f"{group}: lag of a token, {names.astream}", subject, awaited)


_WAITS = f"of {BATCH}, 50 ms each"
NAMES = {
    "client chat": Names(
        "chat",
        "await chat",
        "stream_chat",
        "await stream_chat",
        f"chat_batch {_WAITS}",
        f"await chat_batch {_WAITS}",
    ),
    "langchain chat": Names("invoke", "ainvoke", "stream", "astream", f"batch {_WAITS}", f"abatch {_WAITS}"),
    "llama_index chat": Names("chat", "achat", "stream_chat", "astream_chat", "", f"run_jobs {_WAITS}"),
}
SUBJECTS = {
    "client chat": {"ours": client},
    "langchain chat": LANGCHAIN,
    "llama_index chat": LLAMA_INDEX,
}
for _group, _names in NAMES.items():
    for _subject, _make in {"plain": plain, **SUBJECTS[_group]}.items():
        for _some in (_calls, _tokens, _first_tokens):
            _some(_group, _subject, _make, _names)
        _waits(_group, "best" if _subject == "framework" else _subject, _make, _names)
        _lags(_group, _subject, _make, _names)

"""Growth: the cost per item must not depend on how many there are.

A curve is what an item costs where there are 10 or 100 or 1,000; all its points come from one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benchmarks.chat_subjects import (
    chat_from_memory,
    index_chat_from_memory,
    langchain_chat_ours,
    llama_index_chat_ours,
)
from benchmarks.on_langchain import langchain_ours
from benchmarks.on_llama_index import llama_index_from_memory, llama_index_ours
from benchmarks.plain_chat import WEATHER
from benchmarks.rows import cpu_per, cpu_per_awaited, finished, peak_memory, row


class Growth(NamedTuple):
    """What a curve shows, and where its points are."""

    title: str
    counts: tuple[int, ...]


LONGEST = 100_000
GROWTH = {
    "growth, tokens": Growth("us CPU per token of a stream", (100, 1000, 10_000, LONGEST)),
    "growth, prompts": Growth("us CPU per prompt of a batch", (100, 1000, 10_000)),
    "growth, calls": Growth("us CPU per call of a tool in an answer", (1, 10, 100, 1000)),
    "growth, streamed calls": Growth("us CPU per call of a tool in a stream", (1, 10, 100)),
    "growth, turns": Growth("us CPU per turn of the history", (1, 10, 100, 1000)),
    "growth, texts": Growth("us CPU per text embedded", (10, 100, 1000, 10_000, LONGEST)),
    "growth, streams": Growth("us CPU per stream, of so many at once", (1, 10, 100, 1000)),
    "growth, memory": Growth("MB that streams at once take together", (1, 10, 100, 1000)),
}
DIMENSIONS = 16
"""Numbers of each vector: 100,000 long ones wouldn't fit into memory."""
REPEATS = 1000
"""Items that a figure is taken from, at least."""
PIECES = 4
"""Pieces of each streamed call."""


def curve(what: str, subject: str) -> Callable[[Callable[[str], Callable[[int], float]]], None]:
    """Register a curve: a function of the server's address that returns a function of the count."""

    def register(measure: Callable[[str], Callable[[int], float]]) -> None:
        name = f"growth, {what}"

        def points(url: str) -> dict[int, float]:
            point = measure(url)
            return {count: point(count) for count in GROWTH[name].counts}

        row(name, subject)(points)

    return register


def repeated(count: int, work: Callable[[], Any]) -> float:
    """Return the cost per item of something with `count` of them, done as often as a steady figure needs."""
    times = max(1, REPEATS // count)
    return cpu_per(count * times, lambda: [work() for _ in range(times)])


def every(pieces: Any) -> int:
    return sum(1 for _ in pieces)


def _client(url: str) -> Any:
    from xdm_integrations import Client

    return Client("k", base_url=url, model="m")


# Tokens


def of_tokens(opener: Callable[[int], Callable[[], Any]]) -> Callable[[int], float]:
    """Return the cost of a token of the stream that `opener`'s function opens, for a number of tokens."""

    def point(count: int) -> float:
        stream = opener(count)
        return cpu_per(count, lambda: every(stream()))

    return point


@curve("tokens", "langchain")
def _(url: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(langchain_ours(url, max_tokens=n).stream, "x"))


@curve("tokens", "llama_index")
def _(url: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(llama_index_ours(url, max_tokens=n).stream_complete, "x"))


@curve("tokens", "llama_index from memory")
def _(_: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(llama_index_from_memory(n).stream_complete, "x"))


@curve("tokens", "client")
def _(url: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(_client(url).stream, "x", max_tokens=n))


@curve("tokens", "langchain chat")
def _(url: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(langchain_chat_ours(url, "m", n).stream, "x"))


@curve("tokens", "langchain chat from memory")
def _(_: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(chat_from_memory(n).stream, "x"))


@curve("tokens", "llama_index chat")
def _(url: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(llama_index_chat_ours(url, "m", n).stream_chat, _turns(1)))


@curve("tokens", "llama_index chat from memory")
def _(_: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(index_chat_from_memory(n).stream_chat, _turns(1)))


@curve("tokens", "client chat")
def _(url: str) -> Callable[[int], float]:
    return of_tokens(lambda n: partial(_client(url).stream_chat, "x", max_tokens=n))


@curve("prompts", "langchain")
def _(url: str) -> Callable[[int], float]:
    llm = langchain_ours(url)
    return lambda n: cpu_per(n, lambda: llm.batch([f"prompt {i}" for i in range(n)]))


# Calls of tools, in complete answers and in streams


def _tools(count: int) -> dict[str, Any]:
    return {"tools": [WEATHER], "model": f"calls-{count}"}


@curve("calls", "client chat")
def _(url: str) -> Callable[[int], float]:
    client = _client(url)
    return lambda n: repeated(n, lambda: client.chat("x", **_tools(n)))


@curve("calls", "langchain chat")
def _(url: str) -> Callable[[int], float]:
    chat = langchain_chat_ours(url, "m", 64)
    return lambda n: repeated(n, lambda: chat.invoke("x", **_tools(n)))


@curve("calls", "llama_index chat")
def _(url: str) -> Callable[[int], float]:
    llm = llama_index_chat_ours(url, "m", 64)
    return lambda n: repeated(n, lambda: llm.chat(_turns(1), **_tools(n)))


@curve("streamed calls", "client chat")
def _(url: str) -> Callable[[int], float]:
    client = _client(url)
    return lambda n: repeated(n, lambda: every(client.stream_chat("x", max_tokens=PIECES * n, **_tools(n))))


@curve("streamed calls", "langchain chat")
def _(url: str) -> Callable[[int], float]:
    chat = langchain_chat_ours(url, "m", 64)
    return lambda n: repeated(n, lambda: every(chat.stream("x", max_tokens=PIECES * n, **_tools(n))))


@curve("streamed calls", "llama_index chat")
def _(url: str) -> Callable[[int], float]:
    llm = llama_index_chat_ours(url, "m", 64)
    return lambda n: repeated(n, lambda: every(llm.stream_chat(_turns(1), max_tokens=PIECES * n, **_tools(n))))


# Turns of the history


def _turns(count: int) -> list[Any]:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(f"turn {i}", role="assistant" if i % 2 else "user") for i in range(count)]


@curve("turns", "client chat")
def _(url: str) -> Callable[[int], float]:
    client = _client(url)

    def point(count: int) -> float:
        turns = [{"role": "assistant" if i % 2 else "user", "content": f"turn {i}"} for i in range(count)]
        return repeated(count, lambda: client.chat(turns))

    return point


@curve("turns", "langchain chat")
def _(url: str) -> Callable[[int], float]:
    from langchain_core.messages import AIMessage, HumanMessage

    chat = langchain_chat_ours(url, "m", 64)

    def point(count: int) -> float:
        turns = [AIMessage(f"turn {i}") if i % 2 else HumanMessage(f"turn {i}") for i in range(count)]
        return repeated(count, lambda: chat.invoke(turns))

    return point


@curve("turns", "llama_index chat")
def _(url: str) -> Callable[[int], float]:
    llm = llama_index_chat_ours(url, "m", 64)

    def point(count: int) -> float:
        turns = _turns(count)
        return repeated(count, lambda: llm.chat(turns))

    return point


# Texts embedded


def _texts(count: int) -> list[str]:
    return [f"text-{i}" for i in range(count)]


@curve("texts", "client embeddings")
def _(url: str) -> Callable[[int], float]:
    client = _client(url)
    return lambda n: repeated(n, lambda: client.embed(_texts(n), dimensions=DIMENSIONS))


@curve("texts", "langchain embeddings")
def _(url: str) -> Callable[[int], float]:
    from xdm_integrations.langchain import XDMEmbeddings

    model = XDMEmbeddings(model="m", api_key="k", base_url=url, dimensions=DIMENSIONS)
    return lambda n: repeated(n, lambda: model.embed_documents(_texts(n)))


@curve("texts", "llama_index embeddings")
def _(url: str) -> Callable[[int], float]:
    from xdm_integrations.llama_index import XDMEmbedding

    model = XDMEmbedding(model="m", api_key="k", api_base=url, dimensions=DIMENSIONS)
    return lambda n: repeated(n, lambda: model.get_text_embedding_batch(_texts(n)))


# Streams at once


def _astreams(subject: str, url: str, model: str, tokens: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what opens and reads a stream, and what closes its client."""
    if subject == "langchain chat":
        chat = langchain_chat_ours(url, model, tokens)
        return lambda: chat.astream("x"), chat.aclose
    if subject == "llama_index chat":
        llm = llama_index_chat_ours(url, model, tokens)
        return lambda: llm.astream_chat(_turns(1)), llm.aclose
    from xdm_integrations import AsyncClient

    client = AsyncClient("k", base_url=url, model=model)
    return lambda: client.stream_chat("x", max_tokens=tokens), client.aclose


async def _at_once(count: int, open_stream: Callable[[], Any]) -> None:
    async def one() -> None:
        made = open_stream()
        async for _ in await made if asyncio.iscoroutine(made) else made:
            pass

    await asyncio.gather(*(one() for _ in range(count)))


def _of_streams(subject: str) -> None:
    @curve("streams", subject)
    def _(url: str) -> Callable[[int], float]:
        def point(count: int) -> float:
            stream, aclose = _astreams(subject, url, "m", 50)
            times = max(1, 200 // count)

            async def work() -> None:
                for _ in range(times):
                    await _at_once(count, stream)

            return finished(aclose, cpu_per_awaited(count * times, work))

        return point

    @curve("memory", subject)
    def _(url: str) -> Callable[[int], float]:
        before: list[float] = []

        def point(count: int) -> float:
            stream, aclose = _astreams(subject, url, "paced-100", 10)
            if not before:
                finished(aclose, _at_once(1, stream))
                before.append(peak_memory())
            finished(aclose, _at_once(count, stream))
            return peak_memory() - before[0]

        return point


for _subject in ("client chat", "langchain chat", "llama_index chat"):
    _of_streams(_subject)

"""What goes out, what becomes of a server's limits, and how many requests there are at once."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.embeddings import Embedding
from benchmarks.situations import situation
from benchmarks.situations.connections import standstill
from benchmarks.situations.words import error_name, short, times
from tests.scripted import ScriptedServer, Seen, http
from tests.vectors import base64_of, embedding, inputs_of, vector_of

SENT, LIMITS, MANY = "What is sent", "Limits of servers", "Many requests"


def inputs(server: ScriptedServer) -> str:
    """Return what was put in for embedding, request by request."""
    return f"`{short(', then '.join(repr(seen.json['input']) for seen in server.requests), 100)}`"


def sent(contender: Embedding, texts: list[str]) -> str:
    with ScriptedServer(embedding) as server:
        try:
            contender.embed(contender.make(server.url, max_retries=0), texts)
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error)}; {times(len(server.requests), 'request')}"
        return f"sent {inputs(server)}"


@situation(SENT, "two texts, the second with a line break", "Embeddings")
def _(contender: Embedding) -> str:
    return sent(contender, ["Tea grows.", "one\ntwo"])


@situation(SENT, "the model is `bge-m3`, whose vocabulary isn't OpenAI's", "Embeddings")
def _(contender: Embedding) -> str:
    name = "model_name" if "model_name" in contender.settings else "model"
    with ScriptedServer(embedding) as server:
        try:
            contender.embed(contender.make(server.url, max_retries=0, **{name: "bge-m3"}), ["Tea grows."])
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error)}; {times(len(server.requests), 'request')}"
        return f"sent {inputs(server)}"


@situation(SENT, "one text of 20,000 words: how many inputs its vector is made of", "Embeddings")
def _(contender: Embedding) -> str:
    with ScriptedServer(embedding) as server:
        vectors = contender.embed(contender.make(server.url, max_retries=0), ["tea " * 20_000])
        pieces = sum(len(inputs_of(seen.json)) for seen in server.requests)
        return f"{times(len(vectors), 'vector')}, made of {pieces}"


@situation(SENT, "a first call in a process for which no host but the server can be reached", "Embeddings")
def _(contender: Embedding) -> str:
    import os
    import tempfile

    resolve = socket.getaddrinfo

    def unreachable(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", b"127.0.0.1"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *args, **kwargs)

    socket.getaddrinfo = unreachable
    with ScriptedServer(embedding) as server, tempfile.TemporaryDirectory() as empty:
        os.environ["TIKTOKEN_CACHE_DIR"] = empty
        try:
            contender.embed(contender.make(server.url, max_retries=0), ["a"])
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error, 60)}; {times(len(server.requests), 'request')}"
        return "a vector"


# Limits of servers


def refusal(message: str, status: int = 400) -> list[Any]:
    return http({"error": {"message": message, "type": "invalid_request_error"}}, status)


def limited(
    contender: Embedding, texts: list[str], refuse: Callable[[dict[str, Any]], str], times_asked: int = 1
) -> str:
    """Embed texts of which a server refuses some; say how many vectors came, and after how many requests."""

    def script(seen: Seen) -> list[Any]:
        said = refuse(seen.json)
        return refusal(said) if said else embedding(seen)

    with ScriptedServer(script) as server:
        llm = contender.make(server.url, max_retries=0)
        for _ in range(times_asked):
            asked = len(server.requests)
            try:
                vectors = contender.embed(llm, texts)
            except Exception as error:  # noqa: BLE001 - whatever comes is the observation
                took = times(len(server.requests) - asked, "request")
                position = getattr(error, "position", None)
                named = "" if position is None else f", naming text {position}"
                return f"{error_name(error)} after {took}{named}: {short(error, 60)}"
            took = times(len(server.requests) - asked, "request")
        return f"{times(len(vectors), 'vector')}; {took}"


def ten(body: dict[str, Any]) -> str:
    """Refuse more than ten texts, as Ali's do."""
    too_many = len(inputs_of(body)) > 10
    return "Value error, batch size is invalid, it should not be larger than 10." if too_many else ""


@situation(LIMITS, "45 texts; the server takes 10 at a time (as Ali's does)", "Embeddings")
def _(contender: Embedding) -> str:
    return limited(contender, [f"text {i}" for i in range(45)], ten)


@situation(LIMITS, "the same texts once more", "Embeddings")
def _(contender: Embedding) -> str:
    return limited(contender, [f"text {i}" for i in range(45)], ten, 2)


@situation(LIMITS, "8 texts, of which the server refuses the one at position 5 as empty", "Embeddings")
def _(contender: Embedding) -> str:
    texts = [f"text {i}" for i in range(5)] + [""] + ["text 6", "text 7"]
    return limited(
        contender,
        texts,
        lambda body: "input must not be empty" if any(not text for text in inputs_of(body)) else "",
    )


@situation(LIMITS, "the server refuses `encoding_format`", "Embeddings")
def _(contender: Embedding) -> str:
    return limited(
        contender,
        ["a", "b"],
        lambda body: "Unsupported parameter: 'encoding_format' is not supported." if "encoding_format" in body else "",
    )


# Many requests


def flights(contender: Embedding, *, awaited: bool) -> str:
    """Embed 16 texts, one in a request, each of which takes 0.2 s."""
    flying, most, lock = 0, 0, threading.Lock()

    def script(seen: Seen) -> list[Any]:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)

        def land() -> None:
            nonlocal flying
            time.sleep(0.2)
            with lock:
                flying -= 1

        return [land, *embedding(seen)]

    size = {"embed_batch_size": 1} if contender.framework == "LlamaIndex" else {"chunk_size": 1}
    if contender.ours and contender.framework == "LangChain":
        size = {"batch_size": 1}
    texts = [f"text {i}" for i in range(16)]
    with ScriptedServer(script) as server:
        llm = contender.make(server.url, **size)
        start = time.monotonic()
        if awaited:
            asyncio.run(contender.aembed(llm, texts))
        else:
            contender.embed(llm, texts)
        return f"{times(most, 'request')} in flight at most, {time.monotonic() - start:.1f} s"


@situation(MANY, "16 requests of 0.2 s", "Embeddings")
def _(contender: Embedding) -> str:
    return flights(contender, awaited=False)


@situation(MANY, "the same, async", "Embeddings")
def _(contender: Embedding) -> str:
    return flights(contender, awaited=True)


LONG = {"float": json.dumps(vector_of("a", 1536)), "base64": json.dumps(base64_of(vector_of("a", 1536)))}
"""A vector as JSON, in both forms."""


def long_vectors(seen: Seen) -> list[Any]:
    """Answer with vectors of 1,536 numbers, made beforehand: the server shares the process with what is observed."""
    form = "base64" if seen.json.get("encoding_format") == "base64" else "float"
    items = (
        f'{{"object": "embedding", "index": {i}, "embedding": {LONG[form]}}}' for i in range(len(inputs_of(seen.json)))
    )
    usage = '"model": "served", "usage": {"prompt_tokens": 3, "total_tokens": 3}}'
    return http(
        f'{{"object": "list", "data": [{", ".join(items)}], {usage}', headers={"Content-Type": "application/json"}
    )


@situation(MANY, "1,000 vectors of 1,536 numbers, async", "Embeddings")
def _(contender: Embedding) -> str:
    async def run(llm: Any) -> str:
        await contender.acomplete(llm)  # connects, and imports what is late
        texts = [f"text {i}" for i in range(1000)]
        _, gap = await standstill(lambda: contender.aembed(llm, texts), time.thread_time)
        return f"computed for up to {gap:.2f} s at a time on the loop"

    with ScriptedServer(long_vectors) as server:
        return asyncio.run(run(contender.make(server.url)))

"""Plain requests and aiohttp, as a careful user would write it: the lower part of every floor."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.rows import AT_ONCE, BATCH, CALLS, STREAMS, TOKENS, cpu_per, row, wall


def plain_session() -> Any:
    import requests

    return requests.Session()


def plain_body(prompt: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "prompt": prompt, "max_tokens": 256, **more}


def plain_complete(session: Any, url: str, body: dict[str, Any]) -> list[str]:
    reply = session.post(url + "/completions", json=body, headers={"Authorization": "Bearer k"}, timeout=60)
    reply.raise_for_status()
    return [choice["text"] for choice in reply.json()["choices"]]


def plain_stream(session: Any, url: str, tokens: int, model: str = "m") -> Any:
    body = plain_body("x", stream=True, max_tokens=tokens, model=model)
    with session.post(url + "/completions", json=body, stream=True, timeout=60) as reply:
        reply.raise_for_status()
        for line in reply.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                choices = json.loads(line[6:])["choices"]
                if choices:
                    yield choices[0]["text"]


async def plain_acomplete(session: Any, url: str, body: dict[str, Any]) -> list[str]:
    async with session.post(url + "/completions", json=body, headers={"Authorization": "Bearer k"}) as reply:
        reply.raise_for_status()
        return [choice["text"] for choice in (await reply.json())["choices"]]


async def plain_astream(session: Any, url: str, tokens: int, model: str = "m") -> Any:
    body = plain_body("x", stream=True, max_tokens=tokens, model=model)
    async with session.post(url + "/completions", json=body) as reply:
        reply.raise_for_status()
        buffer = b""
        async for block in reply.content.iter_any():
            lines = (buffer + block).split(b"\n")
            buffer = lines.pop()
            for line in lines:
                if line.startswith(b"data: ") and line != b"data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    if choices:
                        yield choices[0]["text"]


def async_plain(count: int, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> float:
    import aiohttp

    async def with_session() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await work(session)
            gc.collect()
            start = time.process_time()
            await work(session)
            return (time.process_time() - start) / count * 1e6

    return asyncio.run(with_session())


@row("langchain invoke", "plain")
@row("llama_index complete", "plain")
def _(url: str) -> float:
    session = plain_session()
    return cpu_per(CALLS, lambda: [plain_complete(session, url, plain_body("x")) for _ in range(CALLS)])


@row("langchain ainvoke, 64 at once", "plain")
@row("llama_index acomplete, 64 at once", "plain")
def _(url: str) -> float:
    async def work(session: Any) -> None:
        for _ in range(4):
            await asyncio.gather(*(plain_acomplete(session, url, plain_body("x")) for _ in range(AT_ONCE)))

    return async_plain(4 * AT_ONCE, work)


@row("langchain stream", "plain")
@row("llama_index stream_complete", "plain")
def _(url: str) -> float:
    session = plain_session()
    return cpu_per(TOKENS, lambda: sum(1 for _ in plain_stream(session, url, TOKENS)))


@row("langchain astream", "plain")
@row("llama_index astream_complete", "plain")
def _(url: str) -> float:
    async def work(session: Any) -> None:
        async for _ in plain_astream(session, url, TOKENS):
            pass

    return async_plain(TOKENS, work)


@row("langchain 100 astreams at once", "plain")
def _(url: str) -> float:
    async def one(session: Any) -> None:
        async for _ in plain_astream(session, url, 200):
            pass

    async def work(session: Any) -> None:
        await asyncio.gather(*(one(session) for _ in range(STREAMS)))

    return async_plain(200 * STREAMS, work)


def prompts() -> list[str]:
    return [f"prompt {i}" for i in range(BATCH)]


@row("langchain batch of 1000, 50 ms each", "plain")
def _(url: str) -> float:
    from concurrent.futures import ThreadPoolExecutor

    session = plain_session()
    packs = [prompts()[i : i + 20] for i in range(0, BATCH, 20)]

    def work() -> None:
        with ThreadPoolExecutor(8) as pool:
            bodies = [plain_body(pack, model="delay-50") for pack in packs]
            list(pool.map(lambda body: plain_complete(session, url, body), bodies))

    work()
    return wall(work)


@row("langchain abatch of 1000, 50 ms each", "plain")
def _(url: str) -> float:
    import aiohttp

    packs = [prompts()[i : i + 20] for i in range(0, BATCH, 20)]

    async def work() -> float:
        async with aiohttp.ClientSession() as session:
            turn = asyncio.Semaphore(8)

            async def one(pack: list[str]) -> None:
                async with turn:
                    await plain_acomplete(session, url, plain_body(pack, model="delay-50"))

            await asyncio.gather(*map(one, packs))
            start = time.perf_counter()
            await asyncio.gather(*map(one, packs))
            return time.perf_counter() - start

    return asyncio.run(work())

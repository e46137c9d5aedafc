"""What a user waits for, and what 1000 streams hold: imports, first tokens, the lag of each token, memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

from benchmarks.on_langchain import langchain_from_memory, langchain_ours, langchain_peer
from benchmarks.on_llama_index import llama_index_ours, llama_index_peer
from benchmarks.plain import plain_astream, plain_session, plain_stream
from benchmarks.rows import AT_ONCE, PACED, peak_memory, row


def _import(name: str, subject: str, statement: str) -> None:
    """Measure an import at the top of a program, where users have it.

    Python 3.11 and later are up to a fifth slower where a busy frame happens to lie across two blocks of
    the stack; a few frames more or less decide that, so here are none of our own.
    """
    program = f"import time\nstart = time.process_time()\n{statement}\nprint(time.process_time() - start)"

    @row(name, subject)
    def _(url: str) -> float:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 - a fixed program
        if done.returncode:
            raise RuntimeError(done.stderr)
        return float(done.stdout)


_import("langchain import", "framework", "import langchain_core.language_models.llms")
_import("langchain import", "ours", "import xdm_integrations.langchain")
_import("langchain import", "peer", "import langchain_openai")
_import("llama_index import", "framework", "import llama_index.core.llms")
_import("llama_index import", "ours", "import xdm_integrations.llama_index")
_import("llama_index import", "peer", "import llama_index.llms.openai_like")


def _first_token(stream: Callable[[], Any]) -> float:
    times = []
    for _ in range(60):
        start = time.perf_counter()
        iterator = iter(stream())
        next(iterator)
        times.append(time.perf_counter() - start)
        for _ in iterator:
            pass
    return median(times) * 1e6


@row("time to first token, sync", "plain")
def _(url: str) -> float:
    session = plain_session()
    return _first_token(lambda: plain_stream(session, url, 1))


@row("time to first token, sync", "framework")
def _(url: str) -> float:
    llm = langchain_from_memory()
    return _first_token(lambda: llm.stream("x"))


@row("time to first token, sync", "ours")
def _(url: str) -> float:
    llm = langchain_ours(url, max_tokens=1)
    return _first_token(lambda: llm.stream("x"))


@row("time to first token, sync", "peer")
def _(url: str) -> float:
    llm = langchain_peer(url, max_tokens=1)
    return _first_token(lambda: llm.stream("x"))


async def _async_first_token(at_once: int, stream: Callable[[], Any]) -> float:
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


def _async_first_token_rows(name: str, at_once: int) -> None:
    @row(name, "plain")
    def _(url: str) -> float:
        import aiohttp

        async def work() -> float:
            async with aiohttp.ClientSession() as session:
                return await _async_first_token(at_once, lambda: plain_astream(session, url, 1))

        return asyncio.run(work())

    @row(name, "framework")
    def _(url: str) -> float:
        llm = langchain_from_memory()
        return asyncio.run(_async_first_token(at_once, lambda: llm.astream("x")))

    @row(name, "ours")
    def _(url: str) -> float:
        llm = langchain_ours(url, max_tokens=1)
        return asyncio.run(_async_first_token(at_once, lambda: llm.astream("x")))

    @row(name, "peer")
    def _(url: str) -> float:
        llm = langchain_peer(url, max_tokens=1)
        return asyncio.run(_async_first_token(at_once, lambda: llm.astream("x")))


_async_first_token_rows("time to first token, async", 1)
_async_first_token_rows("time to first token, 64 at once", AT_ONCE)


def _lags(texts: Any) -> list[float]:
    return [time.monotonic() - float(text) for text in texts if text]


def _lag_rows(quantile: str, choose: Callable[[list[float]], float]) -> None:
    @row(f"token lag, sync, {quantile}", "plain")
    def _(url: str) -> float:
        return choose(_lags(plain_stream(plain_session(), url, PACED, "paced-3"))) * 1e6

    @row(f"token lag, sync, {quantile}", "ours")
    def _(url: str) -> float:
        return choose(_lags(langchain_ours(url, model="paced-3", max_tokens=PACED).stream("x"))) * 1e6

    async def lags(stream: Any) -> list[float]:
        return [time.monotonic() - float(text) async for text in stream if text]

    @row(f"token lag, async, {quantile}", "plain")
    def _(url: str) -> float:
        import aiohttp

        async def work() -> float:
            async with aiohttp.ClientSession() as session:
                return choose(await lags(plain_astream(session, url, PACED, "paced-3")))

        return asyncio.run(work()) * 1e6

    @row(f"token lag, async, {quantile}", "ours")
    def _(url: str) -> float:
        llm = langchain_ours(url, model="paced-3", max_tokens=PACED)
        return choose(asyncio.run(lags(llm.astream("x")))) * 1e6


_lag_rows("median", median)
_lag_rows("p99", lambda lags: quantiles(lags, n=100)[98])


def _memory(framework: str, subject: str, make: Callable[..., Any], stream: Callable[[Any], Any]) -> None:
    @row(f"{framework} memory of 1000 streams at once", subject)
    def _(url: str) -> float:
        llm = make(url, model="paced-100", max_tokens=20)

        async def one() -> None:
            async for _ in await stream(llm):
                pass

        async def work() -> float:
            await one()
            before = peak_memory()
            await asyncio.gather(*(one() for _ in range(1000)))
            return peak_memory() - before

        return asyncio.run(work())


async def _langchain_stream(llm: Any) -> Any:
    return llm.astream("x")


async def _llama_index_stream(llm: Any) -> Any:
    return await llm.astream_complete("x")


_memory("langchain", "ours", langchain_ours, _langchain_stream)
_memory("langchain", "peer", langchain_peer, _langchain_stream)
_memory("llama_index", "ours", llama_index_ours, _llama_index_stream)
_memory("llama_index", "peer", llama_index_peer, _llama_index_stream)

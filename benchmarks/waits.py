"""What a user waits for, and what 1000 streams hold: imports, first tokens, the lag of each token, memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.on_langchain import langchain_from_memory, langchain_ours, langchain_peer
from benchmarks.on_llama_index import llama_index_ours, llama_index_peer
from benchmarks.plain import plain_astream, plain_session, plain_stream
from benchmarks.rows import (
    AT_ONCE,
    PACED,
    async_first_token,
    async_lags,
    first_token,
    lag_rows,
    lags,
    peak_memory,
    row,
)


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
_import("langchain import", "ours", "from xdm_integrations.langchain import XDMLLM")
_import("langchain import", "peer", "import langchain_openai")
_import("langchain chat import", "framework", "import langchain_core.language_models.chat_models")
_import("langchain chat import", "ours", "from xdm_integrations.langchain import ChatXDM")
_import("langchain chat import", "peer", "from langchain_openai import ChatOpenAI")
_import("llama_index import", "framework", "import llama_index.core.llms")
_import("llama_index import", "ours", "import xdm_integrations.llama_index")
_import("llama_index import", "peer", "import llama_index.llms.openai_like")
_import("llama_index chat import", "framework", "import llama_index.core.llms.function_calling")
_import("llama_index chat import", "ours", "from xdm_integrations.llama_index import XDMChat")
_import("llama_index chat import", "peer", "from llama_index.llms.openai_like import OpenAILike")


@row("time to first token, sync", "plain")
def _(url: str) -> float:
    session = plain_session()
    return first_token(lambda: plain_stream(session, url, 1))


@row("time to first token, sync", "framework")
def _(url: str) -> float:
    llm = langchain_from_memory()
    return first_token(lambda: llm.stream("x"))


@row("time to first token, sync", "ours")
def _(url: str) -> float:
    llm = langchain_ours(url, max_tokens=1)
    return first_token(lambda: llm.stream("x"))


@row("time to first token, sync", "peer")
def _(url: str) -> float:
    llm = langchain_peer(url, max_tokens=1)
    return first_token(lambda: llm.stream("x"))


def _async_first_token_rows(name: str, at_once: int) -> None:
    @row(name, "plain")
    def _(url: str) -> float:
        import aiohttp

        async def work() -> float:
            async with aiohttp.ClientSession() as session:
                return await async_first_token(at_once, lambda: plain_astream(session, url, 1))

        return asyncio.run(work())

    @row(name, "framework")
    def _(url: str) -> float:
        llm = langchain_from_memory()
        return asyncio.run(async_first_token(at_once, lambda: llm.astream("x")))

    @row(name, "ours")
    def _(url: str) -> float:
        llm = langchain_ours(url, max_tokens=1)
        return asyncio.run(async_first_token(at_once, lambda: llm.astream("x")))

    @row(name, "peer")
    def _(url: str) -> float:
        llm = langchain_peer(url, max_tokens=1)
        return asyncio.run(async_first_token(at_once, lambda: llm.astream("x")))


_async_first_token_rows("time to first token, async", 1)
_async_first_token_rows("time to first token, 64 at once", AT_ONCE)


async def _plain_lags(url: str) -> list[float]:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        return await async_lags(plain_astream(session, url, PACED, "paced-3"))


lag_rows("token lag, sync", "plain", lambda url: lags(plain_stream(plain_session(), url, PACED, "paced-3")))
lag_rows("token lag, async", "plain", lambda url: asyncio.run(_plain_lags(url)))
lag_rows("token lag, sync", "ours", lambda url: lags(_paced(url).stream("x")))
lag_rows("token lag, async", "ours", lambda url: asyncio.run(async_lags(_paced(url).astream("x"))))


def _paced(url: str) -> Any:
    return langchain_ours(url, model="paced-3", max_tokens=PACED)


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

"""LangChain: alone over an LLM that answers from memory, with ours, and with the peer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.plain import prompts
from benchmarks.rows import AT_ONCE, CALLS, STREAMS, TOKENS, cpu_per, cpu_per_async, row, wall


def langchain_from_memory(answers: int = 1) -> Any:
    from langchain_core.language_models.llms import BaseLLM
    from langchain_core.outputs import Generation, GenerationChunk, LLMResult

    class FromMemory(BaseLLM):
        def _generate(self, prompts: list[str], *_: Any, **__: Any) -> LLMResult:
            return LLMResult(generations=[[Generation(text="<x>")] for _ in prompts])

        async def _agenerate(self, prompts: list[str], *_: Any, **__: Any) -> LLMResult:
            return self._generate(prompts)

        def _stream(self, *_: Any, **__: Any) -> Any:
            for _i in range(answers):
                yield GenerationChunk(text=" word")

        async def _astream(self, *_: Any, **__: Any) -> Any:
            for _i in range(answers):
                yield GenerationChunk(text=" word")

        @property
        def _llm_type(self) -> str:
            return "memory"

    return FromMemory()


def langchain_ours(url: str, **more: Any) -> Any:
    from xdm_integrations.langchain import XDMLLM

    return XDMLLM(**{"model": "m", "api_key": "k", "base_url": url, **more})


def langchain_peer(url: str, **more: Any) -> Any:
    from langchain_openai import OpenAI

    return OpenAI(**{"model": "m", "api_key": "k", "base_url": url, **more})


LANGCHAIN = {"framework": lambda url, **_: langchain_from_memory(), "ours": langchain_ours, "peer": langchain_peer}


def _langchain(subject: str) -> None:  # noqa: C901 - one function per row
    make = LANGCHAIN[subject]

    def streaming(url: str, tokens: int) -> Any:
        return langchain_from_memory(tokens) if subject == "framework" else make(url, max_tokens=tokens)

    @row("langchain invoke", subject)
    def _(url: str) -> float:
        llm = make(url)
        return cpu_per(CALLS, lambda: [llm.invoke("x") for _ in range(CALLS)])

    @row("langchain ainvoke, 64 at once", subject)
    def _(url: str) -> float:
        llm = make(url)

        async def work() -> None:
            for _ in range(4):
                await asyncio.gather(*(llm.ainvoke("x") for _ in range(AT_ONCE)))

        return cpu_per_async(4 * AT_ONCE, work)

    @row("langchain stream", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)
        return cpu_per(TOKENS, lambda: sum(1 for _ in llm.stream("x")))

    @row("langchain astream", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)

        async def work() -> None:
            async for _ in llm.astream("x"):
                pass

        return cpu_per_async(TOKENS, work)

    @row("langchain 100 astreams at once", subject)
    def _(url: str) -> float:
        llm = streaming(url, 200)

        async def one() -> None:
            async for _ in llm.astream("x"):
                pass

        async def work() -> None:
            await asyncio.gather(*(one() for _ in range(STREAMS)))

        return cpu_per_async(200 * STREAMS, work)

    @row("langchain batch of 1000, 50 ms each", subject)
    def _(url: str) -> float:
        llm = make(url, model="delay-50")
        llm.batch(prompts())
        return wall(lambda: llm.batch(prompts()))

    @row("langchain abatch of 1000, 50 ms each", subject)
    def _(url: str) -> float:
        llm = make(url, model="delay-50")

        async def work() -> float:
            await llm.abatch(prompts())
            start = time.perf_counter()
            await llm.abatch(prompts())
            return time.perf_counter() - start

        return asyncio.run(work())


for _subject in LANGCHAIN:
    _langchain(_subject)

"""LlamaIndex: alone over an LLM that answers from memory, with ours, and with the peer."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.rows import AT_ONCE, CALLS, TOKENS, cpu_per, cpu_per_async, row


def llama_index_from_memory(answers: int = 1) -> Any:
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback

    class FromMemory(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata()

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            return CompletionResponse(text="<x>")

        @llm_completion_callback()
        async def acomplete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            return CompletionResponse(text="<x>")

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            def items() -> Any:
                text = ""
                for _i in range(answers):
                    text += " word"
                    yield CompletionResponse(text=text, delta=" word")

            return items()

        @llm_completion_callback()
        async def astream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            async def items() -> Any:
                text = ""
                for _i in range(answers):
                    text += " word"
                    yield CompletionResponse(text=text, delta=" word")

            return items()

    return FromMemory()


def llama_index_ours(url: str, **more: Any) -> Any:
    from xdm_integrations.llama_index import XDM

    return XDM(**{"model": "m", "api_key": "k", "api_base": url, "context_window": 10**6, **more})


def llama_index_peer(url: str, **more: Any) -> Any:
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(**{"model": "m", "api_key": "k", "api_base": url, "is_chat_model": False, **more})


LLAMA_INDEX = {
    "framework": lambda url, **_: llama_index_from_memory(),
    "ours": llama_index_ours,
    "peer": llama_index_peer,
}


def _llama_index(subject: str) -> None:
    make = LLAMA_INDEX[subject]

    def streaming(url: str, tokens: int) -> Any:
        return llama_index_from_memory(tokens) if subject == "framework" else make(url, max_tokens=tokens)

    @row("llama_index complete", subject)
    def _(url: str) -> float:
        llm = make(url)
        return cpu_per(CALLS, lambda: [llm.complete("x") for _ in range(CALLS)])

    @row("llama_index acomplete, 64 at once", subject)
    def _(url: str) -> float:
        llm = make(url)

        async def work() -> None:
            for _ in range(4):
                await asyncio.gather(*(llm.acomplete("x") for _ in range(AT_ONCE)))

        return cpu_per_async(4 * AT_ONCE, work)

    @row("llama_index stream_complete", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)
        return cpu_per(TOKENS, lambda: sum(1 for _ in llm.stream_complete("x")))

    @row("llama_index astream_complete", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)

        async def work() -> None:
            async for _ in await llm.astream_complete("x"):
                pass

        return cpu_per_async(TOKENS, work)


for _subject in LLAMA_INDEX:
    _llama_index(_subject)

"""What users of `XDM` write, and what they must not write. Checked by mypy and pyright; never run."""

# ruff: noqa: B018, TC002  (written as users write)
from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms import LLM
from typing_extensions import assert_type

from xdm_integrations.llama_index import XDM


def made() -> LLM:
    XDM()
    XDM(
        api_key="key",
        api_base="http://127.0.0.1:8080/v1",
        timeout=(1, None, 60),
        max_retries=0,
        model="m",
        context_window=4096,
        temperature=0,
        max_tokens=None,
        stop=["a"],
        additional_kwargs={"top_k": 1},
    )
    return XDM(api_key=lambda: "key")


def called(llm: XDM) -> None:
    assert_type(llm.complete("a"), CompletionResponse)
    assert_type(llm.complete("a", formatted=True, temperature=0), CompletionResponse)
    assert_type(llm.chat([ChatMessage(content="a")]), ChatResponse)
    assert_type(llm.metadata, LLMMetadata)
    for piece in llm.stream_complete("a"):
        assert_type(piece, CompletionResponse)
        assert_type(piece.delta, str | None)
    for answer in llm.stream_chat([ChatMessage(content="a")]):
        assert_type(answer, ChatResponse)


async def awaited(llm: XDM) -> None:
    assert_type(await llm.acomplete("a"), CompletionResponse)
    assert_type(await llm.achat([ChatMessage(content="a")]), ChatResponse)
    async for piece in await llm.astream_complete("a"):
        assert_type(piece, CompletionResponse)
    async for answer in await llm.astream_chat([ChatMessage(content="a")]):
        assert_type(answer, ChatResponse)


def mistakes(llm: XDM) -> None:
    XDM(temperature="hot")  # type: ignore[arg-type] # a string
    XDM(context_window=None)  # type: ignore[arg-type] # LlamaIndex plans with it
    XDM(additional_kwargs=[1])  # type: ignore[arg-type] # not a mapping
    llm.complete(1)  # type: ignore[arg-type] # no prompt
    llm.chat("a")  # type: ignore[arg-type] # not messages
    llm.complete("a").content  # type: ignore[attr-defined] # a completion has `.text`

"""What users of `XDM` and `XDMChat` write, and what they must not write. Checked by mypy and pyright; never run."""

# ruff: noqa: B018, TC002  (written as users write)
from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import BaseTool
from pydantic import BaseModel
from typing_extensions import assert_type

from xdm_integrations import Timeout, XDMError
from xdm_integrations.llama_index import XDM, XDMChat


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
    base: LLM = llm
    base.complete("a")
    given(llm)


def given(base: LLM) -> None:
    """Whatever takes an LLM takes this one, and calls it as LlamaIndex's own signatures allow."""
    assert_type(base.complete("a", anything="goes"), CompletionResponse)


def every_parameter(llm: XDM, options: dict[str, Any]) -> None:
    llm.complete(
        "a",
        best_of=2,
        echo=True,
        extra_body={"top_k": 1},
        extra_headers={"X-A": "b"},
        formatted=True,
        frequency_penalty=0.5,
        logit_bias={"50256": -100},
        logprobs=5,
        max_tokens=None,
        model="m",
        n=1,
        presence_penalty=1,
        seed=2,
        stop="x",
        suffix="y",
        temperature=1.5,
        timeout=Timeout(total=5),
        top_p=0,
        user="u",
    )
    llm.stream_complete("a", seed=1, timeout=(1, None))
    llm.chat([ChatMessage(content="a")], stop=["x"])
    llm.stream_chat([ChatMessage(content="a")], logit_bias={50256: -100})
    assert_type(llm.fill_in_middle("a", "b", max_tokens=5), CompletionResponse)
    llm.stream_fill_in_middle("a", suffix="b", stop="x")
    assert_type(
        llm.complete_batch(["a", [1, 2]], batch_size=5, return_exceptions=True, temperature=0),
        list[CompletionResponse | XDMError],
    )
    llm.complete("a", **options)


class Louder(XDM):
    """A subclass may take more, as the base class does."""

    def complete(self, *args: Any, **kwargs: Any) -> CompletionResponse:
        return super().complete(*args, **kwargs)


async def awaited(llm: XDM) -> None:
    await llm.acomplete("a", formatted=True, temperature=0)
    await llm.achat([ChatMessage(content="a")], max_tokens=5)
    await llm.afill_in_middle("a", "b", seed=1)
    await llm.acomplete_batch(["a"], max_concurrency=2, seed=1)
    assert_type(await llm.acomplete("a"), CompletionResponse)
    assert_type(await llm.achat([ChatMessage(content="a")]), ChatResponse)
    async for piece in await llm.astream_complete("a"):
        assert_type(piece, CompletionResponse)
    async for answer in await llm.astream_chat([ChatMessage(content="a")]):
        assert_type(answer, ChatResponse)


async def awaited_mistakes(llm: XDM) -> None:
    await llm.acomplete("a", temprature=0)  # type: ignore[call-arg] # misspelt
    await llm.acomplete("a", max_tokens=1.5)  # type: ignore[arg-type] # not an integer
    await llm.astream_complete("a", max_token=5)  # type: ignore[call-arg] # misspelt
    await llm.astream_complete("a", seed="1")  # type: ignore[arg-type] # a string
    await llm.achat([], temprature=0)  # type: ignore[call-arg] # misspelt
    await llm.astream_chat([], top_p="1")  # type: ignore[arg-type] # a string
    await llm.acomplete_batch(["a"], top_k=5)  # type: ignore[call-arg] # a server's own, for `extra_body`
    await llm.afill_in_middle("a", "b", temprature=0)  # type: ignore[call-arg] # misspelt


class Dog(BaseModel):
    name: str


def chatted(llm: XDMChat, tools: list[BaseTool], prompt: PromptTemplate) -> FunctionCallingLLM:
    messages = [ChatMessage("a")]
    assert_type(llm.chat(messages, temperature=0, max_completion_tokens=5, metadata={"a": "b"}), ChatResponse)
    assert_type(llm.complete("a", formatted=True, reasoning_effort="low"), CompletionResponse)
    assert_type(llm.metadata, LLMMetadata)
    for answer in llm.stream_chat(messages, tools=[{"type": "function"}], tool_choice="auto"):
        assert_type(answer, ChatResponse)
    response = llm.chat_with_tools(tools, "a", tool_required=True, tool_choice="add", temperature=0)
    assert_type(llm.get_tool_calls_from_response(response), list[ToolSelection])
    assert_type(llm.structured_predict(Dog, prompt, {"temperature": 0}, x=1), Dog)
    return XDMChat(model="m", max_tokens=5, stop=["a"], think_tags=True, strict=True, response_format={"type": "text"})


async def awaited_chat(llm: XDMChat, prompt: PromptTemplate) -> None:
    assert_type(await llm.achat([ChatMessage("a")], seed=1), ChatResponse)
    assert_type(await llm.astructured_predict(Dog, prompt, x=1), Dog)
    async for answer in await llm.astream_chat([ChatMessage("a")]):
        assert_type(answer, ChatResponse)


async def awaited_chat_mistakes(llm: XDMChat, prompt: PromptTemplate) -> None:
    await llm.achat([], temprature=0)  # type: ignore[call-arg] # misspelt
    await llm.astream_chat([], max_tokens="5")  # type: ignore[arg-type] # a string
    await llm.acomplete("a", suffix="b")  # type: ignore[call-arg] # for text completions
    await llm.astream_complete(5)  # type: ignore[arg-type] # no prompt
    await llm.astructured_predict(Dog)  # type: ignore[call-arg] # no prompt
    await llm.astructured_predict(5, prompt)  # type: ignore[arg-type] # no class


def chat_mistakes(llm: XDMChat) -> None:
    XDMChat(temprature=0)  # type: ignore[call-arg] # misspelt
    XDMChat(model=None)  # type: ignore[arg-type] # there is always one
    llm.chat("a")  # type: ignore[arg-type] # not messages
    llm.chat([{"role": "user"}])  # type: ignore[list-item] # not LlamaIndex's messages
    llm.chat([], tool_choice=5)  # type: ignore[arg-type] # no choice
    llm.chat_with_tools("add")  # type: ignore[arg-type] # not tools
    llm.get_tool_calls_from_response("a")  # type: ignore[arg-type] # no response
    llm.chat([], temprature=0)  # type: ignore[call-arg] # misspelt
    llm.chat([], max_tokens="5")  # type: ignore[arg-type] # a string
    llm.stream_chat([], stream=True)  # type: ignore[call-arg] # the method called decides
    llm.complete("a", echo=True)  # type: ignore[call-arg] # for text completions
    XDMChat(temperature="hot")  # type: ignore[arg-type] # a string
    XDMChat(strict="yes")  # type: ignore[arg-type] # not a truth value


def mistakes(llm: XDM) -> None:
    llm.complete("a", temprature=0)  # type: ignore[call-arg] # misspelt
    llm.complete("a", temperature="0")  # type: ignore[arg-type] # a string
    llm.complete("a", stream=True)  # type: ignore[call-arg] # the method called decides
    llm.stream_complete("a", max_token=5)  # type: ignore[call-arg] # misspelt
    llm.stream_complete("a", logit_bias=[1])  # type: ignore[arg-type] # not a mapping
    llm.chat([], tools=[])  # type: ignore[call-arg] # for chat models
    llm.stream_chat([], stop=[1])  # type: ignore[list-item] # not texts
    llm.complete_batch(["a"], temprature=0)  # type: ignore[call-arg] # misspelt
    llm.complete_batch(["a"], batch_size="5")  # type: ignore[arg-type] # a string
    llm.fill_in_middle("a")  # type: ignore[call-arg] # no suffix
    XDM(temperature="hot")  # type: ignore[arg-type] # a string
    XDM(context_window=None)  # type: ignore[arg-type] # LlamaIndex plans with it
    XDM(additional_kwargs=[1])  # type: ignore[arg-type] # not a mapping
    llm.complete(1)  # type: ignore[arg-type] # no prompt
    llm.chat("a")  # type: ignore[arg-type] # not messages
    llm.complete("a").content  # type: ignore[attr-defined] # a completion has `.text`

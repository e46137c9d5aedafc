"""What users of `ChatXDM` write, and what they must not write. Checked by mypy and pyright; never run."""

# ruff: noqa: TC002  (written as users write)
from __future__ import annotations

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr
from typing_extensions import assert_type

from xdm_integrations import Timeout
from xdm_integrations.langchain import ChatXDM


class City(BaseModel):
    name: str


@tool
def add(a: int, b: int) -> int:
    """Add numbers."""
    return a + b


def subtract(a: int, b: int) -> int:
    """Subtract numbers."""
    return a - b


def made() -> ChatXDM:
    ChatXDM()
    ChatXDM(
        api_key=SecretStr("key"),
        base_url="http://127.0.0.1:8080/v1",
        timeout=Timeout(total=60),
        rate_limiter=InMemoryRateLimiter(requests_per_second=1),
        model="m",
        temperature=0,
        max_tokens=None,
        stop=["a"],
        tools=[{"type": "function", "function": {"name": "f"}}],
        profile={"max_input_tokens": 5},
        max_concurrency=5,
        streaming=True,
        output_version="v1",
    )
    return ChatXDM(api_key=lambda: "key")


def called(chat: ChatXDM) -> None:
    assert_type(chat.invoke("a"), AIMessage)
    assert_type(chat.invoke([("human", "a")], temperature=0, stop=["b"]), AIMessage)
    assert_type(chat.batch(["a", "b"]), list[AIMessage])
    for chunk in chat.stream([HumanMessage("a")]):
        assert_type(chunk, AIMessageChunk)
    chain = ChatPromptTemplate.from_messages([("human", "{a}")]) | chat | StrOutputParser()
    assert_type(chain.invoke({"a": "b"}), str)
    given(chat, chat)


def given(base: BaseChatModel, runnable: Runnable[LanguageModelInput, AIMessage]) -> None:
    """Whatever takes a chat model takes this one."""
    assert_type(base.invoke("a"), AIMessage)
    assert_type(runnable.with_retry().with_config(tags=["t"]).invoke("a"), AIMessage)


def bound(chat: ChatXDM) -> None:
    tools = chat.bind_tools([add, subtract, City, {"type": "web_search"}], tool_choice="add", strict=True)
    assert_type(tools.invoke("a"), AIMessage)
    chat.bind_tools([add], tool_choice=True, parallel_tool_calls=False)
    chat.with_structured_output(City, method="json_schema", include_raw=True, strict=True, temperature=0).invoke("a")
    assert_type(chat.get_num_tokens_from_messages([HumanMessage("a")], tools=[add]), int)


async def awaited(chat: ChatXDM) -> None:
    assert_type(await chat.ainvoke("a"), AIMessage)
    async for chunk in chat.astream("a"):
        assert_type(chunk, AIMessageChunk)


async def awaited_mistakes(chat: ChatXDM) -> None:
    await chat.ainvoke(5)  # type: ignore[arg-type] # no messages
    chat.astream(5)  # type: ignore[arg-type] # no messages
    chat.get_num_tokens_from_messages("a")  # type: ignore[arg-type] # no messages


def mistakes(chat: ChatXDM) -> None:
    ChatXDM(model=None)  # type: ignore[arg-type] # there is always one
    ChatXDM(max_tokens="5")  # type: ignore[arg-type] # a string
    ChatXDM(stop=5)  # type: ignore[arg-type] # no text
    ChatXDM(tools=["add"])  # type: ignore[list-item] # not the API's form; `bind_tools` takes functions
    ChatXDM(rate_limiter=5)  # type: ignore[arg-type] # no limiter
    chat.invoke(5)  # type: ignore[arg-type] # no messages
    chat.bind_tools(subtract)  # type: ignore[arg-type] # not in a list
    chat.bind_tools([add], tool_choice=5)  # type: ignore[arg-type] # no choice
    chat.with_structured_output(City, method=5)  # type: ignore[arg-type] # no method
    chat.with_structured_output(City, include_raw="yes")  # type: ignore[arg-type] # not a truth value
    ChatXDM(temprature=0)  # type: ignore[call-arg] # misspelt
    ChatXDM(temperature="hot")  # type: ignore[arg-type] # a word
    ChatXDM(max_concurrency="five")  # type: ignore[arg-type] # a word
    chat.bind_tools([5])  # type: ignore[list-item] # no tool
    chat.with_structured_output(5)  # type: ignore[arg-type] # no schema

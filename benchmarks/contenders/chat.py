"""Chat: `ChatOpenAI`, `ChatDeepSeek`, LlamaIndex's `OpenAI`, `OpenAILike`, and ours.

What each makes of an answer is told in the same terms: see `Said`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from langchain_deepseek import ChatDeepSeek
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI as LlamaIndexOpenAI
from llama_index.llms.openai_like import OpenAILike

from tests.scripted import Seen, http
from tests.wire.chat import answer, chat_stream, delta
from xdm_integrations.langchain import ChatXDM
from xdm_integrations.llama_index import XDMChat

from . import Contender


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sunny in {city}"


def get_time(city: str) -> str:
    """Return the time in a city."""
    return f"noon in {city}"


TOOLS = (get_weather, get_time)


class Said(NamedTuple):
    """What an integration makes of an answer. A call is its name, its arguments and its id."""

    text: str
    calls: list[tuple[str, Any, str | None]]
    invalid: list[tuple[str | None, str | None]]
    reasoning: str


class Chat(Contender):
    """An integration of chat."""

    __slots__ = ()
    endpoint = "Chat"

    def complete(self, llm: Any, prompt: str = "x", **parameters: Any) -> str:
        if self.framework == "LangChain":
            return str(llm.invoke(prompt, **parameters).text)
        return llm.chat([ChatMessage(prompt)], **parameters).message.content or ""

    async def acomplete(self, llm: Any, prompt: str = "x", **parameters: Any) -> str:
        if self.framework == "LangChain":
            return str((await llm.ainvoke(prompt, **parameters)).text)
        return (await llm.achat([ChatMessage(prompt)], **parameters)).message.content or ""

    def stream(self, llm: Any, prompt: str = "x", **parameters: Any) -> Iterator[Any]:
        """Return the framework's own generator, not a wrapper: some situations close it."""
        if self.framework == "LangChain":
            return llm.stream(prompt, **parameters)
        return llm.stream_chat([ChatMessage(prompt)], **parameters)

    async def astream(self, llm: Any, prompt: str = "x", **parameters: Any) -> AsyncIterator[Any]:
        if self.framework == "LangChain":
            return llm.astream(prompt, **parameters)
        return await llm.astream_chat([ChatMessage(prompt)], **parameters)

    def ask(self, llm: Any, *, streamed: bool) -> Any:
        """Return what the framework hands out for a question with tools: a message, or a response."""
        if self.framework == "LangChain":
            bound = llm.bind_tools(TOOLS)
            if not streamed:
                return bound.invoke("x")
            first, *more = bound.stream("x")
            return sum(more, first)
        tools = [FunctionTool.from_defaults(tool) for tool in TOOLS]
        if not streamed:
            return llm.chat_with_tools(tools, user_msg="x", allow_parallel_tool_calls=True)
        return list(llm.stream_chat_with_tools(tools, user_msg="x", allow_parallel_tool_calls=True))[-1]

    def said(self, llm: Any, end: Any) -> Said:
        """Read off a message or a response what its users read."""
        if self.framework == "LangChain":
            calls = [(call["name"], call["args"], call["id"]) for call in end.tool_calls]
            invalid = [(call["name"], call["args"]) for call in end.invalid_tool_calls]
            return Said(str(end.text), calls, invalid, end.additional_kwargs.get("reasoning_content") or "")
        chosen = llm.get_tool_calls_from_response(end, error_on_no_tool_call=False)
        calls = [(call.tool_name, call.tool_kwargs, call.tool_id) for call in chosen]
        thoughts = [block.content or "" for block in end.message.blocks if block.block_type == "thinking"]
        return Said(end.message.content or "", calls, [], "".join(thoughts))

    @staticmethod
    def text_of(piece: Any) -> str:
        """Return what a piece of a stream adds: LangChain yields messages, LlamaIndex responses."""
        return piece.delta or "" if hasattr(piece, "delta") else str(piece.text)

    @staticmethod
    def word(text: str, finish: str | None = None) -> dict[str, Any]:
        """Return one event of a stream."""
        return delta(text, finish=finish)

    @staticmethod
    def healthy(seen: Seen) -> list[Any]:
        """Answer as a healthy server does."""
        return chat_stream("yes") if seen.json.get("stream") else http(answer("yes"))


SETTINGS = {"model": "gpt-4o-mini", "api_key": "k"}
CHAT = [
    Chat("`ChatOpenAI`", "LangChain", False, ChatOpenAI, "base_url", SETTINGS),
    Chat("`ChatDeepSeek`", "LangChain", False, ChatDeepSeek, "base_url", SETTINGS),
    Chat("LlamaIndex's `OpenAI`", "LlamaIndex", False, LlamaIndexOpenAI, "api_base", SETTINGS),
    Chat(
        "`OpenAILike`", "LlamaIndex", False, OpenAILike, "api_base",
        {**SETTINGS, "is_chat_model": True, "is_function_calling_model": True},
    ),
    Chat("`ChatXDM`", "LangChain", True, ChatXDM, "base_url", SETTINGS),
    Chat("`XDMChat`", "LlamaIndex", True, XDMChat, "api_base", SETTINGS),
]  # fmt: skip

"""How the chat models of both frameworks are asked what `chat_cases` lists, and what their users see of it.

What is recorded is what a program does: a call, a stream, functions, a schema, many at once. Each is asked sync and
async through the names that both frameworks share.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from tests.replay.chat_cases import CHATS, IN_PARIS, WEATHER
from xdm_integrations.langchain import ChatXDM
from xdm_integrations.llama_index import XDMChat

if TYPE_CHECKING:
    from tests.replay.chat_cases import Chat
    from tests.worlds import World

COMPLETE = ["n", "stop", "logprobs", "tool_required", "bad_request", "context_overflow", "wrong_key", "not_found"]
STREAMED = ["logprobs", "tool_automatic", "tool_required", "context_overflow"]
TOGETHER = ["structured", "tool_loop", "batch"]
"""What is more than one case of `CHATS`."""
EMBEDDED = ["single", "list", "floats", "packs"]
QUESTIONS = ["Hello", "Count to ten", IN_PARIS, "Tell me a story"]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class Shown(NamedTuple):
    """What a user sees of an answer.

    Attributes:
        texts: The text of each choice.
        calls: The calls of functions: id, name and arguments.
        finish: The finish reason of each choice.
        counts: The tokens of the prompt, the answer and both.
        model: The model that served.
        positions: The tokens with their log probabilities.
    """

    texts: list[str]
    calls: list[tuple[str, str, dict[str, Any]]]
    finish: list[str]
    counts: tuple[int, int, int]
    model: str
    positions: list[tuple[str, float]]


def params_of(case: Chat) -> dict[str, Any]:
    """Return the parameters that are given to a call, without functions."""
    return {name: value for name, value in case.sent.items() if name not in ("tools", "tool_choice")}


class LangChainChats:
    """`ChatXDM`."""

    def make(self, **settings: Any) -> Any:
        return ChatXDM(**settings)

    def ask(self, world: World, chat: Any, case: Chat, *, streamed: bool) -> Shown:
        """Ask once."""
        tools = case.params.get("tools")
        model = chat.bind_tools(tools, tool_choice=case.params.get("tool_choice")) if tools else chat
        params = params_of(case)
        if streamed:
            return self._shown([reduce(add, world.items(model, "stream", case.messages, **params))])
        if "n" in params:
            (choices,) = world.call(model, "generate", [[HumanMessage(case.messages)]], **params).generations
            return self._shown([choice.message for choice in choices])
        return self._shown([world.call(model, "invoke", case.messages, **params)])

    def loop(self, world: World, chat: Any, result: str) -> list[Shown]:
        """Let the model call a function, give it the result, and have its answer."""
        model = chat.bind_tools([WEATHER])
        called = world.call(model, "invoke", IN_PARIS)
        messages = [HumanMessage(IN_PARIS), called, ToolMessage(result, tool_call_id=called.tool_calls[0]["id"])]
        return [self._shown([called]), self._shown([world.call(model, "invoke", messages)])]

    def structured(self, world: World, chat: Any) -> Any:
        """Have an object of a class."""
        return world.call(chat.with_structured_output(Person), "invoke", "Describe Ada as JSON")

    def batch(self, world: World, chat: Any, at_once: int) -> list[Shown]:
        """Ask several questions at once."""
        messages = world.call(chat, "batch", QUESTIONS, {"max_concurrency": at_once})
        return [self._shown([message]) for message in messages]

    @staticmethod
    def _shown(messages: list[Any]) -> Shown:
        first = messages[0]
        usage = first.usage_metadata
        logprobs = first.response_metadata.get("logprobs") or {"content": []}
        return Shown(
            [message.text for message in messages],
            [(call["id"], call["name"], call["args"]) for call in first.tool_calls],
            [message.response_metadata["finish_reason"] for message in messages],
            (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
            first.response_metadata["model_name"],
            [(item["token"], item["logprob"]) for item in logprobs["content"]],
        )


def _get_weather(city: str) -> str:
    """Get the weather in a city."""
    raise NotImplementedError(city)  # the model asks for it, and nobody does it


def _get_time(city: str) -> str:
    """Tell the time in a city."""
    raise NotImplementedError(city)


TOOLS = {function.__name__[1:]: function for function in (_get_weather, _get_time)}


class LlamaIndexChats:
    """`XDMChat`."""

    def make(self, **settings: Any) -> Any:
        return XDMChat(api_base=settings.pop("base_url"), **settings)

    def ask(self, world: World, chat: Any, case: Chat, *, streamed: bool) -> Shown:
        """Ask once."""
        tools = [self._tool(tool["function"]["name"]) for tool in case.params.get("tools", ())]
        params = params_of(case)
        name = ("stream_" if streamed else "") + ("chat_with_tools" if tools else "chat")
        given: Any = tools or [ChatMessage(case.messages)]
        if tools:
            params |= {"user_msg": case.messages, "tool_required": case.params.get("tool_choice") == "required"}
        last = world.items(chat, name, given, **params)[-1] if streamed else world.call(chat, name, given, **params)
        return self._shown(chat, last)

    def loop(self, world: World, chat: Any, result: str) -> list[Shown]:
        """Let the model call a function, give it the result, and have its answer."""
        tools = [self._tool("get_weather")]
        called = world.call(chat, "chat_with_tools", tools, user_msg=IN_PARIS)
        (call,) = chat.get_tool_calls_from_response(called)
        told = ChatMessage(role="tool", content=result, additional_kwargs={"tool_call_id": call.tool_id})
        history = [ChatMessage(IN_PARIS), called.message, told]
        answer = world.call(chat, "chat_with_tools", tools, chat_history=history)
        return [self._shown(chat, called), self._shown(chat, answer)]

    def structured(self, world: World, chat: Any) -> Any:
        """Have an object of a class."""
        return world.call(chat, "structured_predict", Person, PromptTemplate("Describe Ada as JSON"))

    def batch(self, world: World, chat: Any, at_once: int) -> list[Shown]:
        """Ask several questions at once."""
        if world.is_async:

            async def gather() -> Any:
                return await asyncio.gather(*(chat.achat([ChatMessage(question)]) for question in QUESTIONS))

            responses = world.run(gather())
        else:
            with ThreadPoolExecutor(at_once) as pool:
                responses = list(pool.map(lambda question: chat.chat([ChatMessage(question)]), QUESTIONS))
        return [self._shown(chat, response) for response in responses]

    @staticmethod
    def _tool(name: str) -> FunctionTool:
        return FunctionTool.from_defaults(TOOLS[name], name=name, description=TOOLS[name].__doc__)

    @staticmethod
    def _shown(chat: Any, response: Any) -> Shown:
        choices, usage = response.raw["choices"], response.raw["usage"]
        assert (response.message.content or "") == (choices[0]["message"]["content"] or "")
        calls = chat.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        return Shown(
            [choice["message"]["content"] or "" for choice in choices],
            [(call.tool_id, call.tool_name, call.tool_kwargs) for call in calls],
            [choice["finish_reason"] for choice in choices],
            (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]),
            response.raw["model"],
            [(first.token, first.logprob) for first, *_ in response.logprobs or []],
        )


ROOMS: dict[str, Any] = {"langchain": LangChainChats(), "llama_index": LlamaIndexChats()}


def adapter_cassettes() -> set[str]:
    """Return the names of the cassettes that `test_adapters` plays."""
    names = {f"chat_model_{name}" for name in (*COMPLETE, *TOGETHER)}
    names |= {f"stream_chat_model_{name}" for name in STREAMED}
    names |= {f"embed_{name}" for name in (*EMBEDDED, "wrong_key")}
    assert set(COMPLETE) | set(STREAMED) <= set(CHATS)
    return {f"{room}/{name}" for room in ROOMS for name in names}

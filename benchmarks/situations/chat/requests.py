"""What goes out: parameters that vanish, are renamed or come unasked, images, and names of models."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.contenders.chat import Chat, get_weather
from benchmarks.situations import LANGCHAIN, LLAMA_INDEX, situation
from benchmarks.situations.words import error_name, short, times
from tests.scripted import ScriptedServer, Seen, http

ROW, NAMES = "Requests", "Names of models"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def sent(contender: Chat, **settings: Any) -> dict[str, Any]:
    """Return the body of a call."""
    with ScriptedServer(contender.healthy) as server:
        contender.complete(contender.make(server.url, max_retries=0, **settings))
        return server.requests[0].json


def fields(body: dict[str, Any]) -> str:
    return ", ".join(f"`{name}: {json.dumps(value)}`" for name, value in body.items()) or "nothing"


@situation(ROW, "nothing is set: what is sent beside `model` and `messages`", "Chat")
def _(contender: Chat) -> str:
    body = sent(contender)
    return fields({name: value for name, value in body.items() if name not in ("model", "messages")})


@situation(ROW, "`top_p=0.5`, `seed=7`, `stop=['END']` for the constructor: what of it is sent", "Chat")
def _(contender: Chat) -> str:
    given = {"top_p": 0.5, "seed": 7, "stop": ["END"]}
    body = sent(contender, **given)
    return fields({name: body[name] for name in given if name in body})


@situation(ROW, "`max_tokens=50`: what is sent", "Chat")
def _(contender: Chat) -> str:
    body = sent(contender, max_tokens=50)
    return fields({name: value for name, value in body.items() if value == 50})


@situation(ROW, "the same; the server refuses `max_tokens`, and names `max_completion_tokens`", "Chat")
def _(contender: Chat) -> str:
    def script(seen: Seen) -> list[Any]:
        message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
        if "max_tokens" in seen.json:
            return http({"error": {"message": message, "type": "invalid_request_error", "param": "max_tokens"}}, 400)
        return contender.healthy(seen)

    with ScriptedServer(script) as server:
        try:
            said = contender.complete(contender.make(server.url, max_retries=0, max_tokens=50))
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error)}"
        return f"`{said!r}`; {times(len(server.requests), 'request')}"


@situation(ROW, "`chat_with_tools` without tools: what is sent of tools", "Chat", frameworks=LLAMA_INDEX)
def _(contender: Chat) -> str:
    with ScriptedServer(contender.healthy) as server:
        contender.make(server.url, max_retries=0).chat_with_tools([], user_msg="x")
        return fields({name: value for name, value in server.requests[0].json.items() if "tool" in name})


@situation(ROW, "a tool's result with an image: whether the image is sent", "Chat", frameworks=LLAMA_INDEX)
def _(contender: Chat) -> str:
    from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ToolCallBlock

    messages = [
        ChatMessage("x"),
        ChatMessage(
            role="assistant",
            blocks=[ToolCallBlock(tool_call_id="call_1", tool_name="look", tool_kwargs={})],
            additional_kwargs={},
        ),
        ChatMessage(
            role="tool",
            blocks=[TextBlock(text="seen"), ImageBlock(url=f"data:image/png;base64,{PIXEL}")],
            additional_kwargs={"tool_call_id": "call_1"},
        ),
    ]
    with ScriptedServer(contender.healthy) as server:
        try:
            contender.make(server.url, max_retries=0).chat(messages)
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error)}"
        return "sent" if PIXEL in server.requests[0].body.decode() else "dropped in silence"


@situation(
    ROW, "a `tool_call` of the history whose arguments were cut: what is sent back", "Chat", frameworks=LANGCHAIN
)
def _(contender: Chat) -> str:
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
    from langchain_core.messages.tool import invalid_tool_call

    half = invalid_tool_call(name="get_weather", args='{"city": "Par', id="call_1", error=None)
    history = [HumanMessage("x"), AIMessage("", invalid_tool_calls=[half]), ToolMessage("no", tool_call_id="call_1")]
    with ScriptedServer(contender.healthy) as server:
        contender.make(server.url, max_retries=0).invoke(history)
        (call,) = server.requests[0].json["messages"][1]["tool_calls"]
        return f"arguments `{call['function']['arguments']}`"


@situation(
    ROW,
    "`chat_with_tools(chat_history=history)`: messages in the caller's list afterwards, of 1",
    "Chat",
    frameworks=LLAMA_INDEX,
)
def _(contender: Chat) -> str:
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool

    history = [ChatMessage("before")]
    with ScriptedServer(contender.healthy) as server:
        tools = [FunctionTool.from_defaults(get_weather)]
        contender.make(server.url).chat_with_tools(tools, user_msg="x", chat_history=history)
    return str(len(history))


# Names of models


@situation(NAMES, "`model='qwen-plus'`: a call", "Chat")
def _(contender: Chat) -> str:
    with ScriptedServer(contender.healthy) as server:
        try:
            said = contender.complete(contender.make(server.url, model="qwen-plus", max_retries=0))
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error)}; {times(len(server.requests), 'request')}"
        return f"`{said!r}`"


@situation(NAMES, "tokens of a message are counted where no other host can be reached", "Chat", frameworks=LANGCHAIN)
def _(contender: Chat) -> str:
    import socket

    from langchain_core.messages import HumanMessage

    def unreachable(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    socket.getaddrinfo = unreachable
    with ScriptedServer(contender.healthy) as server:
        llm = contender.make(server.url)
        try:
            count = llm.get_num_tokens_from_messages([HumanMessage("Hello, world")])
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error)}"
        return f"{count}"

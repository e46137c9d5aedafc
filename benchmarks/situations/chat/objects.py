"""Structured output, from servers and models that don't do what the method presumes."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from benchmarks.contenders.chat import Chat
from benchmarks.situations import LLAMA_INDEX, situation
from benchmarks.situations.words import error_name, short, times
from tests.scripted import ScriptedServer, Seen, http
from tests.wire.chat import answer, calling, chat_stream, tool_call

ROW = "Objects"
ANSWER = {"name": "Rome", "people": 3}


class City(BaseModel):
    """A city."""

    name: str
    people: int


def object_of(contender: Chat, script: Any, *, streamed: bool = False) -> str:
    """Ask for an object in the way that the framework documents, and say what came, after how many requests."""
    with ScriptedServer(script) as server:
        llm = contender.make(server.url, max_retries=0)
        try:
            if contender.framework == "LangChain":
                structured = llm.with_structured_output(City)
                end: Any = structured.invoke("x")
            else:
                from llama_index.core.prompts import PromptTemplate

                ask = llm.stream_structured_predict if streamed else llm.structured_predict
                end = ask(City, PromptTemplate("x"))
                end = list(end)[-1] if streamed else end
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)} after {times(len(server.requests), 'request')}: {short(error, 60)}"
        return f"`{end!r}`; {times(len(server.requests), 'request')}"


def called(seen: Seen, arguments: Any = ANSWER) -> list[Any]:
    """Answer with a call of the first tool."""
    call = tool_call(seen.json["tools"][0]["function"]["name"], arguments)
    return calling(call) if seen.json.get("stream") else http(answer(None, tool_calls=[call]))


def refused(message: str, status: int = 400) -> list[Any]:
    return http({"error": {"message": message, "type": "invalid_request_error"}}, status)


@situation(
    ROW, "the server takes tools, and refuses `response_format`: `This response_format type is unavailable now`", "Chat"
)
def _(contender: Chat) -> str:
    return object_of(
        contender,
        lambda seen: (
            refused("This response_format type is unavailable now") if "response_format" in seen.json else called(seen)
        ),
    )


@situation(ROW, "it takes `response_format`, and refuses tools: `does not support tools`", "Chat")
def _(contender: Chat) -> str:
    return object_of(
        contender,
        lambda seen: refused("x does not support tools") if "tools" in seen.json else http(answer(json.dumps(ANSWER))),
    )


@situation(ROW, "it takes neither", "Chat")
def _(contender: Chat) -> str:
    def script(seen: Seen) -> list[Any]:
        for name in ("tools", "response_format"):
            if name in seen.json:
                return refused(f"Unsupported parameter: '{name}' is not supported with this model.")
        return http(answer(json.dumps(ANSWER)))

    return object_of(contender, script)


@situation(
    ROW, "it drops `response_format` and tools in silence; the model writes the object in a fence of Markdown", "Chat"
)
def _(contender: Chat) -> str:
    return object_of(contender, [http(answer(f"Here you are:\n```json\n{json.dumps(ANSWER)}\n```"))])


@situation(ROW, "the model chats: it answers in words until the prompt itself holds the schema", "Chat")
def _(contender: Chat) -> str:
    def script(seen: Seen) -> list[Any]:
        told = "people" in json.dumps(seen.json["messages"])
        return http(answer(json.dumps(ANSWER) if told else "Rome is a lovely city!"))

    return object_of(contender, script)


@situation(ROW, "the model refuses: `refusal` is `I can't help with that.`", "Chat")
def _(contender: Chat) -> str:
    return object_of(contender, [http(answer(None, refusal="I can't help with that."))])


@situation(ROW, "the answer is cut: `finish_reason` is `length` within the object", "Chat")
def _(contender: Chat) -> str:
    half = '{"name": "Rome", "peo'

    def script(seen: Seen) -> list[Any]:
        if "tools" not in seen.json:
            return http(answer(half, finish="length"))
        call = tool_call(seen.json["tools"][0]["function"]["name"], half)
        return http(answer(None, finish="length", tool_calls=[call]))

    return object_of(contender, script)


@situation(
    ROW,
    "`stream_structured_predict`; the model answers in words unless it is told to call",
    "Chat",
    frameworks=LLAMA_INDEX,
)
def _(contender: Chat) -> str:
    def script(seen: Seen) -> list[Any]:
        told = "tools" not in seen.json or seen.json.get("tool_choice") not in (None, "auto")
        if told and "tools" in seen.json:
            return called(seen)
        return chat_stream(json.dumps(ANSWER) if told else "Rome is a lovely city!")

    return object_of(contender, script, streamed=True)

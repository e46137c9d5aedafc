"""Tool calls: whether they are the ones that the model made, and whether a half one is taken for a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.contenders.chat import Chat, Said
from benchmarks.situations import LLAMA_INDEX, situation
from benchmarks.situations.words import error_name, short
from tests.scripted import DONE, ScriptedServer, http, stream
from tests.wire.chat import answer, chat_stream, delta, tool_call, tool_delta

ODD, CUT = "Tool calls in odd pieces", "Tool calls that are cut"
PARIS, ROME = '{"city": "Paris"}', '{"city": "Rome"}'


def described(said: Said) -> str:
    """Return the calls in words."""
    calls = []
    for name, given, call_id in said.calls:
        arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
        calls.append(f"`{name}({arguments})`{'' if call_id else ' without an id'}")
    invalid = [f"invalid: `{name}` with `{short(arguments, 40)}`" for name, arguments in said.invalid]
    return ", ".join([*calls, *invalid]) or "no call"


def made(contender: Chat, script: list[Any], *, streamed: bool) -> str:
    """Say which calls are made of an answer, or what comes instead."""
    with ScriptedServer([script]) as server:
        llm = contender.make(server.url, max_retries=0)
        try:
            return described(contender.said(llm, contender.ask(llm, streamed=streamed)))
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error, 60)}"


def pieces(*calls: dict[str, Any]) -> Any:
    """Return one event with these pieces of calls."""
    return delta(tool_calls=list(calls))


def piece(arguments: Any, **more: Any) -> dict[str, Any]:
    """Return one piece; `name` stands in its function, the rest beside it."""
    name = {"name": more.pop("name")} if "name" in more else {}
    return {**more, "function": {**name, "arguments": arguments}}


def streamed(what: str, *events: Any) -> None:
    """Register a stream of pieces that is complete."""

    @situation(ODD, what, "Chat")
    def _(contender: Chat) -> str:
        return made(contender, chat_stream(*events, finish="tool_calls"), streamed=True)


streamed(
    "calls for Paris and Rome, both with `index` 0",
    pieces(piece("", index=0, id="call_1", name="get_weather")),
    pieces(piece('{"city": ', index=0)),
    pieces(piece('"Paris"}', index=0)),
    pieces(piece("", index=0, id="call_2", name="get_time")),
    pieces(piece('{"city": ', index=0)),
    pieces(piece('"Rome"}', index=0)),
)
streamed(
    "a call whose pieces have no `index`",
    pieces(piece("", id="call_1", name="get_weather")),
    pieces(piece('{"city": ')),
    pieces(piece('"Paris"}')),
)
streamed(
    "`id` and `name` on every piece",
    pieces(piece("", index=0, id="call_1", name="get_weather")),
    pieces(piece('{"city": ', index=0, id="call_1", name="get_weather")),
    pieces(piece('"Paris"}', index=0, id="call_1", name="get_weather")),
)
streamed(
    "two complete calls in one event",
    pieces(piece(PARIS, index=0, id="call_1", name="get_weather"), piece(ROME, index=1, id="call_2", name="get_time")),
)
streamed(
    "the pieces of two calls by turns",
    pieces(piece("", index=0, id="call_1", name="get_weather")),
    pieces(piece("", index=1, id="call_2", name="get_time")),
    pieces(piece('{"city": ', index=0)),
    pieces(piece('{"city": ', index=1)),
    pieces(piece('"Paris"}', index=0)),
    pieces(piece('"Rome"}', index=1)),
)
streamed(
    "the placeholder `{}` before the arguments",
    pieces(piece("{}", index=0, id="call_1", name="get_weather")),
    pieces(piece(PARIS, index=0)),
)
streamed(
    "`function: null` in a later piece",
    pieces(piece(PARIS, index=0, id="call_1", name="get_weather")),
    pieces({"index": 0, "function": None}),
)
streamed("a call without an `id`", pieces(piece(PARIS, index=0, name="get_weather")))
streamed(
    "the old `function_call`",
    delta(function_call={"name": "get_weather", "arguments": ""}),
    delta(function_call={"arguments": PARIS}),
)


@situation(ODD, "complete: the arguments are an object, not a text", "Chat")
def _(contender: Chat) -> str:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
    return made(contender, http(answer(None, tool_calls=[call])), streamed=False)


@situation(ODD, "complete: an answer whose `tool_calls` are null", "Chat")
def _(contender: Chat) -> str:
    body = answer("sunny", tool_calls=None)
    return made(contender, http(body), streamed=False)


# Half a call

HALF = tool_delta('{"city": "Par', name="get_weather", call_id="call_1")


@situation(CUT, "the stream ends in the arguments", "Chat")
def _(contender: Chat) -> str:
    return made(contender, stream(HALF), streamed=True)


@situation(CUT, "the same, with `[DONE]`", "Chat")
def _(contender: Chat) -> str:
    return made(contender, stream(HALF, DONE), streamed=True)


@situation(CUT, "`finish_reason` is `length` in the arguments of a stream", "Chat")
def _(contender: Chat) -> str:
    return made(contender, chat_stream(HALF, finish="length"), streamed=True)


@situation(CUT, "the same in a complete answer", "Chat")
def _(contender: Chat) -> str:
    half = tool_call("get_weather", '{"city": "Par')
    return made(contender, http(answer(None, finish="length", tool_calls=[half])), streamed=False)


def carried_out(contender: Chat, use: Callable[[Any, Any], Any]) -> str:
    """Say what a tool that deletes files was called with, when `length` cut its arguments."""
    from llama_index.core.tools import FunctionTool

    ran: list[str] = []

    def delete_files(folder: str, days: int = 0) -> str:
        """Delete a folder's files that are older than so many days."""
        ran.append(f"`delete_files({folder!r}, days={days})` was carried out")
        return "deleted"

    half = tool_call("delete_files", '{"folder": "/srv/data", "da')
    with ScriptedServer([http(answer(None, finish="length", tool_calls=[half])), http(answer("done"))]) as server:
        llm = contender.make(server.url, max_retries=0)
        try:
            use(llm, FunctionTool.from_defaults(delete_files))
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            ran.append(f"{error_name(error)}: {short(error, 60)}")
    return ", ".join(ran) or "nothing was carried out"


@situation(
    CUT, '`predict_and_call`; the arguments end in `{"folder": "/srv/data", "da`', "Chat", frameworks=LLAMA_INDEX
)
def _(contender: Chat) -> str:
    return carried_out(
        contender, lambda llm, tool: llm.predict_and_call([tool], user_msg="x", error_on_no_tool_call=False)
    )


@situation(CUT, "the same by a `FunctionAgent`", "Chat", frameworks=LLAMA_INDEX)
def _(contender: Chat) -> str:
    import asyncio

    from llama_index.core.agent import FunctionAgent

    async def run(llm: Any, tool: Any) -> None:
        await FunctionAgent(tools=[tool], llm=llm, streaming=False).run("x")

    return carried_out(contender, lambda llm, tool: asyncio.run(run(llm, tool)))

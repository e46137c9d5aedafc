"""Agents over `XDMChat`: function calling, workflows with a hand-off, ReAct, code; and what they send each time."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import (
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from tests.llama_index.conftest import counting
from tests.scripted import DONE, http, stream
from tests.unit.chat import shapes
from tests.wire.chat import answer, chat_stream, counts, delta, talking, tool_call, tool_delta
from xdm_integrations import StreamInterruptedError

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer
    from xdm_integrations.llama_index import XDMChat

# LlamaIndex's agents and its workflows use what their dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
RAN: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    RAN.append((a, b))
    return a + b


def fail() -> str:
    """Fail."""
    raise RuntimeError("it is broken")


def see() -> list[Any]:
    """Take a picture."""
    return [TextBlock(text="seen"), ImageBlock(image=PNG)]


TOOLS = [FunctionTool.from_defaults(fn) for fn in (add, fail, see)]
streaming_or_not = pytest.mark.parametrize("streaming", [False, True])


def memory_of(llm: XDMChat) -> Any:
    """A memory without a database: LlamaIndex leaves the connection of its default one open."""
    return ChatMemoryBuffer.from_defaults(llm=llm)


def run(agent: Any, llm: XDMChat, text: Any = "1 + 2?", **kwargs: Any) -> tuple[Any, list[Any]]:
    """Return what an agent answers, and its events."""

    async def main() -> tuple[Any, list[Any]]:
        handler = agent.run(text, **{"memory": memory_of(llm), **kwargs})
        events = [event async for event in handler.stream_events()]
        return await handler, events

    return asyncio.run(main())


def pairs(server: ScriptedServer) -> None:
    """Check that in every request each call is followed by its result, and each result follows its call."""
    for request in server.requests:
        waiting: list[str] = []
        for message in request.json["messages"]:
            if message["role"] == "tool":
                waiting.remove(message["tool_call_id"])
            else:
                assert not waiting
            waiting += [call["id"] for call in message.get("tool_calls", ())]
        assert not waiting


ADD = tool_call("add", {"a": 1, "b": 2})
CONVERSATIONS: list[tuple[str, list[Any], str, list[Any]]] = [
    ("no tool", ["three"], "three", []),
    ("one tool", [[ADD], "It is 3."], "It is 3.", [(1, 2)]),
    (
        "two at once",
        [[ADD, tool_call("add", {"a": 3, "b": 4}, "call_2")], "3 and 7"],
        "3 and 7",
        [(1, 2), (3, 4)],
    ),
    ("several steps", [[ADD], [tool_call("add", {"a": 3, "b": 3}, "call_2")], "6"], "6", [(1, 2), (3, 3)]),
    ("a tool that fails", [[tool_call("fail", {})], "It broke."], "It broke.", []),
    ("no such tool", [[tool_call("multiply", {})], "I can't."], "I can't.", []),
    ("wrong arguments", [[tool_call("add", {"c": 1})], [ADD], "3"], "3", [(1, 2)]),
]


@streaming_or_not
@pytest.mark.parametrize(
    ("turns", "said", "ran"), [row[1:] for row in CONVERSATIONS], ids=[row[0] for row in CONVERSATIONS]
)
def test_a_function_agent(  # noqa: PLR0913, PLR0917 - parameters of a test
    server: ScriptedServer, chat: XDMChat, streaming: bool, turns: list[Any], said: str, ran: list[Any]
) -> None:
    server.script = talking(*turns)
    output, events = run(FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming, system_prompt="Be brief."), chat)
    assert str(output) == said
    assert sorted(RAN) == sorted(ran)
    assert len(server.requests) == len(turns)
    assert [one.json.get("stream", False) for one in server.requests] == [streaming] * len(turns)
    assert [one.json["messages"][0]["content"] for one in server.requests] == ["Be brief."] * len(turns)
    assert all(len(one.json["tools"]) == 3 for one in server.requests)
    pairs(server)
    outputs = [event for event in events if isinstance(event, AgentOutput)]
    assert outputs[-1].raw["usage"]["prompt_tokens"] == 7
    if streaming:
        assert "".join(event.delta for event in events if isinstance(event, AgentStream)).endswith(said)


@streaming_or_not
def test_the_result_of_a_tool_goes_back_to_the_model(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    server.script = talking([ADD], "3")
    run(FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming), chat)
    assert server.requests[1].json["messages"] == [
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "content": None, "tool_calls": [ADD]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
    ]


@streaming_or_not
def test_a_picture_of_a_tool_goes_back_to_the_model(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    server.script = talking([tool_call("see", {})], "A picture.")
    output, _ = run(FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming), chat)
    assert str(output) == "A picture."
    content = server.requests[1].json["messages"][2]["content"]
    assert base64.b64encode(PNG).decode() in json.dumps(content)


@streaming_or_not
def test_a_tool_whose_result_is_the_answer(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    server.script = talking([ADD], "next")
    memory = memory_of(chat)
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(add, return_direct=True)], llm=chat, streaming=streaming)
    assert str(run(agent, chat, memory=memory)[0]) == "3"
    assert len(server.requests) == 1
    assert str(run(agent, chat, "And?", memory=memory)[0]) == "next"
    assert server.requests[1].json["messages"][-2:] == [
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "And?"},
    ]


@streaming_or_not
def test_the_first_choice_of_a_tool_is_forced_once(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    server.script = talking([ADD], "3")
    run(FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming, initial_tool_choice="add"), chat)
    choices = [one.json.get("tool_choice") for one in server.requests]
    assert choices == [{"type": "function", "function": {"name": "add"}}, None]


class Sum(BaseModel):
    """A sum."""

    value: int


@streaming_or_not
def test_an_agent_with_an_output_class_asks_once_more(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    server.script = talking([ADD], "It is 3.", '{"value": 3}')
    output, _ = run(FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming, output_cls=Sum), chat)
    assert output.get_pydantic_model(Sum) == Sum(value=3)
    assert server.requests[2].json["response_format"]["json_schema"]["name"] == "Sum"


@streaming_or_not
def test_a_conversation_goes_on_from_its_memory_and_from_a_stored_context(
    server: ScriptedServer, chat: XDMChat, streaming: bool
) -> None:
    server.script = talking([ADD], "3", "4")
    agent = FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming)
    memory = memory_of(chat)
    run(agent, chat, memory=memory)
    stored = [ChatMessage.model_validate_json(message.model_dump_json()) for message in memory.get_all()]
    again = ChatMemoryBuffer.from_defaults(chat_history=stored, llm=chat)
    assert str(run(agent, chat, "And one more?", memory=again)[0]) == "4"
    roles = [message["role"] for message in server.requests[2].json["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    pairs(server)


def test_the_counts_of_an_agent_are_the_servers(server: ScriptedServer, chat: XDMChat) -> None:
    counter = counting()
    chat.callback_manager = CallbackManager([counter])
    server.script = talking([ADD], "3")
    run(FunctionAgent(tools=TOOLS, llm=chat), chat)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (14, 6)


@pytest.mark.parametrize("arguments", ['{"a": 1', '{"a": 1, "b": 2', "{"])
@streaming_or_not
def test_an_agent_never_runs_a_tool_with_cut_arguments(
    server: ScriptedServer, chat: XDMChat, streaming: bool, arguments: str
) -> None:
    if streaming:
        server.script = [chat_stream(tool_delta(arguments, name="add", call_id="c"), finish="length")]
    else:
        server.script = [http(answer(None, tool_calls=[tool_call("add", arguments)], finish="length"))]
    with pytest.raises(ValueError, match="can't be carried out"):
        run(FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming), chat)
    assert not RAN


def test_an_agent_whose_stream_is_cut_raises_and_runs_nothing(server: ScriptedServer, chat: XDMChat) -> None:
    server.script = [stream(tool_delta('{"a": 1, "b": 2}', name="add", call_id="c"))]
    with pytest.raises(StreamInterruptedError):
        run(FunctionAgent(tools=TOOLS, llm=chat), chat)
    assert not RAN


ODD = [row for row in shapes.STREAMS if row.calls and not row.error and not row.invalid]


@pytest.mark.parametrize("row", ODD, ids=[row.name for row in ODD])
def test_an_agent_runs_the_right_tools_however_a_stream_numbers_them(
    server: ScriptedServer, chat: XDMChat, row: shapes.Row
) -> None:
    names = sorted({name for name, _ in row.calls})

    def tool(name: str) -> FunctionTool:
        def called(**kwargs: Any) -> str:
            """Do something."""
            RAN.append((name, kwargs))
            return "done"

        return FunctionTool.from_defaults(called, name=name)

    head = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    server.script = talking([head + shapes.stream(row), "close"], "done")
    output, _ = run(FunctionAgent(tools=[tool(name) for name in names], llm=chat), chat)
    assert str(output) == "done"
    assert sorted(RAN, key=str) == sorted(row.calls, key=str)
    pairs(server)


@streaming_or_not
def test_a_model_that_reasons(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    """Its thoughts are events and blocks, go back beside the calls, and are in no answer."""
    thought = {"reasoning_content": "hm"}
    if streaming:
        first = stream(
            delta(reasoning_content="h"), delta(reasoning_content="m"), delta(tool_calls=[{**ADD, "index": 0}]),
            delta(finish="tool_calls"), counts(), DONE,
        )  # fmt: skip
        last = chat_stream(delta(reasoning_content="hm"), "3")
    else:
        first, last = http(answer(None, tool_calls=[ADD], **thought)), http(answer("3", **thought))
    server.script = [first, last, last]
    agent = FunctionAgent(tools=TOOLS, llm=chat, streaming=streaming)
    memory = memory_of(chat)
    output, events = run(agent, chat, memory=memory)
    assert str(output) == "3"
    if streaming:
        thoughts = [event.thinking_delta for event in events if isinstance(event, AgentStream)]
        assert "".join(filter(None, thoughts)) == "hmhm"
    assert server.requests[1].json["messages"][1]["reasoning_content"] == "hm"
    run(agent, chat, "And?", memory=memory)
    assert [message.get("reasoning_content") for message in server.requests[2].json["messages"]][3:] == [None, None]


@streaming_or_not
def test_agent_workflow_takes_a_function_agent(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    server.script = talking([ADD], "3")
    workflow = AgentWorkflow.from_tools_or_functions([add], llm=chat)
    agent = next(iter(workflow.agents.values()))
    assert isinstance(agent, FunctionAgent)
    agent.streaming = streaming
    output, events = run(workflow, chat)
    assert str(output) == "3"
    assert [event.tool_output.content for event in events if isinstance(event, ToolCallResult)] == ["3"]


@streaming_or_not
def test_one_agent_hands_over_to_another(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    handing = tool_call("handoff", {"to_agent": "adder", "reason": "a sum"})
    server.script = talking([handing], [ADD], "It is 3.")
    agents = [
        FunctionAgent(
            name="front", description="Talks.", tools=[], llm=chat, streaming=streaming, can_handoff_to=["adder"]
        ),
        FunctionAgent(name="adder", description="Adds.", tools=[TOOLS[0]], llm=chat, streaming=streaming),
    ]
    output, _ = run(AgentWorkflow(agents=agents, root_agent="front"), chat)
    assert str(output) == "It is 3."
    assert output.current_agent_name == "adder"
    tools = [[tool["function"]["name"] for tool in one.json["tools"]] for one in server.requests]
    assert tools[0] == ["handoff"]
    assert "add" in tools[1]
    pairs(server)
    assert RAN == [(1, 2)]


REACTING = 'Thought: I need a tool.\nAction: add\nAction Input: {"a": 1, "b": 2}'


@streaming_or_not
@pytest.mark.parametrize("reasoning", [False, True])
def test_a_react_agent_sees_no_thoughts_of_the_model(
    server: ScriptedServer, chat: XDMChat, streaming: bool, reasoning: bool
) -> None:
    thought = {"reasoning_content": "Thought: no.\nAnswer: 7"} if reasoning else {}

    def turn(text: str) -> Any:
        return chat_stream(delta(**thought), text) if streaming else http(answer(text, **thought))

    server.script = [turn(REACTING), turn("Thought: I can answer.\nAnswer: It is 3")]
    output, _ = run(ReActAgent(tools=[TOOLS[0]], llm=chat, streaming=streaming), chat)
    assert str(output) == "It is 3"
    assert RAN == [(1, 2)]
    assert "tools" not in server.requests[0].json


@streaming_or_not
def test_a_model_without_tools_gets_a_react_agent(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    chat.is_function_calling_model = False
    server.script = talking(REACTING, "Thought: I can answer.\nAnswer: It is 3")
    workflow = AgentWorkflow.from_tools_or_functions([add], llm=chat)
    agent = next(iter(workflow.agents.values()))
    assert isinstance(agent, ReActAgent)
    agent.streaming = streaming
    assert str(run(workflow, chat)[0]) == "It is 3"


@streaming_or_not
def test_a_code_act_agent(server: ScriptedServer, chat: XDMChat, streaming: bool) -> None:
    server.script = talking("I compute.\n<execute>\nprint(1 + 2)\n</execute>", "It is 3.")

    def execute(code: str) -> str:
        RAN.append(code.strip())
        return "3"

    agent = CodeActAgent(code_execute_fn=execute, llm=chat, tools=[], streaming=streaming)
    assert "It is 3." in str(run(agent, chat)[0])
    assert RAN == ["print(1 + 2)"]

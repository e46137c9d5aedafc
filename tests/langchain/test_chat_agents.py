"""Agents on `ChatXDM`: LangChain's, LangGraph's, and deep ones."""

from __future__ import annotations

import json
import sys

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from tests.scripted import DONE, http, stream
from tests.wire.chat import answer, chat_stream, delta, talking, tool_call, tool_delta
from xdm_integrations import StreamInterruptedError

agents = pytest.importorskip("langchain.agents")
pytest.importorskip("langgraph")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

THOUGHT = {"reasoning_content": "I must add."}


@pytest.fixture
def knows_its_run(request):
    """Leave out what async nodes can't do on Python 3.10."""
    is_async = "world" not in request.fixturenames or request.getfixturevalue("world").is_async
    if is_async and sys.version_info < (3, 11):
        pytest.skip("LangGraph's async nodes know no run on Python 3.10, whatever the model")


@tool
def add(a: int, b: int) -> int:
    """Add numbers."""
    return a + b


class Total(BaseModel):
    """The total."""

    total: int


TWO_CALLS = [tool_call("add", {"a": 1, "b": 2}, "c1"), tool_call("add", {"a": 3, "b": 4}, "c2")]


def ask(world, agent, text="x", config=None):
    return world.call(agent, "invoke", {"messages": [("human", text)]}, config)


def test_an_agent_calls_tools_side_by_side_and_answers(world, server):
    server.script = talking(TWO_CALLS, "3 and 7")
    agent = agents.create_agent(world.chat(server), [add])
    messages = ask(world, agent)["messages"]
    assert [message.content for message in messages if isinstance(message, ToolMessage)] == ["3", "7"]
    assert messages[-1].content == "3 and 7"
    back = server.requests[1].json["messages"]
    assert [message["role"] for message in back] == ["user", "assistant", "tool", "tool"]
    assert back[1]["tool_calls"] == TWO_CALLS
    assert [message["tool_call_id"] for message in back[2:]] == ["c1", "c2"]


@pytest.mark.parametrize("version", [None, "v1"])
def test_thoughts_go_back_with_the_calls(world, server, version):
    script = chat_stream(
        delta(**THOUGHT),
        tool_delta('{"a": 1,', name="add", call_id="c1"),
        tool_delta(' "b": 2}'),
        finish="tool_calls",
    )
    server.script = talking(script, "3")
    agent = agents.create_agent(world.chat(server, streaming=True, output_version=version), [add])
    assert ask(world, agent)["messages"][-1].text == "3"
    assert server.requests[1].json["messages"][1]["reasoning_content"] == "I must add."


@pytest.mark.usefixtures("knows_its_run")
def test_an_agent_streams_tokens_and_updates(world, server):
    server.script = talking(TWO_CALLS[:1], "three")
    agent = agents.create_agent(world.chat(server), [add])
    pieces = world.items(agent, "stream", {"messages": [("human", "x")]}, stream_mode=["messages", "updates"])
    texts = [data[0].text for mode, data in pieces if mode == "messages" and data[0].type == "AIMessageChunk"]
    assert "".join(texts) == "three"
    updates = [name for mode, data in pieces if mode == "updates" for name in data]
    assert updates == ["model", "tools", "model"]
    assert all(seen.json["stream"] for seen in server.requests)


def test_odd_deltas_do_not_confuse_an_agent(world, server):
    calls = [
        {"index": 0, "id": "", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}},
        {"index": 0, "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'}},
    ]
    events = [delta(tool_calls=[call]) for call in calls]
    server.script = talking(stream(*events, delta(finish="stop"), DONE), "done")
    messages = ask(world, agents.create_agent(world.chat(server, streaming=True), [add]))["messages"]
    assert [message.content for message in messages if isinstance(message, ToolMessage)] == ["3", "7"]


def test_half_a_call_is_never_carried_out(world, server):
    carried_out = []

    @tool
    def pay(amount: int) -> str:
        """Pay."""
        carried_out.append(amount)
        return "paid"

    half = tool_delta('{"amount": 1', name="pay", call_id="c1")
    server.script = [stream(half, DONE)]
    with pytest.raises(StreamInterruptedError):
        ask(world, agents.create_agent(world.chat(server, streaming=True), [pay]))
    server.script = [chat_stream(half, finish="length")]
    ask(world, agents.create_agent(world.chat(server, streaming=True), [pay]))
    assert carried_out == []


@pytest.mark.parametrize("strategy", ["tool", "provider", "auto"])
def test_an_agent_answers_with_an_object(world, server, strategy):
    from langchain.agents.structured_output import ProviderStrategy, ToolStrategy

    server.script = (
        talking('{"total": 3}') if strategy == "provider" else talking([tool_call("Total", {"total": 3}, "c1")])
    )
    form = {"tool": ToolStrategy, "provider": ProviderStrategy, "auto": lambda schema: schema}[strategy](Total)
    agent = agents.create_agent(world.chat(server), [add], response_format=form)
    assert ask(world, agent)["structured_response"] == Total(total=3)
    body = server.requests[0].json
    assert body.get("response_format", {}).get("type") == ("json_schema" if strategy == "provider" else None)


def test_a_profile_lets_an_agent_take_the_providers_own_way(world, server):
    server.script = talking('{"total": 3}')
    chat = world.chat(server, profile={"structured_output": True})
    assert ask(world, agents.create_agent(chat, [], response_format=Total))["structured_response"] == Total(total=3)
    assert server.requests[0].json["response_format"]["type"] == "json_schema"


def test_an_agent_remembers(world, server):
    from langgraph.checkpoint.memory import InMemorySaver

    server.script = talking("hello Ann", "you are Ann")
    agent = agents.create_agent(world.chat(server), [add], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    ask(world, agent, "I am Ann", config)
    ask(world, agent, "who am I?", config)
    assert [message["content"] for message in server.requests[1].json["messages"]] == [
        "I am Ann",
        "hello Ann",
        "who am I?",
    ]


def test_an_agent_sums_up_a_long_talk(world, server):
    from langchain.agents.middleware import SummarizationMiddleware
    from langgraph.checkpoint.memory import InMemorySaver

    server.script = talking("words " * 50)
    chat = world.chat(server)
    middleware = SummarizationMiddleware(chat, trigger=("tokens", 100), keep=("messages", 1))
    agent = agents.create_agent(chat, [], middleware=[middleware], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    for _ in range(3):
        ask(world, agent, "more words " * 20, config)
    summaries = [seen for seen in server.requests if "summary" in json.dumps(seen.json).lower()]
    assert summaries
    assert len(ask(world, agent, "x", config)["messages"]) < 8


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("streaming", [False, True])
def test_an_agent_asks_another_model_where_one_refuses(world, server, version, streaming):
    middleware = pytest.importorskip("langchain.agents.middleware")
    if not hasattr(middleware, "ModelRefusalMiddleware"):
        pytest.skip("a middleware of newer versions")
    refusal = chat_stream(delta(refusal="I "), delta(refusal="won't.")) if streaming else http(answer("", refusal="no"))
    server.script = lambda seen: refusal if seen.json["model"] == "m" else talking("I will")(seen)
    settings = {"output_version": version, "streaming": streaming}
    steps_in = middleware.ModelFallbackMiddleware(world.chat(server, model="other", **settings))
    handlers = [steps_in, middleware.ModelRefusalMiddleware()]
    agent = agents.create_agent(world.chat(server, **settings), [add], middleware=handlers)
    assert ask(world, agent)["messages"][-1].text == "I will"


@pytest.mark.usefixtures("knows_its_run")
def test_a_human_is_asked_before_a_tool_is_used(world, server):
    from langchain.agents.middleware import HumanInTheLoopMiddleware
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.types import Command

    server.script = talking(TWO_CALLS[:1], "three")
    middleware = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    agent = agents.create_agent(world.chat(server), [add], middleware=[middleware], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    assert ask(world, agent, "x", config)["__interrupt__"]
    assert len(server.requests) == 1
    resumed = world.call(agent, "invoke", Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert resumed["messages"][-1].content == "three"


def test_a_graph_with_a_tool_node_runs(world, server):
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition

    server.script = talking(TWO_CALLS, "3 and 7")
    bound = world.chat(server).bind_tools([add])
    graph = StateGraph(MessagesState)

    async def anode(state):
        return {"messages": [await bound.ainvoke(state["messages"])]}

    def node(state):
        return {"messages": [bound.invoke(state["messages"])]}

    graph.add_node("model", anode if world.is_async else node)
    graph.add_node("tools", ToolNode([add]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    messages = ask(world, graph.compile())["messages"]
    assert [type(message) for message in messages] == [HumanMessage, AIMessage, ToolMessage, ToolMessage, AIMessage]
    assert messages[-1].content == "3 and 7"


def test_a_deep_agent_plans_and_answers(world, server):
    deepagents = pytest.importorskip("deepagents")
    plan = tool_call("write_file", {"file_path": "/plan.md", "content": "Add."}, "c0")
    server.script = talking([plan], TWO_CALLS[:1], "three")
    agent = deepagents.create_deep_agent(model=world.chat(server), tools=[add])
    messages = ask(world, agent)["messages"]
    assert messages[-1].text == "three"
    results = [message for message in messages if isinstance(message, ToolMessage)]
    assert [result.name for result in results] == ["write_file", "add"]
    assert "/plan.md" in results[0].text


@pytest.mark.usefixtures("knows_its_run")
def test_events_of_an_agent_hold_its_tokens(server):
    import asyncio

    from xdm_integrations.langchain import ChatXDM

    server.script = talking(TWO_CALLS[:1], "three")

    async def run():
        async with ChatXDM(base_url=server.url) as chat:
            agent = agents.create_agent(chat, [add])
            events = agent.astream_events({"messages": [("human", "x")]}, version="v2")
            return [event async for event in events]

    events = asyncio.run(run())
    pieces = [event["data"]["chunk"].text for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(pieces) == "three"
    assert [event["name"] for event in events if event["event"] == "on_tool_end"] == ["add"]

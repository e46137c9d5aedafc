"""Agents by text: ReAct, workflows, code; and tools without an agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.tools import FunctionTool

from tests.llama_index.test_query import memory_of, saying
from tests.scripted import ScriptedServer, completion, http, tokens
from xdm_integrations.llama_index import XDM

if TYPE_CHECKING:
    from tests.llama_index.conftest import World

# LlamaIndex's agents and its workflows use what their dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CALL = 'Thought: I need a tool.\nAction: add\nAction Input: {"a": 2, "b": 3}'
DONE = "Thought: I can answer.\nAnswer: The sum is 5"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def reacting(seen: Any) -> Any:
    """A server that calls the tool, and answers once it sees what came out."""
    text = DONE if "Observation: 5" in seen.json["prompt"] else CALL
    return tokens(text) if seen.json.get("stream") else http(completion(text))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_react_agent_calls_a_tool_and_answers(server: ScriptedServer, llm: XDM, streaming: bool) -> None:
    server.script = reacting

    async def main() -> str:
        agent = ReActAgent(tools=[FunctionTool.from_defaults(add)], llm=llm, streaming=streaming)
        return str(await agent.run("What is 2 + 3?", memory=memory_of(llm)))

    assert asyncio.run(main()) == "The sum is 5"
    assert [seen.json.get("stream", False) for seen in server.requests] == [streaming] * 2


def test_agent_workflow_takes_a_react_agent(server: ScriptedServer, llm: XDM) -> None:
    server.script = reacting

    async def main() -> str:
        workflow = AgentWorkflow.from_tools_or_functions([add], llm=llm)
        assert isinstance(next(iter(workflow.agents.values())), ReActAgent)
        return str(await workflow.run("What is 2 + 3?", memory=memory_of(llm)))

    assert asyncio.run(main()) == "The sum is 5"


def test_the_events_of_an_agent_carry_text_and_raw(server: ScriptedServer, llm: XDM) -> None:
    from llama_index.core.agent.workflow import AgentStream

    server.script = reacting

    async def main() -> list[Any]:
        agent = ReActAgent(tools=[FunctionTool.from_defaults(add)], llm=llm)
        handler = agent.run("What is 2 + 3?", memory=memory_of(llm))
        events = [event async for event in handler.stream_events() if isinstance(event, AgentStream)]
        await handler
        return events

    events = asyncio.run(main())
    assert events[-1].response == DONE
    assert events[-1].raw["usage"]["prompt_tokens"] == 7
    assert "".join(event.delta for event in events) == CALL + DONE


def test_a_code_act_agent_runs_code(server: ScriptedServer, llm: XDM) -> None:
    ran: list[str] = []

    def execute(code: str) -> str:
        ran.append(code)
        return "5"

    def script(seen: Any) -> Any:
        text = "The sum is 5" if ran else "I compute.\n<execute>\nprint(2 + 3)\n</execute>"
        return tokens(text) if seen.json.get("stream") else http(completion(text))

    server.script = script

    async def main() -> str:
        agent = CodeActAgent(code_execute_fn=execute, llm=llm, tools=[])
        return str(await agent.run("What is 2 + 3?", memory=memory_of(llm)))

    assert "The sum is 5" in asyncio.run(main())
    assert [code.strip() for code in ran] == ["print(2 + 3)"]


def test_an_agent_can_be_stopped_at_its_observation(server: ScriptedServer) -> None:
    """The agent itself sends no stop text (run-llama/llama_index issue 9472), so the LLM's is what counts."""
    server.script = reacting
    llm = XDM(api_base=server.url, stop="Observation:")

    async def main() -> None:
        agent = ReActAgent(tools=[FunctionTool.from_defaults(add)], llm=llm)
        await agent.run("What is 2 + 3?", memory=memory_of(llm))

    asyncio.run(main())
    assert [seen.json["stop"] for seen in server.requests] == [["Observation:"]] * 2


def test_tools_without_extra_arguments(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = saying(CALL)
    response = world.call(llm, "predict_and_call", [FunctionTool.from_defaults(add)], "What is 2 + 3?")
    assert str(response) == "5"
    assert response.sources[0].tool_name == "add"


def test_the_users_parts_are_used(world: World, server: ScriptedServer, llm: XDM) -> None:
    from llama_index.core.agent.react import ReActChatFormatter

    server.script = saying(CALL)
    formatter = ReActChatFormatter.from_defaults(context="Only this context.")
    world.call(llm, "predict_and_call", [FunctionTool.from_defaults(add)], "2 + 3?", react_chat_formatter=formatter)
    assert "Only this context." in server.requests[0].json["prompt"]


def test_a_function_agent_says_why_it_refuses(llm: XDM) -> None:
    async def main() -> None:
        await FunctionAgent(tools=[FunctionTool.from_defaults(add)], llm=llm).run("What is 2 + 3?")

    with pytest.raises(ValueError, match="FunctionCallingLLM"):
        asyncio.run(main())

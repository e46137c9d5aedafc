"""`ChatXDM` on the real engines: answers, streams, tools, objects and an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from local_engine import CHAT_MODEL, MODEL
from pydantic import BaseModel

from tests.worlds import KINDS, World, worlds
from xdm_integrations.langchain import ChatXDM

if TYPE_CHECKING:
    from collections.abc import Iterator


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"18 degrees and sunny in {city}"


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from worlds(World, request.param)


@pytest.fixture
def tiny(world: World, engine: Any) -> ChatXDM:
    """The model that says exact sentences."""
    return world.keep(ChatXDM(base_url=engine.base_url, model=MODEL, temperature=0, max_tokens=60))


@pytest.fixture
def real(chat_engine: Any) -> Iterator[ChatXDM]:
    """The small real model, which takes its time: it is asked by blocking calls alone."""
    model = ChatXDM(base_url=chat_engine.base_url, model=CHAT_MODEL, temperature=0, max_tokens=60)
    yield model
    model.close()


def test_answers_whole_and_streamed_are_the_same_and_counted_the_same(world: World, tiny: ChatXDM) -> None:
    conversation = [SystemMessage("You are a helpful assistant."), HumanMessage("What is the capital of France?")]
    whole = world.call(tiny, "invoke", conversation)
    pieces = world.items(tiny, "stream", conversation)
    total = pieces[0]
    for piece in pieces[1:]:
        total += piece
    assert whole.content == total.content == "The capital of France is Paris."
    counts = [[one.usage_metadata[f"{name}_tokens"] for name in ("input", "output", "total")] for one in (whole, total)]
    assert counts[0] == counts[1]
    assert all(counts[0])
    assert whole.response_metadata.keys() == total.response_metadata.keys()
    assert len(pieces) > 3


def test_an_agent_asks_a_tool_and_answers(real: ChatXDM) -> None:
    agents = pytest.importorskip("langchain.agents")
    agent = agents.create_agent(real, [get_weather])
    messages = agent.invoke({"messages": [("human", "What is the weather in Paris?")]})["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[1].tool_calls[0]["args"] == {"city": "Paris"}
    assert "18 degrees" in messages[-1].content


def test_calls_stream_and_are_numbered(world: World, tiny: ChatXDM) -> None:
    pieces = world.items(tiny.bind_tools([get_weather]), "stream", "What is the weather in Paris?")
    total = pieces[0]
    for piece in pieces[1:]:
        total += piece
    (call,) = total.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    assert call["id"]


@pytest.mark.parametrize("method", ["auto", "json_schema"])
def test_objects_come_whole_and_streamed(real: ChatXDM, method: str) -> None:
    chain = real.with_structured_output(Person, method=method)
    question = "Describe Ada, 36 years old, as JSON."
    assert chain.invoke(question) == Person(name="Ada", age=36)
    assert list(chain.stream(question))[-1] == Person(name="Ada", age=36)

"""The cost of both frameworks' chat models in function calls: of a token, a piece of a tool call, a call.

The bound is the floor, counted in the same run: plain requests or aiohttp, and the framework over a model that answers
from memory (both from `benchmarks/`).
"""

from __future__ import annotations

import asyncio
import os
import time

import llama_index.core
import pytest
from llama_index.core.llms import ChatMessage
from llama_index_instrumentation import root_manager

from benchmarks.chat_subjects import LANGCHAIN, LLAMA_INDEX, plain
from benchmarks.plain_chat import WEATHER
from tests.performance.counting import calls_of, per_call, per_token, per_token_and_later
from tests.performance.test_cost_of_chat import answer
from tests.scripted import ScriptedServer
from tests.wire.chat import calling, tool_call
from xdm_integrations.llama_index import XDMChat

FRAMEWORKS = {"langchain": LANGCHAIN, "llama_index": LLAMA_INDEX}


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch):
    """Put aside the handlers and tracers that other tests, and what they load, have left in this process."""
    monkeypatch.setattr(llama_index.core, "global_handler", None)
    monkeypatch.setattr(llama_index.core.Settings, "_callback_manager", None)  # an empty one would take its handlers
    for dispatcher in root_manager.dispatchers.values():
        monkeypatch.setattr(dispatcher, "event_handlers", [])
        monkeypatch.setattr(dispatcher, "span_handlers", [])
    for name in list(os.environ):
        monkeypatch.delenv(name)  # requests looks through all of it at every call


@pytest.fixture(scope="module")
def url():
    with ScriptedServer(answer) as server:
        yield server.url


def reading(make, *, tools):
    """Return what makes a function that reads a stream of so many pieces."""

    def opened(url, count):
        asked = make(url, "m", count, tools=tools)
        return lambda: sum(1 for _ in asked.stream())

    return opened


def reading_async(make, *, tools):
    def opened(url, count):
        async def read():
            asked = make(url, "m", count, tools=tools)
            async for _ in asked.astream():
                pass
            await asked.aclose()

        return lambda: asyncio.run(read())

    return opened


TOKENS = {
    # Framework, how a stream is read, whether it is a tool's arguments: how much of the floor it may cost.
    ("langchain", reading, False): 1.08,
    ("langchain", reading_async, False): 1.2,
    ("langchain", reading, True): 1.03,
    ("langchain", reading_async, True): 1.1,
    ("llama_index", reading, False): 0.72,
    ("llama_index", reading_async, False): 0.91,
    ("llama_index", reading, True): 0.92,
    ("llama_index", reading_async, True): 1.07,
}


@pytest.mark.parametrize(("framework", "read", "tools"), TOKENS)
def test_a_piece_of_an_answer_costs_few_calls_and_no_more_in_a_long_stream(framework, read, tools, url):
    subjects = FRAMEWORKS[framework]
    cost, later = per_token_and_later(read(subjects["ours"], tools=tools), url)
    beneath = sum(per_token(read(make, tools=tools), url) for make in (plain, subjects["framework"]))
    assert cost <= beneath * TOKENS[framework, read, tools]
    assert later <= cost * 1.25 + 1  # as for completions


def cost_of_call(make, url):
    asked = make(url)
    return calls_of(asked.call)


def cost_of_awaited_call(make, url):
    asked = make(url)
    loop, cost = per_call(asked.acall)
    loop.run_until_complete(asked.aclose())
    loop.close()
    return cost


CALLS = {
    ("langchain", cost_of_call): 0.68,
    ("langchain", cost_of_awaited_call): 1.35,
    ("llama_index", cost_of_call): 0.54,
    ("llama_index", cost_of_awaited_call): 1.22,
}
"""An awaited call costs more than its floor: aiohttp is a small part of it, and what makes a plain call slow isn't."""


@pytest.mark.parametrize(("framework", "cost_of"), CALLS)
def test_a_call_costs_little_beside_plain_code_and_the_framework(framework, cost_of, url):
    subjects = FRAMEWORKS[framework]
    cost = cost_of(subjects["ours"], url)
    beneath = sum(cost_of(make, url) for make in (plain, subjects["framework"]))
    assert cost <= beneath * CALLS[framework, cost_of]


def read_by_an_agent(url, count):
    """Read the calls of every item of a stream, as agents do."""
    llm = XDMChat(api_key="k", api_base=url, max_tokens=count)

    def read():
        for item in llm.stream_chat([ChatMessage("x")], tools=[WEATHER]):
            llm.get_tool_calls_from_response(item, error_on_no_tool_call=False)

    return read


def test_a_piece_of_arguments_that_an_agent_reads_costs_no_more_in_a_long_call(url):
    cost, later = per_token_and_later(read_by_an_agent, url)
    assert cost <= 120
    assert later <= cost * 1.25 + 1


def test_888_pieces_of_arguments_are_read_item_by_item_in_less_than_150_milliseconds(url):
    """CPU time of this thread, a seventh of it here: each item holds all the arguments so far, which are read anew."""
    read = read_by_an_agent(url, 888)

    def seconds():
        start = time.thread_time()
        read()
        return time.thread_time() - start

    assert min(seconds() for _ in range(3)) <= 0.15


def test_a_call_costs_no_more_in_an_answer_of_many_calls():
    """Each item of LlamaIndex holds all the calls so far, and is made without a look at those that are complete."""

    def answer_with_calls(seen):
        calls = [tool_call("get_weather", {"city": "Bern"}, f"call_{i}") for i in range(seen.json["max_tokens"])]
        return calling(*calls)

    def read(count):
        llm = XDMChat(api_key="k", api_base=server.url, max_tokens=count)
        return lambda: sum(1 for _ in llm.stream_chat([ChatMessage("x")], tools=[WEATHER]))

    with ScriptedServer(answer_with_calls) as server:
        few, more, most = (calls_of(read(count)) for count in (50, 150, 450))
    assert (most - more) / 300 <= (more - few) / 100 * 1.25

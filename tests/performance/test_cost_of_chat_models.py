"""The cost of both frameworks' chat models in function calls: of a token, a piece of a tool call, a call.

The bound is the floor, counted in the same run: plain requests or aiohttp, and the framework over a chat model that
answers from memory (both from `benchmarks/`).
"""

from __future__ import annotations

import asyncio
import time

import pytest
from llama_index.core.llms import ChatMessage

from benchmarks.chat_subjects import chat_from_memory, index_chat_from_memory
from benchmarks.plain_chat import WEATHER
from tests.performance.counting import per_token
from tests.performance.test_cost import nobody_listens, unobserved  # noqa: F401 - a fixture of every test
from tests.performance.test_cost_of_chat import answer, async_plain_text, plain_text
from tests.scripted import ScriptedServer
from xdm_integrations.langchain import ChatXDM
from xdm_integrations.llama_index import XDMChat

ASKED = [ChatMessage("x")]


@pytest.fixture(scope="module")
def url():
    with ScriptedServer(answer) as server:
        yield server.url


def langchain_stream(url, count):
    chat = ChatXDM(api_key="k", base_url=url, max_tokens=count)
    return lambda: sum(1 for _ in chat.stream("x"))


def langchain_astream(url, count):
    chat = ChatXDM(api_key="k", base_url=url, max_tokens=count)

    async def consume():
        async for _ in chat.astream("x"):
            pass
        await chat.aclose()

    return lambda: asyncio.run(consume())


def llama_index_stream(url, count):
    llm = unobserved(XDMChat(api_key="k", api_base=url, max_tokens=count))
    return lambda: sum(1 for _ in llm.stream_chat(ASKED))


def llama_index_astream(url, count):
    llm = unobserved(XDMChat(api_key="k", api_base=url, max_tokens=count))

    async def consume():
        async for _ in await llm.astream_chat(ASKED):
            pass
        await llm.aclose()

    return lambda: asyncio.run(consume())


def langchain_memory(url, count):
    return lambda: sum(1 for _ in chat_from_memory(count).stream("x"))


def langchain_async_memory(url, count):
    async def consume():
        async for _ in chat_from_memory(count).astream("x"):
            pass

    return lambda: asyncio.run(consume())


def llama_index_memory(url, count):
    return lambda: sum(1 for _ in unobserved(index_chat_from_memory(count)).stream_chat(ASKED))


def llama_index_async_memory(url, count):
    async def consume():
        async for _ in await unobserved(index_chat_from_memory(count)).astream_chat(ASKED):
            pass

    return lambda: asyncio.run(consume())


FLOORS = {
    langchain_stream: ([plain_text, langchain_memory], 1.1),
    langchain_astream: ([async_plain_text, langchain_async_memory], 1.25),
    llama_index_stream: ([plain_text, llama_index_memory], 1.0),
    llama_index_astream: ([async_plain_text, llama_index_async_memory], 1.0),
}
"""What each subject is compared with, and how much of that it may cost."""


@pytest.mark.parametrize("make", FLOORS, ids=lambda make: make.__name__)
def test_a_token_costs_about_what_plain_code_and_the_framework_do_and_no_more_in_a_long_stream(make, url):
    parts, most = FLOORS[make]
    cost, later = per_token(make, url)
    floor = sum(per_token(part, url)[0] for part in parts)
    assert cost <= floor * most
    assert later <= cost * 1.25 + 1  # as for completions


def reading(url, count):
    """Read the calls of every item of a stream, as agents do."""
    llm = unobserved(XDMChat(api_key="k", api_base=url, max_tokens=count))

    def read():
        for item in llm.stream_chat(ASKED, tools=[WEATHER]):
            llm.get_tool_calls_from_response(item, error_on_no_tool_call=False)

    return read


def test_a_piece_of_arguments_that_an_agent_reads_costs_no_more_in_a_long_call(url):
    cost, later = per_token(reading, url)
    assert cost <= 120
    assert later <= cost * 1.25 + 1


def test_888_pieces_of_arguments_are_read_item_by_item_in_less_than_150_milliseconds(url):
    """CPU time of this thread, a seventh of it here: each item holds all the arguments so far, which are read anew."""
    read = reading(url, 888)

    def seconds():
        start = time.thread_time()
        read()
        return time.thread_time() - start

    assert min(seconds() for _ in range(3)) <= 0.15

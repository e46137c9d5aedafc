"""The cost of completions per token and per call, in function calls.

The bound is the floor, counted in the same run: plain requests or aiohttp, and the framework over an LLM that
answers from memory (both from `benchmarks/`).
"""

from __future__ import annotations

import asyncio
import os
import time

import aiohttp
import pytest
from llama_index.core.llms import ChatMessage
from llama_index_instrumentation import root_manager

from benchmarks.on_langchain import langchain_from_memory
from benchmarks.on_llama_index import llama_index_from_memory
from benchmarks.plain import (
    plain_acomplete,
    plain_astream,
    plain_body,
    plain_complete,
    plain_session,
    plain_stream,
)
from tests.performance.counting import calls_of, per_call, per_token, per_token_and_later
from tests.scripted import DONE, ScriptedServer, chunk, completion, http, stream, usage_chunk
from xdm_integrations import AsyncClient, Client
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch):
    """Put aside the tracers that other tests, and what they load, have left in this process."""
    for dispatcher in root_manager.dispatchers.values():
        monkeypatch.setattr(dispatcher, "event_handlers", [])
        monkeypatch.setattr(dispatcher, "span_handlers", [])


@pytest.fixture(scope="module")
def many_tokens():
    """A server that streams as many tokens as `max_tokens` says, in blocks as a fast model would."""

    def script(seen):
        if not seen.json.get("stream"):
            return http(completion("word"))
        count = seen.json["max_tokens"]
        head, *rest = stream(*[chunk(" word")] * count, chunk("", finish="stop"), usage_chunk(), DONE)
        return [head + b"".join(rest)]

    with ScriptedServer(script) as server:
        yield server


def unobserved(llm):
    """Return an LLM of LlamaIndex without the handlers that other tests have left in its settings."""
    llm.callback_manager.set_handlers([])
    return llm


def client_stream(url, count):
    with Client("k", base_url=url) as client:
        return lambda: sum(1 for _ in client.stream("x", max_tokens=count))


def client_astream(url, count):
    async def consume():
        async with AsyncClient("k", base_url=url) as client:
            async for _ in await client.stream("x", max_tokens=count):
                pass

    return lambda: asyncio.run(consume())


def langchain_stream(url, count):
    llm = XDMLLM(api_key="k", base_url=url, max_tokens=count)
    return lambda: sum(1 for _ in llm.stream("x"))


def llama_index_stream(url, count):
    llm = unobserved(XDM(api_key="k", api_base=url, max_tokens=count, context_window=10**6))
    return lambda: sum(1 for _ in llm.stream_complete("x"))


def langchain_astream(url, count):
    llm = XDMLLM(api_key="k", base_url=url, max_tokens=count)

    async def consume():
        async for _ in llm.astream("x"):
            pass
        await llm.aclose()

    return lambda: asyncio.run(consume())


def llama_index_astream(url, count):
    llm = unobserved(XDM(api_key="k", api_base=url, max_tokens=count, context_window=10**6))

    async def consume():
        async for _ in await llm.astream_complete("x"):
            pass
        await llm.aclose()

    return lambda: asyncio.run(consume())


def llama_index_stream_chat(url, count):
    llm = unobserved(XDM(api_key="k", api_base=url, max_tokens=count, context_window=10**6))
    return lambda: sum(1 for _ in llm.stream_chat([ChatMessage("x")]))


def plain_sync(url, count):
    session = plain_session()
    return lambda: sum(1 for _ in plain_stream(session, url, count))


def plain_async(url, count):
    async def consume():
        async with aiohttp.ClientSession() as session:
            async for _ in plain_astream(session, url, count):
                pass

    return lambda: asyncio.run(consume())


def langchain_memory(url, count):
    return lambda: sum(1 for _ in langchain_from_memory(count).stream("x"))


def langchain_async_memory(url, count):
    async def consume():
        async for _ in langchain_from_memory(count).astream("x"):
            pass

    return lambda: asyncio.run(consume())


def llama_index_memory(url, count):
    return lambda: sum(1 for _ in unobserved(llama_index_from_memory(count)).stream_complete("x"))


def llama_index_async_memory(url, count):
    async def consume():
        async for _ in await unobserved(llama_index_from_memory(count)).astream_complete("x"):
            pass

    return lambda: asyncio.run(consume())


def llama_index_chat_memory(url, count):
    return lambda: sum(1 for _ in unobserved(llama_index_from_memory(count)).stream_chat([ChatMessage("x")]))


FLOORS = {
    client_stream: ([plain_sync], 1.2),
    client_astream: ([plain_async], 1.7),
    langchain_stream: ([plain_sync, langchain_memory], 0.9),
    langchain_astream: ([plain_async, langchain_async_memory], 1.25),
    llama_index_stream: ([plain_sync, llama_index_memory], 0.8),
    llama_index_stream_chat: ([plain_sync, llama_index_chat_memory], 0.6),
    llama_index_astream: ([plain_async, llama_index_async_memory], 1.0),
}
"""What each subject is compared with, and how much of that it may cost."""


@pytest.mark.parametrize("make", FLOORS, ids=lambda make: make.__name__)
def test_a_token_costs_few_calls_and_no_more_in_a_long_stream(make, many_tokens):
    parts, most = FLOORS[make]
    cost, later = per_token_and_later(make, many_tokens.url)
    floor = sum(per_token(part, many_tokens.url) for part in parts)
    assert cost <= floor * most
    assert later <= cost * 1.25 + 1  # aiohttp 3.14.1 has one step of 8 calls, where it begins to hold data back


def test_the_text_so_far_costs_no_more_than_in_a_stream_from_memory(many_tokens):
    """Each item of LlamaIndex holds the whole text so far, so somebody copies it: once, and not twice."""

    def seconds_of(work):
        start = time.thread_time()
        work()
        return time.thread_time() - start

    ours, memory = (make(many_tokens.url, 40_000) for make in (llama_index_stream, llama_index_memory))
    assert min(seconds_of(ours) for _ in range(2)) <= 2 * min(seconds_of(memory) for _ in range(2))


def test_a_call_costs_not_much_more_than_half_of_a_plain_one(many_tokens, monkeypatch):
    """And less where the environment is large: requests looks through all of it at every call."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    session = plain_session()
    plain = calls_of(lambda: plain_complete(session, many_tokens.url, plain_body("x")))
    with Client("k", base_url=many_tokens.url) as client:
        cost = calls_of(lambda: client.complete("x"))
    session.close()
    assert cost <= plain * 0.6


@pytest.mark.parametrize("framework", ["langchain", "llama_index"])
def test_a_blocking_call_costs_less_than_plain_code_and_the_framework(framework, many_tokens, monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    url = many_tokens.url
    if framework == "langchain":
        llm, ask, bare = XDMLLM(api_key="k", base_url=url), "invoke", langchain_from_memory()
    else:
        llm, ask, bare = unobserved(XDM(api_key="k", api_base=url)), "complete", unobserved(llama_index_from_memory())
    session = plain_session()
    plain = calls_of(lambda: plain_complete(session, url, plain_body("x")))
    session.close()
    cost, floor = (calls_of(lambda one=one: getattr(one, ask)("x")) for one in (llm, bare))
    llm.close()
    assert cost <= (floor + plain) * 0.7


@pytest.mark.parametrize("framework", ["langchain", "llama_index"])
def test_an_awaited_call_costs_no_more_than_plain_code_and_the_framework(framework, many_tokens):
    url = many_tokens.url
    if framework == "langchain":
        llm, memory = XDMLLM(api_key="k", base_url=url), langchain_from_memory()
        ours, bare = (lambda: llm.ainvoke("x")), (lambda: memory.ainvoke("x"))
    else:
        llm, memory = unobserved(XDM(api_key="k", api_base=url)), unobserved(llama_index_from_memory())
        ours, bare = (lambda: llm.acomplete("x")), (lambda: memory.acomplete("x"))
    sessions = []

    async def plain():
        if not sessions:
            sessions.append(aiohttp.ClientSession())
        await plain_acomplete(sessions[0], url, plain_body("x"))

    loop, cost = per_call(ours)
    loop.run_until_complete(llm.aclose())
    loop.close()
    loop, floor = per_call(bare)
    loop.close()
    loop, beneath = per_call(plain)
    loop.run_until_complete(sessions[0].close())
    loop.close()
    assert cost <= floor + beneath


def test_a_prompt_of_a_batch_costs_no_more_in_a_large_batch():
    def answers(seen):
        return http(completion(*[f"<{prompt}>" for prompt in seen.json["prompt"]]))

    with ScriptedServer(answers) as server, Client("k", base_url=server.url) as client:

        def batch(count):
            prompts = [f"prompt {i}" for i in range(count)]
            return calls_of(lambda: client.complete_batch(prompts, max_concurrency=1))

        small, large, largest = batch(100), batch(300), batch(900)
    cost = (large - small) / 200
    later = (largest - large) / 600
    assert cost <= 100
    assert later <= cost * 1.2

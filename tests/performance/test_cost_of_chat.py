"""The cost of chat and embeddings in function calls: of a token, a piece of a tool call, a call, a vector.

The bound is the floor, counted in the same run: plain requests or aiohttp, from `benchmarks/`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct

import aiohttp
import pytest

from benchmarks.plain import plain_session
from benchmarks.plain_chat import (
    WEATHER,
    PlainCalls,
    chat_body,
    plain_achat,
    plain_adeltas,
    plain_chat,
    plain_deltas,
    streaming,
)
from tests.performance.counting import calls_of, per_call, per_token, per_token_and_later
from tests.scripted import DONE, USAGE, ScriptedServer, http, stream
from xdm_integrations import AsyncClient, Client

DIMENSIONS = 64


def delta(value, finish=None):
    """Return an event with this delta."""
    return {"id": "chatcmpl-1", "model": "m", "choices": [{"index": 0, "delta": value, "finish_reason": finish}]}


def piece(arguments, **first):
    """Return an event with a piece of a tool call's arguments."""
    name = first.pop("name", None)
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return delta({"tool_calls": [{"index": 0, **first, "function": function}]})


def vectors(texts, encoding):
    numbers = [0.125] * DIMENSIONS
    value = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *numbers)).decode() if encoding == "base64" else numbers
    data = [{"object": "embedding", "index": i, "embedding": value} for i in range(len(texts))]
    return {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def answer(seen):
    """Answer as the endpoint does: `max_tokens` words, or as many pieces of a call where tools are given."""
    asked = seen.json
    if "input" in asked:
        return http(vectors(asked["input"], asked.get("encoding_format")))
    if not asked.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": "word"}, "finish_reason": "stop"}
        return http({"id": "chatcmpl-1", "model": "m", "choices": [choice], "usage": USAGE})
    count = asked["max_tokens"]
    if "tools" in asked:
        begun = piece("", id="call_1", type="function", name="get_weather")
        events = [begun, piece('{"city": "'), *[piece("word ")] * count, piece('"}'), delta({}, "tool_calls")]
    else:
        events = [
            delta({"role": "assistant", "content": ""}),
            *[delta({"content": " word"})] * count,
            delta({}, "stop"),
        ]
    head, *rest = stream(*events, {"id": "chatcmpl-1", "model": "m", "choices": [], "usage": USAGE}, DONE)
    return [head + b"".join(rest)]


@pytest.fixture(scope="module")
def url():
    with ScriptedServer(answer) as server:
        yield server.url


def client_text(url, count):
    client = Client("k", base_url=url)
    return lambda: sum(1 for _ in client.stream_chat("x", max_tokens=count))


def client_tool(url, count):
    client = Client("k", base_url=url)
    return lambda: sum(1 for _ in client.stream_chat("x", max_tokens=count, tools=[WEATHER]))


def async_client(url, count, **params):
    async def consume():
        async with AsyncClient("k", base_url=url) as client:
            async for _ in await client.stream_chat("x", max_tokens=count, **params):
                pass

    return lambda: asyncio.run(consume())


def async_client_text(url, count):
    return async_client(url, count)


def async_client_tool(url, count):
    return async_client(url, count, tools=[WEATHER])


def plain_text(url, count):
    session = plain_session()
    return lambda: sum(1 for _ in plain_deltas(session, url, streaming(count)))


def plain_tool(url, count):
    session = plain_session()

    def consume():
        calls = PlainCalls()
        for piece in plain_deltas(session, url, streaming(count, tools=[WEATHER])):
            calls.take(piece)

    return consume


def async_plain(url, body, take):
    async def consume():
        async with aiohttp.ClientSession() as session:
            async for piece in plain_adeltas(session, url, body):
                take(piece)

    return lambda: asyncio.run(consume())


def async_plain_text(url, count):
    return async_plain(url, streaming(count), lambda _: None)


def async_plain_tool(url, count):
    calls = PlainCalls()
    return async_plain(url, streaming(count, tools=[WEATHER]), calls.take)


FLOORS = {
    client_text: (plain_text, 1.1),
    async_client_text: (async_plain_text, 1.3),
    client_tool: (plain_tool, 1.25),
    async_client_tool: (async_plain_tool, 1.4),
}
"""What each subject is compared with, and how much of that it may cost."""


@pytest.mark.parametrize("make", FLOORS, ids=lambda make: make.__name__)
def test_a_piece_of_an_answer_costs_few_calls_and_no_more_in_a_long_stream(make, url):
    floor, most = FLOORS[make]
    cost, later = per_token_and_later(make, url)
    beneath = per_token(floor, url)
    assert cost <= beneath * most
    assert later <= cost * 1.25 + 1  # as for completions


def test_a_chat_call_costs_no_more_than_half_of_a_plain_one(url, monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)  # requests looks through all of it at every call
    session = plain_session()
    plain = calls_of(lambda: plain_chat(session, url, chat_body()))
    session.close()
    with Client("k", base_url=url) as client:
        cost = calls_of(lambda: client.chat("x"))
    assert cost <= plain * 0.6


def test_an_awaited_chat_call_costs_less_than_twice_a_plain_one(url):
    client, sessions = AsyncClient("k", base_url=url), []

    async def plain():
        if not sessions:
            sessions.append(aiohttp.ClientSession())
        await plain_achat(sessions[0], url, chat_body())

    loop, cost = per_call(lambda: client.chat("x"))
    loop.run_until_complete(client.aclose())
    loop.close()
    loop, beneath = per_call(plain)
    loop.run_until_complete(sessions[0].close())
    loop.close()
    assert cost <= beneath * 1.75  # nine tenths of a plain one are aiohttp itself, which both go through


def embedding(url, texts):
    with Client("k", base_url=url) as client:
        return client.embed(texts, batch_size=2048, max_concurrency=1).vectors


def async_embedding(url, texts):
    async def embed():
        async with AsyncClient("k", base_url=url) as client:
            return (await client.embed(texts, batch_size=2048, max_concurrency=1)).vectors

    return asyncio.run(embed())


@pytest.mark.parametrize("embed", [embedding, async_embedding])
def test_a_vector_costs_few_calls_however_many_there_are(embed, url):
    small, large, largest = (
        calls_of(lambda texts=[f"text {i}" for i in range(count)]: embed(url, texts)) for count in (100, 300, 900)
    )
    cost, later = (large - small) / 200, (largest - large) / 600
    assert cost <= 28
    assert later <= cost * 1.1

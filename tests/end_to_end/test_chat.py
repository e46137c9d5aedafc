"""`Client.chat` and its stream against the small real model: answers, tool calls, JSON, and leaving in the middle."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from local_engine import CHAT_MODEL, running_chat_engine, what_is_missing

from tests.end_to_end.engine_state import ENDLESS_CHAT, is_freed_by_cancelling, is_freed_early
from tests.end_to_end.test_chat_engine import ADD, JSON_SCHEMA, WEATHER
from xdm_integrations import AsyncClient, Client, StreamInterruptedError

DATA = Path(__file__).parents[2] / "examples" / "data"
PARIS = "What is the weather in Paris?"
LONG = "Count to two hundred"
ENDLESS_BODY: dict[str, Any] = {
    "temperature": 0,
    "max_tokens": ENDLESS_CHAT["max_tokens"],
    "extra_body": {"ignore_eos": ENDLESS_CHAT["ignore_eos"]},
}


@pytest.fixture
def client(surface: Any, chat_engine: Any) -> Any:
    return surface.client(base_url=chat_engine.base_url, model=CHAT_MODEL)


@pytest.fixture
def asked(chat_engine: Any) -> Any:
    """Ask for a complete answer by a blocking call and for a stream by an awaited one, and return both answers.

    That each brings the same either way is proved everywhere else, and a real model takes its time.
    They may differ in a word: a prompt that the engine has in its cache is computed otherwise.
    """
    of_engine = {"base_url": chat_engine.base_url, "model": CHAT_MODEL}

    async def read(messages: Any, params: Any) -> Any:
        async with AsyncClient(**of_engine) as client, await client.stream_chat(messages, **params) as stream:
            return [chunk async for chunk in stream], stream.completion

    def ask(messages: Any, **params: Any) -> Any:
        params = {"temperature": 0, "max_tokens": 60, **params}
        with Client(**of_engine) as client:
            complete = client.chat(messages, **params)
        chunks, streamed = asyncio.run(read(messages, params))
        assert "".join(chunk.text for chunk in chunks) == streamed.text
        assert complete.model == streamed.model == CHAT_MODEL
        assert complete.usage.prompt_tokens == streamed.usage.prompt_tokens > 0
        return complete, streamed

    return ask


def test_an_answer_stands_in_the_text_before_it(asked: Any) -> None:
    text = (DATA / "bees.md").read_text("utf-8").strip()
    system = {"role": "system", "content": "Answer the question from the text, in one sentence."}
    for answer in asked([system, {"role": "user", "content": f"{text}\n\nWho lays the eggs in a bee colony?"}]):
        assert "queen" in answer.text
        assert answer.finish_reason == "stop"


@pytest.mark.parametrize(
    ("question", "more", "calls"),
    [
        (PARIS, {"tools": [WEATHER, ADD]}, [("get_weather", {"city": "Paris"})]),
        ("Hello", {"tools": [WEATHER, ADD]}, []),
        ("Add 12 and 30.", {"tools": [ADD], "tool_choice": "required"}, [("add", {"a": 12, "b": 30})]),
    ],
    ids=["automatic", "none needed", "forced"],
)
def test_a_function_is_called_where_one_helps_or_has_to_be(asked: Any, question: str, more: Any, calls: Any) -> None:
    for answer in asked(question, **more):
        assert [(call.name, call.parsed()) for call in answer.tool_calls] == calls
        assert all(call.id for call in answer.tool_calls)
        assert answer.finish_reason == ("tool_calls" if calls else "stop")


def test_what_a_function_found_goes_back_and_is_said(asked: Any) -> None:
    first, _ = asked(PARIS, tools=[WEATHER])
    (call,) = first.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}
    for answer in asked([{"role": "user", "content": PARIS}, first.message, result], tools=[WEATHER]):
        assert "18 degrees and sunny" in answer.text
        assert "<" not in answer.text
        assert answer.finish_reason == "stop"


def test_json_of_a_schema(asked: Any) -> None:
    for answer in asked("Describe Ada, 36 years old, as JSON.", response_format=JSON_SCHEMA):
        assert json.loads(answer.text) == {"name": "Ada", "age": 36}


def test_several_answers_stay_apart(surface: Any, client: Any) -> None:
    params = {"n": 2, "temperature": 1.5, "seed": 3, "max_tokens": 12}
    complete = surface.call(client, "chat", "Tell me a story", **params)
    chunks, streamed = surface.streamed(client, "stream_chat", "Tell me a story", **params)
    for answer in (complete, streamed):
        assert [choice.index for choice in answer.choices] == [0, 1]
        assert all(choice.message.text for choice in answer.choices)
    for choice in streamed.choices:
        assert "".join(c.text for c in chunks if c.index == choice.index) == choice.message.text


def test_stop_ends_an_answer_and_so_does_max_tokens(asked: Any) -> None:
    for cut in asked("Count to ten", max_tokens=8):
        assert cut.finish_reason == "length"
        first = cut.text.strip()[:2]
    for stopped in asked("Count to ten", max_tokens=8, stop=first):
        assert first not in stopped.text
        assert stopped.finish_reason == "stop"


def test_log_probabilities_spell_the_answer(asked: Any) -> None:
    for answer in asked("Hello", logprobs=True, top_logprobs=2, max_tokens=5):
        assert answer.text
        assert "".join(answer.logprobs.tokens) == answer.text


def test_the_same_seed_says_the_same(surface: Any, client: Any) -> None:
    params = {"temperature": 1.8, "max_tokens": 16}
    texts = [
        surface.call(client, "chat", "Write a poem about boats", seed=seed, **params).text for seed in (1, 1, 2, 3)
    ]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


# Leaving in the middle, and being left: engines of their own


@pytest.fixture
def mortal() -> Any:
    if missing := what_is_missing():
        pytest.skip(missing)
    with running_chat_engine(slots=1) as running:
        yield running


def test_leaving_a_stream_frees_the_slot(mortal: Any) -> None:
    with (
        Client(base_url=mortal.base_url, model=CHAT_MODEL) as client,
        client.stream_chat(LONG, **ENDLESS_BODY) as stream,
    ):
        next(stream)
    assert is_freed_early(mortal)


def test_cancelling_a_task_frees_the_slot(mortal: Any) -> None:
    async def scenario() -> bool:
        begun = asyncio.Event()
        async with AsyncClient(base_url=mortal.base_url, model=CHAT_MODEL) as client:

            async def read() -> None:
                async with await client.stream_chat(LONG, **ENDLESS_BODY) as stream:
                    async for _ in stream:
                        begun.set()

            return await is_freed_by_cancelling(read, begun, mortal)

    assert asyncio.run(scenario())


def test_a_stream_of_an_engine_that_is_killed_raises_with_what_came(surface: Any, mortal: Any) -> None:
    client = surface.client(base_url=mortal.base_url, model=CHAT_MODEL)

    async def read_async() -> None:
        async with await client.stream_chat(LONG, **ENDLESS_BODY) as stream:
            async for _ in stream:
                mortal.kill()

    def read() -> None:
        with client.stream_chat(LONG, **ENDLESS_BODY) as stream:
            for _ in stream:
                mortal.kill()

    with pytest.raises(StreamInterruptedError) as caught:
        surface.run(read_async() if surface.is_async else read())
    assert caught.value.partial.text == caught.value.text

"""What the local engines say in chat, tool calls, JSON and vectors, asked without any client of ours.

The model of 1.5 MB says exact sentences. The small real models are asked what they are good at.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from local_engine import CHAT_MODEL, EMBEDDING_MODEL, MODEL, running_engine

from tests.end_to_end.engine_state import ENDLESS_CHAT, ENDLESS_TOKENS, ask, busy_slots, decoded, is_freed_early

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[2] / "examples" / "data"
TOKENS = 60
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}


def function(name: str, description: str, **parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": kind} for parameter, kind in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


WEATHER = function("get_weather", "Get the weather in a city.", city="string")
TIME = function("get_time", "Tell the time in a city.", city="string")
ADD = function("add", "Add two numbers.", a="integer", b="integer")


def body_of(*messages: Any, **params: Any) -> dict[str, Any]:
    """Return the body of a request; a text is the user's."""
    made = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
    return {"messages": made, "temperature": 0, "max_tokens": TOKENS, **params}


def choices(engine: Any, *messages: Any, **params: Any) -> list[Any]:
    answer = ask(engine, "POST", "/v1/chat/completions", body_of(*messages, **params))
    return list(answer["choices"])


def said(engine: Any, *messages: Any, **params: Any) -> tuple[str, str]:
    """Return the text and the reason for its end."""
    (choice,) = choices(engine, *messages, **params)
    return choice["message"]["content"], choice["finish_reason"]


def called(engine: Any, *messages: Any, **params: Any) -> list[tuple[str, Any]]:
    """Return the calls of an answer, with their arguments."""
    (choice,) = choices(engine, *messages, **params)
    made = [call["function"] for call in choice["message"].get("tool_calls", [])]
    assert choice["finish_reason"] == ("tool_calls" if made else "stop")
    return [(one["name"], json.loads(one["arguments"])) for one in made]


@contextmanager
def opened(engine: Any, body: Any) -> Iterator[http.client.HTTPResponse]:
    """Open a stream, and leave it at the end of the block."""
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps({**body, "stream": True}))
    response = connection.getresponse()
    try:
        yield response
    finally:
        response.close()
        connection.close()


def deltas(engine: Any, *messages: Any, **params: Any) -> list[Any]:
    """Return the deltas of a complete stream."""
    with opened(engine, body_of(*messages, **params)) as response:
        lines = [line.removeprefix("data: ") for line in response.read().decode().splitlines() if line]
    assert lines.pop() == "[DONE]"
    return [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]


def streamed_text(engine: Any, *messages: Any, **params: Any) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(engine, *messages, **params))


def streamed_calls(engine: Any, *messages: Any, **params: Any) -> list[tuple[str, Any]]:
    names: dict[int, str] = {}
    texts: dict[int, str] = {}
    for delta in deltas(engine, *messages, **params):
        for part in delta.get("tool_calls", []):
            place = part["index"]
            names[place] = names.get(place, "") + part["function"].get("name", "")
            texts[place] = texts.get(place, "") + part["function"].get("arguments", "")
    return [(names[place], json.loads(texts[place])) for place in sorted(names)]


def result_of(call: dict[str, Any], content: str) -> list[dict[str, Any]]:
    """Return the messages of a call and of its result."""
    made = {"id": "call_1", "type": "function", "function": call}
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call_1", "content": content},
    ]


# The model of 1.5 MB


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the capital of France?", "The capital of France is Paris."),
        ("Hello!", "Hello! How can I help you today?"),
        ("你好", "你好！很高兴见到你。"),  # noqa: RUF001 - Chinese punctuation
        ("Emoji party", "🎉🚀👩‍💻🏳️‍🌈 done."),
    ],
)
def test_the_tiny_model_says_what_it_has_learnt(engine: Any, question: str, answer: str) -> None:
    system = {"role": "system", "content": "You are a helpful assistant."}
    assert said(engine, question) == said(engine, system, question) == (answer, "stop")
    assert streamed_text(engine, question) == answer


def test_the_tiny_model_remembers_the_conversation(engine: Any) -> None:
    first = {"role": "user", "content": "My name is Ada."}
    reply = {"role": "assistant", "content": said(engine, first)[0]}
    assert reply["content"] == "Nice to meet you, Ada."
    assert said(engine, first, reply, "What is my name?") == ("Your name is Ada.", "stop")


@pytest.mark.parametrize(
    ("question", "calls"),
    [
        ("What is the weather in Paris?", [("get_weather", {"city": "Paris"})]),
        ("What time is it in Tokyo?", [("get_time", {"city": "Tokyo"})]),
        ("Hello", []),
    ],
)
def test_the_tiny_model_calls_a_function_where_one_helps(engine: Any, question: str, calls: Any) -> None:
    tools = [WEATHER, TIME]
    assert called(engine, question, tools=tools) == streamed_calls(engine, question, tools=tools) == calls


def test_the_tiny_model_calls_a_function_that_it_has_to_call(engine: Any) -> None:
    question = "What is the weather in Paris?"
    assert called(engine, question, tools=[WEATHER], tool_choice="required") == [("get_weather", {"city": "Paris"})]
    assert said(engine, question) == ("I cannot see the weather from here.", "stop")


def test_the_tiny_model_writes_the_json_of_a_schema(engine: Any) -> None:
    text, reason = said(engine, "Describe Ada as JSON", response_format=JSON_SCHEMA)
    assert (json.loads(text), reason) == ({"name": "Ada", "age": 36}, "stop")
    streamed = streamed_text(engine, "Describe Ada as JSON", response_format=JSON_SCHEMA)
    assert json.loads(streamed) == {"name": "Ada", "age": 36}


def test_leaving_a_chat_stream_frees_the_slot() -> None:
    with running_engine(slots=1) as engine:
        leave_a_stream(engine)
        assert said(engine, "Say this is a test") == ("This is indeed a test", "stop")


def leave_a_stream(engine: Any) -> None:
    with opened(engine, body_of("Count to two hundred", **ENDLESS_CHAT)) as response:
        response.readline()
        (slot,) = busy_slots(engine)
        assert decoded(slot) < ENDLESS_TOKENS
    assert is_freed_early(engine)


def test_n_answers_are_drawn_and_numbered(engine: Any) -> None:
    made = choices(engine, "Tell me a story", n=2, temperature=1.5, seed=3, max_tokens=12)
    assert [choice["index"] for choice in made] == [0, 1]
    assert all(choice["message"]["content"] for choice in made)


def test_the_same_seed_says_the_same_and_another_something_else(engine: Any) -> None:
    question = "Write a poem about boats"  # which the tiny model has not learnt: it is unsure
    texts = [said(engine, question, temperature=1.8, seed=seed, max_tokens=24)[0] for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_stop_and_max_tokens_end_an_answer(engine: Any) -> None:
    text, reason = said(engine, "Count to ten", max_tokens=8)
    assert text
    assert reason == "length"
    first = text.strip()[:2]
    stopped, reason = said(engine, "Count to ten", max_tokens=8, stop=first)
    assert first not in stopped
    assert reason == "stop"


def test_logprobs_spell_the_answer(engine: Any) -> None:
    (choice,) = choices(engine, "Hello", logprobs=True, top_logprobs=2, max_tokens=5)
    content = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in content) == choice["message"]["content"]
    for token in content:
        assert token["logprob"] <= 0
        assert len(token["top_logprobs"]) == 2


# The small real models: what the chat model does, `test_chat` asks it


def embedded(engine: Any, texts: Any, **params: Any) -> list[Any]:
    answer = ask(engine, "POST", "/v1/embeddings", {"model": EMBEDDING_MODEL, "input": texts, **params})
    assert answer["model"] == EMBEDDING_MODEL
    assert [one["index"] for one in answer["data"]] == list(range(len(answer["data"])))
    return [one["embedding"] for one in answer["data"]]


def test_base64_holds_the_same_vector(chat_engine: Any) -> None:
    (floats,) = embedded(chat_engine, "tea")
    (text,) = embedded(chat_engine, ["tea"], encoding_format="base64")
    assert list(struct.unpack(f"<{len(floats)}f", base64.b64decode(text))) == pytest.approx(floats, abs=1e-7)
    assert math.hypot(*floats) == pytest.approx(1, abs=1e-4)


def test_the_models_have_names(engine: Any, chat_engine: Any) -> None:
    for running, name in ((engine, MODEL), (chat_engine, CHAT_MODEL)):
        answer = ask(running, "POST", "/v1/chat/completions", body_of("Hello", max_tokens=1, model=name))
        assert answer["model"] == name

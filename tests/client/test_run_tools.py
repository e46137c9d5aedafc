"""Python functions as tools: what the model is told of them, and what becomes of its calls."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel

from tests.scripted import CLOSE, http
from xdm_integrations import (
    APIConnectionError,
    APIResponseError,
    BadRequestError,
    ConfigurationError,
    TooManyTurnsError,
)


class Unit(Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


@dataclass
class Place:
    city: str
    country: str = "CH"


class Note(BaseModel):
    text: str


def weather(place: Place, unit: Unit = Unit.CELSIUS, days: int = 1) -> dict[str, object]:
    """Say what the weather will be.

    Args:
        place: Where,
            as a city.
        days: How many days.

    Returns:
        Degrees.
    """
    return {"city": place.city, "unit": unit.value, "days": days}


def add(a: int, b: Annotated[int, "the other one"]) -> str:
    return str(a + b)


def answer(*calls, text=None, finish=None):
    made = [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    finish = finish or ("tool_calls" if made else "stop")
    return http({"model": "m", "choices": [{"message": message, "finish_reason": finish}], "usage": usage})


def run(surface, server, tools, **params):
    return surface.call(surface.client(base_url=server.url), "run_tools", "How warm is it?", tools, **params)


def results(server, request=1):
    return [m["content"] for m in server.requests[request].json["messages"] if m["role"] == "tool"]


def test_functions_are_called_until_the_model_answers(surface, server):
    asked = [("weather", '{"place": {"city": "Bern"}, "unit": "F", "days": 2.0}'), ("add", '{"a": 1, "b": 2}')]
    server.script = [answer(*asked), answer(text="Cold.")]
    done = run(surface, server, [weather, add], temperature=0, tool_choice="required")
    assert (done.text, done.completion.usage.total_tokens, done.usage.total_tokens) == ("Cold.", 2, 4)
    assert [message["role"] for message in done.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    first, second = (seen.json for seen in server.requests)
    assert second["messages"] == done.messages[:-1]
    assert [json.loads(text) for text in results(server)] == [{"city": "Bern", "unit": "F", "days": 2}, 3]
    assert (first["tool_choice"], first["temperature"], second["temperature"]) == ("required", 0, 0)
    assert "tool_choice" not in second  # it would force calls for ever


def test_the_model_is_told_names_docstrings_and_annotations(surface, server):
    server.script = [answer(text="x")]
    run(surface, server, [weather, add])
    told, plain = (tool["function"] for tool in server.requests[0].json["tools"])
    assert (told["name"], told["description"]) == ("weather", "Say what the weather will be.")
    properties = told["parameters"]["properties"]
    assert properties["place"]["description"] == "Where, as a city."
    assert properties["place"]["properties"] == {"city": {"type": "string"}, "country": {"type": "string"}}
    assert properties["unit"] == {"enum": ["C", "F"], "type": "string"}
    assert properties["days"] == {"type": "integer", "description": "How many days."}
    assert told["parameters"]["required"] == ["place"]
    assert plain["parameters"]["properties"]["b"] == {"type": "integer", "description": "the other one"}


def test_calls_of_one_answer_run_at_once(surface, server):
    both = threading.Barrier(2)

    def meet(name: str) -> str:
        both.wait(10)
        return name

    server.script = [answer(("meet", '{"name": "a"}'), ("meet", '{"name": "b"}')), answer(text="x")]
    run(surface, server, [meet])
    assert results(server) == ["a", "b"]


def test_coroutine_functions_are_awaited_where_there_is_a_loop(surface, server):
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    server.script = [answer(("double", '{"n": 2}')), answer(text="x")]
    if surface.is_async:
        run(surface, server, [double])
        assert results(server) == ["4"]
    else:
        with pytest.raises(ConfigurationError, match="double"):
            run(surface, server, [double])
        assert server.requests == []


def test_a_decorated_coroutine_function_is_awaited_too(surface, server):
    async def double(n: int) -> int:
        return 2 * n

    @wraps(double)
    def decorated(**given):
        return double(**given)

    server.script = [answer(("double", '{"n": 2}')), answer(text="x")]
    if surface.is_async:
        run(surface, server, [decorated])
        assert results(server) == ["4"]
    else:
        with pytest.raises(ConfigurationError, match="double"):
            run(surface, server, [decorated])


def test_what_a_tool_returns_is_told_as_json(surface, server):
    def place() -> Place:
        return Place("Bern")

    def unit() -> object:
        return {"set": {1}, "model": Note(text="a"), "other": Unit.CELSIUS}

    server.script = [answer(("place", "{}"), ("unit", "{}")), answer(text="x")]
    run(surface, server, [place, unit])
    assert [json.loads(text) for text in results(server)] == [
        {"city": "Bern", "country": "CH"},
        {"set": [1], "model": {"text": "a"}, "other": "Unit.CELSIUS"},
    ]


def test_a_coroutine_that_fails_is_told_to_the_model(surface, server):
    async def fail() -> str:
        raise OSError("no such file")

    server.script = [answer(("fail", "{}")), answer(text="x")]
    if surface.is_async:
        run(surface, server, [fail])
        assert results(server) == ["Error: OSError: no such file"]
    else:
        with pytest.raises(ConfigurationError, match="fail"):
            run(surface, server, [fail])


def test_a_function_of_any_arguments_is_described_by_those_with_names(surface, server):
    def echo(text: str, *more: int, **options: int) -> str:
        return text

    server.script = [answer(("echo", '{"text": "a"}')), answer(text="x")]
    run(surface, server, [echo], tool_choice="auto")
    assert list(server.requests[0].json["tools"][0]["function"]["parameters"]["properties"]) == ["text"]
    assert results(server) == ["a"]


def test_a_choice_of_no_tool_is_kept(surface, server):
    server.script = [answer(("add", '{"a": 1, "b": 2}')), answer(text="x")]
    run(surface, server, [add], tool_choice="none")
    assert [seen.json["tool_choice"] for seen in server.requests] == ["none", "none"]


def test_a_call_without_a_name_is_an_error_with_what_came(surface, server):
    server.script = [answer(("", "{}"))]
    with pytest.raises(APIResponseError, match="without naming it") as caught:
        run(surface, server, [add])
    assert caught.value.partial.usage.total_tokens == 2


def test_annotations_that_name_nothing_are_told_before_a_byte_is_sent(surface, server):
    def broken(a: int) -> str:
        return str(a)

    broken.__annotations__["a"] = "Nowhere"
    with pytest.raises(ConfigurationError, match=r"broken: its annotations can't be read.*Nowhere"):
        run(surface, server, [broken])
    assert server.requests == []


def test_a_class_that_refuses_its_fields_by_any_error_is_told_to_the_model(surface, server):
    @dataclass
    class Even:
        number: int

        def __post_init__(self):
            if self.number % 2:
                raise TypeError("it is odd")

    def half(even: Even) -> int:
        return even.number // 2

    half.__annotations__["even"] = Even
    server.script = [answer(("half", '{"even": {"number": 3}}')), answer(text="x")]
    run(surface, server, [half])
    assert results(server) == ["Error: wrong arguments: it is odd"]


def test_an_error_counts_the_answers_before_it(surface, server):
    calls = [("add", '{"a": 1, "b": 2}')]
    server.script = [answer(*calls), answer(*calls), http({"error": {"message": "no"}}, 400), answer(*calls)]
    with pytest.raises(BadRequestError) as caught:
        run(surface, server, [add])
    assert caught.value.usage.total_tokens == 4
    with pytest.raises(TooManyTurnsError) as stopped:
        run(surface, server, [add], max_turns=1)
    assert stopped.value.usage.total_tokens == 2


@pytest.mark.parametrize(
    ("failure", "error", "params"),
    [
        (http({"error": {"message": "no"}}, 400), BadRequestError, {}),
        ([CLOSE], APIConnectionError, {}),
        (http(b"<html>"), APIResponseError, {}),
        (answer(("", "{}")), APIResponseError, {}),
        (answer(("add", '{"a": 3, "b": 4}')), TooManyTurnsError, {"max_turns": 2}),
    ],
    ids=["refused", "no answer", "no JSON", "a call without a name", "too many turns"],
)
def test_after_an_error_the_conversation_goes_on_and_no_call_is_carried_out_twice(
    surface, server, failure, error, params
):
    carried_out = []

    def add(a: int, b: int) -> str:
        carried_out.append((a, b))
        return str(a + b)

    client = surface.client(base_url=server.url, max_retries=0)
    server.script = [answer(("add", '{"a": 1, "b": 2}')), failure, answer(text="three")]
    with pytest.raises(error) as caught:
        surface.call(client, "run_tools", "How much?", [add], **params)
    kept = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert [message["role"] for message in kept.messages] == ["user", "assistant", "tool"]
    assert kept.messages[-1]["content"] == "3"
    done = surface.call(client, "run_tools", kept.messages, [add])
    assert (done.text, carried_out) == ("three", [(1, 2)])
    assert server.requests[-1].json["messages"] == server.requests[1].json["messages"]


def test_errors_of_other_calls_have_no_messages(surface, server):
    server.script = [http({"error": {"message": "no"}}, 400)]
    with pytest.raises(BadRequestError) as caught:
        surface.call(surface.client(base_url=server.url), "chat", "hi")
    assert list(caught.value.messages) == []


def test_what_goes_wrong_is_told_to_the_model_and_nothing_invalid_is_carried_out(surface, server):
    called = []

    def delete(path: Literal["a", "b"]) -> None:
        called.append(path)
        raise OSError("no such file")

    calls = [
        ("delete", '{"path": "a"}'),
        ("delete", '{"path": "c"}'),
        ("delete", "{}"),
        ("delete", '{"path": "a", "force": true}'),
        ("remove", '{"path": "a"}'),
        ("delete", '{"path": "b'),
    ]
    server.script = [answer(*calls, finish="length"), answer(text="x")]
    run(surface, server, [delete])
    assert called == ["a"]
    told = results(server)
    for text, part in zip(
        told,
        ["no such file", "none of", "'path' is missing", "force", "no tool", "cut by the limit"],
        strict=True,
    ):
        assert text.startswith("Error")
        assert part in text


def test_a_model_that_never_stops_calling_is_an_error_with_what_came(surface, server):
    called = []

    def again() -> str:
        called.append(1)
        return "more"

    server.script = [answer(("again", "{}"))]
    with pytest.raises(TooManyTurnsError) as caught:
        run(surface, server, [again], max_turns=3)
    assert (len(server.requests), len(called)) == (3, 2)
    assert caught.value.partial.tool_calls[0].name == "again"
    assert [message["role"] for message in caught.value.messages] == ["user", *["assistant", "tool"] * 2]


@pytest.mark.parametrize(
    ("tools", "params", "named"),
    [
        ([], {}, "at least one"),
        (add, {}, "tools: expected a list of functions, got function"),
        (None, {}, "tools: expected a list of functions, got NoneType"),
        ([add, add], {}, "once"),
        ([lambda a: a], {}, "name"),
        ([add], {"max_turns": 0}, "max_turns"),
        ([add], {"n": 2}, "n:"),
        ([add], {"temprature": 2}, "temperature"),
        ([iter], {}, "signature"),
        ([len], {}, "can't be passed by name"),
    ],
)
def test_what_cannot_be_used_is_named_before_a_byte_is_sent(surface, server, tools, params, named):
    with pytest.raises(ConfigurationError, match=named):
        run(surface, server, tools, **params)
    assert server.requests == []


def test_an_annotation_without_a_schema_is_named(surface, server):
    def odd(when: complex) -> str:
        return str(when)

    with pytest.raises(ConfigurationError, match=r"odd\(when\)"):
        run(surface, server, [odd])

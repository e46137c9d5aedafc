"""Objects out of chat: asked for by a schema, read from whatever the model writes, or a typed error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import NotRequired, TypedDict

from tests.scripted import http
from tests.wire.chat import calling, chat_stream, tool_call
from xdm_integrations import (
    APIResponseError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ModelUnavailableError,
)
from xdm_integrations.core.chat.structured import AUTO, METHODS

CITY = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
    "additionalProperties": False,
}


NAMED = {"type": "function", "function": {"name": "City"}}


def answer(text, finish="stop", **message):
    message = {"role": "assistant", "content": text, **message}
    return http({"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})


def structured(surface, server, *args, **params):
    return surface.call(surface.client(base_url=server.url), "chat_structured", *args, **params)


def test_an_object_of_a_json_schema_comes_back_as_a_dictionary(surface, server):
    server.script = [answer('Here it is: ```json\n{"name": "Bern", "people": 134000}\n```')]
    completion = structured(surface, server, "A city?", CITY)
    assert completion.parsed == {"name": "Bern", "people": 134000}
    asked = server.requests[0].json["response_format"]
    assert asked == {"type": "json_schema", "json_schema": {"name": "City", "schema": CITY, "strict": True}}


def test_the_next_method_is_used_where_one_is_ignored_and_a_named_one_is_used_as_it_is(surface, server):
    good = answer('{"name": "Bern", "people": 1}')
    server.script = [answer("Bern is nice."), good, good, answer("Bern is nice.")]
    client = surface.client(base_url=server.url)
    for _ in range(2):  # the second call knows
        assert surface.call(client, "chat_structured", "A city?", CITY).parsed["name"] == "Bern"
    for seen in server.requests[1:]:
        assert seen.json["tool_choice"] == NAMED
    with pytest.raises(APIResponseError, match="City"):
        surface.call(client, "chat_structured", "A city?", CITY, method="json_object")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(None, refusal="I don't count people."), ContentFilterError),
        (answer('{"name": "Bern", "peo', "length"), APIResponseError),
        (answer('{"name": "Bern", "people": 1}', "length"), APIResponseError),
    ],
)
def test_a_refusal_or_a_cut_answer_is_an_error_and_never_half_an_object(surface, server, reply, error):
    server.script = [reply]
    with pytest.raises(error) as caught:
        structured(surface, server, "A city?", CITY)
    assert caught.value.partial.parsed is None
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["chat_structured", "stream_structured"])
def test_messages_that_are_refused_however_an_object_is_asked_for_teach_nothing_about_the_ways(surface, server, name):
    words = "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1"
    refusal = http({"error": {"message": words, "type": "invalid_request_error"}}, 400)
    server.script = [refusal] * 4 + [answer('{"name": "Bern", "people": 134000}')]
    client = surface.client(base_url=server.url)
    with pytest.raises(BadRequestError, match="toolu_1"):
        surface.call(client, name, "A city?", CITY)
    surface.call(client, "chat_structured", "A city?", CITY)
    assert [seen.json.get("response_format", {}).get("type") for seen in server.requests[2:]] == [
        "json_object",
        None,
        "json_schema",
    ]


@pytest.mark.parametrize(
    ("words", "tools"),
    [
        ("registry.ollama.ai/library/x does not support tools", [NAMED]),
        ("Unrecognized request argument supplied: tools", [NAMED]),
        ("Unrecognized request arguments supplied: tool_choice, tools", [NAMED]),
        (
            "litellm.UnsupportedParamsError: x does not support parameters: ['tools', 'tool_choice'], for model=m",
            [NAMED],
        ),
        (
            "('body', 'tool_choice'): Extra inputs are forbidden; ('body', 'tools'): Extra inputs are forbidden",
            [NAMED],
        ),
        ("Thinking mode does not support this tool_choice", [NAMED, "auto"]),
        ("Thinking may not be enabled when tool_choice forces tool use.", [NAMED, "auto"]),
        ("tool_choice 'specified' is incompatible with thinking enabled; tools may be called", [NAMED, "auto"]),
    ],
)
@pytest.mark.parametrize("name", ["chat_structured", "stream_structured"])
def test_a_server_that_refuses_tools_as_such_is_asked_with_one_once(surface, server, name, words, tools):
    def script(seen):
        refused = words if "tools" in seen.json else "response_format is not supported"
        if seen.json.keys() & {"tools", "response_format"}:
            return http({"error": {"message": refused, "type": "invalid_request_error"}}, 400)
        return answer('{"name": "Bern", "people": 134000}')

    server.script = script
    client = surface.client(base_url=server.url)
    if name == "chat_structured":
        surface.call(client, name, "A city?", CITY)
    else:
        surface.streamed(client, name, "A city?", CITY)
    assert [seen.json["tool_choice"] for seen in server.requests if "tools" in seen.json] == tools
    assert len(server.requests) == 3 + len(tools)


@pytest.mark.parametrize("name", ["chat_structured", "stream_structured"])
def test_a_model_that_is_not_offered_is_asked_once_whatever_its_name(surface, server, name):
    words = {"message": "The model `firefunction-v3` does not exist", "code": "model_not_found"}
    server.script = lambda seen: http({"error": words}, 404) if seen.method == "POST" else http({"data": []})
    with pytest.raises(ModelUnavailableError):
        surface.call(surface.client(base_url=server.url), name, "A city?", CITY, model="firefunction-v3")
    assert [seen.method for seen in server.requests] == ["POST", "GET"]


def test_an_unknown_method_is_refused_before_a_byte_is_sent(surface, server):
    with pytest.raises(ConfigurationError, match="json_schema"):
        structured(surface, server, "A city?", CITY, method="function_calling")
    assert server.requests == []


@dataclass
class Place:
    """A place on a map."""

    name: str
    people: int
    kind: Literal["city", "town"] = "city"
    near: list[Place2] = field(default_factory=list)


@dataclass
class Place2:
    name: Annotated[str, "in its own language"]


class Dish(TypedDict):
    name: str
    vegan: NotRequired[bool]


class Person(BaseModel):
    name: str
    age: int = Field(gt=0)


def test_response_format_takes_a_dataclass_and_parsed_is_an_instance_of_it(surface, server):
    server.script = [answer('{"name": "Bern", "people": 134000.0, "near": [{"name": "Thun"}]}')]
    client = surface.client(base_url=server.url)
    completion = surface.run(client.chat("A city?", response_format=Place, temperature=0))
    assert completion.parsed == Place("Bern", 134000, "city", [Place2("Thun")])
    assert type(completion.parsed.people) is int
    body = server.requests[0].json
    schema = body["response_format"]["json_schema"]["schema"]
    assert (schema["description"], schema["required"]) == ("A place on a map.", ["name", "people"])
    assert schema["properties"]["kind"] == {"enum": ["city", "town"], "type": "string"}
    described = schema["properties"]["near"]["items"]["properties"]["name"]
    assert described == {"type": "string", "description": "in its own language"}
    assert body["temperature"] == 0


@pytest.mark.parametrize(
    ("schema", "text", "parsed"),
    [
        (Dish, '{"name": "Tofu"}', {"name": "Tofu"}),
        (Dish, '{"name": "Tofu", "vegan": true, "more": 1}', {"name": "Tofu", "vegan": True}),
        (Person, '{"name": "Ann", "age": 3}', Person(name="Ann", age=3)),
        (CITY, '{"name": "Bern", "people": 1}', {"name": "Bern", "people": 1}),
    ],
)
def test_any_kind_of_schema_can_be_asked_for(surface, server, schema, text, parsed):
    server.script = [answer(text)]
    client = surface.client(base_url=server.url)
    assert surface.run(client.chat("x", response_format=schema)).parsed == parsed


def test_an_object_that_its_class_refuses_is_an_error_that_says_why(surface, server):
    server.script = [answer('{"name": "Ann", "age": -3}')]
    with pytest.raises(APIResponseError, match="greater than 0") as caught:
        structured(surface, server, "x", Person)
    assert caught.value.partial.text
    assert caught.value.__context__ is None


def test_the_own_forms_of_the_api_are_sent_as_they_are(surface, server):
    server.script = [answer("{}")]
    client = surface.client(base_url=server.url)
    assert surface.run(client.chat("x", response_format={"type": "json_object"})).parsed is None
    assert server.requests[0].json["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("method", [AUTO, *METHODS])
@pytest.mark.parametrize("ask", ["chat_structured", "stream_structured"])
def test_what_is_no_json_is_named_before_a_byte_is_sent(surface, server, ask, method):
    client = surface.client(base_url=server.url)
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    odd = [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "odd", "x": {1}}]}]
    with pytest.raises(ConfigurationError, match=r"^messages\[1\]\['content'\]\[0\]\['x'\]: can't be written as JSON"):
        surface.call(client, ask, odd, schema, method=method)
    with pytest.raises(ConfigurationError, match=r"^schema\['properties'\]\['name'\]: can't be written as JSON"):
        surface.call(client, ask, "x", {**schema, "properties": {"name": {1}}}, method=method)
    assert server.requests == []


@pytest.mark.parametrize("wrong", [int, "json", {"type": "object"}])
def test_a_form_that_cannot_be_asked_for_is_refused_before_a_byte_is_sent(surface, server, wrong):
    client = surface.client(base_url=server.url)
    with pytest.raises(ConfigurationError):
        surface.run(client.stream_chat("x", response_format=wrong))
    with pytest.raises(ConfigurationError):
        surface.run(client.chat_structured("x", wrong if wrong != {"type": "object"} else {"type": "array"}))
    assert server.requests == []


def test_an_object_streams_as_its_text_and_is_read_at_the_end(surface, server):
    server.script = [chat_stream('{"name": "Bern", ', '"people": 134000}')]
    chunks, stream = objects_of(surface, server)
    assert "".join(chunk.text for chunk in chunks) == '{"name": "Bern", "people": 134000}'
    assert stream.asked.method == "json_schema"
    assert stream.asked.read(stream.completion) == {"name": "Bern", "people": 134000}
    assert server.requests[0].json["stream"] is True


def test_a_stream_is_asked_for_in_another_way_where_the_server_refuses_the_first(surface, server):
    refusal = http({"error": {"message": "This response_format type is unavailable now"}}, status=400)
    call = calling(tool_call("City", {"name": "Bern", "people": 134000}))
    server.script = lambda seen: refusal if "response_format" in seen.json else call
    _, stream = objects_of(surface, server)
    assert stream.asked.method == "named_tool"
    assert stream.asked.read(stream.completion) == {"name": "Bern", "people": 134000}


def test_a_stream_in_words_is_no_object_and_says_whether_another_way_is_left(surface, server):
    server.script = [chat_stream("It is a city.")]
    for params, left in (({}, True), ({"method": "prompt"}, False)):
        _, stream = objects_of(surface, server, **params)
        with pytest.raises(APIResponseError, match="It is a city") as caught:
            stream.asked.read(stream.completion)
        assert stream.asked.learn(caught.value) is left


def objects_of(surface, server, **params):
    """Return the chunks of a stream for a city, and the stream."""
    stream = surface.call(surface.client(base_url=server.url), "stream_structured", "A city?", CITY, **params)
    if not surface.is_async:
        return list(stream), stream

    async def read():
        return [chunk async for chunk in stream]

    return surface.run(read()), stream

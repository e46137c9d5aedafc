"""Objects from chat: every kind of schema and method, answers that aren't the object, and models that refuse."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import Optional

import pytest
from langchain_core import exceptions
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel
from pydantic.v1 import BaseModel as OldModel
from typing_extensions import TypedDict

from tests.langchain.test_chat_answers import summed
from tests.scripted import http, stream
from tests.wire.chat import answer, calling, chat_stream, delta, tool_call
from xdm_integrations import AuthenticationError, ConfigurationError, RateLimitError, XDMError

DATA = {"name": "Ada", "kind": "cat", "friends": [{"name": "Bo"}]}
TEXT = json.dumps(DATA)
Refused = getattr(exceptions, "ModelRefusalError", OutputParserException)  # langchain-core 1.7.5 and later


class Kind(str, Enum):
    CAT = "cat"
    DOG = "dog"


class Friend(BaseModel):
    name: str


class Pet(BaseModel):
    """A pet."""

    name: str
    kind: Kind
    friends: list[Friend]
    age: Optional[int] = None  # noqa: UP045 - as users of old write


class OldPet(OldModel):
    """A pet."""

    name: str
    kind: str
    friends: list


class PetDict(TypedDict):
    """A pet."""

    name: str
    kind: str
    friends: list[dict]


@dataclasses.dataclass
class PetData:
    name: str
    kind: str
    friends: list[dict]


JSON_SCHEMA = {
    "title": "Pet",
    "type": "object",
    "properties": {"name": {"type": "string"}, "kind": {"type": "string"}, "friends": {"type": "array"}},
    "required": ["name", "kind", "friends"],
}
SCHEMAS = [
    (Pet, Pet(**DATA)),
    (OldPet, OldPet(**DATA)),
    (PetDict, DATA),
    (PetData, PetData(**DATA)),
    (JSON_SCHEMA, DATA),
    ({"name": "pet", "description": "A pet.", "parameters": JSON_SCHEMA}, DATA),
]
METHODS = ["auto", "json_schema", "function_calling", "json_mode"]


def obliging(seen, data=TEXT):
    """Answer with the data, in the way that was asked for."""
    body = seen.json
    if body.get("tools"):
        call = tool_call(body["tools"][0]["function"]["name"], data)
        return calling(call) if body.get("stream") else http(answer(None, tool_calls=[call]))
    half = len(data) // 2
    return chat_stream(data[:half], data[half:]) if body.get("stream") else http(answer(data))


@pytest.fixture
def server(server):
    server.script = obliging
    return server


def test_the_parser_of_a_chain_reads_texts_and_answers_alone(world, server):
    parser = world.chat(server).with_structured_output(Pet).last
    assert parser.parse(TEXT) == world.invoke(parser, TEXT) == Pet(**DATA)
    with pytest.raises(OutputParserException, match="not a HumanMessage"):
        world.invoke(parser, HumanMessage(TEXT))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_every_schema_works_by_every_method_whole_streamed_and_in_batches(world, server, schema, expected, method):
    chain = world.chat(server).with_structured_output(schema, method=method)
    got = world.invoke(chain, "x")
    assert got == expected
    assert type(got) is type(expected)
    assert world.stream(chain, "x")[-1] == expected
    assert world.batch(ChatPromptTemplate.from_messages(["{it}"]) | chain, [{"it": "x"}] * 3) == [expected] * 3


def test_requests_ask_in_the_way_of_the_method_and_keep_other_options(world, server):
    chat = world.chat(server, temperature=0.5)
    for method in METHODS:
        world.invoke(chat.with_structured_output(PetDict, method=method, seed=7), "x")
    auto, schema, tool, mode = (seen.json for seen in server.requests)
    assert auto == schema
    assert schema["response_format"]["type"] == "json_schema"
    assert schema["response_format"]["json_schema"]["name"] == "PetDict"
    assert tool["tool_choice"] == {"type": "function", "function": {"name": "PetDict"}}
    assert tool["tools"][0]["function"]["description"] == "A pet."
    assert mode["response_format"] == {"type": "json_object"}
    assert "valid against this JSON schema" in mode["messages"][0]["content"]
    assert all((body["temperature"], body["seed"]) == (0.5, 7) for body in (auto, tool, mode))


def test_strict_is_passed_on(world, server):
    for strict in (True, False):
        world.invoke(world.chat(server).with_structured_output(Pet, method="json_schema", strict=strict), "x")
    sent = [seen.json["response_format"]["json_schema"].get("strict") for seen in server.requests]
    assert sent == [True, None]


def test_unknown_methods_and_impossible_schemas_are_refused(world, server):
    for schema, method in ((Pet, "magic"), (5, "auto")):
        with pytest.raises(ConfigurationError):
            world.chat(server).with_structured_output(schema, method=method)


def test_one_run_is_told_with_the_schema_even_if_several_requests_are_made(world, server, recorder):
    def refuses_schemas(seen):
        form = seen.json.get("response_format") or {}
        return refusal_of(400, "response_format") if form.get("type") == "json_schema" else obliging(seen)

    server.script = refuses_schemas
    chain = world.chat(server).with_structured_output(Pet)
    assert world.invoke(chain, "x", {"callbacks": [recorder]}) == Pet(**DATA)
    assert len(server.requests) == 2
    assert recorder.run.options["ls_structured_output_format"]["kwargs"] == {"method": "auto", "strict": None}
    assert recorder.run.options["ls_structured_output_format"]["schema"]["title"] == "Pet"


# Answers that aren't the object

BAD = {
    "no JSON": (answer("I don't know."), OutputParserException),
    "half": (answer('{"name": "Ada", "kind": "c', finish="length"), OutputParserException),
    "half, unsaid": (answer('{"name": "Ada", "kind": "cat", "friends": ['), OutputParserException),
    "wrong types": (answer('{"name": 5, "kind": "cow", "friends": 1}'), OutputParserException),
    "keys missing": (answer('{"name": "Ada"}'), OutputParserException),
    "a refusal": (answer("", refusal="I won't."), Refused),
    "a filter": (answer('{"name": "Ada', finish="content_filter"), Refused),
    "an invalid call": (answer(None, tool_calls=[tool_call("Pet", '{"name": ')]), OutputParserException),
    "half a call": (
        answer(None, tool_calls=[tool_call("Pet", '{"name": "A"')], finish="length"),
        OutputParserException,
    ),
}


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("schema", [Pet, JSON_SCHEMA], ids=["class", "dictionary"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_not_the_object_raises_or_stands_beside_the_raw_message(world, server, bad, schema, method):
    reply, error = bad
    server.script = [http(reply)]
    chat = world.chat(server)
    with pytest.raises(error):
        world.invoke(chat.with_structured_output(schema, method=method), "x")
    got = world.invoke(chat.with_structured_output(schema, method=method, include_raw=True), "x")
    assert got["parsed"] is None
    assert isinstance(got["parsing_error"], error)
    assert got["raw"].usage_metadata["total_tokens"] == 10


@pytest.mark.parametrize("schema", [Pet, JSON_SCHEMA], ids=["class", "dictionary"])
@pytest.mark.parametrize(
    ("answer_of", "error"),
    [
        (chat_stream("I don't know."), OutputParserException),
        (chat_stream('{"name": "A', 'da", "kind": "cat"', finish="length"), OutputParserException),
        (chat_stream('{"name": "Ada", "kind": "cat", "friends": ['), OutputParserException),
        (chat_stream(delta(refusal="I "), delta(refusal="won't.")), Refused),
    ],
)
def test_streams_that_are_not_the_object_raise_at_their_end(world, server, schema, answer_of, error):
    server.script = [answer_of]
    with pytest.raises(error):
        world.stream(world.chat(server).with_structured_output(schema), "x")


def test_a_refusal_is_told_in_the_models_words(world, server):
    server.script = [http(answer("", refusal="I won't."))]
    with pytest.raises(Refused, match=r"I won't\."):
        world.invoke(world.chat(server).with_structured_output(Pet), "x")


def test_include_raw_gives_the_message_and_the_object(world, server):
    got = world.invoke(world.chat(server).with_structured_output(Pet, include_raw=True), "x")
    assert got["parsed"] == Pet(**DATA)
    assert got["parsing_error"] is None
    assert got["raw"].content == TEXT


@pytest.mark.parametrize("text", [TEXT, "I don't know."])
def test_include_raw_streams_too(world, server, text):
    server.script = lambda seen: obliging(seen, text)
    chain = world.chat(server).with_structured_output(Pet, method="json_schema", include_raw=True)
    pieces = world.stream(chain, "x")
    raw = summed([piece["raw"] for piece in pieces if "raw" in piece])
    assert raw.content == text
    assert raw.usage_metadata["total_tokens"] == 10
    last = {name: value for piece in pieces for name, value in piece.items()}
    assert last.get("parsed") == (Pet(**DATA) if text == TEXT else None)
    assert (last["parsing_error"] is None) == (text == TEXT)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_dictionaries_grow_and_instances_come_once(world, server, method):
    chat = world.chat(server)
    grown = world.stream(chat.with_structured_output(JSON_SCHEMA, method=method), "x")
    assert len(grown) > 1
    assert grown[0].keys() < DATA.keys()
    assert grown[-1] == DATA
    assert world.stream(chat.with_structured_output(Pet, method=method), "x") == [Pet(**DATA)]
    assert all(seen.json["stream"] for seen in server.requests)


@pytest.mark.parametrize(
    "text",
    [f"```json\n{TEXT}\n```", f"Here it is:\n{TEXT}", f"<think>{{}}</think>{TEXT}", json.dumps({**DATA, "more": 1})],
)
@pytest.mark.parametrize("call", ["invoke", "stream"])
def test_fences_words_thoughts_and_more_keys_around_the_object_do_no_harm(world, server, text, call):
    server.script = lambda seen: obliging(seen, text)
    chain = world.chat(server).with_structured_output(Pet)
    assert (world.invoke(chain, "x") if call == "invoke" else world.stream(chain, "x")[-1]) == Pet(**DATA)


def test_reasoning_beside_the_object_does_no_harm(world, server):
    server.script = [http(answer(TEXT, reasoning_content="{}"))]
    assert world.invoke(world.chat(server).with_structured_output(Pet), "x") == Pet(**DATA)


# Models that refuse a method


def refusal_of(status, what):
    words = {
        "response_format": "'response_format' of type 'json_schema' is not supported with this model",
        "unavailable": "This response_format type is unavailable now",
        "tool_choice": "Thinking mode does not support this tool_choice",
        "tools": "registry.ollama.ai/library/m does not support tools",
        "convert": "convert_request_failed: response_format",
    }[what]
    return http({"error": {"message": words, "type": "invalid_request_error"}}, status=status)


def way_of(body):
    """Name the method that a body asks by."""
    form = (body.get("response_format") or {}).get("type")
    if form:
        return form
    if body.get("tools"):
        return "named" if isinstance(body["tool_choice"], dict) else body["tool_choice"]
    return "prompt"


LADDER = ["json_schema", "named", "auto", "json_object"]


@pytest.mark.parametrize("call", ["invoke", "stream"])
@pytest.mark.parametrize(
    ("refusals", "ways"),
    [
        ({"json_schema": (400, "response_format")}, LADDER[:2]),
        ({"json_schema": (400, "unavailable")}, LADDER[:2]),
        ({"json_schema": (500, "convert")}, LADDER[:2]),
        ({"json_schema": (400, "response_format"), "named": (400, "tool_choice")}, LADDER[:3]),
        (
            {"json_schema": (400, "response_format"), "named": (400, "tool_choice"), "auto": (400, "tool_choice")},
            LADDER,
        ),
        ({"json_schema": (400, "response_format"), "named": (400, "tools")}, [*LADDER[:2], "json_object"]),
    ],
)
def test_auto_falls_to_what_the_model_takes_and_remembers_it(world, server, refusals, ways, call):
    def script(seen):
        refused = refusals.get(way_of(seen.json))
        return refusal_of(*refused) if refused and seen.json["model"] == "m" else obliging(seen)

    server.script = script
    chat = world.chat(server, max_retries=0)
    chain = chat.with_structured_output(Pet)
    for _ in range(2):
        got = world.invoke(chain, "x") if call == "invoke" else world.stream(chain, "x")[-1]
        assert got == Pet(**DATA)
    assert [way_of(seen.json) for seen in server.requests] == [*ways, ways[-1]]
    world.invoke(chain, "x", model="another")
    assert way_of(server.requests[-1].json) == "json_schema"


def test_what_was_learnt_holds_for_every_thread_and_task(world, server):
    def script(seen):
        return refusal_of(400, "response_format") if way_of(seen.json) == "json_schema" else obliging(seen)

    server.script = script
    chain = world.chat(server, max_retries=0).with_structured_output(Pet)
    assert world.batch(chain, ["x"] * 8) == [Pet(**DATA)] * 8
    before = len(server.requests)
    assert world.batch(chain, ["x"] * 8) == [Pet(**DATA)] * 8
    assert [way_of(seen.json) for seen in server.requests[before:]] == ["named"] * 8


def test_auto_falls_to_the_next_method_where_the_model_ignores_one(world, server):
    server.script = lambda seen: obliging(seen) if seen.json.get("tools") else http(answer("Sure!"))
    got = world.invoke(world.chat(server).with_structured_output(Pet, include_raw=True), "x")
    assert got["parsed"] == Pet(**DATA)
    assert [way_of(seen.json) for seen in server.requests] == LADDER[:2]
    assert got["raw"].usage_metadata["total_tokens"] == 20  # what was ignored is paid for, too


def test_a_stream_that_ignored_the_method_raises_and_the_next_call_asks_otherwise(world, server):
    def script(seen):
        return obliging(seen) if seen.json.get("tools") else chat_stream("Sure!")

    server.script = script
    chain = world.chat(server).with_structured_output(Pet)
    with pytest.raises(OutputParserException):
        world.stream(chain, "x")
    assert world.stream(chain, "x") == [Pet(**DATA)]


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (401, "Invalid token for this tool", AuthenticationError),
        (429, "Rate limit reached for response_format", RateLimitError),
        (503, "No available channel", XDMError),
        (400, "This model's maximum context length is 5 tokens", XDMError),
    ],
)
def test_other_errors_are_no_reason_to_ask_otherwise(world, server, status, message, error):
    server.script = [http({"error": {"message": message}}, status=status)]
    chat = world.chat(server, max_retries=0)
    with pytest.raises(error):
        world.invoke(chat.with_structured_output(Pet), "x")
    server.script = obliging
    world.invoke(chat.with_structured_output(Pet), "x")
    assert [way_of(seen.json) for seen in server.requests if seen.method == "POST"] == ["json_schema"] * 2


def test_a_method_by_name_is_obeyed(world, server):
    server.script = [refusal_of(400, "response_format")]
    with pytest.raises(XDMError, match="not supported with this model"):
        world.invoke(world.chat(server).with_structured_output(Pet, method="json_schema"), "x")
    assert len(server.requests) == 1


def test_a_stream_of_half_an_object_that_is_cut_raises(world, server):
    server.script = [stream(delta('{"name": "Ada", "kind": "cat", "friends": []'))]
    with pytest.raises(XDMError):
        world.stream(world.chat(server).with_structured_output(PetDict), "x")

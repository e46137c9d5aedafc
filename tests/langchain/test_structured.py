"""Answers as objects, from a scripted server and from the real engine."""

from __future__ import annotations

import json
import re

import pytest
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.scripted import completion, http
from xdm_integrations import ConfigurationError


class City(BaseModel):
    """A city."""

    name: str
    people: int


class CityDict(TypedDict):
    """A city."""

    name: str
    people: int


SCHEMA = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
}
SCHEMA_TEXT = json.dumps(SCHEMA)
ANSWER = '{"name": "Paris", "people": 2}'
KINDS = pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (City, City(name="Paris", people=2)),
        (CityDict, {"name": "Paris", "people": 2}),
        (SCHEMA, {"name": "Paris", "people": 2}),
    ],
)


def say(server, text):
    server.script = [http(completion(text))]


@KINDS
@pytest.mark.parametrize("text", [ANSWER, f"Sure!\n```json\n{ANSWER}\n```\nAnything else?", f"\n{ANSWER} trailing }}"])
def test_an_answer_becomes_an_object(world, server, schema, expected, text):
    say(server, text)
    assert world.invoke(world.llm(server).with_structured_output(schema), "Which city?") == expected
    prompt = server.requests[0].json["prompt"]
    assert prompt.startswith("Which city?\n")
    assert '"people"' in prompt
    assert "response_format" not in server.requests[0].json


@KINDS
@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Rome", "people": 1}\nNo, better:\n' + ANSWER,
        f"{ANSWER}\nBy the schema {SCHEMA_TEXT} that is it.",
        f"Of {{1, 2}} cities: {ANSWER} {{as asked}}",
        f'<think>{{"name": "Rome", "people": 1}}</think>{ANSWER}',
        f'{ANSWER} {{"name": "half"}}',
        ANSWER.replace(", ", ",\n"),
    ],
    ids=["draft", "schema repeated", "braces in prose", "thought", "less than asked for", "line breaks"],
)
def test_the_last_complete_object_that_fits_is_taken(world, server, schema, expected, text):
    say(server, text)
    assert world.invoke(world.llm(server).with_structured_output(schema), "?") == expected


def test_a_line_break_inside_a_text_is_read(world, server):
    say(server, '{"name": "one\ntwo", "people": 2}')
    assert world.invoke(world.llm(server).with_structured_output(City), "?").name == "one\ntwo"


def test_a_value_that_pydantic_can_convert_is_taken_for_a_class(world, server):
    say(server, '{"name": "Paris", "people": "2"}')
    assert world.invoke(world.llm(server).with_structured_output(City), "?") == City(name="Paris", people=2)


FUNCTION = {"name": "the city", "description": "A city.", "parameters": SCHEMA}


@pytest.mark.parametrize(
    "schema",
    [
        FUNCTION,
        {"type": "function", "function": FUNCTION},
        {"type": "json_schema", "json_schema": {"name": "the city", "schema": SCHEMA}},
    ],
    ids=["function", "tool", "response format"],
)
def test_the_dictionary_of_a_function_is_a_schema_too(world, server, schema):
    chain = world.llm(server).with_structured_output(schema, method="json_schema")
    say(server, ANSWER)
    assert world.invoke(chain, "?") == {"name": "Paris", "people": 2}
    sent = server.requests[0].json["response_format"]["json_schema"]
    assert sent == {"name": "the_city", "schema": SCHEMA, "strict": True}
    say(server, '{"name": "Paris"}')
    with pytest.raises(OutputParserException, match="lacks people"):
        world.invoke(chain, "?")


@pytest.mark.parametrize(("title", "name"), [("城市", "answer"), ("a" * 70, "a" * 64)])
def test_a_name_is_made_fit_for_the_server(world, server, title, name):
    say(server, ANSWER)
    world.invoke(world.llm(server).with_structured_output({**SCHEMA, "title": title}, method="json_schema"), "?")
    assert server.requests[0].json["response_format"]["json_schema"]["name"] == name


@KINDS
def test_the_raw_text_can_be_had_too(world, server, schema, expected):
    chain = world.llm(server).with_structured_output(schema, include_raw=True)
    say(server, ANSWER)
    assert world.invoke(chain, "?") == {"raw": ANSWER, "parsed": expected, "parsing_error": None}
    say(server, "no idea")
    outcome = world.invoke(chain, "?")
    assert (outcome["raw"], outcome["parsed"]) == ("no idea", None)
    assert isinstance(outcome["parsing_error"], OutputParserException)


@KINDS
@pytest.mark.parametrize(
    "text", ["no idea", '{"name": "Paris", "people": 2', '{"name": "Paris"}', "[1]", "", '{"name": 1, "people": {}}']
)
def test_what_isnt_such_an_object_is_an_error_with_the_text(world, server, schema, expected, text):
    say(server, text)
    with pytest.raises(OutputParserException) as caught:
        world.invoke(world.llm(server).with_structured_output(schema), "?")
    assert caught.value.llm_output is not None


def test_a_cut_off_answer_is_never_repaired_and_says_what_helps(world, server):
    say(server, '{"name": "Par')
    with pytest.raises(OutputParserException, match="max_tokens"):
        world.invoke(world.llm(server).with_structured_output({"title": "x", "type": "object"}), "?")


def test_a_server_specific_schema_parameter_is_sent_on_request(world, server):
    say(server, ANSWER)
    llm = world.llm(server, extra_body={"top_k": 1})
    world.invoke(llm.with_structured_output(SCHEMA, method="json_schema"), "?")
    body = server.requests[0].json
    assert body["response_format"]["json_schema"] == {"name": "City", "schema": SCHEMA, "strict": True}
    assert body["top_k"] == 1
    chain = llm.with_structured_output(SCHEMA, method="json_schema", schema_parameter="guided_json", temperature=0)
    world.invoke(chain, "?")
    body = server.requests[1].json
    assert body["guided_json"] == SCHEMA
    assert (body["temperature"], "response_format" in body) == (0, False)


def test_the_real_engine_can_be_forced(world, engine):
    llm = world.llm(engine, temperature=0, max_tokens=20)
    schema = {"title": "Answer", "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    chain = llm.with_structured_output(schema, method="json_schema", schema_parameter="json_schema", include_raw=True)
    raw = world.invoke(chain, "Describe Ada as JSON:")["raw"]
    assert re.match(r'\{\s*"ok"\s*:\s*(true|false)', raw)  # the tiny model would never say so by itself


def test_messages_and_batches_are_inputs_too(world, server):
    server.script = lambda seen: http(
        completion(*[ANSWER] * (1 if isinstance(seen.json["prompt"], str) else len(seen.json["prompt"])))
    )
    chain = world.llm(server).with_structured_output(City)
    assert world.invoke(chain, [("human", "hi")]) == City(name="Paris", people=2)
    assert server.requests[0].json["prompt"].startswith("Human: hi\n")
    assert world.batch(chain, ["a", "b"]) == [City(name="Paris", people=2)] * 2


def test_what_is_impossible_explains_itself(world, server):
    llm = world.llm(server)
    with pytest.raises(ConfigurationError, match="'function_calling' isn't possible with text completions"):
        llm.with_structured_output(City, method="function_calling")
    with pytest.raises(
        ConfigurationError, match="schema: 5 must be a pydantic class, a dataclass, a TypedDict or a JSON schema"
    ):
        llm.with_structured_output(5)


def test_an_object_is_asked_of_the_models_that_step_in_too(world, server):
    server.script = [http({"error": {"message": "busy"}}, 503), http(completion(ANSWER))]
    chain = world.llm(server, max_retries=0).with_fallbacks([world.llm(server)]).with_structured_output(City)
    assert world.invoke(chain, "Which city?") == City(name="Paris", people=2)
    assert len({seen.json["prompt"] for seen in server.requests}) == 1

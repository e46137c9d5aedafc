"""Objects: how they are asked for, and how they are read out of whatever a model writes."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from xdm_integrations.core.chat.results import ChatChoice, ChatCompletion, Message
from xdm_integrations.core.chat.strict_schemas import can_be_strict, strict_schema
from xdm_integrations.core.chat.structured import (
    METHODS,
    NotTheSchemaError,
    as_tool,
    best_method,
    fit_name,
    form_of,
    next_method,
    object_of,
    request_fields,
    response_format,
    with_prompt,
)
from xdm_integrations.core.chat.tool_calls import ToolCall
from xdm_integrations.core.errors.catalogue import error_for
from xdm_integrations.core.errors.tree import APIResponseError, ConfigurationError, ContentFilterError
from xdm_integrations.core.protocol.call import ServerFacts
from xdm_integrations.core.protocol.json_answers import object_in, objects_for, objects_in

SCHEMA = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
ANN = {"name": "Ann", "age": 5}
TEXT = json.dumps(ANN)


def answer(text="", finish="stop", **message):
    return ChatCompletion(choices=(ChatChoice(Message(text, **message), 0, finish),))


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"Sure! Here it is: {TEXT} Anything else?",
        f'<think>Perhaps {{"name": "Bob", "age": 1}}?</think>{TEXT}',
        f'Draft: {{"name": "Bob", "age": 1}}. Better: {TEXT}',
        f"{TEXT} and the schema was {json.dumps(SCHEMA)}",
        f"Braces {{like these}} and {{those: }} in prose. {TEXT}",
        f'{{"name": "cut {{" ... {TEXT}',
        f'{TEXT}\nFor example {{"age": 1}} lacks a name, and {{"name": 1, "age": 2}} is wrong.',
        f'{{"Person": {TEXT}}}',
        f'{{"name": "Person", "arguments": {TEXT}}}',
        f'[{{"name": "Bob", "age": 1}}, {TEXT}]',
        f'{{"name": "Bob", "age": {"1" * 5000}}} has more digits than Python reads. {TEXT}',
    ],
)
def test_the_last_complete_object_that_fits_is_the_answer(text):
    assert object_in(text, SCHEMA) == ANN
    assert object_of(answer(text), form_of(SCHEMA)) == ANN


def test_a_line_break_inside_a_text_and_more_keys_are_let_pass():
    assert object_in('{"name": "A\nB", "age": 5, "x": 1}', SCHEMA) == {"name": "A\nB", "age": 5, "x": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no object",
        TEXT[:-1],
        f'{{"all": {TEXT}, "more": "cut',
        f"<think>{TEXT}",
        json.dumps(SCHEMA),
        '{"name": "Ann"}',
        '{"name": "Ann", "age": true}',
        '{"name": null, "age": 5}',
        "[1, 2]",
    ],
)
def test_half_an_object_or_another_one_is_none(text):
    assert object_in(text, SCHEMA) is None
    with pytest.raises(NotTheSchemaError):
        object_of(answer(text), form_of(SCHEMA))


def test_references_unions_and_enums_are_looked_at():
    schema = {
        "$defs": {"P": SCHEMA},
        "type": "object",
        "properties": {
            "count": {"allOf": [{"type": "integer"}, {"enum": [1, 2, "two"]}]},
            "who": {"anyOf": [{"$ref": "#/$defs/P"}, {"type": "null"}]},
            "kind": {"enum": ["a", "b"]},
            "all": {"type": "array", "items": {"$ref": "#/$defs/P"}},
        },
        "required": ["who", "kind"],
    }
    good = {"count": 2, "who": ANN, "kind": "a", "all": [ANN]}
    assert object_in(json.dumps(good), schema) == good
    for bad in (
        {**good, "count": "two"},
        {**good, "count": 3},
        {**good, "kind": "c"},
        {**good, "who": {"name": 1}},
        {**good, "all": [{}]},
    ):
        assert object_in(json.dumps(bad), schema) is None


def test_constants_are_looked_at_and_items_that_are_not_described_are_let_pass():
    schema = {
        "type": "object",
        "properties": {"kind": {"const": "cat"}, "all": {"type": "array"}},
        "required": ["kind"],
    }
    assert object_in('{"kind": "cat", "all": [1, "a"]}', schema) == {"kind": "cat", "all": [1, "a"]}
    assert object_in('{"kind": "dog", "all": []}', schema) is None


def test_another_object_is_none_where_every_key_may_be_missing():
    schema = {"type": "object", "properties": {"kind": {"type": "string"}}}
    assert object_in('{"mood": "calm"}', schema) is None
    assert object_in("{}", schema) == {}
    assert object_in('{"kind": "cat", "mood": "calm"}', schema) == {"kind": "cat", "mood": "calm"}
    needs_another = {**schema, "required": ["mood"]}
    assert object_in('{"mood": "calm"}', needs_another) == {"mood": "calm"}


def test_objects_that_almost_fit_are_the_last_ones_with_a_key_of_the_schema_where_none_fits():
    text = '{"name": "Ann"} {"mood": "calm"} {"name": "Bob", "mood": "calm"}'
    assert objects_for(text, SCHEMA) == [{"name": "Bob", "mood": "calm"}, {"name": "Ann"}]
    assert objects_for(f"{text} {TEXT}", SCHEMA) == [ANN]
    assert objects_for('{"mood": "calm"}', SCHEMA) == []


def test_reading_takes_linear_time_whatever_the_text():
    begun = time.process_time()
    for text in ("{" * 10**6, "{ \n" * 10**5, '{"a":' * 10**5, '{"a": "{' * 10**5, "{}" * 10**5, '{"a" ' * 10**5):
        list(objects_in(text))
    assert time.process_time() - begun < 30  # it takes one; with the square of the length, minutes


def test_a_call_of_the_tool_is_the_answer():
    assert object_of(answer(tool_calls=(ToolCall("a", "Person", TEXT),)), form_of(SCHEMA)) == ANN


@pytest.mark.parametrize(
    ("completion", "error"),
    [
        (answer(refusal="I won't."), ContentFilterError),
        (answer(TEXT, "content_filter"), ContentFilterError),
        (answer(TEXT, "length"), APIResponseError),
        (answer(TEXT, "model_length"), APIResponseError),
        (answer(finish="length", invalid_tool_calls=(ToolCall("a", "Person", '{"name": '),)), APIResponseError),
        (answer(invalid_tool_calls=(ToolCall("a", "Person", "[1]"),)), NotTheSchemaError),
        (answer(tool_calls=(ToolCall("a", "Person", "{}"),)), NotTheSchemaError),
    ],
)
def test_a_refusal_or_a_cut_answer_is_an_error_and_never_half_an_object(completion, error):
    completion = replace(completion, headers={"x-oneapi-request-id": "r1"}, request_id="r1")
    with pytest.raises(error) as caught:
        object_of(completion, form_of(SCHEMA))
    assert caught.value.partial is completion
    assert (caught.value.headers, caught.value.request_id) == (completion.headers, "r1")
    assert error is not ContentFilterError or caught.value.status_code == 200


def test_an_answer_without_the_object_is_shown():
    broken = tuple(ToolCall(words, "Person", words) for words in ("Ann", "is 5."))
    other = (ToolCall("a", "Person", '{"age": 5}'),)
    with pytest.raises(NotTheSchemaError, match=r"""'Person': 'Here: {"age": 5}'"""):
        object_of(answer("Here:", tool_calls=other), form_of(SCHEMA))
    for completion in (answer("Ann is 5."), answer(invalid_tool_calls=broken)):
        with pytest.raises(NotTheSchemaError, match=r"'Person': 'Ann is 5\.'"):
            object_of(completion, form_of(SCHEMA))
    with pytest.raises(NotTheSchemaError, match=rf"'Person': '{'x' * 300}'$"):
        object_of(answer("x" * 999), form_of(SCHEMA))


@pytest.mark.parametrize(
    "given",
    [
        SCHEMA,
        {"name": "Person", "description": "d", "parameters": SCHEMA},
        {"type": "function", "function": {"name": "Person", "parameters": SCHEMA}},
        {"type": "json_schema", "json_schema": {"name": "Person", "schema": SCHEMA}},
    ],
)
def test_a_schema_may_come_as_the_dictionary_of_a_function(given):
    form = form_of(given)
    assert (form.name, form.schema) == ("Person", SCHEMA)


def test_a_schema_may_have_keys_of_its_own():
    schema = {**SCHEMA, "parameters": {"unit": "cm"}, "function": {"of": "time"}}
    assert form_of(schema).schema == schema


def test_names_are_made_fit_for_every_provider():
    assert fit_name("My Person[int]") == "My_Person_int"
    assert fit_name("x" * 99) == "x" * 64
    assert fit_name("[Xray]") == "Xray"
    assert fit_name("人") == fit_name(None) == "answer"


@pytest.mark.parametrize("given", ["x", {"type": "string"}, None])
def test_what_is_no_schema_of_an_object_is_refused(given):
    with pytest.raises(ConfigurationError, match="schema"):
        form_of(given)


def test_strict_is_asked_for_where_it_changes_nothing():
    strict = response_format(form_of(SCHEMA))["json_schema"]
    assert strict["strict"] is True
    assert strict["schema"]["additionalProperties"] is False
    assert not can_be_strict({"type": "object", "properties": {"name": {"type": "string"}}})
    optional = {**SCHEMA, "required": ["name"]}
    assert not can_be_strict(optional)
    assert response_format(form_of(optional))["json_schema"] == {"name": "Person", "schema": optional}
    assert response_format(form_of(optional), strict=True)["json_schema"]["schema"]["required"] == ["name", "age"]
    assert not can_be_strict({"type": "object", "properties": {"x": {"type": "object"}}, "required": ["x"]})
    assert not can_be_strict({"properties": {"x": {"type": "string"}}})
    assert as_tool(form_of(SCHEMA)) == {"type": "function", "function": {"name": "Person", "parameters": SCHEMA}}


@pytest.mark.parametrize(
    "word", ["allOf", "oneOf", "not", "patternProperties", "if", "dependentRequired", "prefixItems"]
)
def test_strict_is_not_asked_for_where_a_schema_has_words_that_strict_mode_refuses(word):
    inner = {"type": "object", "properties": {"x": {"type": "array", "items": {word: {}}}}, "required": ["x"]}
    assert not can_be_strict(inner)
    assert can_be_strict({**inner, "properties": {"x": {"type": "array", "items": {"enum": [1]}}}})
    assert can_be_strict({"type": "object", "properties": {word: {"type": "string"}}, "required": [word]})


def test_defaults_are_left_out_of_a_strict_schema_and_nothing_else_is():
    inner = {"type": "object", "properties": {"default": {"type": "string"}}, "required": ["default"]}
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "default": 5}, "b": {"anyOf": [inner, {"type": "null"}]}},
        "required": ["a", "b"],
    }
    strict = {**inner, "additionalProperties": False}
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"anyOf": [strict, {"type": "null"}]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }


def test_each_method_asks_in_its_own_way():
    form = form_of(SCHEMA)
    fields = {method: request_fields(method, form) for method in METHODS}
    assert fields["json_schema"].keys() == {"response_format"}
    assert fields["named_tool"]["tool_choice"] == {"type": "function", "function": {"name": "Person"}}
    assert fields["auto_tool"]["tool_choice"] == "auto"
    assert fields["json_object"] == {"response_format": {"type": "json_object"}}
    assert fields["prompt"] == {}
    described = request_fields("auto_tool", form_of({**SCHEMA, "description": "d"}))["tools"][0]["function"]
    assert (described["description"], "description" in fields["auto_tool"]["tools"][0]["function"]) == ("d", False)
    strict = request_fields("named_tool", form, strict=True)["tools"][0]["function"]
    assert (strict["strict"], strict["parameters"]["additionalProperties"]) == (True, False)


def test_the_schema_of_a_recursive_class_has_an_object_at_its_top():
    node = {"type": "object", "title": "Node", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    form = form_of({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    assert form.name == "Node"
    assert form.schema == {**node, "$defs": {"Node": node}}


def test_the_schema_goes_into_the_first_system_message():
    form, user = form_of(SCHEMA), {"role": "user", "content": "?"}
    added = with_prompt([user], form)
    assert added[0]["role"] == "system"
    assert json.dumps(SCHEMA) in added[0]["content"]
    kind = {"type": "text", "text": "Be kind."}
    in_parts = with_prompt([{"role": "system", "content": [kind]}, user], form)
    assert in_parts == [{"role": "system", "content": [kind, {"type": "text", "text": added[0]["content"]}]}, user]
    joined = with_prompt([{"role": "system", "content": "Be kind."}, user], form)
    assert len(joined) == 2
    assert joined[0]["content"].startswith("Be kind.\n\n")
    assert "城市" in with_prompt([user], form_of({**SCHEMA, "description": "城市"}))[0]["content"]


def refusal(status, message):
    return error_for(status, {}, json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode())


@pytest.mark.parametrize(
    "error",
    [
        refusal(400, "This response_format type is unavailable now"),
        refusal(400, "'response_format' of type 'json_schema' is not supported with this model"),
        refusal(400, "registry.ollama.ai/library/x does not support tools"),
        refusal(404, "No endpoints found that support tool use"),
        refusal(400, "Thinking mode does not support this tool_choice"),
        *(refusal(status, "The schema can't be compiled to a grammar.") for status in (400, 404, 422, 500, 501)),
        NotTheSchemaError("x"),
    ],
)
def test_a_refused_or_ignored_method_is_followed_by_the_next_and_remembered(error):
    facts = ServerFacts()
    assert best_method("m", facts) == "json_schema"
    assert next_method("json_schema", error, "m", facts) == "named_tool"
    assert best_method("m", facts) == "named_tool"
    assert best_method("other", facts) == "json_schema"
    assert next_method("json_object", error, "m", facts) == "prompt"
    assert next_method("prompt", error, "m", facts) is None
    facts.structured_refused["m"] = set(METHODS)
    assert best_method("m", facts) == "prompt"


@pytest.mark.parametrize(
    "error",
    [
        refusal(429, "Rate limit reached for tools"),
        refusal(503, "No available channel for function calling"),
        refusal(502, "The schema can't be compiled to a grammar."),
        refusal(401, "Invalid token"),
        refusal(400, "This model's maximum context length is 8192 tokens"),
        refusal(400, "This model's maximum context length is 8192 tokens, your functions take 9000"),
        ContentFilterError("The schema was filtered.", status_code=400),
        refusal(400, "Invalid temperature"),
        APIResponseError("cut"),
    ],
)
def test_errors_that_pass_or_speak_of_something_else_teach_nothing(error):
    facts = ServerFacts()
    assert next_method("json_schema", error, "m", facts) is None
    assert not facts.structured_refused


def test_an_answer_to_the_last_method_that_holds_no_object_takes_back_nothing_that_was_learnt():
    facts = ServerFacts()
    for method in METHODS:
        next_method(method, NotTheSchemaError("x"), "m", facts)
    assert facts.structured_refused["m"] == set(METHODS)

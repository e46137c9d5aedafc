"""Objects out of chat: asked for by a schema, read from whatever the model writes, or a typed error."""

from __future__ import annotations

import pytest

from tests.scripted import http
from xdm_integrations import APIResponseError, ConfigurationError, ContentFilterError

CITY = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
    "additionalProperties": False,
}


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
    server.script = [answer("Bern is nice."), answer('{"name": "Bern", "people": 1}')]
    assert structured(surface, server, "A city?", CITY).parsed["name"] == "Bern"
    assert server.requests[1].json["tool_choice"] == {"type": "function", "function": {"name": "City"}}
    server.script = [answer("Bern is nice.")]
    with pytest.raises(APIResponseError, match="City"):
        structured(surface, server, "A city?", CITY, method="json_object")
    assert len(server.requests) == 3


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


def test_an_unknown_method_is_refused_before_a_byte_is_sent(surface, server):
    with pytest.raises(ConfigurationError, match="json_schema"):
        structured(surface, server, "A city?", CITY, method="function_calling")
    assert server.requests == []

"""Many conversations at once, and answers that hold an object: in order, one outcome each, nothing lost."""

from __future__ import annotations

import pytest

from tests.scripted import http
from xdm_integrations import APIResponseError, BadRequestError, ConfigurationError, ContentFilterError

SCHEMA = {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def answer(text="", finish="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return http({"id": "c", "model": "m", "choices": [choice], "usage": USAGE})


def echoing(seen):
    text = seen.json["messages"][-1]["content"]
    if text == "bad":
        return http({"error": {"message": "not this one", "type": "invalid_request_error"}}, 400)
    return answer(f"<{text}>")


def test_each_conversation_has_one_outcome_in_order(surface, server):
    server.script = echoing
    client, results = surface.client(base_url=server.url), {}
    texts = ["a", "b", "bad", "c"]
    batch = surface.call(client, "chat_batch", texts, max_concurrency=3, on_result=results.__setitem__)
    assert [getattr(one, "text", one) for one in batch.outcomes if one is not batch.outcomes[2]] == [
        "<a>",
        "<b>",
        "<c>",
    ]
    assert isinstance(batch.outcomes[2], BadRequestError)
    assert batch.usage.total_tokens == 3 * 7
    assert results == dict(enumerate(batch.outcomes))
    assert surface.call(client, "chat_batch", []).outcomes == []


def test_a_conversation_that_cannot_be_sent_is_named_before_any_byte(surface, server):
    with pytest.raises(ConfigurationError, match=r"^conversation 1: messages"):
        surface.call(surface.client(base_url=server.url), "chat_batch", ["a", [{"content": "x"}]])
    assert server.requests == []


def test_an_object_comes_back_with_its_answer(surface, server):
    server.script = [answer('Here it is: ```json\n{"name": "Paris"}\n```')]
    got = surface.call(surface.client(base_url=server.url), "chat_structured", "Where?", SCHEMA)
    assert got.parsed == {"name": "Paris"}
    assert server.requests[0].json["response_format"]["type"] == "json_schema"


def test_where_a_method_is_ignored_the_next_one_is_asked_and_remembered(surface, server):
    def script(seen):
        if seen.json.get("tools"):
            call = {"id": "1", "type": "function", "function": {"name": "City", "arguments": '{"name": "Rome"}'}}
            return answer(None, "tool_calls", tool_calls=[call])
        return answer("It is Rome.")

    server.script = script
    client = surface.client(base_url=server.url)
    got = surface.call(client, "chat_structured", "Where?", SCHEMA)
    assert got.parsed == {"name": "Rome"}
    assert got.usage.total_tokens == 2 * 7  # the answer that couldn't be used is paid for
    assert len(server.requests) == 2
    surface.call(client, "chat_structured", "Where?", SCHEMA)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer('{"name": "Par', "length"), APIResponseError),
        (answer(None, refusal="I can't."), ContentFilterError),
    ],
)
def test_a_cut_answer_and_a_refusal_are_never_half_an_object(surface, server, reply, error):
    server.script = [reply]
    with pytest.raises(error):
        surface.call(surface.client(base_url=server.url), "chat_structured", "Where?", SCHEMA)
    assert len(server.requests) == 1


def test_thoughts_in_tags_are_reasoning_where_that_is_wanted(surface, server):
    server.script = [answer("<think>hm</think>Paris.")]
    plain = surface.call(surface.client(base_url=server.url), "chat", "Where?")
    assert (plain.text, plain.reasoning) == ("<think>hm</think>Paris.", "")
    told = surface.call(surface.client(base_url=server.url, think_tags=True), "chat", "Where?")
    assert (told.text, told.reasoning) == ("Paris.", "hm")

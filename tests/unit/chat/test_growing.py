"""What an answer that comes in pieces has grown to, beside its text and its calls."""

from __future__ import annotations

import json

import pytest

from xdm_integrations.core.chat.message_so_far import ChatSoFar
from xdm_integrations.core.chat.parse import parse_chat
from xdm_integrations.core.errors.tree import APIResponseError, XDMError
from xdm_integrations.core.protocol.wire import Limits, Reply


def grown(*deltas, n=1, **choice):
    """Return the accumulator that was given these deltas, and then a finish."""
    so_far = ChatSoFar(n)
    for delta in deltas:
        so_far.add({"choices": [{"index": 0, "delta": delta, **choice}]}, [])
    so_far.add({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, [])
    return so_far.result({})


def details(index, kind, **more):
    return {"content": "a", "reasoning_details": [{"index": index, "type": kind, **more}]}


def test_details_of_a_thought_are_joined_by_number_and_type():
    answer = grown(
        details(0, "reasoning.text", text="h", format="x"),
        details(0, "reasoning.text", text="m", format=None, signature="c2"),
        details(0, "reasoning.summary", summary="s"),
        details(1, "reasoning.encrypted", data="ZW"),
        details(1, "reasoning.encrypted", data="5j"),
        details(None, "reasoning.text", text="p"),
        details(None, "reasoning.text", text="q"),
    )
    assert answer.choices[0].message.reasoning_fields["reasoning_details"] == [
        {"index": 0, "type": "reasoning.text", "text": "hm", "format": "x", "signature": "c2"},
        {"index": 0, "type": "reasoning.summary", "summary": "s"},
        {"index": 1, "type": "reasoning.encrypted", "data": "ZW5j"},
        {"index": None, "type": "reasoning.text", "text": "p"},
        {"index": None, "type": "reasoning.text", "text": "q"},
    ]


def test_a_recording_and_log_probabilities_grow():
    def odds(token):
        return {"content": [{"token": token, "logprob": -0.5, "top_logprobs": []}]}

    so_far = ChatSoFar(1)
    for token, data in (("a", "QU"), ("b", "JD")):
        delta = {"content": token, "audio": {"id": "audio_1", "data": data, "expires_at": 5}}
        so_far.add({"choices": [{"delta": delta, "logprobs": odds(token)}]}, [])
    so_far.add({"choices": [{"delta": {}, "finish_reason": "stop"}]}, [])
    answer = so_far.result({})
    assert answer.audio == {"id": "audio_1", "data": "QUJD", "expires_at": 5}
    assert answer.logprobs.tokens == ["a", "b"]
    assert answer.logprobs.token_logprobs == [-0.5, -0.5]


HALVES = ("\ud83d", "\ude00")  # an emoji, as a server sends it that cuts in the middle of a character


@pytest.mark.parametrize("name", ["content", "reasoning_content"])
def test_halves_of_a_character_are_joined(name):
    chunks: list = []
    so_far = ChatSoFar(1)
    for half in HALVES:
        so_far.add({"choices": [{"delta": {name: half}}]}, chunks)
    so_far.add({"choices": [{"delta": {}, "finish_reason": "stop"}]}, chunks)
    so_far.end(chunks)
    assert "".join(chunk.text + chunk.reasoning for chunk in chunks) == "\N{GRINNING FACE}"


def test_halves_of_a_character_in_arguments_are_joined():
    first, second = ({"function": {"arguments": half}} for half in (f'{{"a": "{HALVES[0]}', f'{HALVES[1]}"}}'))
    answer = grown(
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", **first["function"]}}]},
        {"tool_calls": [{"index": 0, **second}]},
    )
    assert answer.tool_calls[0].parsed() == {"a": "\N{GRINNING FACE}"}


@pytest.mark.parametrize("placeholder", ["", "{}", " "])
def test_a_placeholder_of_arguments_that_comes_twice_is_none(placeholder):
    entry = {"index": 0, "id": "c", "function": {"name": "f", "arguments": placeholder}}
    answer = grown({"tool_calls": [entry]}, {"tool_calls": [entry]}, {"tool_calls": [entry]})
    assert [call.parsed() for call in answer.tool_calls] == [{}]


def test_unknown_fields_of_a_message_are_kept_where_they_hold_something():
    answer = grown({"content": "a", "mood": None, "tone": "calm"})
    assert answer.choices[0].message.extra == {"tone": "calm"}


def test_an_error_beside_a_piece_of_the_text_ends_the_stream():
    with pytest.raises(XDMError, match="gone away") as caught:
        grown({"content": "a"}, {"content": "b"}, error={"code": 502, "message": "The provider has gone away"})
    assert caught.value.partial is None or not caught.value.partial.finish_reason


@pytest.mark.parametrize("index", [2, -1, "x", 1.5])
def test_an_answer_beyond_those_asked_for_is_an_error(index):
    with pytest.raises(APIResponseError, match=f"choice {index!r} where 2 were asked for"):
        grown({"content": "a"}, n=2, index=index)


@pytest.mark.parametrize(("body", "scope"), [({"choices": []}, "request"), ({"answer": 1}, None)])
def test_an_answer_without_choices_may_be_another_one_the_next_time(body, scope):
    with pytest.raises(XDMError) as caught:
        parse_chat(Reply(200, {}, json.dumps(body).encode()), 1, Limits())
    assert scope is None or caught.value.scope == scope
    assert scope is not None or caught.value.scope != "request"


def test_what_has_a_place_of_its_own_is_no_unknown_field():
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = grown({"tool_calls": [call], "images": [{"image_url": {"url": "u"}}]}).choices[0].message
    assert message.tool_calls[0].extra is None
    assert message.extra is None
    assert message.images == ({"image_url": {"url": "u"}},)


@pytest.mark.parametrize("thinking", ["hm", [{"type": "text", "text": "hm"}]])
def test_a_thought_may_be_a_part_of_the_content(thinking):
    answer = grown({"content": [{"type": "thinking", "thinking": thinking}, {"type": "text", "text": "a"}]})
    assert (answer.text, answer.choices[0].message.reasoning) == ("a", "hm")

"""What an answer that comes in pieces has grown to, beside its text and its calls."""

from __future__ import annotations

import json
from itertools import combinations_with_replacement

import pytest

from xdm_integrations.core.chat.message_so_far import ChatSoFar
from xdm_integrations.core.chat.parse import parse_chat
from xdm_integrations.core.chat.pieces import KNOWN
from xdm_integrations.core.chat.results import ChatCompletion
from xdm_integrations.core.errors.tree import (
    APIResponseError,
    APIStatusError,
    ContentFilterError,
    StreamInterruptedError,
    XDMError,
)
from xdm_integrations.core.protocol.decoder import StreamDecoder
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
        details(0, "reasoning.text", format="x"),
        details(0, "reasoning.text", text="h"),
        details(0, "reasoning.text", text="m", format=None, signature="c2"),
        details(0, "reasoning.text", text=None),
        details(0, "reasoning.summary", summary="s"),
        details(0, "reasoning.summary", summary="t"),
        details(1, "reasoning.encrypted", data="ZW"),
        details(1, "reasoning.encrypted", data="5j"),
        details(None, "reasoning.text", text="p"),
        details(None, "reasoning.text", text="q"),
    )
    assert answer.choices[0].message.reasoning_fields["reasoning_details"] == [
        {"index": 0, "type": "reasoning.text", "format": "x", "text": "hm", "signature": "c2"},
        {"index": 0, "type": "reasoning.summary", "summary": "st"},
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
@pytest.mark.parametrize(
    ("pieces", "text"),
    [(HALVES, "\N{GRINNING FACE}"), ((HALVES[0], "b"), "\ufffdb"), (("a", HALVES[0], HALVES[1]), "a\N{GRINNING FACE}")],
)
def test_halves_of_a_character_are_joined(name, pieces, text):
    chunks: list = []
    so_far = ChatSoFar(1)
    for piece in pieces:
        so_far.add({"choices": [{"delta": {name: piece}}]}, chunks)
    so_far.add({"choices": [{"delta": {}, "finish_reason": "stop"}]}, chunks)
    so_far.end(chunks)
    assert "".join(chunk.text + chunk.reasoning for chunk in chunks) == text
    answer = so_far.result({})
    assert answer.text + answer.reasoning == text


@pytest.mark.parametrize("name", ["content", "reasoning_content"])
def test_half_a_character_that_a_cut_leaves_alone_stands_in_what_came(name):
    so_far = ChatSoFar(1)
    so_far.add({"choices": [{"delta": {name: "a"}}]}, [])
    so_far.add({"choices": [{"delta": {name: HALVES[0]}}]}, [])
    message = so_far.result({}).choices[0].message
    assert message.text + message.reasoning == "a\ufffd"


def test_half_a_character_in_a_refusal_is_never_handed_on():
    so_far, chunks = ChatSoFar(1), []
    so_far.add({"choices": [{"delta": {"refusal": f"N{HALVES[0]}o"}, "finish_reason": "stop"}]}, chunks)
    assert chunks[0].refusal == so_far.result({}).choices[0].message.refusal == "N\ufffdo"


def test_half_a_character_that_a_cut_leaves_alone_stands_in_the_arguments_that_came():
    entry = {"index": 0, "id": "c", "function": {"name": "f", "arguments": f'{{"a": "{HALVES[0]}'}}
    so_far, chunks = ChatSoFar(1), []
    so_far.add({"choices": [{"delta": {"tool_calls": [entry]}}]}, chunks)
    assert so_far.result({}).invalid_tool_calls[0].arguments == '{"a": "\ufffd'
    so_far.add({"choices": [{"delta": {}, "finish_reason": "length"}]}, chunks)
    so_far.end(chunks)
    assert "".join(delta.arguments for chunk in chunks for delta in chunk.tool_calls) == '{"a": "\ufffd'
    assert so_far.result({}).invalid_tool_calls[0].arguments == '{"a": "\ufffd'


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((f'{{"a": "{HALVES[0]}', f'{HALVES[1]}"}}'), "\N{GRINNING FACE}"),
        (('{"a": "', HALVES[0], f'{HALVES[1]}"}}'), "\N{GRINNING FACE}"),
        (('{"a": "', HALVES[0], 'b"}'), "\ufffdb"),
    ],
)
def test_halves_of_a_character_in_arguments_are_joined(pieces, text):
    first, *others = pieces
    answer = grown(
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": first}}]},
        *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in others),
    )
    assert answer.tool_calls[0].parsed() == {"a": text}


@pytest.mark.parametrize("placeholder", ["", "{}", " ", "null"])
def test_a_placeholder_of_arguments_that_comes_twice_is_none(placeholder):
    entry = {"index": 0, "id": "c", "function": {"name": "f", "arguments": placeholder}}
    answer = grown({"tool_calls": [entry]}, {"tool_calls": [entry]}, {"tool_calls": [entry]})
    assert [call.parsed() for call in answer.tool_calls] == [{}]


NO_ARGUMENTS = ["", "null", "  null ", " ", None]


@pytest.mark.parametrize("finish", ["tool_calls", "length"])
@pytest.mark.parametrize("text", [*NO_ARGUMENTS, "nul", "nulls", " nu ll", "{}", " {} ", ' {"a": null}', "[]"])
def test_the_pieces_of_arguments_add_up_to_those_of_the_complete_answer_however_they_are_cut(text, finish):
    function = {"name": "f", "arguments": text}
    choice = {"message": {"tool_calls": [{"id": "c", "function": function}]}, "finish_reason": finish}
    complete = parse_chat(Reply(200, {}, json.dumps({"choices": [choice]}).encode()), 1, Limits()).choices[0].message
    (expected,) = complete.tool_calls or complete.invalid_tool_calls
    for first, second in combinations_with_replacement(range(len(text or "") + 1), 2):
        pieces = [None] if text is None else [text[:first], text[first:second], text[second:]]
        so_far, chunks = ChatSoFar(1), []
        for number, piece in enumerate(pieces):
            named = {} if number else {"name": "f"}
            entry = {"index": 0, "id": None if number else "c", "function": {**named, "arguments": piece}}
            so_far.add({"choices": [{"index": 0, "delta": {"tool_calls": [entry]}}]}, chunks)
        so_far.add({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, chunks)
        so_far.end(chunks)
        message = so_far.result({}).choices[0].message
        assert (message.tool_calls, message.invalid_tool_calls) == (complete.tool_calls, complete.invalid_tool_calls)
        assert "".join(piece.arguments for chunk in chunks for piece in chunk.tool_calls) == expected.arguments


@pytest.mark.parametrize("placeholder", [["n", "ull"], [" ", "null", " "], [" "], ["null", "{}"], ["{}", " "]])
def test_arguments_may_come_after_a_placeholder_in_pieces(placeholder):
    entries = [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": piece}}
        for piece in [*placeholder, '{"a"', ": 1}"]
    ]
    (call,) = grown(*({"tool_calls": [entry]} for entry in entries)).tool_calls
    assert call.parsed() == {"a": 1}


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("indices", [(0, 1), (0, 0), (None, None)])
def test_calls_that_share_an_id_are_told_apart_as_in_the_complete_answer(indices, repeated):
    entries, complete = [], []
    for index, city in zip(indices, ["Bern", "Rome"], strict=True):
        pieces = [{"name": "look", "arguments": '{"city": '}, {"arguments": f'"{city}'}, {"arguments": '"}'}]
        pieces = [{**piece, "name": "look"} for piece in pieces] if repeated else pieces
        entries += [{"index": index, "id": "look", "function": piece} for piece in pieces]
        complete.append({"id": "look", "function": {"name": "look", "arguments": f'{{"city": "{city}"}}'}})
    calls = grown(*({"tool_calls": [entry]} for entry in entries)).tool_calls
    assert [(call.name, call.parsed()) for call in calls] == [("look", {"city": "Bern"}), ("look", {"city": "Rome"})]
    assert calls[0].id == "look" != calls[1].id
    choice = {"message": {"tool_calls": complete}, "finish_reason": "tool_calls"}
    answer = parse_chat(Reply(200, {}, json.dumps({"choices": [choice]}).encode()), 1, Limits())
    assert answer.tool_calls == calls


def test_any_number_of_calls_that_share_an_id_have_ids_of_their_own():
    calls = [{"index": i, "id": "look", "function": {"name": "look", "arguments": f'{{"x": {i}}}'}} for i in range(3)]
    assert len({call.id for call in grown(*({"tool_calls": [call]} for call in calls)).tool_calls}) == 3


def test_a_piece_of_arguments_belongs_to_the_call_of_its_index_though_another_without_one_came_between():
    answer = grown(
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x": '}}]},
        {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": '{"y": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"tool_calls": [{"function": {"arguments": "2}"}}]},
    )
    assert [(call.id, call.parsed()) for call in answer.tool_calls] == [("a", {"x": 1}), ("b", {"y": 2})]


def test_a_call_that_never_got_a_name_takes_nothing_of_the_next_one():
    nameless = {"index": 0, "function": {"arguments": '{"y": 2}'}}
    named = {"index": 0, "function": {"name": "f", "arguments": '{"x": 1}'}}
    answer = grown({"tool_calls": [nameless]}, {"tool_calls": [named]})
    assert [(call.name, call.parsed()) for call in answer.tool_calls] == [("f", {"x": 1})]


def test_an_empty_piece_of_arguments_is_not_delivered():
    so_far, chunks = ChatSoFar(1), []
    for function in ({"name": "f", "arguments": '{"x": '}, {"arguments": ""}, {"arguments": "1}"}):
        so_far.add({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}}]}, chunks)
    assert [piece.arguments for chunk in chunks for piece in chunk.tool_calls] == ['{"x": ', "1}"]
    assert len(chunks) == 2


def test_what_a_server_adds_to_the_last_piece_of_a_call_is_kept():
    first = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x": '}}
    last = {"index": 0, "function": {"arguments": "1}"}, "extra_content": {"signature": "s"}}
    (call,) = grown({"tool_calls": [first]}, {"tool_calls": [last]}).tool_calls
    assert (call.parsed(), call.extra) == ({"x": 1}, {"extra_content": {"signature": "s"}})


@pytest.mark.parametrize("given", [True, False, None, "null", "", 1.5])
def test_what_is_no_id_of_a_call_is_none(given):
    pieces = [{"id": given, "function": {"name": name, "arguments": "{}"}} for name in ("f", "g")]
    calls = grown(*({"tool_calls": [piece]} for piece in pieces)).tool_calls
    assert [(call.name, call.id[:5], len(call.id)) for call in calls] == [("f", "call_", 29), ("g", "call_", 29)]


def test_arguments_that_come_once_more_with_their_id_begin_no_call():
    entry = {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"city": "Bern"}'}}
    again = {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"city":"Bern"}'}}
    (call,) = grown({"tool_calls": [entry]}, {"tool_calls": [again]}, {"tool_calls": [entry]}).tool_calls
    assert call.parsed() == {"city": "Bern"}


def test_a_piece_in_braces_is_no_repeat_of_arguments_that_are_no_object_yet():
    first = {"index": 0, "id": "c", "function": {"name": "run", "arguments": '{"code": "for (;;) '}}
    others = [{"index": 0, "function": {"arguments": piece}} for piece in ("{go}", '"}')]
    (call,) = grown(*({"tool_calls": [entry]} for entry in (first, *others))).tool_calls
    assert call.parsed() == {"code": "for (;;) {go}"}


def test_a_call_without_arguments_is_delivered_as_soon_as_the_next_one_begins():
    so_far, chunks = ChatSoFar(1), []
    for number, name in enumerate(["now", "here"]):
        entry = {"index": number, "function": {"name": name}}
        so_far.add({"choices": [{"delta": {"tool_calls": [entry]}}]}, chunks)
    assert [(piece.index, piece.name, piece.arguments) for chunk in chunks for piece in chunk.tool_calls] == [
        (0, "now", "")
    ]


def test_a_call_without_arguments_that_comes_after_the_finish_reason_was_cut():
    so_far = ChatSoFar(1)
    for number, (name, finish) in enumerate([("now", "tool_calls"), ("here", None)]):
        call = {"index": number, "id": name, "function": {"name": name}}
        so_far.add({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": finish}]}, [])
    so_far.end([])
    answer = so_far.result({})
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("now", "{}")]
    assert [(call.name, call.arguments) for call in answer.invalid_tool_calls] == [("here", "")]


def test_arguments_that_have_not_come_yet_are_none():
    so_far = ChatSoFar(1)
    so_far.add({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "now"}}]}}]}, [])
    answer = so_far.result({})
    assert [(call.name, call.arguments) for call in answer.invalid_tool_calls] == [("now", "")]


@pytest.mark.parametrize("named", [{}, {"id": "c"}])
def test_a_name_that_comes_once_more_behind_complete_arguments_begins_no_call(named):
    functions = [{"name": "look", "arguments": '{"city": "Bern"}'}, {"name": "look", "arguments": ""}]
    answer = grown(*({"tool_calls": [{"index": 0, **named, "function": function}]} for function in functions))
    assert [(call.name, call.parsed()) for call in answer.tool_calls] == [("look", {"city": "Bern"})]
    assert answer.invalid_tool_calls == ()


def test_unknown_fields_of_a_message_are_kept_where_they_hold_something():
    answer = grown({"content": "a", "mood": None, "tone": "calm"})
    assert answer.choices[0].message.extra == {"tone": "calm"}


def test_an_error_beside_a_piece_of_the_text_ends_the_stream():
    with pytest.raises(XDMError, match="gone away") as caught:
        grown({"content": "a"}, {"content": "b"}, error={"code": 502, "message": "The provider has gone away"})
    assert caught.value.partial is None or not caught.value.partial.finish_reason
    with pytest.raises(XDMError, match="Shorten the messages"):
        grown({"content": "a"}, error={"message": "prompt is too long: 9 > 8"})


@pytest.mark.parametrize("index", [2, -1, "x", 1.5])
def test_an_answer_beyond_those_asked_for_is_an_error(index):
    with pytest.raises(APIResponseError, match=f"choice {index!r} where 2 were asked for"):
        grown({"content": "a"}, n=2, index=index)


@pytest.mark.parametrize(
    ("body", "scope"),
    [
        ({"choices": []}, "request"),
        ({"choices": ["x"]}, "request"),
        ({"choices": "x"}, "request"),
        ({"choices": {"a": 1}}, "request"),
        ({"answer": 1}, None),
    ],
)
def test_an_answer_without_choices_may_be_another_one_the_next_time(body, scope):
    with pytest.raises(XDMError) as caught:
        parse_chat(Reply(200, {}, json.dumps(body).encode()), 1, Limits())
    assert scope is None or caught.value.scope == scope
    assert scope is not None or caught.value.scope != "request"


def test_what_has_a_place_of_its_own_is_no_unknown_field():
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    legacy = {"name": "f", "arguments": "{}"}
    message = grown({"tool_calls": [call], "function_call": legacy, "images": [{"image_url": {"url": "u"}}]})
    message = message.choices[0].message
    assert message.tool_calls[0].extra is None
    assert message.extra is None
    assert message.images == ({"image_url": {"url": "u"}},)


@pytest.mark.parametrize("thinking", ["hm", [{"type": "text", "text": "hm"}]])
def test_a_thought_may_be_a_part_of_the_content(thinking):
    thought = {"type": "thinking", "thinking": thinking}
    answer = grown({"content": [thought, thought, {"type": "text", "text": "a"}]})
    assert (answer.text, answer.choices[0].message.reasoning) == ("a", "hmhm")


def test_what_is_no_call_among_the_calls_and_no_choice_among_the_choices_is_skipped():
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}
    so_far = ChatSoFar(1)
    so_far.add({"choices": [None, {"index": 0, "delta": "x", "message": "y", "finish_reason": None}]}, [])
    so_far.add({"choices": [{"delta": {"tool_calls": [None, call]}, "finish_reason": "tool_calls"}]}, [])
    assert [one.parsed() for one in so_far.result({}).tool_calls] == [{"a": 1}]
    assert [one.parsed() for one in grown({"tool_calls": [call]}, {"tool_calls": [None]}).tool_calls] == [{"a": 1}]


def test_a_null_in_a_later_piece_of_a_recording_takes_nothing_back():
    answer = grown(
        {"audio": {"id": "audio_1", "format": "wav", "data": "QU", "transcript": "a", "expires_at": 5}},
        {"audio": {"id": "audio_1", "format": "wav", "data": "JD", "transcript": None, "expires_at": None}},
    )
    recording = {"id": "audio_1", "format": "wav", "data": "QUJD", "transcript": "a", "expires_at": 5}
    assert answer.audio == recording


def test_images_and_citations_of_an_answer_are_its_own():
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    source = {"type": "url_citation", "url_citation": {"url": "https://example.com"}}
    inline = {"type": "image", "image": {"data": "iVBORw0KGgo="}}
    content = ["See ", {"type": "text", "text": "this"}, picture, inline, {"type": "a-servers-own"}, 7]
    answer = grown({"content": content, "annotations": [source]})
    assert (answer.text, answer.images, answer.annotations) == ("See this", (picture, inline), (source,))
    assert grown({"content": "a", "images": {}, "image": "none", "annotations": "none"}).images == ()
    assert grown({"content": "a", "image": picture}).images == (picture,)


def test_a_choice_in_the_shape_of_a_text_completion_is_read_too():
    chunks: list = []
    so_far = ChatSoFar(1)
    for text, finish in (("al", None), ("pha", None), ("", "stop")):
        so_far.add({"choices": [{"index": 0, "text": text, "finish_reason": finish}]}, chunks)
    assert [chunk.text for chunk in chunks] == ["al", "pha"]
    assert (so_far.result({}).text, so_far.result({}).finish_reason) == ("alpha", "stop")
    assert grown({"content": "a"}, message={"content": "all"}).text == "a"  # what is new, beside all so far


def test_one_answer_that_was_filtered_among_several_is_an_answer_and_all_of_them_are_an_error():
    def answered(*texts):
        choices = [
            {"index": i, "message": {"content": text}, "finish_reason": "stop" if text else "content_filter"}
            for i, text in enumerate(texts)
        ]
        return parse_chat(
            Reply(200, {"x-oneapi-request-id": "r1"}, json.dumps({"choices": choices}).encode()), 2, Limits()
        )

    assert [choice.message.text for choice in answered("a", None).choices] == ["a", ""]
    with pytest.raises(ContentFilterError, match="every choice") as caught:
        answered(None, None)
    assert [choice.finish_reason for choice in caught.value.partial.choices] == ["content_filter"] * 2
    assert caught.value.request_id == "r1"


@pytest.mark.parametrize(
    ("delta", "more"),
    [
        ({"content": "a"}, {}),
        ({"content": "\ud83d"}, {}),
        ({"reasoning_content": "hm"}, {}),
        ({"reasoning_content": "\ud83d"}, {}),
        ({"refusal": "No."}, {}),
        ({"audio": {"id": "audio_1"}}, {}),
        ({"images": [{"image_url": {"url": "u"}}]}, {}),
        ({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}, {}),
        ({}, {"logprobs": {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]}}),
    ],
)
def test_an_answer_of_which_anything_came_is_never_asked_for_again(delta, more):
    event = {"choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}
    decoder = StreamDecoder(ChatSoFar(1), {}, Limits())
    decoder.feed(f"data: {json.dumps(event)}\n\n".encode())
    decoder.close()
    assert isinstance(decoder.failure, StreamInterruptedError)
    assert decoder.failure.retry == "never"
    assert decoder.failure.partial is not None
    assert "without a finish_reason for the answer: it was cut off" in decoder.failure.message


def test_a_role_alone_is_nothing_of_an_answer():
    decoder = StreamDecoder(ChatSoFar(1), {}, Limits())
    decoder.feed(b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n')
    decoder.close()
    assert decoder.failure.retry == "backoff"


def test_an_answer_of_which_nothing_has_come_is_empty():
    nothing = ChatCompletion(choices=())
    assert (nothing.text, nothing.reasoning, nothing.refusal) == ("", "", "")
    assert (nothing.tool_calls, nothing.invalid_tool_calls, nothing.images, nothing.annotations) == ((), (), (), ())
    assert (nothing.audio, nothing.finish_reason, nothing.logprobs) == (None, None, None)
    assert nothing.message == {"role": "assistant", "content": ""}


def test_a_thought_in_no_known_form_is_none():
    answer = grown({"content": "a", "reasoning": ["hm"]}, {"content": "b", "reasoning_content": 7})
    assert (answer.text, answer.reasoning) == ("ab", "")


@pytest.mark.parametrize(
    "finish",
    [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "model_length",
        "model_context_window_exceeded",
        "content_filter",
        "sensitive",
    ],
)
def test_a_call_without_arguments_is_complete_where_a_later_one_was_cut(finish):
    calls = [
        {"index": 0, "id": "a", "function": {"name": "now"}},
        {"index": 1, "id": "b", "function": {"name": "look"}},
    ]
    so_far = ChatSoFar(1)
    for call in calls:
        so_far.add({"choices": [{"delta": {"tool_calls": [call]}}]}, [])
    so_far.add({"choices": [{"delta": {}, "finish_reason": finish}]}, [])
    answer = so_far.result({})
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("now", "{}")]
    assert [(call.name, call.arguments) for call in answer.invalid_tool_calls] == [("look", "")]


@pytest.mark.parametrize("finish", ["abort", "content_filter"])
def test_the_error_of_an_answer_that_failed_has_the_gateways_id(finish):
    body = {"choices": [{"message": {"content": None, "role": "assistant"}, "finish_reason": finish}]}
    with pytest.raises(XDMError) as caught:
        parse_chat(Reply(200, {"x-oneapi-request-id": "r1"}, json.dumps(body).encode()), 1, Limits())
    assert caught.value.request_id == "r1"


def test_an_answer_that_failed_after_a_text_is_paid_for_and_not_asked_again():
    body = {"choices": [{"message": {"content": "a"}, "finish_reason": "abort"}]}
    with pytest.raises(APIResponseError) as caught:
        parse_chat(Reply(200, {}, json.dumps(body).encode()), 1, Limits())
    assert (caught.value.retry, caught.value.partial.text) == ("never", "a")


@pytest.mark.parametrize("indices", [(0, 0, 0), (1, 2, 3), (None, None, None), (0, 1, 2)])
def test_answers_are_numbered_in_their_order_and_never_more_than_were_asked_for(indices):
    choices = [
        {"index": index, "message": {"content": text}, "finish_reason": "stop"}
        for index, text in zip(indices, "abc", strict=True)
    ]
    answer = parse_chat(Reply(200, {}, json.dumps({"choices": [None, *choices]}).encode()), 2, Limits())
    assert [(choice.index, choice.message.text) for choice in answer.choices] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [("<thi", "<thi", ""), ("<think>hm</thi", "", "hm</thi"), ("a\ud83d", "a\ufffd", ""), ("a", "a", "")],
)
def test_what_was_held_back_is_delivered_where_done_is_the_end(content, text, reasoning):
    decoder = StreamDecoder(ChatSoFar(1, think_tags=True), {}, Limits(), require_finish_reason=False)
    chunks = decoder.feed(f"data: {json.dumps({'choices': [{'delta': {'content': content}}]})}\n\n".encode())
    chunks += decoder.feed(b"data: [DONE]\n\n")
    assert decoder.failure is None
    assert "".join(chunk.text for chunk in chunks) == decoder.result().text == text
    assert "".join(chunk.reasoning for chunk in chunks) == decoder.result().reasoning == reasoning


def test_the_field_that_a_thought_came_in_is_known_whatever_comes_behind_it():
    answer = grown({"reasoning": "hm"}, {"content": ["a"]}, {"content": "b"})
    assert answer.choices[0].message.reasoning_fields == {"reasoning": "hm"}
    assert grown({"content": "a"}).choices[0].message.reasoning_fields is None


def test_a_new_id_behind_a_complete_call_leaves_that_call_as_it_is():
    first = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}}
    answer = grown({"tool_calls": [first]}, {"tool_calls": [{"index": 0, "id": "b", "function": {"arguments": "{}"}}]})
    assert [(call.id, call.parsed()) for call in answer.tool_calls] == [("a", {"x": 1})]
    assert [call.id for call in answer.invalid_tool_calls] == ["b"]


def test_the_same_call_in_another_answer_has_another_id():
    def made(answer_id, arguments="{}", *, ended=False):
        so_far = ChatSoFar(1)
        call = {"index": 0, "function": {"name": "f", "arguments": arguments}}
        so_far.add({"id": answer_id, "choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "stop"}]}, [])
        if ended:
            so_far.end([])
        return so_far.result({}).tool_calls[0].id

    assert made("a") == made("a", ended=True) != made("b", ended=True) == made("b")
    assert made("\ud83d") == made("\ud83d", ended=True)
    assert made(None) == made(None, "") != made(None, '{"x": 1}')  # where answers have no id, arguments tell them apart


def test_a_call_without_arguments_is_complete_where_done_is_the_end():
    call = {"index": 0, "id": "c", "function": {"name": "now"}}
    decoder = StreamDecoder(ChatSoFar(1), {}, Limits(), require_finish_reason=False)
    decoder.feed(f"data: {json.dumps({'choices': [{'delta': {'tool_calls': [call]}}]})}\n\n".encode())
    (chunk,) = decoder.feed(b"data: [DONE]\n\n")
    assert [(piece.name, piece.arguments) for piece in chunk.tool_calls] == [("now", "{}")]
    assert [one.parsed() for one in decoder.result().tool_calls] == [{}]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "boom"}, "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]},
        {"choices": [], "message": "boom"},
        {"choices": None, "detail": "boom"},
    ],
)
def test_an_error_is_one_whatever_stands_beside_it(body):
    with pytest.raises(APIStatusError, match="boom"):
        parse_chat(Reply(200, {}, json.dumps(body).encode()), 1, Limits())


def test_fields_of_a_call_may_come_alone_and_an_empty_entry_begins_none():
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    answer = grown({"tool_calls": [call]}, {"tool_calls": [{"index": 0, "extra_content": 1}]}, {"tool_calls": [{}]})
    assert [(call.name, call.extra) for call in answer.tool_calls] == [("f", {"extra_content": 1})]
    assert answer.invalid_tool_calls == ()
    assert grown({"content": "a", "tool_calls": [{"index": 1}]}).invalid_tool_calls == ()


@pytest.mark.parametrize("name", ["text", "summary"])
def test_a_thought_may_come_in_details_alone(name):
    answer = grown({"content": "a", "reasoning_details": [{"type": f"reasoning.{name}", name: "hm", "index": 0}, "x"]})
    assert answer.reasoning == "hm"


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_field_that_is_read_is_no_unknown_one_whatever_it_holds(name):
    assert grown({name: [7]}, {name: 7, "content": "a"}).choices[0].message.extra is None


def test_a_thought_that_is_none_is_empty():
    assert grown({"content": [{"type": "thinking", "thinking": 7}, "a"]}).reasoning == ""


def test_who_answered_is_known_from_the_first_event_that_says_it():
    so_far = ChatSoFar(1)
    so_far.add({"id": "", "model": "", "choices": [], "prompt_filter_results": []}, [])
    so_far.add({"id": "c", "model": "m", "choices": [{"delta": {"content": "a"}}]}, [])
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    so_far.add(last, [])
    answer = so_far.result({})
    assert (answer.id, answer.model, answer.text, answer.raw) == ("c", "m", "a", last)


@pytest.mark.parametrize(("content", "finish"), [("half", "content_filter"), ("", "stop")])
def test_an_answer_that_was_cut_by_a_filter_or_is_empty_is_one(content, finish):
    message = {"content": content, "prefix": False}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": finish, "stop_reason": 7}]}
    answer = parse_chat(Reply(200, {}, json.dumps(body).encode()), 1, Limits())
    assert (answer.text, answer.finish_reason) == (content, finish)
    assert (answer.choices[0].message.extra, answer.choices[0].extra) == ({"prefix": False}, {"stop_reason": 7})


@pytest.mark.parametrize("n", [1, 2])
def test_an_answer_may_be_empty(n):
    body = {"choices": [{"index": i, "message": {"content": ""}, "finish_reason": "stop"} for i in range(n)]}
    answer = parse_chat(Reply(200, {}, json.dumps(body).encode()), n, Limits())
    assert [choice.message.text for choice in answer.choices] == [""] * n


@pytest.mark.parametrize("nothing", [{}, {"mood": None}])
@pytest.mark.parametrize(("message", "choice"), [({"prefix": False}, {}), ({}, {"stop_reason": 7}), ({}, {})])
def test_what_a_server_adds_to_a_plain_answer_is_kept_unless_it_is_null(message, choice, nothing):
    plain = {**choice, **nothing, "message": {"content": "a", **message, **nothing}, "finish_reason": "stop"}
    body = {"choices": [plain], "cost": 0, **nothing}
    answer = parse_chat(Reply(200, {}, json.dumps(body).encode()), 1, Limits())
    (read,) = answer.choices
    assert (answer.text, answer.extra) == ("a", {"cost": 0})
    assert (read.message.extra, read.extra) == (message or None, choice)

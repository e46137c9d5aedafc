"""Bodies of replies: every shape that servers send, and the pairing of choices with prompts."""

from __future__ import annotations

import json

import pytest

from xdm_integrations.core.completions.parse import WrongChoicesError, parse_completion
from xdm_integrations.core.errors.tree import APIResponseError, APIStatusError, InsufficientQuotaError
from xdm_integrations.core.protocol.results import Usage
from xdm_integrations.core.protocol.wire import Reply

HEADERS = {"content-type": "application/json", "x-oneapi-request-id": "r-1"}


def parse(value, prompts=1, n=1, headers=HEADERS):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse_completion(Reply(200, headers, body), prompts, n)


def choices(*indices, **more):
    return [{"text": f"t{i}", "index": i, "finish_reason": "stop", **more} for i in indices]


def test_the_documented_answer():
    answer = parse(
        {
            "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
            "object": "text_completion",
            "created": 1589478378,
            "model": "gpt-3.5-turbo-instruct",
            "system_fingerprint": "fp_44709d6fcb",
            "choices": [{"text": "\n\nThis is indeed a test", "index": 0, "logprobs": None, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        }
    )
    assert answer.text == "\n\nThis is indeed a test"
    assert answer.finish_reason == "length"
    assert answer.logprobs is None
    assert answer.usage == Usage(5, 7, 12)
    assert (answer.id, answer.created, answer.model) == (
        "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
        1589478378,
        "gpt-3.5-turbo-instruct",
    )
    assert (answer.system_fingerprint, answer.request_id) == ("fp_44709d6fcb", "r-1")
    assert answer.headers == HEADERS
    assert answer.raw["object"] == "text_completion"


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "t0"},
        {"text": "t0", "index": "0", "finish_reason": None},
        {"text": "t0", "index": 7},
        {"text": "t0", "index": -1},
        {"text": None, "message": {"role": "assistant", "content": "t0"}},
        {"message": {"content": "t0"}},
        {"delta": {"content": "t0"}},
        {"message": {"content": None}, "delta": {"content": "t0"}},
    ],
)
def test_odd_single_choices(choice):
    answer = parse({"choices": [choice]})
    assert (answer.text, answer.choices[0].index, answer.finish_reason) == ("t0", 0, None)
    assert (answer.id, answer.model, answer.created, answer.usage, answer.system_fingerprint) == (
        "",
        "",
        None,
        None,
        None,
    )


def test_a_choice_without_text_is_empty():
    assert parse({"choices": [{"text": None, "finish_reason": "stop"}]}).text == ""


@pytest.mark.parametrize("odd", ["now", 1.5, None, {}])
def test_created_of_other_types_is_none(odd):
    assert parse({"choices": choices(0), "created": odd}).created is None


def test_heartbeats_and_marks_before_the_body():
    assert parse(b"\n\n\n" + json.dumps({"choices": choices(0)}).encode()).text == "t0"
    assert parse(b"\xef\xbb\xbf" + json.dumps({"choices": choices(0)}).encode()).text == "t0"


def test_choices_are_ordered_by_index():
    answer = parse({"choices": choices(3, 0, 2, 1)}, prompts=2, n=2)
    assert [c.text for c in answer.choices] == ["t0", "t1", "t2", "t3"]
    assert [[c.index for c in group] for group in answer.by_prompt()] == [[0, 1], [2, 3]]


def test_wrong_indices_of_one_prompt_pair_nothing_wrongly():
    answer = parse({"choices": [{"text": "a", "index": 5}, {"text": "b", "index": 5}]}, n=2)
    assert [(c.text, c.index) for c in answer.choices] == [("a", 0), ("b", 1)]


@pytest.mark.parametrize(
    ("prompts", "n", "sent"),
    [
        (2, 1, (0,)),
        (3, 1, (0, 1)),
        (1, 2, (0,)),
        (1, 1, (0, 1)),
        (2, 1, (0, 0)),
        (2, 1, (1, 2)),
        (2, 2, (0, 1)),
        (2, 1, (0, 1, 2)),
    ],
)
def test_choices_that_cannot_be_paired_are_a_typed_error(prompts, n, sent):
    with pytest.raises(WrongChoicesError) as caught:
        parse({"choices": choices(*sent), "usage": {"prompt_tokens": 1}}, prompts, n)
    error = caught.value
    assert isinstance(error, APIResponseError)
    assert not error.retryable
    assert error.scope == "request"
    assert error.headers == HEADERS
    assert error.request_id == "r-1"
    assert [c.text for c in error.partial.choices] == [f"t{i}" for i in sent]
    assert f"asked for: {prompts * n}" in error.message


def test_things_among_the_choices_that_are_none():
    with pytest.raises(WrongChoicesError):
        parse({"choices": [None, "x", *choices(0)]}, prompts=2)
    assert parse({"choices": [None, *choices(0)]}).text == "t0"


@pytest.mark.parametrize(
    ("body", "says", "retry"),
    [
        (b"", "empty", "backoff"),
        (b"  \n ", "empty", "backoff"),
        (b"<!doctype html><html><div id='root'></div></html>", "/v1", "never"),
        (b"oops", "oops", "once"),
        (b'{"choices": [{"text": "half', "broken JSON", "once"),
        (b'{"choices": []}', "no choices", "once"),
        (b'{"choices": null}', "no choices", "once"),
        (b'{"choices": {"0": 1}}', "", "once"),
        (b'{"choices": "text"}', "", "once"),
        (b'{"choices": 5}', "", "once"),
        (b'{"choices": true}', "", "once"),
        (b"[]", "", "once"),
        (b"[1]", "", "once"),
        (b"null", "", "once"),
        (b'"text"', "", "once"),
        (b"[" * 100_000, "", "once"),
        (b'{"a":' * 100_000, "", "once"),
    ],
)
def test_bodies_that_are_no_answer(body, says, retry):
    with pytest.raises(APIResponseError) as caught:
        parse(body)
    assert says in caught.value.message
    assert caught.value.retry == retry
    assert caught.value.request_id == "r-1"
    assert caught.value.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "该令牌额度已用尽 (request id: x)", "type": "one_api_error", "code": ""}},
        {"error": {"message": "该令牌额度已用尽", "type": "one_api_error"}, "choices": choices(0)},
        {"success": False, "message": "该令牌额度已用尽"},
        {"choices": [], "message": "该令牌额度已用尽"},
        'data: {"error": {"message": "该令牌额度已用尽", "type": "one_api_error"}}\n\n'.encode(),
    ],
)
def test_an_error_with_status_200(body):
    with pytest.raises(APIStatusError) as caught:
        parse(body)
    if isinstance(body, bytes) or "error" in body:
        assert isinstance(caught.value, InsufficientQuotaError)
    assert "该令牌额度已用尽" in caught.value.message
    assert caught.value.request_id == "r-1"


def test_an_error_keeps_the_status_and_the_servers_own_text():
    body = b'{"error":  {"message":"x"}}'
    with pytest.raises(APIStatusError, match=r"\(HTTP 201, ") as caught:
        parse_completion(Reply(201, HEADERS, body), 1, 1)
    assert caught.value.body == body.decode()
    with pytest.raises(WrongChoicesError) as caught:
        parse_completion(Reply(201, HEADERS, json.dumps({"choices": choices(0, 1)}).encode()), 1, 1)
    assert caught.value.status_code == 201


def test_only_an_answer_that_has_choices_speaks_of_the_request():
    for body, scope in (({"object": "list"}, "gateway"), ([1], "gateway"), ({"choices": []}, "request")):
        with pytest.raises(APIResponseError) as caught:
            parse(body)
        assert caught.value.scope == scope


def test_an_empty_choice_among_others_is_an_answer_too():
    answer = parse({"choices": [{"text": "a", "index": 0}, {"text": "", "index": 1}]}, prompts=2)
    assert [c.text for c in answer.choices] == ["a", ""]


def test_log_probabilities_alone_are_an_answer():
    answer = parse({"choices": [{"text": "", "logprobs": {"tokens": ["a"], "token_logprobs": [-1.0]}}]})
    assert answer.logprobs.tokens == ["a"]


def test_of_several_prompts_the_choice_without_a_number_is_the_first_ones():
    answer = parse({"choices": [{"text": "b", "index": 1}, {"text": "a"}]}, prompts=2)
    assert [(c.text, c.index) for c in answer.choices] == [("a", 0), ("b", 1)]


def test_the_other_name_of_the_request_id():
    assert parse({"choices": choices(0)}, headers={"x-request-id": "r-2"}).request_id == "r-2"
    assert parse({"choices": choices(0)}, headers={}).request_id is None


HALVES = [
    ("\\ud83d\\ude00", "\U0001f600"),
    ("a\\ud83d", "a\ufffd"),
    ("\\ude00\u4f60", "\ufffd\u4f60"),
    ("\u4f60", "\u4f60"),
]


@pytest.mark.parametrize(("sent", "text"), HALVES)
def test_halves_of_surrogate_pairs_never_come_out(sent, text):
    body = f'{{"choices": [{{"text": "{sent}", "index": 0, "finish_reason": "stop"}}]}}'
    assert parse(body.encode()).text == text


@pytest.mark.parametrize("choice", [{}, {"text": None, "message": None}, {"text": "", "finish_reason": None}])
def test_choices_that_hold_no_answer_are_none(choice):
    with pytest.raises(APIResponseError) as caught:
        parse({"choices": [choice]})
    assert caught.value.scope == "request"


def test_a_message_of_parts_is_their_text():
    parts = [{"type": "text", "text": "h"}, {"type": "image"}, "x", None, {"type": "text", "text": "i"}]
    assert parse({"choices": [{"message": {"content": parts}}]}).text == "hi"

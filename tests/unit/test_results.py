"""The values that come back: token counts, log probabilities, completions."""

from __future__ import annotations

import copy
import pickle

import pytest

from xdm_integrations.core.completions.results import Choice, Completion, CompletionChunk
from xdm_integrations.core.protocol.ends import FAILED, finish_reason_of, stopped
from xdm_integrations.core.protocol.results import Logprobs, Usage, total_usage


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, Usage(1, 2, 3)),
        ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(1, 2, 3)),
        ({"prompt_tokens": 5}, Usage(5, 0, 5)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9}, Usage(1, 2, 9)),
        ({"input_tokens": 1, "output_tokens": 2}, Usage(1, 2, 3, {"input_tokens": 1, "output_tokens": 2})),
        ({"prompt_tokens": 1.0, "completion_tokens": None, "total_tokens": "3"}, Usage(1, 0, 3)),
        ({"prompt_tokens": "1", "completion_tokens": " 2.0", "total_tokens": "3"}, Usage(1, 2, 3)),
        ({"prompt_tokens": 0, "completion_tokens": "0", "total_tokens": 0}, Usage()),
        ({"prompt_tokens": "?", "completion_tokens": 2, "total_tokens": 3}, Usage(1, 2, 3)),
        ({"prompt_tokens": 1, "completion_tokens": "n/a", "total_tokens": 3}, Usage(1, 2, 3)),
        ({"prompt_tokens": 3, "completion_tokens": "n/a", "total_tokens": 3}, Usage(3, 0, 3)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": "n/a"}, Usage(1, 2, 3)),
        ({"total_tokens": 7}, Usage(0, 0, 7)),
        ({"prompt_tokens": -1, "completion_tokens": float("inf"), "total_tokens": float("nan")}, None),
        ({"prompt_tokens": 1, "completion_tokens": "n/a"}, None),
        ({"prompt_tokens": "many", "completion_tokens": 5, "total_tokens": 3}, None),
        ({"prompt_tokens": True, "completion_tokens": [2]}, None),
        ({"prompt_tokens": "1e999", "completion_tokens": {}}, None),
        (
            {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}, "cost": 0.5, "x": None},
            Usage(1, 0, 1, {"prompt_tokens_details": {"cached_tokens": 1}, "cost": 0.5}),
        ),
        ({}, None),
        (None, None),
        ("5", None),
        ([1], None),
    ],
)
def test_usage_of_any_server(sent, read):
    assert Usage.parse(sent) == read


@pytest.mark.parametrize("sent", [None, "", "null", "none", "None", "NULL", {}, [], 0])
def test_finish_reasons_that_are_none(sent):
    assert finish_reason_of(sent) is None


@pytest.mark.parametrize("sent", ["stop", "Length", "nonesuch", "abort"])
def test_a_finish_reason_is_kept_as_it_was_sent(sent):
    assert finish_reason_of(sent) == sent


@pytest.mark.parametrize("reason", ["abort", "Aborted", "error", "cancelled", "insufficient_system_resource"])
def test_reasons_that_say_that_the_answer_was_stopped(reason):
    assert stopped({}, reason, "completions", streaming=False) is not None


@pytest.mark.parametrize("reason", [None, "stop", "length", "content_filter", "TOOL_CALLS", "eos_token", "new in 2030"])
def test_reasons_that_end_an_answer_and_those_that_nobody_knows(reason):
    assert stopped({}, reason, "completions", streaming=False) is None


def test_the_table_of_ends_can_be_looked_up():
    assert all(reason == reason.lower() and finish_reason_of(reason) for reason in FAILED)


def test_usage_in_the_form_of_the_api():
    usage = Usage(1, 2, 3, {"cost": 0.5})
    assert usage.as_dict() == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5}
    usage.as_dict()["cost"] = 9
    assert usage.details == {"cost": 0.5}


def test_usages_add_up_with_their_details():
    left = Usage(1, 2, 3, {"d": {"a": 1, "b": 2}, "cost": 0.5, "tier": "x", "flag": True})
    right = Usage(10, 20, 30, {"d": {"a": 5, "c": 1}, "cost": 0.25, "tier": "y", "flag": True, "new": 1})
    total = Usage(11, 22, 33, {"d": {"a": 6, "b": 2, "c": 1}, "cost": 0.75, "tier": "y", "flag": True, "new": 1})
    assert left + right == total
    assert left.details["d"] == {"a": 1, "b": 2}
    assert total_usage([None, left, None, right]) == total
    assert total_usage([None]) is None
    assert total_usage([]) is None


@pytest.mark.parametrize(("left", "right"), [({"a": 1}, 5), (5, {"a": 1}), (1, "x"), ("x", 1), (None, 1), (True, 1)])
def test_details_that_cannot_be_summed_are_the_last_ones(left, right):
    assert (Usage(details={"d": left}) + Usage(details={"d": right})).details == {"d": right}


@pytest.mark.parametrize("value", [Usage(), Logprobs([], [], []), Completion(()), Choice(""), CompletionChunk("")])
def test_values_never_change(value):
    name = "text" if isinstance(value, tuple) else next(iter(value.__dataclass_fields__))
    with pytest.raises(AttributeError):
        setattr(value, name, None)


def test_legacy_logprobs():
    sent = {
        "tokens": ["a", "b"],
        "token_logprobs": [None, -1.5],
        "top_logprobs": [None, {"b": -1.5, "c": -2}],
        "text_offset": [0, 1],
    }
    read = Logprobs.parse(sent)
    assert read == Logprobs(["a", "b"], [None, -1.5], [{}, {"b": -1.5, "c": -2}], [0, 1])
    assert read.as_dict() == {**sent, "top_logprobs": [{}, sent["top_logprobs"][1]]}


def test_chat_logprobs():
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": 0}, "x"]
    sent = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": top}, {"token": "c"}, None]}
    assert Logprobs.parse(sent) == Logprobs(["a", "c"], [-0.1, None], [{"a": -0.1, "b": 0}, {}])


def test_chat_logprobs_keep_what_else_is_said_of_a_token():
    halves = [{"token": "\ufffd", "logprob": -1.0, "bytes": [number]} for number in (0xE6, 0xE7)]
    sent = {"content": [{**halves[0], "id": 7, "top_logprobs": halves}]}
    read = Logprobs.parse(sent)
    assert read.as_chat() == sent
    legacy = Logprobs(["b"], [-2.0], [{}])
    assert (read + read).as_chat() == {"content": sent["content"] * 2}
    assert [entry.keys() for entry in (read + legacy).as_chat()["content"]] == [
        {"token", "logprob", "top_logprobs"}
    ] * 2


@pytest.mark.parametrize("number", [None, "-inf", True, [], {}])
def test_a_candidate_without_a_log_probability_is_left_out_and_is_not_certain(number):
    legacy = {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"a": -0.1, "b": number}]}
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": number}]
    chat = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": top}]}
    assert Logprobs.parse(legacy) == Logprobs.parse(chat) == Logprobs(["a"], [-0.1], [{"a": -0.1}])


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"tokens": ["a", "b"]}, Logprobs(["a", "b"], [None, None], [{}, {}])),
        ({"tokens": ["a"], "token_logprobs": [-1, -2], "top_logprobs": [{}, {}]}, Logprobs(["a"], [-1], [{}])),
        ({"tokens": ["a"], "token_logprobs": "x", "top_logprobs": 5, "text_offset": 5}, Logprobs(["a"], [None], [{}])),
        ({"tokens": ["a"], "token_logprobs": [True]}, Logprobs(["a"], [None], [{}])),
        ({"tokens": ["a"], "token_logprobs": ["x"], "text_offset": ["x", 0]}, Logprobs(["a"], [None], [{}], [0])),
        ({"tokens": [5, None, [[]]]}, Logprobs(["5", "", ""], [None] * 3, [{}] * 3)),
        ({"content": [{"token": "a", "top_logprobs": 5}]}, Logprobs(["a"], [None], [{}])),
        ({"content": []}, Logprobs([], [], [])),
        ({}, None),
        ({"content": None}, None),
        ({"tokens": "ab"}, None),
        (None, None),
        (True, None),
    ],
)
def test_odd_logprobs(sent, read):
    assert Logprobs.parse(sent) == read


def test_a_choice_is_the_first_unless_said_otherwise():
    assert Choice("a") == Choice("a", 0, None, None)
    assert CompletionChunk("a") == CompletionChunk("a", 0, None, None)


def test_a_completion_without_choices_is_empty():
    empty = Completion(())
    assert (empty.text, empty.finish_reason, empty.logprobs, empty.by_prompt()) == ("", None, None, [])
    assert empty == Completion((), 1, usage=None, model="", id="", created=None, request_id=None, headers={}, raw={})


def test_a_completion_speaks_for_its_first_choice():
    logprobs = Logprobs(["a"], [-1.0], [{}])
    answer = Completion((Choice("a", 0, "stop", logprobs), Choice("b", 1)), n=1)
    assert (answer.text, answer.finish_reason, answer.logprobs) == ("a", "stop", logprobs)
    assert answer.by_prompt() == [(answer.choices[0],), (answer.choices[1],)]


@pytest.mark.parametrize(
    "value",
    [
        Usage(1, 2, 3, {"d": {"a": 1}}),
        Logprobs(["a"], [None], [{"a": -1.0}], [0]),
        CompletionChunk("a", 1, "stop"),
        Completion((Choice("a"),), usage=Usage(1, 1, 2), headers={"a": "b"}, raw={"x": 1}),
    ],
)
def test_values_survive_pickling_and_copying(value):
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes
    assert copy.deepcopy(value) == value
    assert copy.copy(value) == value


def test_headers_and_raw_stay_out_of_repr():
    assert "secret" not in repr(Completion((), headers={"a": "secret"}, raw={"b": "secret"}))

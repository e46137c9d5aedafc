"""What servers really stream, decoded: every habit that was seen on a wire, and the judgement at the end."""

# ruff: noqa: RUF001 - words of the gateway, and digits of other scripts

# ruff: noqa: E501 - tables are read by row

from __future__ import annotations

import json

import pytest

from xdm_integrations.core.completions.results import CompletionChunk
from xdm_integrations.core.completions.text_so_far import TextSoFar
from xdm_integrations.core.errors.tree import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    ModelUnavailableError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from xdm_integrations.core.protocol.decoder import StreamDecoder
from xdm_integrations.core.protocol.results import Logprobs, Usage
from xdm_integrations.core.protocol.wire import Limits

HEADERS = {"x-oneapi-request-id": "r-1", "content-type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def event(value, kind=""):
    head = f"event: {kind}\n" if kind else ""
    return f"{head}data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()


def chunk(text="", finish=None, index=0, **more):
    choice = {"text": text, "index": index, "finish_reason": finish, "logprobs": more.pop("logprobs", None)}
    return event({"id": "c-1", "model": "m-1", "created": 5, "choices": [choice], **more})


def decoder(expected=1, n=1, limits=Limits(), **settings):
    return StreamDecoder(TextSoFar(expected // n, n), HEADERS, limits, **settings)


def run(*parts, expected=1, n=1, close=True, **settings):
    """Feed the parts whole and byte by byte, check that nothing depends on it, and return the decoder and chunks."""
    data = b"".join(parts)
    outcomes = []
    for blocks in ([data], [data[i : i + 1] for i in range(len(data))]):
        made = decoder(expected, n, **settings)
        chunks = [c for block in blocks for c in made.feed(block)]
        if close:
            chunks += made.close()
        outcomes.append((chunks, made.result(), made.ended, type(made.failure), str(made.failure)))
    assert outcomes[0] == outcomes[1]
    return made, outcomes[0][0]


def texts(chunks):
    return [c.text for c in chunks if c.text]


def whole(made, text, finish="stop"):
    assert made.failure is None
    assert made.ended
    assert made.finished
    assert (made.result().text, made.result().finish_reason) == (text, finish)


def test_a_documented_stream():
    made, chunks = run(chunk("Hel"), chunk("lo"), chunk("", "stop"), event({"choices": [], "usage": USAGE}), DONE)
    whole(made, "Hello")
    assert chunks == [CompletionChunk("Hel"), CompletionChunk("lo"), CompletionChunk("", 0, "stop")]
    result = made.result()
    assert result.usage == Usage(7, 3, 10)
    assert (result.id, result.model, result.created, result.request_id) == ("c-1", "m-1", 5, "r-1")
    assert result.headers == HEADERS
    assert result.raw == {"choices": [], "usage": USAGE}


@pytest.mark.parametrize(
    "noise",
    [
        b": PING\n\n",
        b"::PING\n\n",
        b"\n",
        b"\r\n\r\n",
        b"data:\n\n",
        b"data:  \n\n",
        b"event: ping\n\n",
        b"retry: 5\n\n",
        event({}),
    ],
    ids=repr,
)
def test_noise_changes_nothing(noise):
    made, chunks = run(noise, chunk("a"), noise, chunk("b", "stop"), noise, DONE, noise)
    whole(made, "ab")
    assert texts(chunks) == ["a", "b"]


def test_comments_are_no_events():
    made = decoder()
    made.feed(b": PING\n\n" * 5)
    assert made.events == 0
    made.feed(chunk("a"))
    assert made.events == 1


@pytest.mark.parametrize(
    "parts",
    [
        [chunk("a"), chunk("b", "stop"), event({"choices": [], "usage": USAGE})],
        [chunk("a"), chunk("b", "stop", usage=USAGE)],
        [chunk("a", usage={**USAGE, "completion_tokens": 1, "total_tokens": 8}), chunk("b", "stop", usage=USAGE)],
        [chunk("a", usage=None), chunk("b", "stop", usage=None), event({"choices": None, "usage": USAGE})],
        [chunk("a", usage=ZEROS), chunk("b", "stop", usage=USAGE), event({"choices": [], "usage": ZEROS})],
        [chunk("a", usage=ZEROS), chunk("b", "stop", usage=ZEROS), event({"choices": [{"index": 0}], "usage": USAGE})],
        [chunk("a"), chunk("b", "stop"), event({"object": "chat.completion.chunk", "choices": [], "usage": USAGE})],
        [chunk("a"), chunk("b", "stop", usage=USAGE), event({"choices": [], "usage": {}})],
        [chunk("a"), chunk("b", "stop", usage=USAGE), event({"choices": [], "usage": "?"})],
    ],
)
def test_usage_wherever_it_rides(parts):
    made, chunks = run(*parts, DONE)
    whole(made, "ab")
    assert texts(chunks) == ["a", "b"]
    assert made.result().usage == Usage(7, 3, 10)


def test_usage_of_zeros_alone_is_what_the_server_said_and_none_is_none():
    assert run(chunk("a", "stop", usage=ZEROS), DONE)[0].result().usage == Usage()
    assert run(chunk("a", "stop"), DONE)[0].result().usage is None


def test_usage_after_the_last_finish_reason_is_waited_for():
    made = decoder()
    made.feed(chunk("a", "stop"))
    assert made.finished
    assert not made.ended
    made.feed(event({"choices": [], "usage": USAGE}))
    made.feed(DONE)
    assert made.ended
    assert made.result().usage.total_tokens == 10


def test_usage_per_choice_is_summed_and_each_prompt_counted_once():
    """llama.cpp counts each choice by itself, on the event that finishes it."""

    def last(index, prompt, answer):
        counts = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
        return chunk("", "stop", index, usage=counts)

    parts = [chunk(t, index=i) for i, t in enumerate("abcd")]
    parts += [last(1, 5, 2), last(0, 5, 3), last(2, 7, 4), last(3, 7, 1)]
    assert run(*parts, DONE, expected=4, n=2)[0].result().usage == Usage(12, 10, 22)
    overall = event({"choices": [], "usage": USAGE})
    assert run(*parts, overall, DONE, expected=4, n=2)[0].result().usage == Usage(7, 3, 10)


def test_usage_of_two_prompts_is_summed_too():
    first = chunk("a", "stop", 0, usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})
    second = chunk("b", "stop", 1, usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
    assert run(first, second, DONE, expected=2)[0].result().usage == Usage(12, 5, 17)


@pytest.mark.parametrize("choices", [None, [], [1], {"0": {}}, "a", [None]])
def test_usage_beside_choices_of_any_kind_is_that_of_all(choices):
    made, _ = run(chunk("a", "stop", 0), chunk("b", "stop", 1), event({"choices": choices, "usage": USAGE}), expected=2)
    assert made.failure is None
    assert made.result().usage == Usage(7, 3, 10)


def test_usage_on_as_many_running_events_as_choices_is_never_summed():
    running = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    parts = [chunk("a", index=0, usage=running), chunk("b", index=1, usage=USAGE)]
    parts += [chunk("", "stop", 0), chunk("", "stop", 1)]
    assert run(*parts, DONE, expected=2, n=2)[0].result().usage == Usage(7, 3, 10)


def test_usage_of_a_choice_without_a_number_is_not_taken_for_anothers():
    nameless = event({"choices": [{"text": "a", "finish_reason": "stop"}], "usage": ZEROS | {"total_tokens": 1}})
    made, _ = run(nameless, chunk("b", "stop", 1, usage=USAGE), DONE, expected=2)
    assert made.failure is None
    assert made.result().usage == Usage(7, 3, 10)


def test_cumulative_usage_is_never_summed():
    counts = [{"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n} for n in (1, 2, 3, 4)]
    parts = [chunk("a", None, 0, usage=counts[0]), chunk("b", None, 1, usage=counts[1])]
    parts += [chunk("", "stop", 0, usage=counts[2]), chunk("", "stop", 1, usage=counts[3])]
    assert run(*parts, DONE, expected=2, n=2)[0].result().usage == Usage(5, 4, 9)


def test_a_character_cut_inside_its_surrogate_pair_is_joined():
    made, chunks = run(chunk("a"), chunk("\ud83d"), chunk("\ude00b"), chunk("\ud83d", "stop"), DONE)
    assert texts(chunks) == ["a", "\U0001f600b", "\ufffd"]
    assert made.result().text == "a\U0001f600b\ufffd"


@pytest.mark.parametrize("character", ["\U00010000", "\U0001f600", "\U0010ffff"])
def test_a_pair_is_joined_behind_text_of_the_same_piece(character):
    pair = character.encode("utf-16-be")
    first, second = (half.decode("utf-16-be", "surrogatepass") for half in (pair[:2], pair[2:]))
    made, chunks = run(chunk(f"xy{first}"), chunk(f"{second}z", "stop"), DONE)
    assert texts(chunks) == ["xy", character + "z"]
    assert made.result().text == f"xy{character}z"


@pytest.mark.parametrize(("after", "text"), [("b", "\ufffdb"), ("", "\ufffd"), ("é", "\ufffdé")])
def test_a_half_that_stays_alone_is_handed_out_with_what_follows(after, text):
    made, chunks = run(chunk("\ud83d"), chunk(after, "stop"), DONE)
    assert texts(chunks) == [text]
    whole(made, text)


def test_a_half_that_a_cut_leaves_alone_stands_in_what_came():
    made, chunks = run(chunk("a"), chunk("\ud83d"))
    assert texts(chunks) == ["a"]
    assert made.failure.partial.text == "a\ufffd"
    assert run(chunk("\ud83d"))[0].failure.partial.text == "\ufffd"


def test_a_half_that_stays_alone_is_handed_out_at_an_end_without_a_finish_reason():
    made, chunks = run(chunk("a"), chunk("\ud83d"), DONE, require_finish_reason=False)
    assert texts(chunks) == ["a", "\ufffd"]
    assert made.result().text == "a\ufffd"


def test_the_halves_of_two_choices_are_not_joined():
    parts = [chunk("\ud83d", index=0), chunk("\ude00", index=1), chunk("\ude00", "stop", 0), chunk("", "stop", 1)]
    made, _ = run(*parts, DONE, expected=2, n=2)
    assert [c.text for c in made.result().choices] == ["\U0001f600", "\ufffd"]


def test_a_last_chunk_without_text():
    made, chunks = run(chunk("a"), event({"choices": [{"finish_reason": "length", "index": 0}]}), DONE)
    whole(made, "a", "length")
    assert chunks[-1] == CompletionChunk("", 0, "length")


def test_a_wrong_index_where_there_is_one_choice():
    made, chunks = run(chunk("a", index=4), chunk("b", index=4), chunk("", "stop", index=2), DONE)
    whole(made, "ab")
    assert {c.index for c in chunks} == {0}


@pytest.mark.parametrize(("first", "then"), [(0, None), (None, 0), (0, "0"), ("0", 1)])
def test_one_choice_whose_text_loses_or_finds_its_number_goes_on(first, then):
    made, chunks = run(chunk("a", index=first), chunk("b", "stop", index=then), DONE)
    whole(made, "ab")
    assert {c.index for c in chunks} == {0}


def test_of_several_choices_the_one_without_a_number_is_the_first():
    made, chunks = run(chunk("b", "stop", 1), chunk("a", "stop", None), DONE, expected=2)
    assert made.failure is None
    assert [(c.text, c.index) for c in chunks] == [("b", 1), ("a", 0)]


def test_two_choices_where_one_was_asked_for_are_never_mixed():
    made, chunks = run(chunk("a", index=0), chunk("B", index=1), chunk("a", index=0), chunk("", "stop", index=0), DONE)
    assert texts(chunks) == ["a"]
    assert "choice 1 where 1" in made.failure.message
    assert made.failure.text == "a"


def test_what_comes_after_a_whole_answer_takes_nothing_back():
    made, _ = run(chunk("a", "stop"), event({"error": {"message": "too late"}}))
    whole(made, "a")


def test_interleaved_choices_finish_one_by_one():
    parts = [
        chunk("a", index=0),
        chunk("x", index=2),
        chunk("b", index=1),
        chunk("A", "stop", 0),
        chunk("X", "length", 2),
    ]
    made, chunks = run(*parts, chunk("B", "stop", 1), DONE, expected=3)
    assert [(c.text, c.finish_reason) for c in made.result().choices] == [
        ("aA", "stop"),
        ("bB", "stop"),
        ("xX", "length"),
    ]
    assert [c.index for c in chunks] == [0, 2, 1, 0, 2, 1]
    assert made.failure is None


def test_several_choices_in_one_event():
    both = [{"text": "a", "index": 1, "finish_reason": "stop"}, {"text": "b", "index": 0, "finish_reason": "stop"}]
    made, chunks = run(event({"choices": both}), DONE, expected=2, n=2)
    assert [c.text for c in made.result().choices] == ["b", "a"]
    assert [c.index for c in chunks] == [1, 0]


@pytest.mark.parametrize("index", [3, -1, "one", 1.5])
def test_an_index_that_fits_no_prompt_is_an_error_after_what_came_before(index):
    made, chunks = run(chunk("a", "stop"), chunk("b", index=index), chunk("c", index=1), expected=3)
    assert texts(chunks) == ["a"]
    assert isinstance(made.failure, APIResponseError)
    assert repr(index) in made.failure.message
    assert made.failure.text == "a"
    assert not made.failure.retryable


@pytest.mark.parametrize("index", [1.0, "1"])
def test_an_index_may_come_as_digits_or_with_a_decimal_point(index):
    made, chunks = run(chunk("a", "stop"), chunk("b", "stop", index=index), expected=2, n=2)
    assert [choice.text for choice in made.result().choices] == ["a", "b"]
    assert [piece.index for piece in chunks] == [0, 1]


def test_an_index_that_fits_no_prompt_is_an_error_at_once():
    made, chunks = run(chunk("b", index=3), expected=3)
    assert chunks == []
    assert made.failure.retry == "never"
    assert made.failure.partial is None


def test_all_on_one_index_is_never_taken_for_several_answers():
    made, _ = run(chunk("a"), chunk("b"), chunk("", "stop"), chunk("", "stop"), DONE, expected=2)
    assert isinstance(made.failure, StreamInterruptedError)
    assert "1 of 2 choices" in made.failure.message


def test_a_finish_reason_sent_twice_counts_once():
    made, chunks = run(chunk("a", "stop"), chunk("", "stop"), chunk("", "length"), DONE)
    whole(made, "a")
    assert [c.finish_reason for c in chunks] == ["stop"]


def test_text_after_the_finish_reason_is_kept():
    made, chunks = run(chunk("a", "stop"), chunk("b", "stop"), DONE)
    whole(made, "ab")
    assert [(c.text, c.finish_reason) for c in chunks] == [("a", "stop"), ("b", None)]


@pytest.mark.parametrize("running", ["", None, 0, False, [], {}])
def test_running_chunks_with_odd_finish_reasons_go_on(running):
    made, _ = run(chunk("a", running), chunk("b", "eos"), DONE)
    whole(made, "ab", "eos")


def test_a_numeric_finish_reason_is_text():
    whole(run(chunk("a", 1), DONE)[0], "a", "1")


def test_an_end_without_done_is_whole_if_it_finished():
    whole(run(chunk("a"), chunk("b", "stop"))[0], "ab")


@pytest.mark.parametrize("end", [b"", DONE, b": PING\n\n", event({"choices": [], "usage": USAGE}) + DONE])
def test_an_end_without_finish_reason_is_an_interruption(end):
    made, chunks = run(chunk("a"), chunk("b"), end)
    assert texts(chunks) == ["a", "b"]
    failure = made.failure
    assert isinstance(failure, StreamInterruptedError)
    how = "with [DONE] but without" if DONE in end else "without"
    assert f"The stream ended {how} a finish_reason for the answer: " in failure.message
    assert "require_finish_reason=False" in failure.message
    assert failure.text == "ab"
    assert failure.request_id == "r-1"
    assert not failure.retryable
    assert (failure.partial.usage is not None) == (b"usage" in end)


def test_done_can_be_taken_as_the_end():
    made, _ = run(chunk("a"), chunk("b"), DONE, require_finish_reason=False)
    assert made.failure is None
    assert made.result().text == "ab"
    assert made.result().finish_reason is None


def test_an_end_without_done_is_an_interruption_even_then():
    made, _ = run(chunk("a"), require_finish_reason=False)
    assert isinstance(made.failure, StreamInterruptedError)


@pytest.mark.parametrize("parts", [[], [b": PING\n\n"], [DONE], [b": PING\n\n", DONE], [event({"choices": []}), DONE]])
@pytest.mark.parametrize("require", [True, False])
def test_nothing_at_all_may_be_asked_again(parts, require):
    made, chunks = run(*parts, require_finish_reason=require)
    assert chunks == []
    assert type(made.failure) is APIResponseError
    assert "without any text" in made.failure.message
    assert made.failure.headers == HEADERS
    assert made.failure.retry == "backoff"
    assert made.failure.partial is None
    assert made.failure.request_id == "r-1"


def test_an_empty_answer_that_finished_is_an_answer():
    made, chunks = run(chunk("", "stop"), DONE)
    whole(made, "")
    assert chunks == [CompletionChunk("", 0, "stop")]


def test_nothing_counts_after_done():
    made, chunks = run(chunk("a", "stop"), DONE, chunk("b"), event({"error": {"message": "late"}}))
    whole(made, "a")
    assert texts(chunks) == ["a"]


@pytest.mark.parametrize(
    "done", [b"data:[DONE]\n\n", b"data: [DONE] \n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE]", b"data: [DONE]\n"]
)
def test_forms_of_done(done):
    made, _ = run(chunk("a"), done, require_finish_reason=False)
    assert made.failure is None


def test_the_end_may_lack_a_blank_line():
    whole(run(chunk("a"), chunk("b", "stop").rstrip())[0], "ab")


@pytest.mark.parametrize("cut", range(1, len(chunk("b", "stop")) - 2))
def test_an_event_cut_short_says_nothing(cut):
    made, chunks = run(chunk("a"), chunk("b", "stop")[:-2][:-cut])
    assert texts(chunks) == ["a"]
    assert isinstance(made.failure, StreamInterruptedError)


# Errors after a status of 200


ERROR = {
    "error": {
        "message": "当前分组 default 下对于模型 m 无可用渠道 (request id: r-9)",
        "type": "new_api_error",
        "code": "",
    }
}


@pytest.mark.parametrize(
    "failing",
    [
        event(ERROR),
        event(ERROR, "error"),
        event(ERROR["error"], "error"),
        json.dumps(ERROR).encode() + b"\n",
        json.dumps(ERROR, indent=2).encode(),
    ],
    ids=["data", "event: error", "event: error, bare object", "bare line", "bare lines"],
)
def test_an_error_instead_of_an_answer(failing):
    made, chunks = run(b": PING\n\n", failing)
    assert chunks == []
    assert isinstance(made.failure, ModelUnavailableError)
    assert made.failure.request_id == "r-1"
    assert made.failure.partial is None
    assert not made.failure.retryable


def test_an_error_after_text_keeps_the_text_and_is_never_sent_again():
    busy = {
        "error": {
            "message": "当前分组上游负载已饱和，请稍后再试",
            "type": "new_api_error",
            "code": None,
            "param": "429",
        }
    }
    made, chunks = run(chunk("a"), event(busy), DONE)
    assert texts(chunks) == ["a"]
    assert isinstance(made.failure, (RateLimitError, ServerError))
    assert made.failure.text == "a"
    assert made.failure.retry == "never"


def test_chunks_of_the_same_block_come_before_the_failure():
    made = decoder()
    chunks = made.feed(chunk("a") + chunk("b") + event(ERROR) + chunk("c"))
    assert texts(chunks) == ["a", "b"]
    assert made.ended
    assert made.failure.text == "ab"


def test_an_error_object_beside_choices_is_an_error():
    made, chunks = run(chunk("a", error={"message": "broken"}))
    assert chunks == []
    assert isinstance(made.failure, APIStatusError)


def test_a_null_error_beside_choices_is_no_error():
    whole(run(chunk("a", "stop", error=None), DONE)[0], "a")


def test_error_text_that_is_not_json():
    made, chunks = run(chunk("a"), event("upstream exploded"))
    assert texts(chunks) == ["a"]
    assert isinstance(made.failure, APIResponseError)
    assert "upstream exploded" in made.failure.message
    assert made.failure.text == "a"


def test_error_text_of_an_error_event():
    made, _ = run(event("upstream exploded", "error"))
    assert isinstance(made.failure, APIStatusError)
    assert "upstream exploded" in made.failure.message


@pytest.mark.parametrize("value", ["null", {"reason": "x"}, {"choices": [{"text": "a"}]}, {}, "[1]"])
def test_an_error_event_is_an_error_whatever_it_holds(value):
    made, chunks = run(event(value, "error"), chunk("a", "stop"))
    assert chunks == []
    assert isinstance(made.failure, APIStatusError)
    assert made.failure.headers == HEADERS


@pytest.mark.parametrize("failing", [b'data: {"error":  {"message":"x"}}\n\n', b' {"error":  {"message":"x"}}\n'])
def test_an_error_keeps_the_servers_own_text(failing):
    assert run(failing)[0].failure.body == failing.decode().removeprefix("data: ").rstrip("\n")


def test_an_error_event_of_text_keeps_headers_and_text():
    failure = run(event("upstream exploded", "error"))[0].failure
    assert failure.headers == HEADERS
    assert failure.body == "upstream exploded"


@pytest.mark.parametrize("text", ["[DONE]!", "[DONE] or not"])
def test_text_that_begins_like_done_is_no_end(text):
    made, _ = run(chunk("a"), event(text), require_finish_reason=False)
    assert isinstance(made.failure, APIResponseError)
    assert text in made.failure.message


@pytest.mark.parametrize("value", ["[]", "[1]", "1", '"text"', "null", "true"])
def test_json_that_is_no_object(value):
    made, chunks = run(event(value))
    assert chunks == []
    assert isinstance(made.failure, APIResponseError)


@pytest.mark.parametrize("what", [event("[1]"), event("1"), event("half a"), b"<p>oops\n", b"{oops\n", b"[1]\n"])
def test_what_is_no_answer_says_so_with_the_status_it_came_with(what):
    made, chunks = run(what)
    assert chunks == []
    assert "HTTP 200" in made.failure.message
    assert made.failure.status_code == 200
    assert made.failure.headers == HEADERS
    assert made.failure.body in what.decode()
    assert made.failure.body


def test_nothing_is_taken_after_json_that_is_no_object():
    made, chunks = run(event("[1]"), chunk("a", "stop"))
    assert chunks == []
    assert "isn't a completion" in made.failure.message


@pytest.mark.parametrize("choices", ["abc", 1, {"0": {}}, [], [1, None, "x"]])
def test_choices_that_are_none(choices):
    made, chunks = run(event({"choices": choices}), chunk("a", "stop"), DONE)
    whole(made, "a")
    assert texts(chunks) == ["a"]


def test_json_nested_too_deep_is_a_typed_error():
    for deep in ("[" * 100_000, "[" * 100_000 + "]" * 100_000):
        made = decoder()
        made.feed(event(deep))
        assert isinstance(made.failure, APIResponseError)
        made = decoder()
        made.feed(deep.encode() + b"\n")
        made.close()
        assert isinstance(made.failure, APIResponseError)
        made = decoder()
        made.feed(b"data: " + deep.encode())
        made.close()
        assert isinstance(made.failure, APIResponseError)
    made = decoder()
    made.feed(b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n")
    made.close()
    assert isinstance(made.failure, APIResponseError)


def test_names_nested_as_deep_as_json_goes_are_no_names():
    deep = "[" * 900 + "]" * 900
    body = f'{{"model": {deep}, "id": {deep}, "system_fingerprint": {deep}, "choices": [{{"text": "a", "finish_reason": {deep}}}]}}'
    made = decoder()
    assert texts(made.feed(event(body))) == ["a"]
    assert not made.finished
    assert (made.result().model, made.result().id, made.result().system_fingerprint) == ("", "", None)


# Bodies that are no event stream


BODY = {"id": "c-1", "model": "m-1", "choices": [{"text": "你好", "index": 0, "finish_reason": "stop"}], "usage": USAGE}


@pytest.mark.parametrize("before", [b"", b"\n\n\n", b": PING\n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("indent", "after"), [(None, b""), (None, b"\n"), (None, b"\n\n" + DONE), (2, b""), (2, b"\n")]
)
def test_a_json_body_on_a_stream_request(indent, before, after):
    made, chunks = run(before, json.dumps(BODY, indent=indent).encode(), after)
    whole(made, "你好")
    assert texts(chunks) == ["你好"]
    assert made.result().usage == Usage(7, 3, 10)


def test_bare_lines_of_json_are_events():
    lines = [json.loads(part[6:]) for part in (chunk("a"), chunk("b", "stop"))]
    made, chunks = run(*(json.dumps(line).encode() + b"\n" for line in lines))
    whole(made, "ab")
    assert texts(chunks) == ["a", "b"]
    made, chunks = run(*(b"  " + json.dumps(line).encode() + b" \n" for line in lines))
    whole(made, "ab")
    assert texts(chunks) == ["a", "b"]


def test_a_json_body_may_have_whole_objects_on_its_lines():
    made, chunks = run(b'{\n"choices": [\n{"text": "a", "finish_reason": "stop"}\n]\n}\n')
    whole(made, "a")
    assert texts(chunks) == ["a"]


@pytest.mark.parametrize("line", [b"1", b"null", b'"text"', b"[1]", b"true}", b"{true"])
def test_a_stray_line_of_json_before_an_answer_is_ignored(line):
    whole(run(line + b"\n", chunk("a", "stop"))[0], "a")


@pytest.mark.parametrize("before", [(), (chunk("a"),)], ids=["first", "later"])
@pytest.mark.parametrize("error", [ERROR, [ERROR]], ids=["an object", "Gemini's list"])
@pytest.mark.parametrize("junk", [b"", b"1f4\n"])
def test_an_error_over_several_lines_is_no_stray_line_although_the_answer_seems_to_go_on(before, error, junk):
    lines = json.dumps(error, indent=2).encode() + b"\n"
    made, chunks = run(junk and junk + chunk(""), *before, lines, chunk("b"), chunk("", "stop"), DONE)
    assert isinstance(made.failure, ModelUnavailableError)
    assert texts(chunks) == ["a"] * len(before)
    assert made.failure.text == "a" * len(before)


@pytest.mark.parametrize("end", [(), (DONE,), (chunk(""), DONE)])
def test_a_web_page_instead_of_an_answer_is_told_of_whatever_ends_the_stream(end):
    made, _ = run(b"<html>\n<h1>Bad gateway</h1>\n</html>\n", *end)
    assert "a web page" in made.failure.message


@pytest.mark.parametrize("end", [(), (DONE,)])
@pytest.mark.parametrize("whole", [True, False])
def test_what_a_server_says_without_an_answer_is_told(whole, end):
    said = json.dumps({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}})
    made, _ = run(said.encode() + b"\n" if whole else event(json.loads(said)), *end)  # MiniMax's own form
    assert "insufficient balance" in made.failure.message


@pytest.mark.parametrize("role", [(), (chunk(""),)])
@pytest.mark.parametrize("aside", [(), (event({"type": "ping"}),)])
def test_a_stream_that_ends_before_its_first_token_passes_whatever_came_beside_it(aside, role):
    made, _ = run(*aside, *role)
    assert made.failure.retry == "backoff"
    assert made.failure.message.startswith("The stream ended without any text or finish_reason")
    assert ("ping" in made.failure.message) == bool(aside)


def test_a_body_for_several_prompts():
    choices = [{"text": t, "index": i, "finish_reason": "stop"} for i, t in enumerate("ab")]
    made, chunks = run(json.dumps({"choices": choices}).encode(), expected=2)
    assert [(c.index, c.text) for c in chunks] == [(0, "a"), (1, "b")]
    assert made.failure is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "<!doctype html>\n<html><head><title>Welcome</title></head>\n<body style='x'>\n  color: red;\n</body></html>",
            "/v1",
        ),
        ("error code: 524", "error code: 524"),
        ("{broken\n  json", "broken JSON"),
        ('{"id": 1,\n "choices": [', "broken JSON"),
        ("{broken}", "broken JSON"),
    ],
)
def test_a_body_of_something_else(body, says):
    made, chunks = run(body.encode())
    assert chunks == []
    assert isinstance(made.failure, APIResponseError)
    assert says in made.failure.message


def test_stray_lines_beside_an_answer_are_ignored():
    whole(run(b"hello\n", chunk("a", "stop"), b"bye\n")[0], "a")
    made, _ = run(chunk("a"), b"bye\n")
    assert isinstance(made.failure, StreamInterruptedError)


def test_bodies_lines_and_events_are_bounded():
    made, chunks = run(chunk("a"), b"x" * 6 + b"\n", b"y" * 6 + b"\n", limits=Limits(body=10))
    assert texts(chunks) == ["a"]
    assert "more than 10 bytes" in made.failure.message
    made, chunks = run(chunk("a"), chunk("b" * 300), chunk("c"), limits=Limits(line=200))
    assert texts(chunks) == ["a"]
    assert "limits.line" in made.failure.message
    assert made.failure.text == "a"


def test_lines_outside_events_may_fill_their_limit():
    made, _ = run(chunk("a", "stop"), b"x" * 4 + b"\n", b"y" * 5 + b"\n", limits=Limits(body=10))
    whole(made, "a")
    assert "more than" not in run(b"x" * 10 + b"\n", limits=Limits(body=10))[0].failure.message
    assert "more than 10 bytes" in run(b"x" * 11 + b"\n", limits=Limits(body=10))[0].failure.message


# Shapes


@pytest.mark.parametrize(
    "choice",
    [
        {"delta": {"content": "a"}, "index": 0, "finish_reason": "stop"},
        {"message": {"content": "a"}, "finish_reason": "stop"},
        {"text": None, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"},
        {"text": 5, "message": None, "delta": {"content": "a"}, "finish_reason": "stop"},
    ],
)
def test_chat_shaped_chunks(choice):
    whole(run(event({"object": "chat.completion.chunk", "choices": [choice]}), DONE)[0], "a")


@pytest.mark.parametrize("choice", [{"delta": {}}, {"delta": {"content": None}}, {"message": "x"}, {"text": None}, {}])
def test_chunks_without_text_say_nothing(choice):
    made, chunks = run(event({"choices": [choice]}), chunk("a", "stop"), DONE)
    whole(made, "a")
    assert texts(chunks) == ["a"]
    assert len(chunks) == 1


def test_logprobs_of_both_shapes_are_joined():
    legacy = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}], "text_offset": [3]}
    chat = {"content": [{"token": "b", "logprob": -1.0, "top_logprobs": [{"token": "c", "logprob": -2.0}]}]}
    made, chunks = run(chunk("a", logprobs=legacy), chunk("b", logprobs=chat), chunk("", "stop", logprobs={}), DONE)
    whole(made, "ab")
    joined = Logprobs(["a", "b"], [-0.5, -1.0], [{"a": -0.5}, {"c": -2.0}], [3])
    assert made.result().logprobs == joined
    assert chunks[0].logprobs + chunks[1].logprobs == joined


def test_logprobs_without_text_are_a_chunk():
    made, chunks = run(chunk("", logprobs={"tokens": ["", ""]}), chunk("é", "stop"), DONE)
    assert chunks[0].logprobs.tokens == ["", ""]
    assert made.result().logprobs.token_logprobs == [None, None]


def test_a_first_event_about_filters_doesnt_hide_who_served():
    first = event({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
    result = run(first, chunk("a", "stop"), event({"id": "chatcmpl-x", "model": "other", "choices": []}), DONE)[
        0
    ].result()
    assert (result.id, result.model) == ("c-1", "m-1")


def test_a_character_cut_by_the_slicing_arrives_whole():
    made, _ = run(event('{"choices": [{"text": "你好🦉", "finish_reason": "stop"}]}'), DONE)
    whole(made, "你好🦉")


def test_invalid_utf8_in_json_becomes_replacement_characters():
    made, _ = run(b'data: {"choices": [{"text": "a\xffb", "finish_reason": "stop"}]}\n\n')
    whole(made, "a\ufffdb")


# The connection failed


def test_an_interruption_after_text_carries_it_and_the_cause():
    made = decoder()
    made.feed(chunk("a"))
    cause = APIConnectionError("reset.", request_id="r-7")
    made.interrupt(cause)
    failure = made.failure
    assert isinstance(failure, StreamInterruptedError)
    assert failure.__cause__ is cause
    assert (failure.text, failure.request_id, failure.retryable) == ("a", "r-7", False)
    assert "reset." in failure.message


def test_an_interruption_before_any_text_is_the_cause_itself():
    made = decoder()
    made.feed(b": PING\n\n")
    cause = APIConnectionError("reset.")
    made.interrupt(cause)
    assert made.failure is cause
    assert cause.retryable
    assert cause.request_id == "r-1"


def test_an_interruption_after_the_finish_is_no_loss():
    made = decoder()
    made.feed(chunk("a", "stop"))
    made.interrupt(APIConnectionError("reset."))
    whole(made, "a")


def test_nothing_is_read_after_the_end():
    made = decoder()
    made.feed(event(ERROR))
    failure = made.failure
    assert made.feed(chunk("a")) == []
    assert made.close() == []
    assert made.interrupt(APIConnectionError("reset.")) == []
    assert made.failure is failure


def test_a_line_too_long_behind_an_error_doesnt_hide_it():
    made = decoder(limits=Limits(line=400))
    made.feed(event(ERROR) + b"x" * 500 + b"\n")
    assert made.feed(chunk("a")) == []
    assert made.close() == []
    assert isinstance(made.failure, ModelUnavailableError)


def test_a_bare_error_at_the_very_end_hides_what_follows_it():
    made = decoder()
    made.feed(chunk("a") + b"data: " + json.dumps({"choices": [{"text": "b"}]}).encode() + b"\n")
    chunks = made.feed(json.dumps(ERROR).encode()) + made.close()
    assert chunks == []
    assert isinstance(made.failure, ModelUnavailableError)
    assert made.failure.text == "a"


def test_whatever_was_handed_out_counts_as_output():
    made, chunks = run(chunk("", logprobs={"tokens": ["\ufffd"]}))
    assert len(chunks) == 1
    assert isinstance(made.failure, StreamInterruptedError)
    assert made.failure.partial.logprobs.tokens == ["\ufffd"]


def test_a_choice_that_finished_without_text_counts_as_output():
    made, chunks = run(chunk("", "stop", 0), expected=2)
    assert chunks == [CompletionChunk("", 0, "stop")]
    assert isinstance(made.failure, StreamInterruptedError)
    assert made.failure.retry == "never"
    assert [c.finish_reason for c in made.failure.partial.choices] == ["stop", None]


def test_an_error_in_the_very_last_line_is_raised_too():
    made, chunks = run(chunk("a"), chunk("b", index=9).rstrip(), expected=2)
    assert texts(chunks) == ["a"]
    assert isinstance(made.failure, APIResponseError)
    assert made.failure.text == "a"


@pytest.mark.parametrize("end", [b"data:  [DONE]\n\n", b"data:[DONE] \n\n", b"data:   [DONE]"])
def test_spaces_around_done_dont_matter(end):
    made, chunks = run(chunk("a"), end, require_finish_reason=False)
    made.close()
    assert [one.text for one in chunks] == ["a"]
    assert made.ended
    assert made.failure is None

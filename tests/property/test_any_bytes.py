"""Whatever bytes arrive: values or one of our errors, never anything else, and no more work than bytes."""

# ruff: noqa: RUF001 - words of the gateway, and digits of other scripts

# ruff: noqa: E501 - tables are read by row

from __future__ import annotations

import json
import pickle

from hypothesis import example, given
from hypothesis import strategies as st

from tests.property.streams import outcome, streams
from xdm_integrations.core import jsontext
from xdm_integrations.core.completions.parse import parse_completion
from xdm_integrations.core.completions.results import Completion
from xdm_integrations.core.errors.reply_text import retry_after
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.results import Logprobs, Usage
from xdm_integrations.core.protocol.sse import SSEDecoder
from xdm_integrations.core.protocol.wire import Reply

names = st.sampled_from(
    ["choices", "text", "index", "finish_reason", "logprobs", "tokens", "token_logprobs", "top_logprobs", "text_offset", "content",
     "token", "logprob", "message", "delta", "usage", "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "id", "model",
     "created", "system_fingerprint", "error", "object", "detail", "success"]
)  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([10**400, -1, 0, 1, "stop"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)
choice_like = st.fixed_dictionaries(
    {},
    optional={
        "text": values,
        "index": values,
        "finish_reason": values,
        "logprobs": values,
        "delta": values,
        "message": values,
    },
)
answers = st.fixed_dictionaries(
    {"choices": st.lists(choice_like | values, max_size=4)},
    optional={
        "usage": values,
        "id": values,
        "model": values,
        "created": values,
        "system_fingerprint": values,
        "error": values,
    },
)
bodies = st.one_of(
    st.binary(max_size=500),
    values.map(lambda value: json.dumps(value).encode()),
    answers.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda value, cut: json.dumps(value).encode()[:cut], answers, st.integers(0, 300)),
)


@given(bodies, st.integers(1, 3), st.integers(1, 3), st.sampled_from([200, 201, 204, 299]))
@example(b"[" * 100_000, 1, 1, 200)
@example(b'{"choices":' + b"[" * 900 + b"]" * 900 + b"}", 1, 1, 200)
# Python 3.12.1 can't pickle lists that are nested more than 740 deep, whatever its limit for recursion.
@example(b'{"choices":[{"text":"a","logprobs":{"tokens":[' + b"[" * 600 + b"]" * 600 + b"]}}]}", 1, 1, 200)
@example(b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":1e999}}', 1, 1, 200)
def test_any_body(body, prompts, n, status):
    reply = Reply(status, {"content-type": "text/html", "x-oneapi-request-id": "r"}, body)
    error = None
    try:
        answer = parse_completion(reply, prompts, n)
    except XDMError as raised:
        error = raised
    if error is None:
        assert isinstance(answer, Completion)
        assert [choice.index for choice in answer.choices] == list(range(prompts * n))
        check(answer)
    else:
        assert error.request_id == "r"
        assert pickle.loads(pickle.dumps(error)).message == error.message  # noqa: S301 - our own bytes


def check(answer):
    """Everything in an answer is of the type that it promises."""
    assert answer.created is None or isinstance(answer.created, int)
    assert isinstance(answer.model, str)
    assert isinstance(answer.id, str)
    assert answer.system_fingerprint is None or isinstance(answer.system_fingerprint, str)
    for choice in answer.choices:
        assert isinstance(choice.text, str)
        assert choice.finish_reason is None or isinstance(choice.finish_reason, str)
        if choice.logprobs is not None:
            check_logprobs(choice.logprobs)
    if answer.usage is not None:
        check_usage(answer.usage)
    assert pickle.loads(pickle.dumps(answer)).choices is not None  # noqa: S301 - our own bytes


def check_logprobs(logprobs):
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs)
    assert all(isinstance(token, str) for token in logprobs.tokens)
    assert all(value is None or isinstance(value, (int, float)) for value in logprobs.token_logprobs)
    assert all(isinstance(top, dict) for top in logprobs.top_logprobs)
    assert all(isinstance(offset, int) for offset in logprobs.text_offset)


def check_usage(usage):
    assert all(
        isinstance(count, int) and count >= 0
        for count in (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    )
    total = usage + usage
    assert total.total_tokens == 2 * usage.total_tokens


@given(values)
def test_any_usage_and_logprobs(value):
    usage = Usage.parse(value)
    if usage is not None:
        check_usage(usage)
    logprobs = Logprobs.parse(value)
    if logprobs is not None:
        check_logprobs(logprobs)
        check_logprobs(logprobs + logprobs)


event_bodies = st.lists(bodies, max_size=4).map(lambda parts: b"".join(b"data: " + part + b"\n\n" for part in parts))


@given(
    st.one_of(st.binary(max_size=800), bodies, event_bodies, streams().map(lambda pair: pair[0])),
    st.integers(1, 3),
    st.booleans(),
)
@example(b"data: " + b"[" * 100_000 + b"\n\n", 1, True)
@example(b"[" * 100_000, 1, True)
def test_any_stream(data, expected, require):
    chunks, result, failure, _, partial = outcome([data], expected, require=require)
    check(result)
    assert len(result.choices) == expected
    for index in range(expected):
        mine = [c for c in chunks if c.index == index]
        assert "".join(c.text for c in mine) == result.choices[index].text
        assert sum(c.finish_reason is not None for c in mine) <= 1
    if failure is type(None):
        assert all(c.finish_reason for c in result.choices) or not require
    elif chunks:
        assert partial == result


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_json_of_any_bytes(data):
    try:
        value = jsontext.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        again = jsontext.dumps(value)
    except ValueError:  # it held NaN or an infinity
        return
    assert jsontext.dumps(jsontext.loads(again)) == again


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40) | st.sampled_from(
    ["Tue, 14 Nov 2023 22:13:50 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "1 Jan 0000 00:00:00 GMT", "1e308", "0x10", "١"])))  # fmt: skip
def test_any_wish_to_wait(headers):
    wait = retry_after(headers, 1_700_000_000.0)
    assert wait is None or wait >= 0


class Counting(bytes):
    """Bytes that count how many of them are looked through or copied."""

    work = 0

    def split(self, *args):
        Counting.work += len(self)
        return super().split(*args)

    def replace(self, *args):
        Counting.work += len(self)
        return Counting(super().replace(*args))

    def removeprefix(self, *args):
        Counting.work += len(self)
        return Counting(super().removeprefix(*args))

    def endswith(self, *args):
        return super().endswith(*args)


@given(
    st.integers(1, 64),
    st.sampled_from([b"x", b"\r", b"\r\n", b"\n", b": c\n", b"data: y\n", b"data: z\n\n", b"junk\n"]),
)
def test_the_decoder_looks_at_each_byte_a_bounded_number_of_times(size, unit):
    """Linear time, by count and not by clock: block size and content change nothing about it."""
    data = unit * (20_000 // len(unit))
    Counting.work = 0
    decoder = SSEDecoder()
    for start in range(0, len(data), size):
        decoder.feed(Counting(data[start : start + size]))
    decoder.close()
    assert Counting.work <= 5 * len(data)

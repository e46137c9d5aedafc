"""What goes over the wire, by the bytes that the server got: every parameter, every form of prompt, sync and async."""

# ruff: noqa: PLR0913, PLR0917 - a parametrised test takes an argument for each column

# ruff: noqa: E501 - tables are read by row

from __future__ import annotations

import json

import pytest

from tests.scripted import http
from xdm_integrations import Usage

MODEL = {"model": "gpt-3.5-turbo-instruct", "max_tokens": 256}

PARAMETERS = [
    ("model", "davinci-002", "davinci-002"),
    ("best_of", 3, 3),
    ("echo", True, True),
    ("echo", False, False),
    ("frequency_penalty", -0.5, -0.5),
    ("frequency_penalty", 0, 0),
    ("logit_bias", {50256: -100, "11": 5.5}, {"50256": -100, "11": 5.5}),
    ("logprobs", 5, 5),
    ("logprobs", 0, 0),
    ("max_tokens", 30, 30),
    ("n", 2, 2),
    ("presence_penalty", 2, 2),
    ("seed", 0, 0),
    ("seed", -7, -7),
    ("stop", "\n", ["\n"]),
    ("stop", ["a", "b"], ["a", "b"]),
    ("stop", ("a",), ["a"]),
    ("suffix", "the end", "the end"),
    ("temperature", 0, 0),
    ("temperature", 0.8, 0.8),
    ("top_p", 0.0, 0.0),
    ("top_p", 1, 1),
    ("user", "用户", "用户"),
]

PROMPTS = [
    ("你好,", "你好,"),
    (["one"], "one"),
    (["a", "b"], ["a", "b"]),
    (("a", "b"), ["a", "b"]),
    ([1, 2, 3], [1, 2, 3]),
    ([[1, 2]], [1, 2]),
    ([[1, 2], [3]], [[1, 2], [3]]),
]


def ask(surface, server, prompt, streamed, settings=None, **params):
    client = surface.client(base_url=server.url, **(settings or {}))
    if streamed:
        surface.stream(client, prompt, **params)
    else:
        surface.complete(client, prompt, **params)
    (seen,) = server.requests
    return seen


STREAM = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "stream"])
@pytest.mark.parametrize(("name", "value", "sent"), PARAMETERS, ids=lambda v: repr(v)[:20])
def test_each_parameter_alone_and_nothing_else(surface, server, name, value, sent, streamed):
    if streamed and name == "best_of":
        value = sent = 1  # more can't be streamed
    seen = ask(surface, server, "x", streamed, **{name: value})
    assert seen.json == {**MODEL, "prompt": "x", name: sent, **(STREAM if streamed else {})}
    assert type(seen.json[name]) is type(sent)


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "stream"])
@pytest.mark.parametrize(("prompt", "sent"), PROMPTS, ids=repr)
def test_each_form_of_prompt(surface, server, prompt, sent, streamed):
    assert ask(surface, server, prompt, streamed).json == {**MODEL, "prompt": sent, **(STREAM if streamed else {})}


def test_all_sixteen_at_once(surface, server):
    given = {
        "model": "m", "best_of": 2, "echo": True, "frequency_penalty": 1, "logit_bias": {1: 2}, "logprobs": 1, "max_tokens": 0,
        "n": 1, "presence_penalty": 1, "seed": 1, "stop": ["s"], "suffix": "s", "temperature": 0, "top_p": 0, "user": "u",
    }  # fmt: skip
    seen = ask(surface, server, "x", False, **given)
    assert seen.json == {**given, "prompt": "x", "logit_bias": {"1": 2}}


@pytest.mark.parametrize(
    ("settings", "params", "changes"),
    [
        ({}, {}, {}),
        ({"max_tokens": 9}, {}, {"max_tokens": 9}),
        ({"max_tokens": 9}, {"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 9}, {"max_tokens": None}, {"max_tokens": 9}),
        ({"max_tokens": None}, {}, {"max_tokens": ...}),
        ({"model": "m"}, {}, {"model": "m"}),
        ({"model": "m"}, {"model": "o"}, {"model": "o"}),
        ({}, {"temperature": None, "stop": None, "n": None, "user": None}, {}),
        ({}, {"stop": [], "logit_bias": {}}, {}),
        ({"extra_body": {"top_k": 5}}, {"extra_body": {"min_p": 0.1}}, {"top_k": 5, "min_p": 0.1}),
        ({"extra_body": {"top_k": 5}}, {"extra_body": {"top_k": 6}}, {"top_k": 6}),
        ({}, {"temperature": 1, "extra_body": {"temperature": 5}}, {"temperature": 5}),
    ],
)
def test_the_body_holds_only_what_was_given(surface, server, settings, params, changes):
    body = ask(surface, server, "x", False, settings, **params).json
    expected = {**MODEL, "prompt": "x", **changes}
    assert body == {name: value for name, value in expected.items() if value is not ...}


def test_the_request_line_and_headers(surface, server):
    seen = ask(
        surface,
        server,
        "x",
        False,
        {"api_key": "Bearer abc", "default_headers": {"X-One": "1", "user-agent": "me"}},
        extra_headers={"X-Two": "2"},
    )
    assert (seen.method, seen.path) == ("POST", "/v1/completions")
    assert seen.headers["authorization"] == "Bearer abc"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["content-length"] == str(len(seen.body))
    assert seen.headers["accept-encoding"] == "identity"
    assert (seen.headers["x-one"], seen.headers["x-two"], seen.headers["user-agent"]) == ("1", "2", "me")
    for unwanted in ("x-api-key", "cookie"):
        assert unwanted not in seen.headers


def test_headers_of_a_call_replace_the_clients_whatever_the_case(surface, server):
    client = surface.client(base_url=server.url, api_key="abc", default_headers={"X-One": "1"})
    surface.complete(client, "x", extra_headers={"authorization": "Bearer other", "x-one": "2"})
    surface.complete(client, "x")
    assert [s.headers["authorization"] for s in server.requests] == ["Bearer other", "Bearer abc"]
    assert [s.headers["x-one"] for s in server.requests] == ["2", "1"]


def test_text_travels_as_utf8(surface, server):
    seen = ask(surface, server, "你好🦉", False)
    assert "你好🦉".encode() in seen.body


def test_a_lone_surrogate_travels_as_its_escape(surface, server):
    server.script = [http(API_PAGE)]
    assert ask(surface, server, "a\ud83e", False).json["prompt"] == "a\ud83e"


def test_stream_options_are_switchable(surface, server):
    seen = ask(surface, server, "x", True, {"stream_usage": False})
    assert seen.json == {**MODEL, "prompt": "x", "stream": True}


API_PAGE = {
    "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
    "object": "text_completion",
    "created": 1589478378,
    "model": "gpt-3.5-turbo-instruct",
    "system_fingerprint": "fp_44709d6fcb",
    "choices": [{"text": "\n\nThis is indeed a test", "index": 0, "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
}


def test_the_example_of_the_api_page(surface, server):
    server.script = [http(API_PAGE)]
    client = surface.client(base_url=server.url, api_key="abc")
    answer = surface.complete(client, "你好,", max_tokens=30, temperature=0)
    (seen,) = server.requests
    assert json.loads(seen.body.decode("utf-8")) == {
        "model": "gpt-3.5-turbo-instruct",
        "prompt": "你好,",
        "max_tokens": 30,
        "temperature": 0,
    }
    assert answer.text == "\n\nThis is indeed a test"
    assert answer.finish_reason == "length"
    assert answer.usage == Usage(5, 7, 12)
    assert (answer.id, answer.model, answer.created) == (API_PAGE["id"], API_PAGE["model"], 1589478378)
    assert answer.system_fingerprint == "fp_44709d6fcb"
    assert answer.raw == API_PAGE


def test_what_was_handed_in_stays_as_it_was(surface, server):
    prompts, stop, bias, extra, headers = ["a", "b"], ["s"], {1: 2}, {"stream_options": {"x": 1}}, {"X": "1"}
    client = surface.client(base_url=server.url, extra_body=extra, default_headers=headers)
    surface.complete(client, prompts, stop=stop, logit_bias=bias, extra_body=extra, extra_headers=headers)
    surface.stream(client, prompts, stop=stop, logit_bias=bias, extra_body=extra, extra_headers=headers)
    assert (prompts, stop, bias, extra, headers) == (
        ["a", "b"],
        ["s"],
        {1: 2},
        {"stream_options": {"x": 1}},
        {"X": "1"},
    )

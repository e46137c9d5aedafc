"""The endpoint, driven by hand: what is sent, and what becomes of a list of prompts that a server can't take."""

# ruff: noqa: PLR0913, PLR0917 - a parametrised test takes an argument for each column

# ruff: noqa: E501 - tables are read by row

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.flows import URL, Clock, call_of, ok, play, refused, sent, setup_of
from xdm_integrations.core.completions.parse import WrongChoicesError
from xdm_integrations.core.completions.request import complete_flow, joined, refuses_lists, with_prompts
from xdm_integrations.core.completions.results import Choice, Completion
from xdm_integrations.core.errors.tree import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthExceededError,
    ServerError,
    XDMError,
)
from xdm_integrations.core.protocol.call import ServerFacts
from xdm_integrations.core.protocol.results import Usage
from xdm_integrations.core.protocol.wire import Sleep, Timeout

MESSAGE_FREE = {"error": {"message": "", "type": "internal_server_error"}}


def complete(prompt, answers, facts=None, clock=None, one_by_one=True, settings=None, **params):
    clock = clock or Clock()
    call, prompts = call_of(prompt, settings=settings, **params)
    return play(complete_flow(call, prompts, setup_of(facts, clock), one_by_one=one_by_one), answers, clock)


def body_of(prompt="x", settings=None, **params):
    call, prompts = call_of(prompt, settings=settings, **params)
    return json.loads(call.request(with_prompts(call, prompts), None).body)


def test_the_body_holds_what_was_given_and_the_defaults_that_matter():
    assert body_of() == {"model": "gpt-3.5-turbo-instruct", "max_tokens": 256, "prompt": "x"}
    assert body_of(settings={"model": "m", "max_tokens": None}) == {"model": "m", "prompt": "x"}
    assert body_of(max_tokens=5, temperature=0, n=None) == {
        "model": "gpt-3.5-turbo-instruct",
        "max_tokens": 5,
        "temperature": 0,
        "prompt": "x",
    }


def test_precedence_of_extra_body():
    settings = {"extra_body": {"a": 1, "b": 1, "max_tokens": 7}}
    body = body_of(settings=settings, max_tokens=5, extra_body={"b": 2, "temperature": 9})
    assert body == {"model": "gpt-3.5-turbo-instruct", "prompt": "x", "a": 1, "b": 2, "max_tokens": 7, "temperature": 9}
    assert settings["extra_body"] == {"a": 1, "b": 1, "max_tokens": 7}


def test_stream_options_go_with_streams_only():
    extra = {"extra_body": {"stream_options": {"include_usage": True}}}
    assert "stream_options" not in body_of(settings=extra)
    assert body_of(streaming=True)["stream_options"] == {"include_usage": True}
    assert body_of(streaming=True)["stream"] is True
    assert "stream_options" not in body_of(streaming=True, settings={"stream_usage": False})
    own = {"extra_body": {"stream_options": {"x": 1}}}
    assert body_of(streaming=True, **own)["stream_options"] == {"x": 1}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"extra_body": {"prompt": "y"}}, "'prompt'"),
        ({"extra_body": {"stream": True}}, "'stream'"),
        ({"extra_body": {"n": "2"}}, "n='2'"),
        ({"extra_body": [1]}, "expected a mapping"),
        ({"extra_headers": {"X": "a\nb"}}, "line break"),
        ({"timeout": -1}, "timeout"),
        ({"temperature": 3}, "temperature"),
        ({"best_of": 2, "streaming": True}, "stream"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(params, says):
    with pytest.raises(ConfigurationError) as caught:
        call_of("x", **params)
    assert says in caught.value.message


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_extra_fields_that_are_no_json(value):
    call, prompts = call_of("x", extra_body={"a": value})
    with pytest.raises(ConfigurationError, match=r"^extra_body\['a'\]"):
        call.request(with_prompts(call, prompts), None)


def test_extra_fields_nested_too_deep():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    call, prompts = call_of("x", extra_body={"a": deep})
    with pytest.raises(ConfigurationError, match=r"^extra_body\['a'\]"):
        call.request(with_prompts(call, prompts), None)
    while deep:
        deep = deep.pop()  # freed level by level


def test_headers_and_timeout_of_one_call():
    call, _ = call_of("x", extra_headers={"h": "2", "X": "3"}, timeout=5)
    assert call.headers == {"h": "2", "X": "3"}
    assert call.timeout == Timeout(5, 5)
    assert call.request({}, None).url == URL
    assert "'3'" not in repr(call)


def test_one_prompt_is_one_request():
    answer, commands = complete("x", [ok("a")])
    assert answer.text == "a"
    assert sent(commands) == ["x"]


def test_several_prompts_are_one_request_where_the_server_can():
    facts = ServerFacts()
    answer, commands = complete(["x", "y"], [ok("a", "b")], facts)
    assert [c.text for c in answer.choices] == ["a", "b"]
    assert sent(commands) == [["x", "y"]]
    assert facts == ServerFacts()


REFUSALS = {
    "merged": ok("ab"),
    "dropped": ok(),
    "too many": ok("a", "b", "c"),
    "refused 400": refused(400, {"detail": "prompt must be a string."}),
    "refused 422": refused(
        422, {"detail": [{"type": "string_type", "loc": ["body", "prompt"], "msg": "Input should be a valid string"}]}
    ),
    "refused 400, OpenAI's words": refused(
        400, {"error": {"message": "Invalid type for 'prompt': expected a string.", "type": "invalid_request_error"}}
    ),
    "refused 500": refused(500, MESSAGE_FREE),
    "refused 500, null": refused(500, {"error": {"message": None}}),
}
del REFUSALS["dropped"]  # a body without choices is another matter; see below


@pytest.mark.parametrize("how", REFUSALS)
def test_a_list_that_is_refused_is_asked_one_by_one_and_remembered(how):
    facts = ServerFacts()
    answer, commands = complete(["x", "y"], [REFUSALS[how], ok("a", "A"), ok("b", "B")], facts, n=2, model="m")
    assert [c.text for c in answer.choices] == ["a", "A", "b", "B"]
    assert [c.index for c in answer.choices] == [0, 1, 2, 3]
    assert [[c.text for c in group] for group in answer.by_prompt()] == [["a", "A"], ["b", "B"]]
    in_vain = {"merged": Usage(1, 1, 2), "too many": Usage(1, 3, 4)}.get(how, Usage())  # paid for all the same
    assert answer.usage == Usage(2, 4, 6) + in_vain
    assert sent(commands) == [["x", "y"], "x", "y"]
    assert facts.single_prompt_models == {"m"}
    _, commands = complete(["x", "y"], [ok("a"), ok("b")], facts, model="m")
    assert sent(commands) == ["x", "y"]
    _, commands = complete(["x", "y"], [ok("a", "b")], facts, model="other")
    assert sent(commands) == [["x", "y"]]


@pytest.mark.parametrize(
    "refusal",
    [
        refused(401, {"error": {"message": "Invalid token", "type": "new_api_error"}}),
        refused(
            400,
            {
                "error": {
                    "message": "This model's maximum context length is 4097 tokens, however you requested 5000 tokens (4900 in your prompt; 100 for the completion). Please reduce your prompt; or completion length. A list or string of the prompt",
                    "type": "invalid_request_error",
                    "code": "context_length_exceeded",
                }
            },
        ),
        refused(400, {"error": {"message": "Your prompt is not allowed", "type": "invalid_request_error"}}),
        refused(
            400,
            {
                "error": {
                    "message": "The prompt text was flagged as a string of bad words",
                    "code": "content_filter",
                    "type": "invalid_request_error",
                }
            },
        ),
        refused(400, {"error": {"message": "temperature must be a number", "type": "invalid_request_error"}}),
    ],
)
def test_other_errors_are_raised_as_they_are(refusal):
    facts = ServerFacts()
    with pytest.raises(XDMError) as caught:
        complete(["x", "y"], [refusal], facts)
    assert sent(caught.value.commands) == [["x", "y"]]
    assert facts == ServerFacts()


def test_a_500_with_words_of_its_own_is_sent_again_whole():
    words = refused(500, {"error": {"message": "database is on fire", "type": "new_api_error"}})
    _, commands = complete(["x", "y"], [words, ok("a", "b")])
    assert sent(commands) == [["x", "y"]] * 2


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_500_without_words_for_a_single_prompt_is_sent_again(one_by_one):
    answer, commands = complete("x", [refused(500, MESSAGE_FREE), ok("a")], one_by_one=one_by_one)
    assert answer.text == "a"
    assert sent(commands) == ["x", "x"]
    answer, commands = complete(["x", "y"], [ok("ab"), refused(500, MESSAGE_FREE), ok("a"), ok("b")])
    assert [c.text for c in answer.choices] == ["a", "b"]
    assert sent(commands) == [["x", "y"], "x", "x", "y"]


def test_what_fails_alone_too_is_the_error_with_what_came_before():
    facts = ServerFacts()
    with pytest.raises(BadRequestError) as caught:
        complete(
            ["x", "y", "z"],
            [REFUSALS["refused 400"], ok("a"), refused(400, {"error": {"message": "bad word"}})],
            facts,
            model="m",
        )
    assert sent(caught.value.commands) == [["x", "y", "z"], "x", "y"]
    assert [c.text for c in caught.value.partial.choices] == ["a"]
    assert isinstance(caught.value.__cause__, BadRequestError)
    assert facts.single_prompt_models == set()


def test_the_first_prompt_alone_fails_with_nothing_before_it():
    with pytest.raises(WrongChoicesError) as caught:
        complete(["x", "y"], [ok("ab"), ok("a", "b")])
    assert [c.text for c in caught.value.partial.choices] == ["a", "b"]


def test_the_cause_of_an_error_is_kept():
    socket_error = OSError("reset")
    failure = APIConnectionError("x", retry="never")
    failure.__cause__ = socket_error
    with pytest.raises(APIConnectionError) as caught:
        complete(["x", "y"], [ok("ab"), failure])
    assert caught.value.__cause__ is socket_error
    facts = ServerFacts(single_prompt_models={"m"})
    failure = APIConnectionError("x", retry="never")
    failure.__cause__ = socket_error
    with pytest.raises(APIConnectionError) as caught:
        complete(["x", "y"], [failure], facts, model="m")
    assert caught.value.__cause__ is socket_error


def test_a_refusal_is_raised_if_the_caller_divides_the_prompts_itself():
    with pytest.raises(WrongChoicesError):
        complete(["x", "y"], [ok("ab")], one_by_one=False)


def test_the_deadline_is_that_of_the_whole_call():
    clock = Clock()

    def slow(reply):
        def answer(command):
            deadlines.append(command.request.deadline)
            clock.now += 3
            return reply

        return answer

    deadlines = []
    complete(["x", "y"], [slow(ok("ab")), slow(ok("a")), slow(ok("b"))], clock=clock, timeout=Timeout(total=20))
    assert deadlines == [1020.0] * 3
    complete("x", [lambda c: ok("a") if c.request.deadline is None else None], clock=clock)


def test_a_wait_beyond_the_deadline_of_the_call_is_not_begun():
    clock = Clock()
    with pytest.raises(ServerError) as caught:
        complete("x", [refused(503)], clock=clock, timeout=Timeout(total=0.4))
    assert not [c for c in caught.value.commands if isinstance(c, Sleep)]


@pytest.mark.parametrize(
    ("error", "refuses"),
    [
        (WrongChoicesError("x"), True),
        (ContextLengthExceededError("x", status_code=400, body="prompt string"), False),
        (ContentFilterError("x", status_code=400, body="prompt string"), False),
        (BadRequestError("x", status_code=400, body="prompt must be a string"), True),
        (BadRequestError("x", status_code=400, body='"prompt" "type": "invalid_request_error"'), False),
        (BadRequestError("x", status_code=400, body="Prompt:\nexpected a String"), True),
        (BadRequestError("x", status_code=400, body="string prompt"), False),
        (BadRequestError("x", status_code=400, body="no"), False),
        (ServerError("x", status_code=500, body=""), False),
        (ServerError("x", status_code=500, body='{"error": {"message": ""}}'), True),
        (ServerError("x", status_code=500, body="oops"), False),
        (ServerError("x", status_code=500, body='{"error": "oops"}'), False),
        (ServerError("x", status_code=500, body='{"error": {"message": "  "}}'), False),
        (ServerError("x", status_code=503, body=""), False),
        (ServerError("x", status_code=503, body='{"error": {"message": ""}}'), False),
        (ServerError("x", status_code=500, body="[" * 4000), False),
        (APITimeoutError("x"), False),
    ],
)
def test_what_may_mean_that_a_list_is_refused(error, refuses):
    assert refuses_lists(error) == refuses


def test_merging_keeps_who_served():
    parts = [complete("x", [ok("a", "b")], n=2)[0], complete("y", [ok("c", "d")], n=2)[0]]
    merged = joined(parts, 2)
    assert [(c.text, c.index) for c in merged.choices] == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]
    assert (merged.id, merged.model, merged.n) == ("c", "m", 2)
    first = Completion(
        (Choice("a"),),
        model="m-1",
        id="c-1",
        created=5,
        system_fingerprint="fp-1",
        request_id="r-1",
        headers={"h": "1"},
        raw={"raw": 1},
    )
    second = Completion(
        (Choice("b"),),
        model="m-2",
        id="c-2",
        created=6,
        system_fingerprint="fp-2",
        request_id="r-2",
        headers={"h": "2"},
        raw={"raw": 2},
    )
    assert joined([first, second], 1) == replace(first, choices=(Choice("a", 0), Choice("b", 1)))

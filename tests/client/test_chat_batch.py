"""Many conversations at once: one outcome for each, in order, whatever comes of the others."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.scripted import http
from xdm_integrations import AuthenticationError, BadRequestError, ConfigurationError, XDMError


@dataclass
class Name:
    name: str


def said(seen):
    return seen.json["messages"][-1]["content"]


def replying(seen):
    text = said(seen)
    if text == "bad":
        return http({"error": {"message": "no such thing", "type": "invalid_request_error"}}, 400)
    message = {"role": "assistant", "content": f"<{text}>"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return http({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})


def batch(surface, server, conversations, **params):
    return surface.call(surface.client(base_url=server.url), "chat_batch", conversations, **params)


def test_outcomes_come_in_the_order_of_the_conversations_and_a_failure_stays_alone(surface, server):
    server.script = replying
    seen = {}
    asked = ["a", [{"role": "user", "content": "b"}], "bad", "c"]
    done = batch(surface, server, asked, max_concurrency=2, on_result=seen.__setitem__)
    assert [outcome.text for outcome in done.outcomes] == ["<a>", "<b>", "", "<c>"]
    assert isinstance(done.outcomes[2], BadRequestError)
    assert [seen[i] for i in range(4)] == done.outcomes
    assert done.usage.total_tokens == 9
    assert len(server.requests) == 4


def test_the_first_failure_ends_the_batch_where_that_is_wanted(surface, server):
    server.script = replying
    done = batch(surface, server, ["bad", *"abcd"], max_concurrency=1, stop_on_error=True)
    assert all(isinstance(outcome, XDMError) for outcome in done.outcomes)
    assert len(server.requests) == 1


def test_objects_can_be_asked_for_in_each_conversation(surface, server):
    server.script = [http({"choices": [{"message": {"content": '{"name": "Bern"}'}, "finish_reason": "stop"}]})]
    done = batch(surface, server, ["a", "b"], response_format=Name)
    assert [answer.parsed for answer in done.completions] == [Name("Bern"), Name("Bern")]


@pytest.mark.parametrize(
    ("conversations", "params", "named"),
    [
        (["a", []], {}, "conversation 1"),
        (["a", [{"content": "b"}]], {}, "conversation 1: messages"),
        ([{"role": "user", "content": "x"}], {}, "conversation 0"),
        ("hello", {}, "conversations"),
        (bytearray(b"hello"), {}, "conversations"),
        (
            ["a", "b", [{"role": "user", "content": "c", "x": {1}}]],
            {},
            r"conversation 2: messages\[0\]\['x'\]: .*type set",
        ),
        (["a", "b"], {"extra_body": {"x": {1}}}, r"^extra_body\['x'\]: .*type set"),
        (["a"], {"temprature": 1}, "temperature"),
        (["a"], {"think_tags": "yes"}, "think_tags"),
        (["a"], {"max_concurrency": 0}, "max_concurrency"),
    ],
)
def test_what_cannot_be_sent_is_named_before_a_byte_is_sent(surface, server, conversations, params, named):
    with pytest.raises(ConfigurationError, match=named):
        batch(surface, server, conversations, **params)
    assert server.requests == []


def test_no_conversations_are_no_requests(surface, server):
    assert batch(surface, server, []).outcomes == []
    assert server.requests == []


def test_retries_of_a_batch_are_reported(surface, server, waits):
    server.script = [http({"error": {"message": "slow down"}}, 429), *replying_to("a")]
    reported = []
    done = batch(surface, server, ["a"], on_retry=reported.append)
    assert done.completions[0].text == "<a>"
    assert len(reported) == len(waits) == 1


def test_a_key_that_is_refused_is_every_conversations_outcome(surface, server):
    server.script = [http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)]
    done = batch(surface, server, ["a", "b"])
    assert all(isinstance(outcome, AuthenticationError) for outcome in done.outcomes)


def replying_to(text):
    return [http({"choices": [{"message": {"content": f"<{text}>"}, "finish_reason": "stop"}]})]

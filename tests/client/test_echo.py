"""Scoring with `echo` at servers that drop it: a wrong number never looks like a score."""

from __future__ import annotations

import pytest

from tests.scripted import DONE, USAGE, chunk, completion, http, stream, usage_chunk
from xdm_integrations import UnsupportedParameterError

KEPT = {"tokens": ["The", " capital"], "token_logprobs": [None, -2.5], "top_logprobs": None, "text_offset": [0, 3]}
ASKED = {"echo": True, "logprobs": 1, "max_tokens": 0}


@pytest.mark.parametrize("prompt", ["The capital of France is", ["The capital of France is"], [5, 6, 7]])
def test_an_answer_without_its_prompt_is_refused_by_name(surface, server, prompt):
    logprobs = {"content": [{"token": " Paris", "logprob": -1.4, "top_logprobs": []}]}
    server.script = [
        http({"choices": [{"text": " Paris", "finish_reason": "length", "logprobs": logprobs}], "usage": USAGE})
    ]
    client = surface.client(base_url=server.url)
    with pytest.raises(UnsupportedParameterError, match=r"^echo: ") as caught:
        surface.complete(client, prompt, **ASKED)
    assert caught.value.param == "echo"
    assert caught.value.partial.text == " Paris"
    assert caught.value.partial.usage.total_tokens == 10
    assert len(server.requests) == 1


def test_in_a_stream_it_is_refused_as_soon_as_it_shows(surface, server):
    server.script = [stream(chunk(" Pa"), chunk("ris"), chunk("", finish="stop"), usage_chunk(), DONE)]
    with pytest.raises(UnsupportedParameterError, match=r"^echo: ") as caught:
        surface.stream(surface.client(base_url=server.url), "The capital", **ASKED)
    assert caught.value.param == "echo"
    assert len(server.requests) == 1


DROPPED = {"text_offset": [11, 14], "tokens": [" Pa", "ris"], "token_logprobs": [-1.4, -0.1], "top_logprobs": None}
NEW_TOKENS = {"content": [{"token": token, "logprob": -0.5, "top_logprobs": []} for token in "abc"]}


def scored(logprobs, text="Paris", usage=None):
    """A stream's events: this text with these log probabilities, and the end."""
    return [chunk(text, logprobs=logprobs), chunk("", finish="length"), *([usage_chunk(usage)] if usage else []), DONE]


@pytest.mark.parametrize(
    ("prompt", "events"),
    [
        ("The capital", [chunk(" Paris", finish="stop"), DONE]),
        ("The capital", [chunk("The"), chunk("", finish="stop"), DONE]),
        ("The capital", [chunk("", finish="length"), DONE]),
        ("The capital", scored(DROPPED, "The capital Paris")),
        ([5, 6, 7], scored(DROPPED)),
        ([5], scored(DROPPED)),
        ([5, 6, 7], scored(NEW_TOKENS, usage={"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6})),
        ([5, 6, 7, 8], scored({"tokens": ["a", "b", "c"], "token_logprobs": [None, -1, -2]})),
        ([[5, 6]], scored(NEW_TOKENS, usage={"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5})),
    ],
    ids=[
        *["one event", "a part of the prompt", "nothing", "offsets behind a text", "offsets behind ids"],
        *["offsets behind one id", "as many tokens as generated", "too few", "a list"],
    ],
)
def test_a_complete_stream_without_its_prompt_is_refused_at_its_end(surface, server, prompt, events):
    server.script = [stream(*events, headers={"X-Oneapi-Request-Id": "r1"})]
    with pytest.raises(UnsupportedParameterError, match=r"^echo: ") as caught:
        surface.stream(surface.client(base_url=server.url), prompt, **ASKED)
    assert (caught.value.param, caught.value.request_id) == ("echo", "r1")
    assert caught.value.partial.choices[0].finish_reason is not None
    assert len(server.requests) == 1


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("logprobs", "usage"),
    [
        (KEPT, None),
        (NEW_TOKENS, {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}),
        (NEW_TOKENS, None),
        ({"tokens": ["The", " capital"], "token_logprobs": [-4.0, -2.5], "text_offset": [0, 3]}, None),
        (None, None),
    ],
    ids=[
        *["no score of the first token", "more tokens than were generated"],
        *["a first token that is scored, and no counts", "the same with offsets", "no scores"],
    ],
)
def test_token_ids_that_come_back_scored_are_an_answer(surface, server, streamed, logprobs, usage):
    body = {"choices": [{"text": "The capital", "finish_reason": "length", "logprobs": logprobs}], "usage": usage}
    server.script = [stream(*scored(logprobs, "The capital", usage)) if streamed else http(body)]
    client = surface.client(base_url=server.url)
    answer = surface.stream(client, [5, 6], **ASKED)[1] if streamed else surface.complete(client, [5, 6], **ASKED)
    assert answer.text == "The capital"


@pytest.mark.parametrize("prompt", ["The capital", [5], [5, 6, 7]])
def test_an_answer_with_the_scores_of_new_tokens_only_is_refused(surface, server, prompt):
    text = "The capital Paris" if isinstance(prompt, str) else " Paris"
    server.script = [http({"choices": [{"text": text, "finish_reason": "length", "logprobs": DROPPED}]})]
    with pytest.raises(UnsupportedParameterError, match=r"^echo: "):
        surface.complete(surface.client(base_url=server.url), prompt, **ASKED)


def test_in_a_batch_it_is_each_prompts_own_outcome(surface, server):
    server.script = [http(completion("The sky is blue", " Paris"))]
    batch = surface.batch(surface.client(base_url=server.url), ["The sky", "The capital"], echo=True)
    assert [type(one) for one in batch.outcomes] == [UnsupportedParameterError] * 2


@pytest.mark.parametrize("text", ["The capital", " The capital of France"])
def test_where_it_is_kept_the_score_is_returned(surface, server, text):
    server.script = [http({"choices": [{"text": text, "finish_reason": "length", "logprobs": KEPT}]})]
    answer = surface.complete(surface.client(base_url=server.url), "The capital", **ASKED)
    assert answer.text == text
    assert answer.logprobs.token_logprobs == [None, -2.5]


def test_a_stream_that_echoes_is_an_answer(surface, server):
    server.script = [stream(chunk("The "), chunk("capital"), chunk(" of"), chunk("", finish="stop"), DONE)]
    chunks, answer = surface.stream(surface.client(base_url=server.url), "The capital", echo=True)
    assert answer.text == "".join(one.text for one in chunks) == "The capital of"

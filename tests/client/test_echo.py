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

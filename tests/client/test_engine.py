"""The client surface before a real engine: a handful of calls whose answers nobody scripted."""

from __future__ import annotations

import math

import pytest

from xdm_integrations import BadRequestError

TEST = "Say this is a test"


@pytest.fixture
def client(surface, engine):
    return surface.client(base_url=engine.base_url)


def test_complete(surface, client):
    answer = surface.complete(client, TEST, temperature=0)
    assert answer.text.strip()
    assert answer.finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 0
    assert answer.model


def test_a_stream_says_the_same_piece_by_piece(surface, client):
    whole = surface.complete(client, TEST, temperature=0)
    chunks, streamed = surface.stream(client, TEST, temperature=0)
    assert len(chunks) > 2
    assert "".join(c.text for c in chunks) == streamed.text == whole.text
    assert [c.finish_reason for c in chunks if c.finish_reason] == ["stop"]
    assert streamed.usage.completion_tokens == whole.usage.completion_tokens


def test_length(surface, client):
    answer = surface.complete(client, "Count to two hundred:", max_tokens=5, temperature=0)
    assert answer.finish_reason == "length"
    assert answer.usage.completion_tokens == 5


def test_several_choices(surface, client):
    answer = surface.complete(client, TEST, n=2, temperature=1, seed=1)
    assert [c.index for c in answer.choices] == [0, 1]
    chunks, streamed = surface.stream(client, TEST, n=2, temperature=0)
    assert {c.index for c in chunks} == {0, 1}
    assert [c.finish_reason for c in streamed.choices] == ["stop", "stop"]


def test_several_prompts_are_paired(surface, client):
    alone = [surface.complete(client, prompt, temperature=0).text for prompt in (TEST, "The capital of France is")]
    together = surface.complete(client, [TEST, "The capital of France is"], temperature=0)
    assert [c.text for c in together.choices] == alone
    _, streamed = surface.stream(client, [TEST, "The capital of France is"], temperature=0)
    assert [c.text for c in streamed.choices] == alone
    batch = surface.batch(client, [TEST, "The capital of France is"], temperature=0)
    assert [c.text for c in batch.completions] == alone


def test_logprobs_of_its_own_shape(surface, client):
    answer = surface.complete(client, TEST, logprobs=2, temperature=0)
    logprobs = answer.logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) > 0
    for token, value, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True):
        assert value <= 0
        assert max(top, key=top.get) == token  # greedy: the sampled one is the likeliest
        assert math.isclose(top[token], value, abs_tol=1e-3)


def test_stop(surface, client):
    answer = surface.complete(client, "Count to two hundred:", stop="5", temperature=0)
    assert "5" not in answer.text
    assert answer.finish_reason == "stop"


def test_the_same_seed_says_the_same(surface, client):
    texts = {
        surface.complete(client, "Once upon a time", seed=7, temperature=1.5, max_tokens=20).text for _ in range(3)
    }
    assert len(texts) == 1


def test_what_it_refuses(surface, client):
    with pytest.raises(BadRequestError) as caught:
        surface.complete(client, "word " * 6000)
    assert not caught.value.retryable
    assert caught.value.body


def test_the_counts_of_a_stream_of_several_choices(surface, engine):
    client = surface.client(base_url=engine.base_url)
    _, whole = surface.stream(client, ["Say this is a test", "你好"], n=2, max_tokens=60, temperature=0)
    _, first = surface.stream(client, "Say this is a test", max_tokens=60, temperature=0)
    _, second = surface.stream(client, "你好", max_tokens=60, temperature=0)
    assert whole.usage.prompt_tokens == first.usage.prompt_tokens + second.usage.prompt_tokens
    answers = first.usage.completion_tokens + second.usage.completion_tokens
    assert whole.usage.completion_tokens == 2 * answers

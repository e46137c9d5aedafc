"""The clients against a real engine: what it samples, counts and streams comes out right."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from local_engine import MODEL

from tests.end_to_end.engine_state import tokens_of

TEST = "Say this is a test"
TALE = "Once upon a time"


@pytest.fixture
def client(engine: Any, surface: Any) -> Any:
    return surface.client(base_url=engine.base_url, model=MODEL)


def test_an_answer_and_its_tokens(engine: Any, client: Any, surface: Any) -> None:
    completion = surface.complete(client, TEST, temperature=0)
    assert (completion.text, completion.finish_reason) == ("\n\nThis is indeed a test", "stop")
    assert completion.model == MODEL
    assert completion.usage.prompt_tokens == len(tokens_of(engine, TEST))
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


@pytest.mark.parametrize("prompt", [TEST, "你好", "Emoji party:", "Count to two hundred:"])
def test_a_stream_says_the_same_as_one_answer(client: Any, surface: Any, prompt: str) -> None:
    whole = surface.complete(client, prompt, temperature=0, max_tokens=800)
    chunks, streamed = surface.stream(client, prompt, temperature=0, max_tokens=800)
    assert streamed.text == "".join(chunk.text for chunk in chunks) == whole.text
    assert streamed.finish_reason == whole.finish_reason == "stop"
    assert streamed.usage.completion_tokens == whole.usage.completion_tokens
    assert streamed.usage.prompt_tokens == whole.usage.prompt_tokens


def test_the_same_seed_gives_the_same_text_and_another_gives_another(client: Any, surface: Any) -> None:
    params: dict[str, Any] = {"temperature": 1.8, "max_tokens": 24}
    texts = [surface.complete(client, TALE, seed=seed, **params).text for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1
    assert surface.stream(client, TALE, seed=1, **params)[1].text == texts[0]


def test_n_answers_belong_to_their_prompts(client: Any, surface: Any) -> None:
    prompts = ["The capital of France is", "The capital of Japan is"]
    completion = surface.complete(client, prompts, n=2, temperature=0)
    assert [[choice.text for choice in choices] for choices in completion.by_prompt()] == [
        [" Paris.", " Paris."],
        [" Tokyo.", " Tokyo."],
    ]
    chunks, streamed = surface.stream(client, prompts, n=2, temperature=0)
    assert [choice.text for choice in streamed.choices] == [choice.text for choice in completion.choices]
    assert {chunk.index for chunk in chunks} == {0, 1, 2, 3}


def test_stop_ends_the_answer_before_it(client: Any, surface: Any) -> None:
    completion = surface.complete(client, "Count to ten:", temperature=0, stop=[", 4", "nine"])
    assert (completion.text, completion.finish_reason) == (" 1, 2, 3", "stop")
    assert surface.stream(client, "Count to ten:", temperature=0, stop=", 4")[1].text == " 1, 2, 3"


def test_max_tokens_ends_the_answer(client: Any, surface: Any) -> None:
    completion = surface.complete(client, "Count to ten:", temperature=0, max_tokens=5)
    assert completion.finish_reason == "length"
    assert completion.usage.completion_tokens == 5


def test_logprobs_agree_with_temperature_0(client: Any, surface: Any) -> None:
    """The likeliest token is the one that was taken, and the tokens spell the text."""
    completion = surface.complete(client, TEST, temperature=0, logprobs=3)
    logprobs = completion.logprobs
    assert "".join(logprobs.tokens) == completion.text
    assert len(logprobs.tokens) == completion.usage.completion_tokens
    for token, own, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True):
        assert len(top) == 3
        assert top[token] == own == max(top.values())
        assert sum(math.exp(value) for value in top.values()) <= 1 + 1e-6
    streamed = surface.stream(client, TEST, temperature=0, logprobs=3)[1].logprobs
    assert streamed.tokens == logprobs.tokens
    assert streamed.token_logprobs == pytest.approx(logprobs.token_logprobs, abs=1e-4)


def test_logit_bias_changes_what_is_said(client: Any, surface: Any) -> None:
    plain = surface.complete(client, TEST, temperature=0, max_tokens=4)
    biased = surface.complete(client, TEST, temperature=0, max_tokens=4, logit_bias={13: -100})
    assert "\n" in plain.text
    assert "\n" not in biased.text


def test_token_ids_stand_for_their_text(engine: Any, client: Any, surface: Any) -> None:
    assert surface.complete(client, tokens_of(engine, TEST), temperature=0).text == "\n\nThis is indeed a test"


def test_a_grammar_of_the_engines_own_goes_through(client: Any, surface: Any) -> None:
    completion = surface.complete(client, "Describe Ada as JSON:", temperature=0)
    assert json.loads(completion.text) == {"name": "Ada", "age": 36}
    grammar = {"grammar": 'root ::= "yes" | "no"'}
    assert surface.complete(client, TEST, temperature=0, extra_body=grammar).text in ("yes", "no")


def test_a_batch_of_many(client: Any, surface: Any) -> None:
    answers = {"France": " Paris.", "Japan": " Tokyo.", "Italy": " Rome.", "Spain": " Madrid.", "Germany": " Berlin."}
    prompts = [f"The capital of {country} is" for country in answers] * 8
    batch = surface.batch(client, prompts, batch_size=4, max_concurrency=4, temperature=0, max_tokens=8)
    assert [completion.text for completion in batch.completions] == list(answers.values()) * 8

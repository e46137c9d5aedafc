"""What `XDMEmbedding` has alone, sync and async: methods, settings, events, cache, limiter.

What every way to vectors has is in tests/embeddings.
"""

from __future__ import annotations

import pytest
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from llama_index.core.embeddings.loading import load_embed_model
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.storage.kvstore import SimpleKVStore

from tests.gauge import Gauge
from tests.vectors import embedding, inputs_of, numbered, refusal, vector_of, vectors_of
from xdm_integrations import APIResponseError, BadRequestError, ConfigurationError
from xdm_integrations.llama_index import XDMEmbedding

KEY = "a-key-that-nobody-has"


@pytest.fixture
def server(server):
    server.script = embedding
    return server


@pytest.fixture
def made(world, server):
    """Make a model that asks the server; it is closed after the test."""

    def make(**settings):
        return world.keep(XDMEmbedding(**{"api_base": server.url, **settings}))

    return make


def ask(world, model, name, *args, **kwargs):
    return world.call(model, f"get_{name}", *args, **kwargs)


def batch(world, model, texts, **kwargs):
    return ask(world, model, "text_embedding_batch", texts, **kwargs)


def inputs(server):
    return [inputs_of(seen.json) for seen in server.requests]


def test_every_method_has_the_vectors_of_its_texts(world, server, made):
    model = made()
    assert ask(world, model, "query_embedding", "q") == vector_of("q")
    assert ask(world, model, "text_embedding", "t") == vector_of("t")
    assert batch(world, model, numbered(300)) == vectors_of(numbered(300))
    assert sorted(map(len, inputs(server)[2:])) == [44, 128, 128]
    assert world.run(world.method(model, "_get_text_embeddings")(["a", "b"])) == vectors_of("ab")
    mean = ask(world, model, "agg_embedding_from_queries", ["a", "b"])
    assert mean == pytest.approx([sum(pair) / 2 for pair in zip(vector_of("a"), vector_of("b"), strict=True)])
    assert server.requests[0].json == {"model": "text-embedding-3-small", "input": "q", "encoding_format": "base64"}
    assert server.requests[0].path == "/v1/embeddings"


def test_instructions_stand_in_front(world, server, made):
    model = made(query_instruction="query: ", text_instruction="passage: ")
    batch(world, model, ["a", "b"])
    ask(world, model, "text_embedding", "c")
    ask(world, model, "query_embedding", "q")
    assert inputs(server) == [["passage: a", "passage: b"], ["passage: c"], ["query: q"]]


def test_settings_go_out_and_extra_body_wins(world, server, made):
    model = made(
        model="m",
        dimensions=2,
        user="u",
        additional_kwargs={"task": "t", "user": "v"},
        extra_body={"a": 1},
        default_headers={"X-A": "1"},
    )
    batch(world, model, ["q"])
    (seen,) = server.requests
    assert seen.json == {
        "model": "m",
        "input": "q",
        "encoding_format": "base64",
        "dimensions": 2,
        "user": "v",
        "task": "t",
        "a": 1,
    }
    assert seen.headers["x-a"] == "1"
    model.model_name, model.dimensions, model.embed_batch_size = "n", 3, 1
    assert [len(vector) for vector in batch(world, model, ["a", "b"])] == [3, 3]
    assert [seen.json["model"] for seen in server.requests[1:]] == ["n", "n"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 4}, "Did you mean 'embed_batch_size'"),
        ({"base_url": "http://localhost"}, "Did you mean 'api_base'"),
        ({"embed_batch_size": 0}, "embed_batch_size"),
        ({"model_name": "a", "model": "b"}, "given twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ConfigurationError) as caught:
        XDMEmbedding(**settings)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"num_workers": 2}, 2),
        ({"num_workers": 1}, 1),
        ({"num_workers": 9, "max_concurrency": 4}, 4),
    ],
)
def test_num_workers_bounds_the_requests_in_flight(world, server, made, settings, most):
    server.script = gauge = Gauge(embedding, most)
    assert batch(world, made(embed_batch_size=2, **settings), numbered(40)) == vectors_of(numbered(40))
    assert gauge.peak == most


def test_a_refused_text_is_named_by_its_number_in_the_call(world, server, made):
    server.script = lambda seen: refusal() if "text 37" in inputs_of(seen.json) else embedding(seen)
    for size in (128, 10, 1):
        with pytest.raises(BadRequestError, match=r"^input 37: ") as caught:
            batch(world, made(embed_batch_size=size), numbered(50))
        assert caught.value.position == 37
    with pytest.raises(BadRequestError) as caught:
        ask(world, made(), "text_embedding", "text 37")
    assert not str(caught.value).startswith("input")


# Events, callbacks, progress


def embedding_events(seen):
    return [
        (event.class_name(), getattr(event, "chunks", None))
        for event in seen.events
        if "Embedding" in event.class_name()
    ]


def test_each_slice_has_its_events_with_its_texts_in_order(world, server, made, seen):
    model = made(embed_batch_size=2)
    batch(world, model, numbered(5))
    slices = [["text 0", "text 1"], ["text 2", "text 3"], ["text 4"]]
    assert embedding_events(seen) == [
        *[("EmbeddingStartEvent", None)] * 3,
        *[("EmbeddingEndEvent", texts) for texts in slices],
    ]
    ends = [event for event in seen.events if event.class_name() == "EmbeddingEndEvent"]
    assert [event.embeddings for event in ends] == [vectors_of(texts) for texts in slices]
    about = next(event for event in seen.events if event.class_name() == "EmbeddingStartEvent").model_dict
    assert about == {"class_name": "XDMEmbedding", "model_name": "text-embedding-3-small", "embed_batch_size": 2}


def test_no_event_says_that_vectors_came_that_did_not(world, server, made, seen):
    server.script = lambda seen: refusal() if "text 3" in inputs_of(seen.json) else embedding(seen)
    with pytest.raises(BadRequestError):
        batch(world, made(embed_batch_size=2), numbered(5))
    assert "EmbeddingEndEvent" not in seen.names()


def test_callbacks_hear_of_each_slice_and_count_its_tokens(world, server, made):
    debug, counter = LlamaDebugHandler(print_trace_on_end=False), TokenCountingHandler(tokenizer=str.split)
    model = made(embed_batch_size=2, callback_manager=CallbackManager([debug, counter]))
    batch(world, model, numbered(5))
    pairs = debug.get_event_pairs(CBEventType.EMBEDDING)
    assert [len(pair) for pair in pairs] == [2, 2, 2]
    assert counter.total_embedding_token_count == 10
    ask(world, model, "query_embedding", "one two three")
    assert counter.total_embedding_token_count == 13


def test_a_call_that_fails_leaves_no_event_open_and_no_bar(world, server, made, capsys):
    debug, counter = LlamaDebugHandler(print_trace_on_end=False), TokenCountingHandler(tokenizer=str.split)
    server.script = lambda seen: refusal() if "text 3" in inputs_of(seen.json) else embedding(seen)
    model = made(embed_batch_size=2, callback_manager=CallbackManager([debug, counter]))
    with pytest.raises(BadRequestError) as caught:
        batch(world, model, numbered(5), show_progress=True)
    pairs = debug.get_event_pairs(CBEventType.EMBEDDING)
    assert [[event.payload.get(EventPayload.EXCEPTION) for event in pair] for pair in pairs] == [
        [None, caught.value]
    ] * 3
    assert counter.total_embedding_token_count == 0
    assert capsys.readouterr().err.endswith("\n")  # which ends a bar


def test_spans_have_the_names_of_the_methods(world, server, made, spans):
    model = made()
    batch(world, model, ["a"])
    assert any("text_embedding_batch" in name for name in spans.ids())


def test_progress_is_shown_where_it_is_asked_for(world, server, made, capsys):
    batch(world, made(embed_batch_size=2), numbered(5))
    assert capsys.readouterr().err == ""
    batch(world, made(embed_batch_size=2), numbered(5), show_progress=True)
    assert "Generating embeddings: 100%" in capsys.readouterr().err


# Cache and rate limiter


def test_what_the_cache_knows_is_not_asked_for(world, server, made):
    cache = SimpleKVStore()
    model = made(embed_batch_size=4, embeddings_cache=cache)
    batch(world, model, numbered(6))
    server.requests.clear()
    assert batch(world, model, numbered(10)) == vectors_of(numbered(10))
    assert sorted(text for texts in inputs(server) for text in texts) == ["text 6", "text 7", "text 8", "text 9"]
    server.requests.clear()
    assert batch(world, model, numbered(10)[::-1]) == vectors_of(numbered(10)[::-1])
    assert ask(world, model, "text_embedding", "text 2") == vector_of("text 2")
    assert server.requests == []


def test_a_refused_text_is_named_beside_cached_ones(world, server, made):
    model = made(embed_batch_size=4, embeddings_cache=SimpleKVStore())
    batch(world, model, [text for text in numbered(8) if text not in ("text 5", "text 6")])
    server.script = lambda seen: refusal() if "text 6" in inputs_of(seen.json) else embedding(seen)
    with pytest.raises(BadRequestError, match=r"^input 6: "):
        batch(world, model, numbered(8))


def test_vectors_of_another_model_in_the_cache_are_not_mixed_in(world, server, made):
    cache = SimpleKVStore()
    batch(world, made(embeddings_cache=cache), ["a", "b"])
    with pytest.raises(APIResponseError, match="embeddings_cache"):
        batch(world, made(embeddings_cache=cache, dimensions=8), ["a", "b", "c"])


@pytest.mark.parametrize(("of_queries", "of_texts"), [("query: ", "passage: "), ("query: ", ""), ("", "passage: ")])
def test_a_text_and_a_query_of_the_same_words_are_no_vector_of_each_other(world, server, made, of_queries, of_texts):
    model = made(embeddings_cache=SimpleKVStore(), query_instruction=of_queries, text_instruction=of_texts)
    for _ in range(2):
        assert ask(world, model, "query_embedding", "cat") == vector_of(f"{of_queries}cat")
        assert batch(world, model, ["cat", "dog"]) == vectors_of([f"{of_texts}cat", f"{of_texts}dog"])
        assert ask(world, model, "query_embedding", "dog") == vector_of(f"{of_queries}dog")
    assert len(server.requests) == 3


class Turns(BaseRateLimiter):
    def __init__(self):
        self.taken = 0

    def acquire(self, num_tokens=0):
        self.taken += 1

    async def async_acquire(self, num_tokens=0):
        self.taken += 1


def test_the_rate_limiter_is_asked_once_for_each_request(world, server, made):
    turns = Turns()
    model = made(embed_batch_size=2, rate_limiter=turns, embeddings_cache=SimpleKVStore())
    batch(world, model, numbered(5))
    assert turns.taken == 3
    batch(world, model, numbered(5))
    assert turns.taken == 3
    ask(world, model, "query_embedding", "q")
    assert turns.taken == 4


# The object


def test_it_is_loaded_from_its_dictionary_without_the_key(world, server, made):
    model = made(api_key=KEY, dimensions=3, model_name="m", timeout=(1, 2), query_instruction="q: ")
    stored = model.to_dict()
    assert stored["class_name"] == "XDMEmbedding"
    assert {stored["model_name"], stored["dimensions"], stored["api_base"]} == {"m", 3, server.url}
    for loaded in (XDMEmbedding.from_dict(stored), load_embed_model(stored), XDMEmbedding.from_json(model.to_json())):
        assert (type(loaded), loaded.to_dict()) == (XDMEmbedding, stored)
        assert loaded.api_key is None
        assert len(ask(world, world.keep(loaded), "query_embedding", "x")) == 3

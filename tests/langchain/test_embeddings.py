"""What `XDMEmbeddings` has alone, sync and async; what every way to vectors has is in tests/embeddings."""

from __future__ import annotations

import copy
import pickle

import pytest
from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from tests.scripted import http
from tests.vectors import answer, embedding, numbered, vector_of
from xdm_integrations import ConfigurationError
from xdm_integrations.langchain import XDMEmbeddings

KEY = "a-key-that-nobody-has"


@pytest.fixture
def server(server):
    server.script = embedding
    return server


@pytest.fixture
def made(world, server):
    """Make embeddings that ask the server; they are closed after the test."""

    def make(**settings):
        return world.keep(XDMEmbeddings(**{"base_url": server.url, **settings}))

    return make


def documents(world, embeddings, texts, **kwargs):
    return world.call(embeddings, "embed_documents", texts, **kwargs)


def query(world, embeddings, text, **kwargs):
    return world.call(embeddings, "embed_query", text, **kwargs)


def test_many_vectors_are_made_aside_and_are_the_same(world, server, made):
    server.script = lambda seen: http(answer({**seen.json, "dimensions": 1_536}))
    assert documents(world, made(), numbered(64)) == [vector_of(text, 1_536) for text in numbered(64)]


def test_settings_go_out_and_calls_and_extra_body_win(world, server, made):
    embeddings = made(
        dimensions=8,
        user="u",
        model_kwargs={"task": "t", "user": "v"},
        extra_body={"a": 1},
        default_headers={"X-A": "1"},
    )
    query(world, embeddings, "q", dimensions=2, extra_body={"b": 2}, extra_headers={"X-B": "2"})
    (seen,) = server.requests
    assert seen.json == {
        "model": "text-embedding-3-small",
        "input": "q",
        "encoding_format": "base64",
        "dimensions": 2,
        "user": "v",
        "task": "t",
        "a": 1,
        "b": 2,
    }
    assert (seen.headers["x-a"], seen.headers["x-b"]) == ("1", "2")


def test_assigned_settings_count(world, server, made):
    embeddings = made()
    embeddings.model, embeddings.dimensions, embeddings.batch_size = "m", 2, 1
    assert [len(vector) for vector in documents(world, embeddings, ["a", "b"])] == [2, 2]
    assert [seen.json["model"] for seen in server.requests] == ["m", "m"]
    embeddings.api_key = KEY
    query(world, embeddings, "q")
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_the_key_of_the_environment_is_wrapped(monkeypatch):
    monkeypatch.setenv("XDM_API_KEY", KEY)
    assert XDMEmbeddings().xdm_api_key == SecretStr(KEY)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"chunk_size": 4}, "Did you mean 'batch_size'"),
        ({"query_instructions": "x"}, "Did you mean 'query_instruction'"),
        ({"model_kwargs": {"input": "x"}}, "model_kwargs: must not hold 'input'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ConfigurationError) as caught:
        XDMEmbeddings(**settings)
    assert words in str(caught.value)


def test_copies_and_pickles_are_equal_and_are_what_langchain_takes(server):
    embeddings = XDMEmbeddings(base_url=server.url, api_key=KEY, default_headers={"X-S": "1"})
    assert isinstance(embeddings, Embeddings)
    for copied in (copy.copy(embeddings), copy.deepcopy(embeddings), pickle.loads(pickle.dumps(embeddings))):  # noqa: S301 - our own
        assert copied == embeddings

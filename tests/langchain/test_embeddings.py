"""`XDMEmbeddings`, sync and async: what is sent, what comes back, settings, and that nothing secret shows."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from tests.scripted import CLOSE, http
from tests.vectors import answer, embedding, inputs_of, vector_of
from xdm_integrations import APIResponseError, AuthenticationError, BadRequestError, ConfigurationError
from xdm_integrations.langchain import XDMEmbeddings

KEY = "a-key-that-nobody-has"
SECRET = "a-header-that-nobody-may-see"


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


def refusal(message="no", status=400, **more):
    return http({"error": {"message": message, "type": "invalid_request_error", **more}}, status)


def numbered(count):
    return [f"text {i}" for i in range(count)]


def test_documents_and_queries_have_the_vectors_of_their_texts(world, server, made):
    embeddings = made()
    assert isinstance(embeddings, Embeddings)
    assert documents(world, embeddings, numbered(300)) == [vector_of(text) for text in numbered(300)]
    assert sorted(len(inputs_of(seen.json)) for seen in server.requests) == [44, 128, 128]
    assert query(world, embeddings, "q") == vector_of("q")
    assert server.requests[-1].json == {
        "model": "text-embedding-3-small",
        "input": "q",
        "encoding_format": "base64",
    }


def test_vectors_are_lists_of_floats(world, server, made):
    server.script = lambda seen: http(answer({**seen.json, "encoding_format": None, "dimensions": 2}))
    vectors = documents(world, made(), ["a", "b"])
    assert {type(vectors)} | {type(vector) for vector in vectors} == {list}
    assert {type(number) for vector in vectors for number in vector} == {float}


def test_many_vectors_are_made_aside_and_are_the_same(world, server, made):
    server.script = lambda seen: http(answer({**seen.json, "dimensions": 1_536}))
    assert documents(world, made(), numbered(64)) == [vector_of(text, 1_536) for text in numbered(64)]


def test_no_texts_are_no_request(world, server, made):
    assert documents(world, made(), []) == []
    assert server.requests == []


def test_texts_go_out_as_they_are_whatever_the_model_is_called(world, server, made):
    texts = ["a\nb", "", "<|endoftext|>", " edges ", "\x00", "🙂", "你好"]
    for model in ("text-embedding-ada-002", "bge-m3", "text-search-curie-doc-001"):
        documents(world, made(model=model), texts)
        assert server.requests[-1].json["input"] == texts
        assert server.requests[-1].json["model"] == model


def test_token_ids_go_through(world, server, made):
    assert documents(world, made(), [[1, 2], [3]]) == [vector_of([1, 2]), vector_of([3])]


def test_instructions_stand_in_front(world, server, made):
    embeddings = made(query_instruction="query: ", text_instruction="passage: ")
    documents(world, embeddings, ["a", "b"])
    query(world, embeddings, "q")
    assert [seen.json["input"] for seen in server.requests] == [["passage: a", "passage: b"], "query: q"]


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
    assert "langchain-core/" in seen.headers["user-agent"]


def test_assigned_settings_count(world, server, made):
    embeddings = made()
    embeddings.model, embeddings.dimensions, embeddings.batch_size = "m", 2, 1
    assert [len(vector) for vector in documents(world, embeddings, ["a", "b"])] == [2, 2]
    assert [seen.json["model"] for seen in server.requests] == ["m", "m"]
    embeddings.api_key = KEY
    query(world, embeddings, "q")
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_batch_size_and_max_concurrency_bound_a_call(world, server, made):
    lock, state = threading.Lock(), {"now": 0, "peak": 0}
    full = threading.Event()

    def script(seen):
        with lock:
            state["now"] += 1
            state["peak"] = max(state["peak"], state["now"])
            if state["now"] == 3:
                full.set()
        full.wait(30)
        with lock:
            state["now"] -= 1
        return embedding(seen)

    server.script = script
    assert len(documents(world, made(batch_size=2, max_concurrency=3), numbered(18))) == 18
    assert state["peak"] == 3
    assert {len(inputs_of(seen.json)) for seen in server.requests} == {2}


def test_keys_are_asked_for_in_each_call(world, server, made):
    keys = iter(["first-key", "second-key"])

    async def ask():
        return next(keys)

    embeddings = made(api_key=ask if world.is_async else lambda: next(keys))
    for _ in range(2):
        query(world, embeddings, "q")
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer first-key", "Bearer second-key"]


def test_the_environment_is_read(world, server, monkeypatch):
    monkeypatch.setenv("XDM_API_KEY", KEY)
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    embeddings = world.keep(XDMEmbeddings())
    query(world, embeddings, "q")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert embeddings.xdm_api_key == SecretStr(KEY)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dimension": 4}, "Did you mean 'dimensions'"),
        ({"chunk_size": 4}, "Did you mean 'batch_size'"),
        ({"query_instructions": "x"}, "Did you mean 'query_instruction'"),
        ({"dimensions": 0}, "dimensions: 0"),
        ({"encoding_format": "hex"}, "encoding_format: 'hex'"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"model": ""}, "model"),
        ({"model_kwargs": {"input": "x"}}, "model_kwargs: must not hold 'input'"),
        ({"base_url": "http://example.com"}, "https"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ConfigurationError) as caught:
        XDMEmbeddings(**settings)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", [None, 5, b"a"])
def test_what_is_no_text_is_refused_before_anything_is_sent(world, server, made, text):
    for settings in ({}, {"query_instruction": "q", "text_instruction": "t"}):
        with pytest.raises((ValueError, TypeError)):
            documents(world, made(**settings), ["a", text])
        with pytest.raises((ValueError, TypeError)):
            query(world, made(**settings), text)
    assert server.requests == []


def test_a_refused_text_is_named_and_nothing_shorter_is_returned(world, server, made):
    server.script = lambda seen: refusal() if "text 5" in inputs_of(seen.json) else embedding(seen)
    with pytest.raises(BadRequestError, match=r"^input 5: ") as caught:
        documents(world, made(), numbered(9))
    assert caught.value.position == 5
    server.script = lambda seen: http({"data": answer(seen.json)["data"][1:]})
    with pytest.raises(APIResponseError):
        documents(world, made(), numbered(9))
    server.script = lambda seen: http({"data": answer(seen.json)["data"][::-1]})
    assert documents(world, made(), numbered(9)) == [vector_of(text) for text in numbered(9)]


def test_errors_are_the_clients_own(world, server, made):
    server.script = [refusal("无效的令牌", 401, code="x")]
    with pytest.raises(AuthenticationError):
        query(world, made(), "q")
    server.script = [[CLOSE], http(answer({"input": "q"}))]
    server.requests.clear()
    assert query(world, made(), "q") == vector_of("q")


def test_dimensions_that_are_ignored_are_an_error(world, server, made):
    server.script = lambda seen: http(answer({**seen.json, "dimensions": 8}))
    with pytest.raises(APIResponseError, match="ignores `dimensions`"):
        query(world, made(dimensions=4), "q")


def test_nothing_secret_shows():
    embeddings = XDMEmbeddings(api_key=KEY, default_headers={"X-S": SECRET}, extra_body={"s": SECRET})
    shown = [
        repr(embeddings),
        str(embeddings),
        repr(embeddings.model_dump()),
        embeddings.model_dump_json(),
        json.dumps(XDMEmbeddings.model_json_schema(mode="serialization")),
    ]
    assert not any(KEY in text or SECRET in text for text in shown)


def test_copies_and_pickles_work_used_or_not(world, server, made):
    embeddings = made(api_key=KEY, default_headers={"X-S": "1"})
    for _ in range(2):
        for copied in (copy.copy(embeddings), copy.deepcopy(embeddings), pickle.loads(pickle.dumps(embeddings))):  # noqa: S301 - our own
            assert copied == embeddings
            assert query(world, world.keep(copied), "q") == vector_of("q")
            assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
            assert server.requests[-1].headers["x-s"] == "1"
        query(world, embeddings, "q")
    world.close_kept()
    assert query(world, embeddings, "q") == vector_of("q")


def test_threads_and_loops_share_one(server):
    embeddings = XDMEmbeddings(base_url=server.url, batch_size=2)
    expected = [vector_of(text) for text in numbered(9)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: embeddings.embed_documents(numbered(9)), range(8))) == [expected] * 8
        asked = pool.map(lambda _: asyncio.run(embeddings.aembed_documents(numbered(9))), range(4))
        assert list(asked) == [expected] * 4

    async def both():
        return embeddings.embed_query("q"), await embeddings.aembed_query("q")

    assert asyncio.run(both()) == (vector_of("q"), vector_of("q"))
    embeddings.close()


def test_nothing_else_is_imported(server):
    code = (
        "import sys, asyncio\n"
        "sys.modules['numpy'] = None\n"
        "from xdm_integrations.langchain import XDMEmbeddings\n"
        f"embeddings = XDMEmbeddings(base_url={server.url!r})\n"
        "assert len(embeddings.embed_documents(['a', 'b'])) == 2\n"
        "assert len(asyncio.run(embeddings.aembed_query('a'))) == 4\n"
        "print([name for name in ('openai', 'tiktoken', 'httpx', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stderr, done.stdout.strip()) == ("", "[]")

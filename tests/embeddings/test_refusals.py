"""Servers that take less than they are sent, whichever way a program comes in: learnt, or said whose fault it is."""

from __future__ import annotations

from math import log2

import pytest

from tests.scripted import http
from tests.vectors import embedding, inputs_of, numbered, refusal, vector_of, vectors_of
from xdm_integrations import BadRequestError, ContextLengthExceededError

LARGE_BATCH = "input (27002 tokens) is too large to process. increase the physical batch size (current batch size: 512)"
NAN = "failed to encode response: json: unsupported value: NaN"

ENCODINGS = [
    (400, "litellm.UnsupportedParamsError: gemini does not support parameters: {'encoding_format': 'base64'}"),
    (422, "encoding_format: Input should be 'float'"),
    (500, "json: cannot unmarshal string into Go struct field Embedding.data.embedding of type []float64"),
    (400, 'Invalid JSON payload received. Unknown name "encoding_format": Cannot find field.'),
    (400, "'encoding_format' only support with [float]"),
    (400, "base64 is not supported"),
]
COUNTS = [
    (400, "batch size is invalid, it should not be larger than {k}.: input.contents"),
    (413, "input batch size {n} > maximum allowed batch size {k}"),
    (422, "batch size {n} > maximum allowed batch size {k}"),
    (400, "Too many inputs. The max number of inputs is {k}. We hope to increase the number of inputs soon."),
    (400, "Invalid 'input': array too long. Expected an array with maximum length {k}, but got one with length {n}."),
    (422, "List should have at most {k} items after validation, not {n}"),
    (400, "* BatchEmbedContentsRequest.requests: at most {k} requests can be in one batch"),
    (400, "The batch size limit is {k}. Your batch size is {n}."),
    (400, "{k} instance(s) is allowed per prediction. Actual: {n}"),
]


class Served:
    """A server with a limit. Raises nothing; what it answered is in `texts`."""

    def __init__(self, fits, reply):
        self.texts = []
        self._fits = fits
        self._reply = reply

    def __call__(self, seen):
        texts = inputs_of(seen.json)
        if not self._fits(texts):
            return self._reply(len(texts))
        self.texts += texts
        return embedding(seen)


def check(door, embedder, served, texts):
    """Each text has its vector, and was served once."""
    served.texts.clear()
    assert door.documents(embedder, texts) == vectors_of(texts)
    assert sorted(served.texts) == sorted(texts)


@pytest.mark.parametrize(("status", "words"), ENCODINGS)
def test_a_server_that_refuses_base64_is_asked_without_the_field_from_then_on(door, server, made, status, words):
    server.script = lambda seen: refusal(words, status) if "encoding_format" in seen.json else embedding(seen)
    embedder = made(batch_size=2, max_concurrency=4)
    assert door.documents(embedder, numbered(40)) == vectors_of(numbered(40))
    asked = [seen.json.get("encoding_format") for seen in server.requests]
    assert asked.count("base64") <= 4
    assert set(asked) == {"base64", None}
    server.requests.clear()
    assert door.query(embedder, "q") == vector_of("q")
    assert [seen.json for seen in server.requests] == [{"model": "text-embedding-3-small", "input": "q"}]


@pytest.mark.parametrize(("status", "words"), COUNTS)
def test_a_limit_that_is_named_is_kept_from_then_on(door, server, made, status, words):
    served = server.script = Served(lambda texts: len(texts) <= 10, lambda n: refusal(words.format(k=10, n=n), status))
    embedder = made()
    check(door, embedder, served, numbered(130))
    assert len(server.requests) <= 20
    server.requests.clear()
    check(door, embedder, served, numbered(130))
    assert len(server.requests) <= 14
    assert max(len(inputs_of(seen.json)) for seen in server.requests) == 10


@pytest.mark.parametrize("most", [1, 7, 64])
def test_a_limit_that_is_not_named_is_found_and_kept(door, server, made, most):
    served = server.script = Served(lambda texts: len(texts) <= most, lambda n: refusal("no"))
    embedder = made()
    check(door, embedder, served, numbered(130))
    server.requests.clear()
    check(door, embedder, served, numbered(64))
    assert max(len(inputs_of(seen.json)) for seen in server.requests) <= most


@pytest.mark.parametrize(
    "reply",
    [
        lambda n: refusal(f"Requested {n}00 tokens, max 300000 tokens per request", type="max_tokens_per_request"),
        lambda n: refusal("Total tokens in the request exceed 20000 bytes"),
        lambda n: http("<html><title>413 Request Entity Too Large</title></html>", 413),
    ],
    ids=["tokens", "bytes", "413"],
)
def test_a_request_that_is_too_large_is_split(door, server, made, reply):
    served = server.script = Served(lambda texts: sum(map(len, texts)) <= 100, reply)
    embedder = made()
    texts = [*numbered(60), "x" * 90, *numbered(60)]
    check(door, embedder, served, texts)
    server.requests.clear()
    check(door, embedder, served, numbered(60))
    assert len(served.texts) == 60
    assert all(sum(map(len, inputs_of(seen.json))) <= 100 for seen in server.requests)


def test_a_server_that_takes_no_lists_is_asked_one_by_one_from_then_on(door, server, made):
    words = "json: cannot unmarshal array into Go struct field EmbeddingRequest.input of type string"
    served = server.script = Served(lambda texts: len(texts) == 1, lambda n: refusal(words))
    embedder = made()
    check(door, embedder, served, numbered(9))
    assert len(server.requests) == 10
    server.requests.clear()
    check(door, embedder, served, numbered(9))
    assert len(server.requests) == 9


@pytest.mark.parametrize("data", [[], None])
def test_texts_that_are_answered_without_vectors_are_not_sent_together_again(door, server, made, data):
    served = server.script = Served(lambda texts: len(texts) == 1, lambda n: http({"object": "list", "data": data}))
    check(door, made(), served, numbered(2))
    assert [len(inputs_of(seen.json)) for seen in server.requests] == [2, 1, 1]


def test_an_empty_text_goes_out_as_it_is_and_its_refusal_says_which(door, server, made):
    assert door.documents(made(), ["a", "", "b"]) == vectors_of(["a", "", "b"])
    assert server.requests[0].json["input"] == ["a", "", "b"]
    server.script = Served(lambda texts: "" not in texts, lambda n: refusal("'$.input' is invalid."))
    with pytest.raises(BadRequestError, match=r"^input 1: ") as caught:
        door.documents(made(), ["a", "", "b"])
    assert caught.value.position == 1
    with pytest.raises(BadRequestError):
        door.query(made(), "")


FAULTS = [
    (400, "'$.input' is invalid.", {}, BadRequestError, None),
    (400, "This model's maximum context length is 8192 tokens, however you requested 9000 tokens", {},
     ContextLengthExceededError, 8192),
    (400, "This model's maximum context length is 512 tokens. However, your request has 700 input tokens.", {},
     ContextLengthExceededError, 512),
    (500, LARGE_BATCH, {"type": "server_error"}, ContextLengthExceededError, 512),
    (500, NAN, {"type": "api_error"}, BadRequestError, None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words", "more", "kind", "limit"), FAULTS)
@pytest.mark.parametrize("place", [0, 37, 99])
def test_the_text_at_fault_is_found_with_few_requests_and_named(  # noqa: PLR0913, PLR0917 - an argument for each column
    door, server, made, waits, status, words, more, kind, limit, place
):
    bad = f"text {place}"
    server.script = Served(lambda texts: bad not in texts, lambda n: refusal(words, status, **more))
    with pytest.raises(kind, match=rf"^input {place}: ") as caught:
        door.documents(made(), numbered(100))
    assert caught.value.position == place
    assert len(server.requests) <= 2 + 2 * log2(100)
    assert waits == []
    if limit is not None:
        assert str(limit) in str(caught.value)
    server.requests.clear()
    with pytest.raises(kind) as caught:
        door.query(made(), bad)
    assert not str(caught.value).startswith("input")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "words",
    ["This model does not support specifying dimensions.", 'Model "bge-m3" does not support matryoshka representation'],
)
def test_refused_dimensions_are_an_error_that_says_so_after_one_request(door, server, made, words):
    server.script = [refusal(words)]
    with pytest.raises(BadRequestError, match="dimensions"):
        door.documents(made(dimensions=4), numbered(9))
    assert len(server.requests) == 1

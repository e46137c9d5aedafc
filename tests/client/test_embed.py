"""What `embed` of the client has alone; what every way to vectors has is in tests/embeddings."""

from __future__ import annotations

import inspect

import pytest

from tests.scripted import HANG, http
from tests.vectors import answer, embedding, inputs_of, numbered, refusal, vector_of, vectors_of
from xdm_integrations import (
    APIResponseError,
    APITimeoutError,
    AsyncClient,
    BadRequestError,
    Client,
    ConfigurationError,
    ModelUnavailableError,
    Timeout,
    Usage,
)


@pytest.fixture
def server(server):
    server.script = embedding
    return server


def bodies(server):
    return [seen.json for seen in server.requests if seen.method == "POST"]


def test_the_result_says_what_it_holds(surface, server):
    server.script = lambda seen: http(answer(seen.json), headers={"x-oneapi-request-id": "r-1"})
    texts = numbered(300)
    result = surface.embed(surface.client(base_url=server.url), texts, batch_size=16)
    assert result.vectors == vectors_of(texts)
    assert (len(result), result.dimensions, result.model) == (300, 4, "served")
    assert result.usage == Usage(19 * 3, 0, 19 * 3)
    assert result.request_ids == ("r-1",) * 19


def test_a_text_alone_and_token_ids(surface, server):
    client = surface.client(base_url=server.url)
    for given, one in (("a", "a"), (["a"], "a"), ([5, 6], [5, 6]), ([[5, 6]], [5, 6])):
        assert surface.embed(client, given).vectors == [vector_of(one)]
        assert server.requests[-1].json["input"] == one


def test_the_key_is_asked_for_once_a_call(surface, server):
    keys = iter(["first-key", "second-key"])

    async def ask():
        return next(keys)

    client = surface.client(base_url=server.url, api_key=ask if surface.is_async else lambda: next(keys))
    surface.embed(client, ["x"] * 3, batch_size=1)
    surface.embed(client, "x")
    sent = [seen.headers["authorization"] for seen in server.requests]
    assert sent == ["Bearer first-key"] * 3 + ["Bearer second-key"]


def test_one_total_limit_holds_for_all_requests_of_a_call(surface, server):
    """For the parts of a list, those of a part that was too large, and the second try without base64."""
    sent = []

    def picky(seen):
        if seen.method == "GET":
            return http({"data": []})
        body = seen.json
        if "encoding_format" in body:
            return refusal("encoding_format: 'base64' is not supported")
        if len(inputs_of(body)) > 2:
            return refusal("batch size is larger than the maximum")
        return refusal("The model `m` does not exist", 404) if "text 8" in inputs_of(body) else embedding(seen)

    server.script = picky
    client = surface.client(base_url=server.url, on_request=sent.append, timeout=Timeout(total=3600))
    with pytest.raises(ModelUnavailableError):
        surface.embed(client, numbered(9), batch_size=5, max_concurrency=1)
    posts = [request.deadline for request in sent if request.method == "POST"]
    assert len(posts) > 6
    assert None not in posts
    assert len(set(posts)) == 1


def test_no_request_is_sent_after_the_total_limit(surface, server):
    server.script = [[HANG]]
    client = surface.client(base_url=server.url)
    settings = {"batch_size": 1, "max_concurrency": 1, "stop_on_error": False}
    with pytest.raises(APITimeoutError, match=r"total limit of 0\.5 s"):
        surface.embed(client, numbered(20), timeout=Timeout(total=0.5), **settings)
    assert len(server.requests) < 2


def test_results_are_delivered_as_they_arrive(surface, server):
    delivered = {}
    texts = numbered(9)
    result = surface.embed(
        surface.client(base_url=server.url),
        texts,
        batch_size=2,
        on_result=lambda i, vector: delivered.update({i: vector}),
    )
    assert [delivered[i] for i in range(9)] == result.vectors
    assert all(type(vector) is list for vector in delivered.values())


def test_a_text_that_fails_ends_the_call_or_is_left_out_of_what_is_delivered(surface, server):
    server.script = lambda seen: refusal() if "text 3" in inputs_of(seen.json) else embedding(seen)
    client = surface.client(base_url=server.url)
    texts = numbered(9)
    with pytest.raises(BadRequestError, match=r"^input 3: ") as caught:
        surface.embed(client, texts, batch_size=4, max_concurrency=1)
    assert caught.value.position == 3
    assert all("text 8" not in inputs_of(body) for body in bodies(server))
    delivered = {}
    server.requests.clear()
    with pytest.raises(BadRequestError, match=r"^input 3: ") as caught:
        surface.embed(client, texts, stop_on_error=False, on_result=lambda i, outcome: delivered.update({i: outcome}))
    assert delivered.pop(3) is caught.value
    served = [body for body in bodies(server) if "text 3" not in inputs_of(body)]
    assert caught.value.usage == Usage(3 * len(served), 0, 3 * len(served))
    assert delivered == {i: vector_of(text) for i, text in enumerate(texts) if i != 3}


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("batch_size", 1.5), ("max_concurrency", 0), ("max_concurrency", True), ("dimension", 4)],
)
def test_settings_that_make_no_sense(surface, server, name, value):
    with pytest.raises(ConfigurationError, match=rf"^{name}: "):
        surface.embed(surface.client(base_url=server.url), ["a"], **{name: value})
    assert server.requests == []


def test_both_clients_have_the_same_method():
    assert inspect.signature(Client.embed) == inspect.signature(AsyncClient.embed)


def test_a_text_without_a_vector_says_nothing_of_the_length_of_the_others(surface, server):
    def script(seen):
        body = answer(seen.json)
        if inputs_of(seen.json) == ["bad"]:
            body["data"][0]["embedding"] = None
        return http(body)

    server.script = script
    delivered = {}
    with pytest.raises(APIResponseError, match=r"^input 0: "):
        surface.embed(
            surface.client(base_url=server.url),
            ["bad", "a"],
            batch_size=1,
            max_concurrency=1,
            stop_on_error=False,
            on_result=delivered.__setitem__,
        )
    assert delivered[1] == vector_of("a")

"""Embeddings over the wire: what is sent, what comes back, what is raised; the rules are in tests/unit/embeddings."""

from __future__ import annotations

import copy
import gzip
import json
import pickle

import pytest

from tests.scripted import CLOSE, HANG, RESET, http
from tests.vectors import answer, embedding, inputs_of, vector_of
from xdm_integrations import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextLengthExceededError,
    Embeddings,
    ModelUnavailableError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    Usage,
    XDMError,
)

KEY = "a-key-that-nobody-has"


@pytest.fixture
def server(server):
    server.script = embedding
    return server


def refusal(message="no", status=400, **more):
    return http({"error": {"message": message, "type": "invalid_request_error", **more}}, status)


def bodies(server):
    return [seen.json for seen in server.requests if seen.method == "POST"]


def test_the_request(surface, server):
    surface.embed(surface.client(base_url=server.url, api_key=KEY), ["a", "b"], model="m", dimensions=4, user="u")
    (seen,) = server.requests
    assert (seen.method, seen.path) == ("POST", "/v1/embeddings")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith("xdm-integrations/")
    assert seen.json == {"model": "m", "input": ["a", "b"], "dimensions": 4, "user": "u", "encoding_format": "base64"}


def test_vectors_come_back_in_the_order_of_the_texts(surface, server):
    texts = [f"text {i}" for i in range(300)]
    result = surface.embed(surface.client(base_url=server.url), texts, batch_size=16)
    assert result.vectors == [vector_of(text) for text in texts]
    assert (len(result), result.dimensions, result.model) == (300, 4, "served")
    assert result.usage == Usage(19 * 3, 0, 19 * 3)


def test_a_text_alone_and_token_ids(surface, server):
    client = surface.client(base_url=server.url)
    for given, one in (("a", "a"), (["a"], "a"), ([5, 6], [5, 6]), ([[5, 6]], [5, 6])):
        assert surface.embed(client, given).vectors == [vector_of(one)]
        assert server.requests[-1].json["input"] == one


@pytest.mark.parametrize("nothing", [[], ()])
def test_no_texts_are_no_request(surface, server, nothing):
    assert surface.embed(surface.client(), nothing) == Embeddings()
    assert server.requests == []


def test_headers_and_fields_of_the_client_and_of_the_call(surface, server):
    client = surface.client(
        base_url=server.url, default_headers={"X-A": "1", "X-B": "1"}, extra_body={"a": 1, "b": 1}, model="bge-m3"
    )
    surface.embed(client, "x", extra_headers={"x-b": "2"}, extra_body={"b": 2})
    (seen,) = server.requests
    assert (seen.headers["x-a"], seen.headers["x-b"]) == ("1", "2")
    assert (seen.json["a"], seen.json["b"], seen.json["model"]) == (1, 2, "bge-m3")


def test_keys_and_addresses(surface, server, monkeypatch):
    with pytest.raises(ConfigurationError, match="api_key"):
        surface.embed(surface.client(base_url="https://example.com"), "x")
    surface.embed(surface.client(base_url=server.url), "x")
    assert "authorization" not in server.requests[-1].headers
    monkeypatch.setenv("XDM_API_KEY", "from-the-environment")
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    surface.embed(surface.client(), "x")
    assert server.requests[-1].headers["authorization"] == "Bearer from-the-environment"
    keys = iter(["first-key", "second-key"])

    async def ask():
        return next(keys)

    client = surface.client(api_key=ask if surface.is_async else lambda: next(keys))
    surface.embed(client, ["x"] * 3, batch_size=1)
    surface.embed(client, "x")
    sent = [seen.headers["authorization"] for seen in server.requests[2:]]
    assert sent == ["Bearer first-key"] * 3 + ["Bearer second-key"]


def test_results_are_delivered_as_they_arrive(surface, server):
    delivered = {}
    texts = [f"text {i}" for i in range(9)]
    result = surface.embed(
        surface.client(base_url=server.url),
        texts,
        batch_size=2,
        on_result=lambda i, vector: delivered.update({i: vector}),
    )
    assert [delivered[i] for i in range(9)] == result.vectors
    assert all(type(vector) is list for vector in delivered.values())


def refusing_one(bad):
    return lambda seen: refusal() if bad in inputs_of(seen.json) else embedding(seen)


def test_a_text_that_fails_ends_the_call_or_is_left_out_of_what_is_delivered(surface, server):
    server.script = refusing_one("text 3")
    client = surface.client(base_url=server.url)
    texts = [f"text {i}" for i in range(9)]
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


def test_a_limit_is_learnt_for_the_calls_that_come(surface, server):
    words = "batch size is invalid, it should not be larger than 10.: input.contents"
    server.script = lambda seen: refusal(words) if len(inputs_of(seen.json)) > 10 else embedding(seen)
    client = surface.client(base_url=server.url)
    texts = [f"text {i}" for i in range(130)]
    assert surface.embed(client, texts).vectors == [vector_of(text) for text in texts]
    assert len(server.requests) <= 20
    server.requests.clear()
    surface.embed(client, texts)
    assert len(server.requests) == 13


def test_base64_that_is_refused_is_not_asked_for_again(surface, server):
    words = "json: cannot unmarshal string into Go struct field Embedding.data.embedding of type []float64"
    server.script = lambda seen: refusal(words, 500) if "encoding_format" in seen.json else embedding(seen)
    client = surface.client(base_url=server.url)
    texts = [f"text {i}" for i in range(40)]
    assert surface.embed(client, texts, batch_size=1, max_concurrency=4).vectors == [vector_of(text) for text in texts]
    assert sum("encoding_format" in body for body in bodies(server)) <= 4
    server.requests.clear()
    surface.embed(client, "x")
    assert ["encoding_format" in body for body in bodies(server)] == [False]


def test_bodies_of_every_dress(surface, server):
    client = surface.client(base_url=server.url)
    value = answer({"input": "x"})
    plain = json.dumps(value).encode()
    for reply in (
        http(b"\n\n" + plain),
        http(plain, headers={"Content-Type": "text/plain"}),
        http(b"\xef\xbb\xbf" + plain),
        http(gzip.compress(plain), headers={"Content-Encoding": "gzip"}),
    ):
        server.script = [reply]
        assert surface.embed(client, "x").vectors == [vector_of("x")]
    server.script = lambda seen: http(answer({"input": seen.json["input"], "dimensions": 3_072}))
    assert surface.embed(client, ["x"] * 256, batch_size=256).vectors == [vector_of("x", 3_072)] * 256


ERRORS = [
    (400, {"message": "This model's maximum context length is 8192 tokens, however you requested 9000 tokens"},
     ContextLengthExceededError, 1),
    (401, {"message": "无效的令牌", "type": "new_api_error"}, AuthenticationError, 1),
    (403, {"message": "no permission", "type": "permission_error"}, PermissionDeniedError, 1),
    (404, {"message": "The model `x` does not exist", "code": "model_not_found"}, ModelUnavailableError, 1),
    (503, {"message": "当前分组 default 下对于模型 x 无可用渠道", "type": "new_api_error"}, ModelUnavailableError, 1),
    (429, {"message": "Rate limit reached"}, RateLimitError, 3),
    (500, {"message": "boom"}, ServerError, 3),
    (501, {"message": "This server does not support embeddings", "type": "not_supported_error"}, APIStatusError, 1),
    (502, {"message": "boom"}, ServerError, 3),
    (503, {"message": "boom"}, ServerError, 3),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error", "kind", "requests"), ERRORS)
def test_errors_are_typed_and_sent_again_where_that_may_help(  # noqa: PLR0913, PLR0917 - an argument for each column
    surface, server, waits, status, error, kind, requests
):
    server.script = [http({"error": error}, status, headers={"x-oneapi-request-id": "r-1"})]
    for texts in ("x", ["x", "y"]):
        server.requests.clear()
        with pytest.raises(kind) as caught:
            surface.embed(surface.client(base_url=server.url), texts)
        asked_alone = kind is ContextLengthExceededError and len(texts) > 1
        assert len(bodies(server)) == requests + asked_alone
        assert caught.value.request_id == "r-1"
        assert caught.value.status_code == status
        for made in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):  # noqa: S301 - our own
            assert (type(made), str(made), made.request_id) == (type(caught.value), str(caught.value), "r-1")


@pytest.mark.parametrize("first", [[RESET], [CLOSE], refusal(status=500), refusal(status=429)])
def test_what_heals_is_sent_again_and_the_answer_is_complete(surface, server, waits, first):
    seen_before = set()

    def script(seen):
        key = str(seen.json["input"])
        if key not in seen_before:
            seen_before.add(key)
            return first
        return embedding(seen)

    server.script = script
    texts = [f"text {i}" for i in range(6)]
    result = surface.embed(surface.client(base_url=server.url), texts, batch_size=2)
    assert result.vectors == [vector_of(text) for text in texts]
    assert len(server.requests) == 6


def test_max_retries_0_is_once(surface, server):
    server.script = [refusal(status=500)]
    with pytest.raises(ServerError):
        surface.embed(surface.client(base_url=server.url, max_retries=0), "x")
    assert len(server.requests) == 1


@pytest.mark.parametrize(("header", "wait"), [({"Retry-After": "7"}, 7), ({"retry-after-ms": "1500"}, 1.5)])
def test_the_server_says_how_long_to_wait(surface, server, waits, header, wait):
    server.script = [http({"error": {"message": "slow down"}}, 429, headers=header), http(answer({"input": "x"}))]
    surface.embed(surface.client(base_url=server.url), "x")
    assert waits[0] == pytest.approx(wait, rel=0.2)


def test_an_answer_that_does_not_come(surface, server):
    server.script = [[HANG]]
    with pytest.raises(APITimeoutError):
        surface.embed(surface.client(base_url=server.url, max_retries=0), ["x"] * 2, timeout=(5, 0.2))
    with pytest.raises(APIConnectionError):
        surface.embed(surface.client(base_url="http://127.0.0.1:1", max_retries=0), "x")


@pytest.mark.parametrize(
    "reply", [http(b"", 204), http(b""), http("<html></html>"), http("{"), http({"data": []}), http({"object": "list"})]
)
def test_a_2xx_without_vectors_is_a_typed_error(surface, server, waits, reply):
    server.script = [reply]
    with pytest.raises(APIResponseError):
        surface.embed(surface.client(base_url=server.url), "x")


def test_the_key_is_in_no_error(surface, server):
    server.script = [refusal(f"Incorrect API key provided: {KEY}", 401)]
    with pytest.raises(AuthenticationError) as caught:
        surface.embed(surface.client(base_url=server.url, api_key=KEY), ["x"] * 2)
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__


def test_a_redirect_elsewhere_is_not_followed(surface, server):
    server.script = [http(b"", 307, headers={"Location": "http://localhost:1/v1/embeddings"})]
    with pytest.raises(XDMError, match="redirects"):
        surface.embed(surface.client(base_url=server.url, api_key=KEY), "x")
    assert len(server.requests) == 1


def test_a_client_may_be_pickled_and_used_again(surface, server):
    client = surface.client(base_url=server.url)
    surface.embed(client, "x")
    again = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own
    surface.keep(again)
    assert surface.embed(again, "x").vectors == [vector_of("x")]
    surface.close_kept()
    assert surface.embed(client, "x").vectors == [vector_of("x")]


def test_both_clients_have_the_same_method():
    import inspect

    from xdm_integrations import Client

    assert inspect.signature(Client.embed) == inspect.signature(AsyncClient.embed)

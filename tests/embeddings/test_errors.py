"""Errors, whichever way a program comes in: typed, sent again where that helps, and without the key."""

# ruff: noqa: S301 - only our own bytes are unpickled

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import threading

import pytest

from tests.scripted import CLOSE, HANG, RESET, http
from tests.vectors import answer, embedding, inputs_of, numbered, refusal, vector_of, vectors_of
from xdm_integrations import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ContextLengthExceededError,
    InsufficientQuotaError,
    ModelUnavailableError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnsupportedParameterError,
    XDMError,
)

KEY = "a-key-that-nobody-has-1234567890"

ERRORS = [
    (400, {"message": "no"}, BadRequestError, 1),
    (400, {"message": "This model's maximum context length is 8192 tokens, however you requested 9000 tokens"},
     ContextLengthExceededError, 1),
    (400, {"message": "Unsupported parameter: 'user'", "param": "user", "code": "unsupported_parameter"},
     UnsupportedParameterError, 1),
    (401, {"message": "无效的令牌", "type": "new_api_error"}, AuthenticationError, 1),
    (401, {"message": "该令牌额度已用尽", "type": "new_api_error"}, InsufficientQuotaError, 1),
    (403, {"message": "用户额度不足", "code": "insufficient_user_quota"}, InsufficientQuotaError, 1),
    (403, {"message": "no permission", "type": "permission_error"}, PermissionDeniedError, 1),
    (404, {"message": "The model `x` does not exist", "code": "model_not_found"}, ModelUnavailableError, 1),
    (404, {"message": "Invalid URL (POST /v1/embeddings)"}, NotFoundError, 1),
    (503, {"message": "当前分组 default 下对于模型 x 无可用渠道", "type": "new_api_error"}, ModelUnavailableError, 1),
    (501, {"message": "This server does not support embeddings", "type": "not_supported_error"}, APIStatusError, 1),
    (429, {"message": "Rate limit reached"}, RateLimitError, 3),
    (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, InsufficientQuotaError, 2),
    (500, {"message": "boom"}, ServerError, 3),
    (502, {"message": "boom"}, ServerError, 3),
    (503, {"message": "boom"}, ServerError, 3),
]  # fmt: skip


def posts(server):
    return [seen for seen in server.requests if seen.method == "POST"]  # an unknown model asks for the list of models


@pytest.mark.parametrize(("status", "error", "kind", "requests"), ERRORS)
def test_errors_are_typed_say_what_the_gateway_said_and_survive_pickling(  # noqa: PLR0913, PLR0917 - an argument for each column
    door, server, made, waits, status, error, kind, requests
):
    server.script = [http({"error": error}, status, headers={"x-oneapi-request-id": "r-1"})]
    with pytest.raises(kind) as caught:
        door.query(made(), "q")
    assert type(caught.value) is kind or kind is APIStatusError
    assert len(posts(server)) == requests
    assert (caught.value.request_id, caught.value.status_code) == ("r-1", status)
    assert error["message"] in str(caught.value)
    for made_again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert (type(made_again), str(made_again)) == (type(caught.value), str(caught.value))
        assert made_again.request_id == "r-1"
    with pytest.raises(kind):
        door.documents(made(), numbered(3))


@pytest.mark.parametrize(
    "first",
    [[RESET], [CLOSE], *(refusal(status=status) for status in (429, 500, 502, 503)),
     refusal("HTTPConnectionPool(host='e', port=80): Max retries exceeded with url: /v1/embeddings", 500),
     [b'HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{"data": [', CLOSE]],
    ids=["reset", "closed", "429", "500", "502", "503", "500 with a number", "cut body"],
)  # fmt: skip
def test_what_heals_is_sent_again_and_the_answer_is_complete(door, server, made, waits, first):
    seen_before, lock = set(), threading.Lock()

    def script(seen):
        with lock:
            new = str(seen.json["input"]) not in seen_before
            seen_before.add(str(seen.json["input"]))
        return first if new else embedding(seen)

    server.script = script
    assert door.documents(made(batch_size=2), numbered(6)) == vectors_of(numbered(6))
    assert len(server.requests) == 6
    assert door.query(made(), "q") == vector_of("q")


@pytest.mark.parametrize("max_retries", [0, 1])
def test_no_more_requests_than_allowed(door, server, made, waits, max_retries):
    server.script = [refusal(status=500)]
    with pytest.raises(ServerError):
        door.query(made(max_retries=max_retries), "q")
    assert len(server.requests) == 1 + max_retries


@pytest.mark.parametrize(("header", "wait"), [({"Retry-After": "7"}, 7), ({"retry-after-ms": "1500"}, 1.5)])
def test_the_server_says_how_long_to_wait(  # noqa: PLR0913, PLR0917 - an argument for each column
    door, server, made, waits, header, wait
):
    slow = http({"error": {"message": "slow down"}}, 429, headers=header)
    server.script = [slow, http(answer({"input": "q"}))]
    door.query(made(), "q")
    assert waits == [pytest.approx(wait, rel=0.2)]
    server.script = [slow]
    with pytest.raises(RateLimitError) as caught:
        door.query(made(max_retries=0), "q")
    assert caught.value.retry_after == pytest.approx(wait)


def test_an_answer_that_does_not_come_and_a_server_that_is_not_there(door, server, made):
    server.script = [[HANG]]
    with pytest.raises(APITimeoutError):
        door.documents(made(max_retries=0, timeout=(5, 0.2)), numbered(2))
    with pytest.raises(APIConnectionError):
        door.query(made(max_retries=0, base_url="http://127.0.0.1:1"), "q")


def test_an_error_that_all_would_meet_ends_the_rest_at_once(door, server, made):
    """The others are still in flight when it is raised, and end with it."""
    hold, all_arrived = threading.Event(), threading.Barrier(4)

    def script(seen):
        all_arrived.wait(60)
        if "text 1" in inputs_of(seen.json):
            return refusal("Invalid token", 401)
        hold.wait(60)
        return embedding(seen)

    server.script = script
    embedder = made(batch_size=1, max_concurrency=4)
    with pytest.raises(AuthenticationError):
        door.documents(embedder, numbered(100))
    assert len(server.requests) == 4
    if door.is_async:
        assert [t for t in asyncio.all_tasks(door.loop) if not t.done()] == []
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("xdm-batch")]:
        thread.join(30)
        assert not thread.is_alive()  # although the server still holds its request
    hold.set()
    assert len(server.requests) == 4


def test_a_text_that_is_refused_ends_the_splitting_of_the_others(door, server, made):
    """What is split into many requests stops too, once the call has failed: nobody would see what they bring."""
    hold, others = threading.Event(), threading.Barrier(4)

    def script(seen):
        texts = inputs_of(seen.json)
        if len(texts) > 1:
            others.wait(60)  # all four batches are in flight before the limit is known
            return refusal("batch size 16 > maximum allowed batch size 1")
        if texts == ["text 0"]:
            return refusal("Invalid token", 401)
        hold.wait(60)
        return embedding(seen)

    server.script = script
    with pytest.raises(AuthenticationError):
        door.documents(made(batch_size=16, max_concurrency=4), numbered(64))
    hold.set()
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("xdm-batch")]:
        thread.join(30)
    assert len(server.requests) <= 4 + 4


def test_the_key_is_in_no_error_and_no_log_and_goes_to_no_other_origin(door, server, made, caplog):
    caplog.set_level(logging.DEBUG)
    server.script = [refusal(f"Incorrect API key provided: {KEY}", 401)]
    with pytest.raises(AuthenticationError) as caught:
        door.documents(made(api_key=KEY), numbered(2))
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    server.script = [http(b"", 307, headers={"Location": "http://localhost:1/v1/embeddings"})]
    server.requests.clear()
    with pytest.raises(XDMError, match="redirects"):
        door.query(made(api_key=KEY), "q")
    assert len(server.requests) == 1
    assert KEY not in caplog.text

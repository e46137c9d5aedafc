"""Retries: how often the server is asked for each kind of failure, after what waits, and who is told."""

# ruff: noqa: PLR0913, PLR0917 - a parametrised test takes an argument for each column

# ruff: noqa: RUF001 - words of the gateway, and digits of other scripts

# ruff: noqa: E501 - tables are read by row

from __future__ import annotations

import asyncio
import time

import pytest

from tests.scripted import CLOSE, DONE, HANG, RESET, chunk, completion, echoing, http, stream, tokens
from xdm_integrations import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    Timeout,
    XDMError,
)

CALLS = ["complete", "stream"]


def run(surface, call, client, **params):
    if call == "complete":
        return surface.complete(client, "x", **params)
    return surface.stream(client, "x", **params)[1]


def good(call):
    return http(completion("fine")) if call == "complete" else tokens("fi", "ne")


def brand(message, code="", **more):
    return {"error": {"message": message, "type": "new_api_error", "param": "", "code": code, **more}}


FAILURES = [
    # status, body, requests that the server sees in all
    (400, brand("bad"), 1),
    (401, brand("无效的令牌"), 1),
    (403, brand("用户额度不足", "insufficient_user_quota"), 1),
    (404, {"error": {"message": "Invalid URL (POST /v1/v1/completions)", "type": "invalid_request_error"}}, 1),
    (408, "", 3),
    (409, "", 3),
    (413, "<html><title>413 Request Entity Too Large</title></html>", 1),
    (422, {"detail": "no"}, 1),
    (429, "", 3),
    (429, brand("当前分组上游负载已饱和，请稍后再试"), 3),
    (
        500,
        brand(
            "json: cannot unmarshal number into Go struct field GeneralOpenAIRequest.logprobs of type bool",
            "invalid_request",
        ),
        1,
    ),
    (500, brand("sensitive_words_detected", "sensitive_words_detected"), 1),
    (500, brand("upstream error: do request failed", "do_request_failed"), 3),
    (502, "<html><title>502 Bad Gateway</title></html>", 3),
    (503, brand("system cpu overloaded (current: 97.1%, threshold: 90%)", "system_cpu_overloaded"), 3),
    (504, "<html><title>504 Gateway Time-out</title></html>", 2),
    (520, "error code: 520", 3),
    (524, "error code: 524", 2),
    (525, "error code: 525", 1),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("status", "body", "requests"), FAILURES, ids=lambda v: str(v)[:24])
def test_requests_for_each_status(surface, server, waits, call, status, body, requests):
    server.script = [http(body, status)]
    with pytest.raises(APIStatusError) as caught:
        run(surface, call, surface.client(base_url=server.url))
    assert len(server.requests) == requests
    assert waits == [0.5, 1.0][: requests - 1]
    assert caught.value.status_code == status
    assert len({seen.body for seen in server.requests}) == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "failure",
    [[CLOSE], [RESET], [b"HTTP/1.1 200 OK\r\n", RESET], http(b"", 503), http(b"", 429), http(b"", 200)],
    ids=repr,
)
def test_what_heals_at_the_third_try(surface, server, waits, call, failure):
    server.script = [failure, failure, good(call)]
    assert run(surface, call, surface.client(base_url=server.url)).text == "fine"
    assert len(server.requests) == 3
    assert len(waits) == 2


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2), (4, 5)])
def test_the_number_is_the_clients(surface, server, waits, call, retries, requests):
    server.script = [http(b"", 503)]
    with pytest.raises(ServerError):
        run(surface, call, surface.client(base_url=server.url, max_retries=retries))
    assert len(server.requests) == requests
    assert waits == [0.5, 1.0, 2.0, 4.0][:retries]


def test_nobody_listens(surface, waits):
    with pytest.raises(APIConnectionError) as caught:
        surface.complete(surface.client(base_url="http://127.0.0.1:1"), "x")
    assert len(waits) == 2
    assert "127.0.0.1:1" in caught.value.message
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"Retry-After": "3"}, pytest.approx(3.3)),
        ({"Retry-After": "1.5"}, pytest.approx(1.65)),
        ({"Retry-After": "0"}, 0),
        ({"retry-after-ms": "1500"}, pytest.approx(1.65)),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:30 GMT", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}, pytest.approx(11)),
        ({"Retry-After": "soon"}, 0.5),
        ({"Retry-After": "-5"}, 0.5),
    ],
)
def test_retry_after(surface, server, waits, call, headers, waited):
    server.script = [http(b"", 429, headers), good(call)]
    assert run(surface, call, surface.client(base_url=server.url)).text == "fine"
    assert waits == [waited]


def test_too_long_a_wish_is_the_callers(surface, server, waits):
    server.script = [http(b"", 429, {"Retry-After": "3600"})]
    with pytest.raises(RateLimitError) as caught:
        surface.complete(surface.client(base_url=server.url), "x")
    assert caught.value.retry_after == 3600
    assert (len(server.requests), waits) == (1, [])


def test_the_window_in_the_words_is_the_wait(surface, server, waits):
    server.script = [http(brand("您已达到请求数限制：1分钟内最多请求60次"), 429), http(completion("fine"))]
    surface.complete(surface.client(base_url=server.url), "x")
    assert waits == [pytest.approx(61)]


@pytest.mark.parametrize(
    "events",
    [
        [DONE],
        [": PING\n\n", DONE],
        [": PING\n\n"],
        [
            '{"error": {"message": "upstream error: do request failed", "type": "new_api_error", "code": "do_request_failed"}}\n'
        ],
        [{"error": {"message": "当前分组上游负载已饱和，请稍后再试", "type": "new_api_error"}}],
        [RESET],
    ],
    ids=repr,
)
def test_a_stream_that_fails_before_its_first_word_is_asked_again(surface, server, waits, events):
    server.script = [stream(*events), tokens("fine")]
    assert surface.stream(surface.client(base_url=server.url), "x")[1].text == "fine"
    assert (len(server.requests), len(waits)) == (2, 1)


@pytest.mark.parametrize(
    "events",
    [
        [chunk("so "), chunk("far"), RESET],
        [chunk("so "), chunk("far"), CLOSE],
        [chunk("so far"), DONE],
        [chunk("so far"), {"error": {"message": "x"}}],
        [chunk("so far"), "data: oops\n\n"],
    ],
    ids=repr,
)
def test_nothing_is_ever_sent_again_after_the_first_word(surface, server, waits, events):
    server.script = [stream(*events)]
    with pytest.raises(XDMError) as caught:
        surface.stream(surface.client(base_url=server.url), "x")
    assert (len(server.requests), waits) == (1, [])
    assert caught.value.text == "so far"
    assert not caught.value.retryable


def test_hooks_are_told_in_order(surface, server, waits):
    server.script = [http(b"", 503), http(completion("fine"), headers={"X-Oneapi-Request-Id": "r-1"})]
    told = []
    client = surface.client(
        base_url=server.url,
        on_request=lambda request: told.append(("request", request.url, request.body)),
        on_response=lambda request, reply: told.append(("response", reply.status)),
        on_retry=lambda pause: told.append(("retry", pause.attempt, pause.seconds, type(pause.error))),
    )
    surface.complete(client, "x")
    body = server.requests[0].body
    url = server.url + "/completions"
    assert told == [
        ("request", url, body),
        ("response", 503),
        ("retry", 1, 0.5, ServerError),
        ("request", url, body),
        ("response", 200),
    ]


def test_a_call_may_have_its_own_retry_hook(surface, server, waits):
    server.script = [http(b"", 503), http(completion("fine"))]
    clients, calls, requests = [], [], []
    client = surface.client(base_url=server.url, on_retry=clients.append, on_request=requests.append)
    surface.complete(client, "x", on_retry=calls.append)
    assert (len(clients), len(calls), len(requests)) == (0, 1, 2)
    server.requests.clear()
    server.script = [http(b"", 503), tokens("fine")]
    surface.stream(client, "x", on_retry=calls.append)
    server.requests.clear()
    server.script = [http(b"", 503), http(completion("fine"))]
    surface.batch(client, ["x"], on_retry=calls.append)
    assert (len(clients), len(calls)) == (0, 3)


def test_hooks_may_be_coroutines_where_there_is_a_loop(surface, server):
    told = []

    async def hook(*args):
        await asyncio.sleep(0)
        told.append(args)

    if surface.is_async:
        surface.complete(surface.client(base_url=server.url, on_request=hook, on_response=hook), "x")
        assert len(told) == 2
    else:
        with pytest.raises(ConfigurationError, match="on_response: a coroutine function"):
            surface.client(base_url=server.url, on_response=hook)


@pytest.mark.parametrize("hook", ["on_request", "on_response", "on_retry"])
def test_a_crash_in_a_hook_is_the_callers_own(surface, server, waits, hook):
    server.script = [http(b"", 503), http(completion("fine"))]

    def crash(*args):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        surface.complete(surface.client(base_url=server.url, **{hook: crash}), "x")
    assert len(server.requests) == (0 if hook == "on_request" else 1)


class Limiter:
    def __init__(self):
        self.turns = []

    def acquire(self):
        self.turns.append("sync")
        return True

    async def aacquire(self):
        self.turns.append("async")
        return True


def test_each_request_waits_for_its_turn(surface, server, waits):
    limiter = Limiter()
    server.script = [http(b"", 503), http(completion("fine"))]
    client = surface.client(base_url=server.url, rate_limiter=limiter)
    surface.complete(client, "x")
    assert limiter.turns == ["async" if surface.is_async else "sync"] * 2


@pytest.mark.parametrize("call", CALLS)
def test_a_deadline_bounds_the_whole_call(surface, server, waits, call):
    server.script = [http(b"", 429, {"retry-after-ms": "1"}), [HANG]]
    start = time.monotonic()
    with pytest.raises(APITimeoutError, match=r"total limit of 1 s"):
        run(surface, call, surface.client(base_url=server.url), timeout=Timeout(total=1))
    assert time.monotonic() - start < 8  # the server is silent for ten
    assert len(server.requests) == 2


@pytest.mark.parametrize("call", CALLS)
def test_a_wait_that_would_miss_the_deadline_is_not_begun(surface, server, waits, call):
    server.script = [http(b"", 503, {"Retry-After": "30"})]
    with pytest.raises(ServerError):
        run(surface, call, surface.client(base_url=server.url), timeout=Timeout(total=20))
    assert (len(server.requests), waits) == (1, [])


def test_a_deadline_bounds_a_stream(surface, server):
    server.script = [stream(chunk("so far"), HANG)]
    with pytest.raises(StreamInterruptedError, match=r"0\.6 s") as caught:
        surface.stream(surface.client(base_url=server.url), "x", timeout=Timeout(total=0.6))
    assert caught.value.text == "so far"


@pytest.mark.parametrize("call", CALLS)
def test_a_silent_server_times_out_and_is_asked_again(surface, server, waits, call):
    server.script = [[HANG], good(call)]
    assert run(surface, call, surface.client(base_url=server.url), timeout=(5, 0.6)).text == "fine"
    assert len(server.requests) == 2


def test_a_silence_in_the_middle_of_a_stream_is_an_interruption(surface, server):
    server.script = [stream(chunk("so far"), HANG)]
    with pytest.raises(StreamInterruptedError, match=r"read limit of 0\.6 s") as caught:
        surface.stream(surface.client(base_url=server.url, timeout=(5, 0.6)), "x")
    assert caught.value.text == "so far"
    assert isinstance(caught.value.__cause__, APITimeoutError)


def test_a_timeout_of_one_call_replaces_the_clients(surface, server):
    server.script = [[HANG]]
    with pytest.raises(APITimeoutError, match=r"0\.1 s"):
        surface.complete(surface.client(base_url=server.url, timeout=60, max_retries=0), "x", timeout=0.1)


NO_ANSWERS = [
    ("web page", http("<!doctype html><html><div id='root'></div></html>", headers={"Content-Type": "text/html"}), 1),
    ("nothing", http(b""), 3),
    ("half a body", http(b'{"choices": [{"text": "ha'), 2),
    ("no choices", http({"choices": []}), 2),
    ("wrong number", http(completion("a", "b")), 1),
    ("JSON of something else", http([1, 2]), 2),
]


@pytest.mark.parametrize(("what", "reply", "requests"), NO_ANSWERS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_200_that_is_no_answer(surface, server, waits, what, reply, requests):
    head, _, body = reply[0].partition(b"\r\n")
    server.script = [[head + b"\r\nX-Oneapi-Request-Id: r-5\r\n" + body]]
    with pytest.raises(APIResponseError) as caught:
        surface.complete(surface.client(base_url=server.url), "x")
    assert caught.value.request_id == "r-5"
    assert len(server.requests) == requests


def test_an_error_with_status_200_is_the_error_that_it_is(surface, server, waits):
    server.script = [http(brand("该令牌额度已用尽 (request id: r-6)"))]
    with pytest.raises(APIStatusError) as caught:
        surface.complete(surface.client(base_url=server.url), "x")
    assert caught.value.request_id == "r-6"
    assert len(server.requests) == 1


def test_options_that_a_server_refuses_are_left_out_once_and_for_all(surface, server):
    def script(seen):
        if "stream_options" in seen.json:
            return http(
                {"error": {"message": "Unknown parameter: 'stream_options'.", "type": "invalid_request_error"}}, 400
            )
        return echoing(seen)

    server.script = script
    client = surface.client(base_url=server.url)
    assert surface.stream(client, "x")[1].text == "<x>"
    assert surface.stream(client, "y")[1].text == "<y>"
    assert ["stream_options" in seen.json for seen in server.requests] == [True, False, False]

"""What the network and the server may do: the right error or the right answer, in bounded time.

Each fault runs sync and async, complete and streamed. What the server saw must be exactly what
the policy allows, and no connection may stay open.
"""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.ports import where_nobody_listens
from tests.scripted import (
    CLOSE,
    DONE,
    HANG,
    RESET,
    ScriptedServer,
    chunk,
    completion,
    http,
    piece,
    slowly,
    stream,
    tokens,
)
from xdm_integrations import APIConnectionError, APIResponseError, APITimeoutError, StreamInterruptedError, Timeout

RETRIES = 1
ONCE, ALL = 1, 1 + RETRIES
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = http(completion("whole"))[0].partition(b"\r\n\r\n")[2]
ERROR = {"error": {"message": "upstream broke", "type": "upstream_error", "code": "do_request_failed"}}


@dataclass(frozen=True)
class Fault:
    """What the server does each time, and what comes of it.

    Attributes:
        steps: The server's answer.
        outcome: The text of the answer, or the class of the error.
        requests: How many the server must see.
        partial: The text that came before the error.
        timeout: The client's.
    """

    steps: list[Any]
    outcome: Any
    requests: int = ONCE
    partial: str = ""
    timeout: Any = 5


QUICK = Timeout(5, 0.4)
QUICK_EVENTS = Timeout(connect=5, event=0.4)
"""Keep-alive comments are bytes, but no events."""
DRIPPING = Timeout(0.6, 0.4)  # headers may take both together
ANY_CALL = {
    "closed before headers": Fault([CLOSE], APIConnectionError, ALL),
    "reset before headers": Fault([RESET], APIConnectionError, ALL),
    "half a status line": Fault([b"HTTP/1.1 2", CLOSE], APIConnectionError, ALL),
    "half headers, reset": Fault([b"HTTP/1.1 200 OK\r\nContent-", RESET], APIConnectionError, ALL),
    "no HTTP": Fault([b"220 smtp ready\r\n", CLOSE], APIConnectionError, ALL),
    "silence": Fault([HANG], APITimeoutError, ALL, timeout=QUICK),
    "half headers, silence": Fault([b"HTTP/1.1 200 OK\r\nContent-", HANG], APITimeoutError, ALL, timeout=QUICK),
    "headers that drip": Fault(slowly(JSON + b"X: " + b"y" * 99), APITimeoutError, ALL, timeout=DRIPPING),
    "nothing after 200": Fault([JSON + b"Content-Length: 0\r\n\r\n"], APIResponseError, ALL),
    "nothing after 200, closed": Fault([JSON + b"\r\n", CLOSE], APIResponseError, ALL),
    "redirect to another host": Fault(
        http("", status=302, headers={"Location": "http://other.example/"}), Exception, ONCE
    ),
}
COMPLETE = {
    **ANY_CALL,
    "half a body": Fault([JSON + b"Content-Length: 500\r\n\r\n" + BODY[:40], CLOSE], APIConnectionError, ALL),
    "half a body, reset": Fault([JSON + b"Content-Length: 500\r\n\r\n" + BODY[:40], RESET], APIConnectionError, ALL),
    "half a chunked body": Fault(
        [JSON + b"Transfer-Encoding: chunked\r\n\r\n" + piece(BODY[:40]), CLOSE], APIConnectionError, ALL
    ),
    "half a body, silence": Fault(
        [JSON + b"Content-Length: 500\r\n\r\n" + BODY[:40], HANG], APITimeoutError, ALL, timeout=QUICK
    ),
    "a body cut by its own length": Fault([JSON + b"Content-Length: 40\r\n\r\n" + BODY[:40]], APIResponseError, None),
    "a compressed body cut short": Fault(
        [JSON + b"Content-Encoding: gzip\r\nContent-Length: 90\r\n\r\n" + gzip.compress(BODY)[:40], CLOSE],
        APIConnectionError,
        ALL,
    ),
    "a compressed body": Fault(http(gzip.compress(BODY), headers={"Content-Encoding": "gzip"}), "whole"),
    "heartbeats before the body": Fault(
        [JSON + b"Transfer-Encoding: chunked\r\n\r\n", *[piece(b"\n")] * 20, piece(BODY), b"0\r\n\r\n"], "whole"
    ),
    "the body in single bytes": Fault(
        [JSON + b"Connection: close\r\n\r\n", *[bytes([b]) for b in BODY], CLOSE], "whole"
    ),
}
A, B, END = chunk("Grüße "), chunk("an 你"), chunk("", finish="stop")
PING = ": PING\n\n"


def cut(*events: Any, how: Any = CLOSE) -> list[Any]:
    return [*stream(*events, end=False), how]


STREAM = {
    **ANY_CALL,
    "reset before the first token": Fault(cut(how=RESET), APIConnectionError, ALL),
    "closed before the first token": Fault(cut(PING), APIConnectionError, ALL),
    "ended before the first token": Fault(stream(PING), APIResponseError, ALL),
    "silence before the first token": Fault(cut(PING, how=HANG), APITimeoutError, ALL, timeout=QUICK),
    "PING for ever": Fault(
        [SSE, *[step for _ in range(1000) for step in (piece(PING.encode()), lambda: time.sleep(0.02))]],
        APITimeoutError,
        ALL,
        timeout=QUICK_EVENTS,
    ),
    "closed after a token": Fault(cut(A), StreamInterruptedError, ONCE, "Grüße "),
    "reset after a token": Fault(cut(A, B, how=RESET), StreamInterruptedError, ONCE),
    "silence after a token": Fault(cut(A, how=HANG), StreamInterruptedError, ONCE, "Grüße ", timeout=QUICK),
    "PING for ever after a token": Fault(
        [
            *stream(A, end=False),
            *[step for _ in range(1000) for step in (piece(PING.encode()), lambda: time.sleep(0.02))],
        ],
        StreamInterruptedError,
        ONCE,
        "Grüße ",
        timeout=QUICK_EVENTS,
    ),
    "a clean end after a token": Fault(stream(A), StreamInterruptedError, ONCE, "Grüße "),
    "a close-delimited stream cut": Fault(
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", *stream(A)[1:-1], CLOSE],
        StreamInterruptedError,
        ONCE,
    ),
    "cut inside a character": Fault(
        [SSE, piece(b'data: {"choices":[{"text":"a","index":0}]}\n\ndata: {"choices":[{"text":"\xe4\xbd'), CLOSE],
        StreamInterruptedError,
        ONCE,
        "a",
    ),
    "[DONE] without finish": Fault(stream(A, B, DONE), StreamInterruptedError, ONCE, "Grüße an 你"),
    "finish without [DONE]": Fault(stream(A, B, END), "Grüße an 你"),
    "finish without [DONE], closed": Fault(cut(A, B, END), "Grüße an 你"),
    "finish without [DONE], reset": Fault(cut(A, END, how=RESET), "Grüße "),
    "finish twice": Fault(stream(A, END, END, DONE), "Grüße "),
    "finish twice, differently": Fault(stream(A, END, chunk("", finish="length"), DONE), "Grüße "),
    "[DONE] and then no end": Fault(cut(A, END, DONE, how=HANG), "Grüße "),
    "[DONE] and then closed": Fault(cut(A, END, DONE), "Grüße "),
    "an error first": Fault(stream(ERROR), Exception, ALL),
    "an error after a token": Fault(stream(A, ERROR, DONE), Exception, ONCE, "Grüße "),
    "an error after two tokens": Fault(stream(A, B, ERROR), Exception, ONCE, "Grüße an 你"),
    "an error as a bare line": Fault(
        stream(A, '{"error": {"message": "x", "type": "y"}}\n\n'), Exception, ONCE, "Grüße "
    ),
    "HTML": Fault(
        http("<html><title>502</title></html>", headers={"Content-Type": "text/html"}), APIResponseError, None
    ),
    "a JSON body": Fault(http(completion("whole")), "whole"),
    "line ends split over packets": Fault(
        stream(*[bytes([b]) for b in b'data: {"choices":[{"text":"a","index":0,"finish_reason":"stop"}]}\r\n\r\n']), "a"
    ),
    "a line of 10 MB": Fault(stream(chunk("x" * 10_000_000), END, DONE), "x" * 10_000_000),
}


def run(surface, server: ScriptedServer, fault: Fault, *, streamed: bool) -> None:
    server.script = [fault.steps]
    client = surface.client(base_url=server.url, max_retries=RETRIES, timeout=fault.timeout)
    call = surface.stream if streamed else surface.complete
    start = time.monotonic()
    if isinstance(fault.outcome, str):
        answer = call(client, "x")
        assert (answer[1] if streamed else answer).text == fault.outcome
    else:
        with pytest.raises(fault.outcome) as caught:
            call(client, "x")
        assert fault.partial in caught.value.text
        if fault.outcome is APIConnectionError:
            assert not isinstance(caught.value, (APITimeoutError, StreamInterruptedError))
    assert time.monotonic() - start < 8  # what never ends by itself goes on for twice ten seconds
    expected = fault.requests or 0
    # A server may still be reading a request that was given up.
    assert server.wait_until(lambda: len(server.requests) >= expected)
    surface.close_kept()
    assert server.wait_until(lambda: server.open_connections == 0)
    if fault.requests is not None:
        assert len(server.requests) == expected


@pytest.mark.parametrize("name", COMPLETE)
def test_a_call(surface, server, name):
    run(surface, server, COMPLETE[name], streamed=False)


@pytest.mark.parametrize("name", STREAM)
def test_a_stream(surface, server, name):
    run(surface, server, STREAM[name], streamed=True)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refused_connection(surface, streamed):
    with where_nobody_listens() as url, pytest.raises(APIConnectionError, match="No answer from 127"):
        (surface.stream if streamed else surface.complete)(surface.client(base_url=url, max_retries=1), "x")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "fault", [[CLOSE], [RESET], http({"error": {"message": "x"}}, status=503), http("", status=429)]
)
def test_what_heals_at_the_third_try(surface, server, streamed, fault):
    server.script = [fault, fault, tokens("a", "b") if streamed else http(completion("ab"))]
    client = surface.client(base_url=server.url, max_retries=2)
    answer = surface.stream(client, "x")[1] if streamed else surface.complete(client, "x")
    assert answer.text == "ab"
    assert len(server.requests) == 3
    assert len({seen.body for seen in server.requests}) == 1


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_an_idle_connection_closed_just_as_the_next_request_goes_out(surface, server, streamed, how, monkeypatch):
    """The retry comes at once: no wait, although random would have it long."""
    from xdm_integrations.client import settings
    from xdm_integrations.core.protocol.retry import Runtime

    monkeypatch.setattr(settings, "RUNTIME", Runtime(lambda: 1e6, time.monotonic, time.time))
    whole = tokens("a") if streamed else http(completion("a"))
    server.script = [whole, [how], whole]
    client = surface.client(base_url=server.url, max_retries=1)
    for _ in range(2):
        answer = surface.stream(client, "x")[1] if streamed else surface.complete(client, "x")
        assert answer.text == "a"
    assert len(server.requests) == 3
    assert server.connections == 2

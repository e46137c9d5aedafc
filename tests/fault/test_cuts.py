"""Cut at every byte: whatever is left is the whole answer, or an error with a beginning of it."""

from __future__ import annotations

import pytest

from tests.scripted import CLOSE, DONE, RESET, chunk, completion, http, stream
from xdm_integrations import APIConnectionError, APIResponseError

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = http(completion("whole"))[0].partition(b"\r\n\r\n")[2]
A, B, END = chunk("Grüße "), chunk("an 你"), chunk("", finish="stop")
WHOLE = b"".join(stream(A, B, END, DONE)[1:])


@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_a_stream_cut_at_every_byte(surface, server, how):
    """Whatever the cut leaves, it's the whole answer, or an error with a beginning of it."""
    client = surface.client(base_url=server.url, max_retries=0)
    finished = WHOLE.index(b'"stop"')
    for at in range(0, len(WHOLE), 1 if how == CLOSE else 7):
        server.script = [[SSE + WHOLE[:at], how]]
        try:
            _, answer = surface.stream(client, "x")
        except APIConnectionError as error:
            text = error.text
        else:
            assert at > finished
            text = answer.text
            assert answer.finish_reason == "stop"
            assert text == "Grüße an 你"
        assert "Grüße an 你".startswith(text)
        if how == CLOSE and at > WHOLE.index(b"}]}\n\n") + 5:
            assert text.startswith("Grüße ")
    surface.close_kept()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_a_body_longer_than_its_length(surface, server):
    """The blocking world takes what was announced, aiohttp refuses the reply; neither mixes it with the next."""
    wire = JSON + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + b"surplus"
    server.script = [[wire, CLOSE], http(completion("next"))]
    client = surface.client(base_url=server.url, max_retries=0)
    if surface.is_async:
        with pytest.raises(APIConnectionError):
            surface.complete(client, "x")
    else:
        assert surface.complete(client, "x").text == "whole"
        assert server.wait_until(lambda: server.open_connections == 0)
    assert surface.complete(client, "x").text == "next"


def test_a_call_cut_at_every_byte(surface, server):
    client = surface.client(base_url=server.url, max_retries=0)
    wire = http(completion("whole"))[0]
    for at in range(len(wire)):
        server.script = [[wire[:at], CLOSE]]
        with pytest.raises((APIConnectionError, APIResponseError)):
            surface.complete(client, "x")

"""The key goes to its server and nowhere else; a hostile server can't use up the memory."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest

from tests.bombs import bomb
from tests.scripted import CLOSE, HANG, RESET, ScriptedServer, chunk, completion, http, piece, stream, tokens
from xdm_integrations import (
    APIResponseError,
    AsyncClient,
    AuthenticationError,
    Client,
    ConfigurationError,
    Limits,
    XDMError,
)

KEY = "k3y-that-must-not-be-seen"
ECHO = {"error": {"message": f"bad key {KEY}", "type": "new_api_error", "code": "invalid"}}
WAYS_TO_FAIL = {
    "401": http({"error": {"message": "Invalid token", "type": "new_api_error"}}, status=401),
    "401 with the key in it": http(ECHO, status=401),
    "500 with the key in it": http(ECHO, status=500, headers={"X-Echo": f"Bearer {KEY}"}),
    "200 with the key in it": http(ECHO),
    "HTML with the key in it": http(f"<title>{KEY}</title>", headers={"Content-Type": "text/html"}),
    "not JSON with the key in it": http(f"{{{KEY}"),
    "an error event with the key in it": stream(ECHO),
    "a late error event with the key in it": stream(chunk("a"), ECHO),
    "closed": [CLOSE],
    "reset": [RESET],
    "no HTTP": [f"Bearer {KEY}\r\n\r\n".encode(), CLOSE],
    "bad header": [f"HTTP/1.1 200 OK\r\nX {KEY}\0\r\n\r\n".encode(), CLOSE],
    "bad chunk": [f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n".encode(), CLOSE],
    "redirect": http("", status=302, headers={"Location": f"http://other.example/?key={KEY}"}),
}


def everything_shown(error: BaseException) -> str:
    """What a log, a crash report or a pickle could hold of an error and its causes."""
    shown = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        shown += f"{link!s}|{link!r}|{link.args!r}|{vars(link)!r}"
        for name in ("request", "response", "request_info"):
            shown += repr(getattr(getattr(link, name, None), "headers", None))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return shown + repr(vars(pickle.loads(pickle.dumps(error)))) + repr(vars(copy.deepcopy(error)))  # noqa: S301 - ours


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_the_key_is_in_no_error_and_no_log(surface, server, caplog, way, streamed):
    caplog.set_level(logging.DEBUG)
    server.script = [WAYS_TO_FAIL[way]]
    client = surface.client(base_url=server.url, api_key=KEY, max_retries=1)
    with pytest.raises(XDMError) as caught:
        (surface.stream if streamed else surface.complete)(client, "x")
    assert KEY not in everything_shown(caught.value)
    assert not [record for record in caplog.records if KEY in record.getMessage() or KEY in repr(record.args)]
    assert all(seen.headers["authorization"] == f"Bearer {KEY}" for seen in server.requests)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_key_is_in_no_log_of_a_call_that_works(surface, server, caplog, streamed):
    caplog.set_level(logging.DEBUG)
    server.script = [tokens("a") if streamed else http(completion("a"))]
    client = surface.client(base_url=server.url, api_key=KEY)
    (surface.stream if streamed else surface.complete)(client, "x")
    assert caplog.records  # DEBUG is on
    assert KEY not in caplog.text
    assert not [record for record in caplog.records if KEY in repr(record.__dict__)]


@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_the_key_is_in_no_repr(cls):
    client = cls(api_key=KEY, default_headers={"X-Other": KEY})
    assert KEY not in repr(client) + str(client) + repr(client.config)


def test_the_request_that_hooks_see_does_not_show_it(surface, server):
    shown: list[str] = []
    client = surface.client(
        base_url=server.url,
        api_key=KEY,
        on_request=lambda request: shown.append(repr(request)),
        on_response=lambda request, reply: shown.append(repr(request) + repr(reply)),
    )
    surface.complete(client, "x")
    assert len(shown) == 2
    assert KEY not in "".join(shown)


def test_upstream_keys_are_masked(surface, server):
    """Relays echo the key of their own account with the provider behind them."""
    upstream = "sk-" + "Ab3" * 16
    server.script = [http({"error": {"message": f"Incorrect API key provided: {upstream}."}}, status=401)]
    with pytest.raises(XDMError) as caught:
        surface.complete(surface.client(base_url=server.url, max_retries=0), "x")
    assert upstream not in everything_shown(caught.value)
    assert "sk-" in str(caught.value)


def test_the_key_does_not_follow_a_redirect(surface, server):
    with ScriptedServer([http(completion("stolen"))]) as other:
        server.script = [http("", status=307, headers={"Location": other.url + "/completions"})]
        client = surface.client(base_url=server.url, api_key=KEY, default_headers={"X-Api-Key": KEY}, max_retries=2)
        with pytest.raises(XDMError):
            surface.complete(client, "x")
        assert other.connections == 0


@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_plain_http_to_a_public_host_needs_consent(cls):
    with pytest.raises(ConfigurationError, match="allow_http"):
        cls(base_url="http://gateway.example/v1", api_key=KEY)
    cls(base_url="http://gateway.example/v1", api_key=KEY, allow_http=True)
    for private in ("localhost", "127.0.0.1", "10.1.2.3", "192.168.0.9", "[::1]", "vllm", "box.local", "x.internal"):
        cls(base_url=f"http://{private}:8000/v1", api_key=KEY)


@pytest.mark.parametrize("headers", [{"X": "a\r\nEvil: 1"}, {"X": "a\nEvil: 1"}, {"X\r\nEvil": "1"}, {"X": "a\0b"}])
def test_headers_with_line_breaks_are_refused(surface, server, headers):
    with pytest.raises(ConfigurationError):
        surface.client(base_url=server.url, default_headers=headers)
    with pytest.raises(ConfigurationError):
        surface.complete(surface.client(base_url=server.url), "x", extra_headers=headers)
    assert server.requests == []


@pytest.mark.parametrize("key", ["a\r\nEvil: 1", "a b", "schlüssel"])
def test_keys_that_are_no_header_are_refused_without_being_shown(key):
    with pytest.raises(ConfigurationError) as caught:
        Client(api_key=key)
    assert key not in str(caught.value)


BOMB = bomb(bytes(2**20), 100)
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
HOSTILE = {
    "a body": (False, [SSE.replace(b"text/event-stream", b"application/json"), *[piece(b" " * 9000)] * 60, HANG]),
    "a line": (True, [SSE, *[piece(b"data: " + b"x" * 9000)] * 60, HANG]),
    "a comment": (True, [SSE, *[piece(b": " + b"x" * 9000)] * 60, HANG]),
    "an event": (True, [SSE, *[piece(b"data: " + b"x" * 900 + b"\n")] * 600, HANG]),
    "lines outside of events": (True, [SSE, *[piece(b"x" * 900 + b"\n")] * 600, HANG]),
    "a bomb": (False, http(BOMB, headers={"Content-Encoding": "gzip"})),
    "a bomb in a stream": (
        True,
        http(BOMB, headers={"Content-Encoding": "gzip", "Content-Type": "text/event-stream"}),
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_reply_is_bounded(surface, server, what):
    streamed, steps = HOSTILE[what]
    server.script = [steps]
    limits = Limits(line=50_000, event=50_000, body=200_000)
    client = surface.client(base_url=server.url, max_retries=0, limits=limits, timeout=5)
    with pytest.raises(APIResponseError, match="more than"):
        (surface.stream if streamed else surface.complete)(client, "x")
    assert len(server.requests) == 1
    surface.close_kept()
    assert server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
def test_an_error_is_told_by_its_status_and_its_beginning_however_long_its_body_is(surface, server, streamed):
    beginning = b'data: {"error": {"message": "No such key", "type": "t"}}\n'
    server.script = [[SSE.replace(b"200", b"401"), piece(beginning), *[piece(b"x" * 9000)] * 130, HANG]]
    client = surface.client(base_url=server.url, max_retries=0, timeout=5)
    with pytest.raises(AuthenticationError, match="No such key"):
        (surface.stream if streamed else surface.complete)(client, "x")
    surface.close_kept()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_a_late_break_shows_nothing_of_an_echoed_key(surface, server):
    """Broken framing after the first token, and a key that is cut by the words about it."""
    filler = "f" * 290
    server.script = [[*stream(chunk("a"), end=False), f"{KEY}\r\n{filler}{KEY}".encode(), CLOSE]]
    with pytest.raises(XDMError) as caught:
        surface.stream(surface.client(base_url=server.url, api_key=KEY, max_retries=0), "x")
    shown = everything_shown(caught.value)
    assert KEY not in shown
    assert KEY[:12] not in shown

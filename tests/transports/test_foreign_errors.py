"""Whatever a server does, no exception but our own comes out, and none of them holds the key."""

from __future__ import annotations

import copy
import logging
import pickle
import socket
import traceback

import aiohttp
import pytest
from aiohttp.http_exceptions import LineTooLong

from tests.scripted import CLOSE, HANG, RESET, http
from tests.transports.conftest import TransportWorld, ask, head
from xdm_integrations.core.errors.tree import APIConnectionError, XDMError

LONG = b"x" * 200_000
STRANGE = {
    "nothing": [CLOSE],
    "reset": [RESET],
    "half a status line": [b"HTTP/1.1 20", CLOSE],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CLOSE],
    "HTTP/0.9": [b"<html>hello</html>", CLOSE],
    "HTTP/3.0": [b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n", CLOSE],
    "status of letters": [b"HTTP/1.1 abc OK\r\n\r\n", CLOSE],
    "status 0": [b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", CLOSE],
    "status 99": [b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n", CLOSE],
    "status 1000": [b"HTTP/1.1 1000 OK\r\nContent-Length: 0\r\n\r\n", CLOSE],
    "endless status line": [b"HTTP/1.1 200 " + LONG, CLOSE],
    "one long header": [b"HTTP/1.1 200 OK\r\nX: " + LONG + b"\r\n\r\n", CLOSE],
    "many headers": [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"Content-Length: 0\r\n\r\n", CLOSE],
    "header without colon": [b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\n{}", CLOSE],
    "header with NUL": [b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}", CLOSE],
    "header of bytes": [b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}", CLOSE],
    "half headers": [b"HTTP/1.1 200 OK\r\nContent-Type: text/ev", CLOSE],
    "half headers, reset": [b"HTTP/1.1 200 OK\r\nContent-Type: text/ev", RESET],
    "length of letters": [b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}", CLOSE],
    "negative length": [b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", CLOSE],
    "two lengths": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", CLOSE],
    "length and chunks": [head(Content_Length="3", Transfer_Encoding="chunked") + b"2\r\n{}\r\n0\r\n\r\n", CLOSE],
    "length too long": [head(Content_Length="100") + b"{}", CLOSE],
    "length too long, reset": [head(Content_Length="100") + b"{}", RESET],
    "unknown transfer coding": [head(Transfer_Encoding="rot13") + b"{}", CLOSE],
    "unknown content coding": [head(Content_Encoding="rot13", Content_Length="2") + b"{}", CLOSE],
    "not gzip": [head(Content_Encoding="gzip", Content_Length="2") + b"{}", CLOSE],
    "not zstd": [head(Content_Encoding="zstd", Content_Length="2") + b"{}", CLOSE],
    "not br": [head(Content_Encoding="br", Content_Length="2") + b"{}", CLOSE],
    "reset in a chunk": [head(Transfer_Encoding="chunked") + b"a\r\nabc", RESET],
    "huge chunk size": [head(Transfer_Encoding="chunked") + b"f" * 40 + b"\r\nabc", CLOSE],
    "endless chunk size": [head(Transfer_Encoding="chunked") + b"1;" + LONG, CLOSE],
    "only interim replies": [b"HTTP/1.1 100 Continue\r\n\r\n" * 3, CLOSE],
    "101": [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw", CLOSE],
    "204 with a body": [b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}", CLOSE],
    "bad Location": http("", status=307, headers={"Location": "http://[::1"}),
    "bad Set-Cookie": http("{}", headers={"Set-Cookie": "\xff=;;==;expires=never"}),
    "bad charset": http("{}", headers={"Content-Type": "application/json; charset=\x80nonsense"}),
    "bad Link": http("{}", headers={"Link": "<<<>;;rel"}),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", STRANGE)
def test_a_reply_or_an_error_of_ours(world, server, name, streaming, caplog):
    caplog.set_level(logging.WARNING)
    server.script = [[*STRANGE[name], CLOSE]]
    try:
        reply = world.send(ask(server, streaming=streaming))
        if reply.stream is not None:
            world.read_all(reply)
            world.close_reply(reply)
    except XDMError as error:
        check_no_key(error)
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)
    assert not [record for record in caplog.records if record.name != "urllib3.response"]  # "length and chunks"


def check_no_key(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        shown += f"{link!s}{link!r}{link.args!r}{vars(link)!r}"
        for name in ("request", "response", "request_info"):
            shown += repr(getattr(getattr(link, name, None), "headers", None))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    cause = error.__cause__
    pickle.dumps([cause.args, vars(cause)] if cause else None)  # Dask ships the causes of errors too
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    shown += repr(vars(copied)) + repr(vars(copy.deepcopy(error)))
    assert "the-key" not in shown


def test_a_refused_connection_is_shown_without_what_the_libraries_wrap_around_it(world):
    """A traceback of six exceptions hides the one that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(APIConnectionError) as caught:
        world.send(ask(url))
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback (most recent call last)") <= 3
    assert "ConnectionRefusedError" in shown


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/v1", "http://[::1/v1", "http://a..b/v1", "http:///v1", "nonsense://x/v1"]
)
def test_a_url_that_cannot_be_used(world, url):
    with pytest.raises(XDMError) as caught:
        world.send(ask(url))
    check_no_key(caught.value)


@pytest.mark.parametrize("header", [{"X": "a\r\nB: c"}, {"X\r\nB": "c"}, {"X": "a\nb"}])
def test_headers_with_line_breaks_are_not_sent(world, server, header):
    """The client refuses them; this is the second lock on the door."""
    with pytest.raises(XDMError) as caught:
        world.send(ask(server, headers=header))
    assert caught.value.retry == "never"
    assert not any("b" in seen.headers for seen in server.requests)
    check_no_key(caught.value)


@pytest.mark.parametrize(
    "foreign",
    [
        LineTooLong("line", "1"),
        EOFError(),
        RuntimeError("Session is closed"),
        ValueError("Chunk too big"),
        OSError(9, "x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_aiohttp_raises_beside_its_own_errors(server, monkeypatch, foreign):
    """Which of these a reader meets has changed from version to version."""

    async def fail(_):
        raise foreign

    monkeypatch.setattr(aiohttp.StreamReader, "readany", fail)
    server.script = [[head(Transfer_Encoding="chunked"), HANG]]
    world = TransportWorld(is_async=True)
    with pytest.raises(XDMError, match="broke off"):
        world.send(ask(server))
    world.close()

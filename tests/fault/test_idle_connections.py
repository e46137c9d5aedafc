"""What a server sends while nobody asks: never the answer to the next request, which may be another user's."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

import pytest

from tests.scripted import DONE, ScriptedServer, chunk, completion, http, stream, tokens
from xdm_integrations import Client

if TYPE_CHECKING:
    from tests.scripted import Seen

BAD_GATEWAY = http("<html><title>502 Bad Gateway</title></html>", status=502, headers={"Content-Type": "text/html"})
GZIPPED = {"Content-Encoding": "identity, identity"}
"""Not what we unpack ourselves, so that it goes through the libraries' own reading."""


def for_whom(seen: Seen) -> str:
    return f"{seen.json['prompt']} for {seen.headers['authorization']}"


def answer(seen: Seen, *, again: str = "") -> list:
    text = for_whom(seen) + again
    return tokens(*text.split(" ")) if seen.json.get("stream") else http(completion(text))


def second_answer(seen: Seen) -> bytes:
    return b"".join(answer(seen, again=" again"))


SECOND = {
    "a second answer": second_answer,
    "a late error page": lambda seen: b"".join(BAD_GATEWAY),
    "a second answer of the other kind": lambda seen: b"".join(
        http(completion("wrong")) if seen.json.get("stream") else tokens("wrong")
    ),
    "the first half of a head": lambda seen: b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head whose body never comes": lambda seen: b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n",
    "a line break": lambda seen: b"\r\n",
    "one byte": lambda seen: b"H",
}
WITHIN_A_HEAD = ("the first half of a head", "a line break", "one byte")
"""What aiohttp's parser swallows without a trace if it comes in one block with an answer; what is left is no reply."""


def ask(surface, client, prompt, how) -> str:
    if how == "streamed":
        return " ".join(piece.text for piece in surface.stream(client, prompt)[0] if piece.text)
    return surface.complete(client, prompt).text


class Late:
    """Sends an answer, and more once the client has had it; says when the client may go on."""

    def __init__(self, more) -> None:
        self.go = threading.Event()
        self.sent = threading.Event()
        self._more = more
        self._first = True

    def __call__(self, seen: Seen) -> list:
        steps = list(answer(seen))
        if not self._first:
            return steps
        self._first = False
        return [*steps, self.go, self._more(seen), self.sent.set]


WAYS = [(how, then) for how in ("complete", "streamed") for then in ("complete", "streamed")]


@pytest.mark.parametrize("ways", WAYS, ids=" then ".join)
@pytest.mark.parametrize("what", SECOND)
@pytest.mark.parametrize("loop_runs", [False, True], ids=["loop stands", "loop runs"])
def test_what_comes_while_a_connection_is_idle_is_nobodys_answer(surface, server, ways, what, loop_runs):
    """With one client, whose key changes: as a service that asks for several users."""
    how, then = ways
    keys = iter(["key-of-user-a", "key-of-user-b", "key-of-user-b"])
    late = server.script = Late(SECOND[what])
    client = surface.client(base_url=server.url, api_key=lambda: next(keys), max_retries=0, timeout=5)
    assert ask(surface, client, "a", how) == "a for Bearer key-of-user-a"
    late.go.set()
    assert late.sent.wait(5)
    for _ in range(3 if loop_runs and surface.is_async else 0):
        surface.run(asyncio.sleep(0))
    assert ask(surface, client, "b", then) == "b for Bearer key-of-user-b"
    assert ask(surface, client, "c", then) == "c for Bearer key-of-user-b"
    assert [seen.connection for seen in server.requests] == [1, 2, 2]  # and a quiet connection is used again


@pytest.mark.parametrize("how", ["complete", "streamed"])
@pytest.mark.parametrize("what", SECOND)
@pytest.mark.parametrize("headers", [{}, GZIPPED], ids=["plain", "encoded"])
def test_what_comes_together_with_an_answer_is_nobodys_answer(surface, server, how, what, headers):
    def script(seen: Seen) -> list:
        if len(server.requests) > 1:
            return answer(seen)
        text = for_whom(seen)
        first = (
            stream(*[chunk(word) for word in text.split(" ")], chunk("", finish="stop"), DONE, headers=headers)
            if how == "streamed"
            else http(completion(text), headers=headers)
        )
        return [b"".join(first) + SECOND[what](seen)]

    server.script = script
    client = surface.client(base_url=server.url, api_key="key-of-user-a", max_retries=0, timeout=5)
    assert ask(surface, client, "a", how) == "a for Bearer key-of-user-a"
    assert ask(surface, client, "b", how) == "b for Bearer key-of-user-a"
    if not (surface.is_async and what in WITHIN_A_HEAD):
        assert [seen.connection for seen in server.requests] == [1, 2]


@pytest.mark.parametrize("how", ["complete", "streamed"])
def test_an_answer_whose_head_is_cut_by_the_next_request_is_nobodys_answer(surface, server, how):
    def script(seen: Seen) -> list:
        if len(server.requests) == 1:
            return [b"".join(answer(seen)) + second_answer(seen)[:20]]
        if len(server.requests) == 2 and seen.connection == 1:
            return [second_answer(server.requests[0])[20:], *answer(seen)]
        return answer(seen)

    server.script = script
    client = surface.client(base_url=server.url, api_key="key-of-user-a", max_retries=1, timeout=5)
    assert ask(surface, client, "a", how) == "a for Bearer key-of-user-a"
    assert ask(surface, client, "b", how) == "b for Bearer key-of-user-a"


@pytest.mark.parametrize("what", ["a second answer", "a late error page"])
def test_the_rest_that_tls_has_decrypted_already_is_nobodys_answer(authority_server, what):
    """A record may end beyond the answer, so that its rest waits in TLS and no more in the socket."""
    server = authority_server
    padding = "x" * 8000

    def script(seen: Seen) -> list:
        if len(server.requests) > 1:
            return answer(seen)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Padding: "
        body = json.dumps(completion("a")).encode()
        start = head % len(body)
        # What http.client's buffer of 8192 bytes takes in is exactly this answer.
        fill = 8192 - len(start) - 4 - len(body)
        return [start + padding[:fill].encode() + b"\r\n\r\n" + body + SECOND[what](seen)]

    server.script = script
    with Client(base_url=server.url, api_key="key-of-user-a", max_retries=0, timeout=5) as client:
        assert client.complete("a").text == "a"
        assert client.complete("b").text == "b for Bearer key-of-user-a"
    assert [seen.connection for seen in server.requests] == [1, 2]


@pytest.fixture
def authority_server(tmp_path, monkeypatch):
    import ssl

    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ScriptedServer([], tls=context) as server:
        yield server

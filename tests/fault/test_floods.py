"""A body of 80 MB that is no answer: refused, or understood by its beginning, at a bounded cost of memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bombs import bomb
from tests.programs import Programs
from tests.scripted import ScriptedServer, chunk, piece
from xdm_integrations import APIResponseError
from xdm_integrations.core.errors.tree import ServerError

SIZE = 80 * 2**20
MOST = 200
"""MiB that the process may grow by, at its highest."""
BLOCK = 2**18

PROGRAM = """
import resource
from xdm_integrations import AsyncClient, Client, XDMError
from xdm_integrations.core import jsontext
url, way, how = sys.argv[1:]
SETTINGS = dict(base_url=url, max_retries=0, timeout=60)

def sync(prompt):
    with Client(**SETTINGS) as client:
        if how == "complete":
            return client.complete(prompt).text
        with client.stream(prompt) as stream:
            return "".join(chunk.text for chunk in stream)

async def awaited(prompt):
    async with AsyncClient(**SETTINGS) as client:
        if how == "complete":
            return (await client.complete(prompt)).text
        async with await client.stream(prompt) as stream:
            return "".join([chunk.text async for chunk in stream])

def ask(prompt):
    return sync(prompt) if way == "sync" else asyncio.run(awaited(prompt))

assert ask("small") == "ok"
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # forget the peak so far

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

before = peak()
try:
    outcome = "answer:" + ask("flood")[:20]
except XDMError as error:
    outcome = type(error).__name__
print(json.dumps({"outcome": outcome, "grown": peak() - before}))
"""


def repeated(unit: bytes, size: int = SIZE) -> list[bytes]:
    block = unit * (BLOCK // len(unit))
    return [piece(block)] * (size // len(block)) + [b"0\r\n\r\n"]


def head(kind: str, status: int = 200, more: str = "") -> bytes:
    framing = "" if "Content-Length" in more else "Transfer-Encoding: chunked\r\n"
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{framing}{more}\r\n".encode()


def zipped(status: int, kind: str = "application/json", unit: bytes = b"\n") -> list[bytes]:
    block = unit * (2**20 // len(unit))
    body = bomb(block, SIZE // len(block))
    return [head(kind, status, f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n") + body]


SSE, JSON, HTML = "text/event-stream", "application/json", "text/html"
HTML_LINE = b"<p>" + b"no " * 60 + b"</p>\n"
JUNK_EVENT = b'event: ping\ndata: {"junk": "' + b"j" * 200 + b'"}\n\n'
FLOODS: dict[str, tuple[str, list[bytes]]] = {
    "junk events": ("stream", [head(SSE), *repeated(JUNK_EVENT)]),
    "data lines of one event": ("stream", [head(SSE), *repeated(b"data:x\n")]),
    "short lines outside of events": ("stream", [head(SSE), *repeated(b"x\n", SIZE // 10)]),
    "newlines in a stream": ("stream", [head(SSE), *repeated(b"\n", SIZE // 4)]),
    "HTML in a stream": ("stream", [head(HTML), *repeated(HTML_LINE)]),
    "JSON in a stream": ("stream", [head(JSON), *repeated(b'{"a": [1, 2, 3]},')]),
    "a bomb in a stream": ("stream", zipped(200, SSE, JUNK_EVENT)),
    "an error to a stream": ("stream", [head(JSON, 500), *repeated(b'{"a": [1, 2, 3]},')]),
    "a plain JSON body": ("complete", [head(JSON), piece(b"["), *repeated(b'{"a": [1, 2, 3]},')]),
    "an error body": ("complete", [head(JSON, 500), *repeated(b'{"a": [1, 2, 3]},')]),
    "an HTML body": ("complete", [head(HTML), *repeated(HTML_LINE)]),
    "newlines": ("complete", [head(JSON), *repeated(b"\n")]),
    "a bomb": ("complete", zipped(200)),
    "a bomb in an error": ("complete", zipped(500)),
}
REFUSED = {APIResponseError.__name__, ServerError.__name__}


def served(flood: list[bytes]) -> Any:
    def script(seen: Any) -> list[bytes]:
        if seen.json["prompt"] == "flood":
            return flood
        if seen.json.get("stream"):
            event = b"data: " + json.dumps(chunk("ok", finish="stop")).encode() + b"\n\ndata: [DONE]\n\n"
            return [head(SSE), piece(event) + b"0\r\n\r\n"]
        body = json.dumps({"choices": [{"text": "ok", "index": 0, "finish_reason": "stop"}]}).encode()
        return [head(JSON, 200, f"Content-Length: {len(body)}\r\n") + body]

    return script


DECODED = {"data lines of one event", "short lines outside of events", "newlines in a stream", "HTML in a stream"}
"""Floods of which each transport hands on what comes, as of junk events: what is kept, one decoder decides for both."""
WAYS = [(what, way) for what in FLOODS for way in ("sync", "async") if way == "sync" or what not in DECODED]


@pytest.fixture(scope="module")
def programs():
    """Not in Python's development mode, which takes more memory, and writes to all of it."""
    with Programs(options=("-W", "error")) as running:
        yield running


@pytest.mark.parametrize(("what", "way"), WAYS)
def test_a_flood_costs_bounded_memory(programs, way, what):
    how, flood = FLOODS[what]
    with ScriptedServer(served(flood)) as server:
        done = programs.run(PROGRAM, server.url, way, how, timeout=280)  # urllib3 2.2 takes 35 s for the bomb
    assert done.status == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["outcome"] in REFUSED
    assert said["grown"] < MOST

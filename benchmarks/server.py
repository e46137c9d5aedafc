"""A fast loopback server for measurements, in a process of its own.

    with running_server() as server:            # or: python -m benchmarks.server
        Client(base_url=server.url).complete("hello", max_tokens=3)

It answers the prompt "hello" with the text "<hello>", and a list of prompts with a list of such texts, or streams
it as `max_tokens` events; a conversation as its last message, or with a call of each tool that it is given; texts
with vectors. It knows nothing else of the endpoints. The model's name sets the pace: "delay-50" waits 50 ms before an
answer, "paced-3" sends an event each 3 ms, whose text is the moment of sending (time.monotonic); or the number of
calls: "calls-5" makes five. Faults are drawn by lot where asked for: `faults=0.05` spoils every twentieth request, in
one of the ways of `FAULTS`, and `/report` tells what was served and what was spoilt.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

from benchmarks.replies import body_of, event_of, events_of, length_of, piece, prompts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

try:
    from orjson import loads
except ImportError:
    from json import loads

FAULTS = ("429", "503", "reset", "no answer", "cut body", "cut before first token")
"""Each heals when the request is sent again. A stream that was cut later would not be sent again."""

_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_BUSY = b'{"error":{"message":"busy","type":"new_api_error","code":"overloaded"}}'


@dataclass(frozen=True)
class BenchmarkServer:
    """A running server."""

    origin: str

    @property
    def url(self) -> str:
        return self.origin + "/v1"

    def report(self) -> dict[str, Any]:
        """Return what the server counted since it was last asked."""
        with build_opener(ProxyHandler({})).open(self.origin + "/report", timeout=10) as reply:
            return dict(json.load(reply))


@contextmanager
def running_server(*, faults: float = 0.0, seed: int = 1, pause: float = 0.0) -> Iterator[BenchmarkServer]:
    """Run the server in another process.

    Args:
        faults: The share of requests that is spoilt, from 0 to 1.
        seed: The luck of the draw.
        pause: Seconds between the events of a stream; 0 sends them in one go.
    """
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs, faults, seed, pause), daemon=True)
    process.start()
    theirs.close()  # or a server that dies at its start would be waited for for ever
    try:
        yield BenchmarkServer(f"http://127.0.0.1:{ours.recv()}")
    finally:
        process.terminate()
        process.join(5)


def _run(pipe: Connection | None, faults: float, seed: int, pause: float) -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(pipe, faults, seed, pause))


async def _serve(pipe: Connection | None, faults: float, seed: int, pause: float) -> None:
    desk = _Desk(faults, random.Random(seed), pause)  # noqa: S311 - a lottery, not a secret
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(desk), "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    if pipe is None:
        print(f"http://127.0.0.1:{port}/v1")
    else:
        pipe.send(port)
    await asyncio.Event().wait()


class _Desk:
    """What all connections share: the lottery and the books."""

    def __init__(self, faults: float, lottery: random.Random, pause: float) -> None:
        self.faults = faults
        self.lottery = lottery
        self.pause = pause
        self.open = 0
        self.served: Counter[str] = Counter()
        self.spoilt: Counter[str] = Counter()

    def draw(self) -> str | None:
        """Return how to spoil this request, or None."""
        if self.faults and self.lottery.random() < self.faults:
            fault = self.lottery.choice(FAULTS)
            self.spoilt[fault] += 1
            return fault
        return None

    def report(self) -> bytes:
        answers = Counter(self.served.values())
        books = {"served": sum(self.served.values()), "served more than once": sum(answers.values()) - answers[1]}
        body = json.dumps({**books, "spoilt": self.spoilt, "open connections": self.open - 1}).encode()
        self.served.clear()
        self.spoilt.clear()
        return body


class _Connection(asyncio.Protocol):
    """One connection: requests in, answers out, keep-alive."""

    transport: asyncio.Transport

    def __init__(self, desk: _Desk) -> None:
        self.desk = desk
        self.buffer = b""
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.desk.open += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.desk.open -= 1
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self.buffer = body[length:]
        if head.startswith(b"GET"):
            self.reply(200, self.desk.report())
        else:
            self.answer(loads(body[:length]))

    def reply(self, status: int, body: bytes, length: int | None = None) -> None:
        head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % (status, len(body) if length is None else length) + body)

    def answer(self, request: dict[str, Any]) -> None:
        fault = self.desk.draw()
        prompts = prompts_of(request)
        if fault in ("429", "503"):
            self.reply(int(fault), _BUSY)
        elif fault == "reset":
            self.transport.abort()
        elif fault == "no answer":
            self.transport.close()
        elif fault == "cut body" and not request.get("stream"):
            self.reply(200, b'{"choices":', 500)
            self.transport.close()
        elif fault is not None:
            self.transport.write(_STREAM_HEAD + b"13\r\n: waiting for text")
            self.transport.close()
        elif request["model"].startswith("paced-"):
            self.task = asyncio.ensure_future(self.tick(int(request["model"][6:]) / 1000, request))
        elif request.get("stream"):
            self.stream(request, prompts[0])
        else:
            for one in prompts:
                self.desk.served[one] += 1
            body = body_of(request, prompts)
            if request["model"].startswith("delay-"):
                delay = int(request["model"][6:]) / 1000
                asyncio.get_running_loop().call_later(delay, self.reply, 200, body)
            else:
                self.reply(200, body)

    def stream(self, request: dict[str, Any], prompt: str) -> None:
        blocks = events_of(request, prompt, length_of(request))
        if not self.desk.pause:
            self.desk.served[prompt] += 1
            self.transport.write(_STREAM_HEAD + b"".join(blocks))
        else:
            self.task = asyncio.ensure_future(self.drip(prompt, blocks))

    async def tick(self, pause: float, request: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        self.transport.write(_STREAM_HEAD)
        start = loop.time()
        for i in range(length_of(request)):
            await asyncio.sleep(max(0.0, start + i * pause - loop.time()))
            self.transport.write(event_of(request, f"{time.monotonic():.6f}"))
        self.transport.write(event_of(request, "", "stop") + piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    async def drip(self, prompt: str, blocks: list[bytes]) -> None:
        self.transport.write(_STREAM_HEAD)
        for block in blocks:
            await asyncio.sleep(self.desk.pause)
            self.transport.write(block)
        self.desk.served[prompt] += 1


if __name__ == "__main__":
    _run(None, 0.0, 1, 0.0)

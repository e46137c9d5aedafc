"""A loopback server that does what a test tells it to, byte by byte.

    with ScriptedServer([answer(text="hi")]) as server:     # the last answer repeats
        Client(base_url=server.url).complete("x")
    assert server.requests[0].json["prompt"] == "x"

An answer is a list of steps: bytes to send, or one of the acts below. It speaks HTTP/1.1 with
keep-alive over raw sockets, so that it can break every rule.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import Self

CLOSE = "close"
"""Close the connection in an orderly way."""
RESET = "reset"
"""Close it with a TCP reset."""
HANG = "hang"
"""Send nothing more until the client goes away (at most 10 s)."""

Step = Any
"""bytes, or CLOSE, RESET, HANG, or a threading.Event to wait for (at most 10 s), or a callable."""


class Held:
    """A step that answers nothing until the test says so, which proves that nobody waited for it.

    Attributes:
        begun: Set once a request has come so far.
    """

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._let_go = threading.Event()
        self._over = threading.Event()
        self._in_time = False

    def __call__(self) -> None:
        self.begun.set()
        self._in_time = self._let_go.wait(10)
        self._over.set()

    def nobody_waited(self) -> bool:
        """Let go, and return whether it held until now: whoever calls this after a call has proved that it went on."""
        self._let_go.set()
        return self.begun.is_set() and self._over.wait(10) and self._in_time


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptedServer:
    """Serves `script`: answers in order, the last one again and again; or a function of the request."""

    script: Sequence[list[Step]] | Callable[[Seen], list[Step]]
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    disconnects: list[float] = field(default_factory=list)
    """When (time.monotonic) clients went away during HANG or a send."""
    tls: ssl.SSLContext | None = None
    """Serve https with this, as "localhost". HANG needs a plain socket."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._sockets: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with socket.socket() as poke:
            poke.connect(self._listener.getsockname())
        self._thread.join(5)
        self._listener.close()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @property
    def origin(self) -> str:
        port = self._listener.getsockname()[1]
        return f"https://localhost:{port}" if self.tls else f"http://127.0.0.1:{port}"

    @property
    def url(self) -> str:
        return self.origin + "/v1"

    def wait_until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Wait until `condition` holds; it is looked at whenever something changes here, and often besides."""
        end = time.monotonic() + seconds
        with self._changed:
            while not (met := condition()) and time.monotonic() < end:
                self._changed.wait(0.05)
        return met

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self.connections += 1
                self.open_connections += 1
                self._sockets.add(connection)
                number = self.connections
                self._changed.notify_all()
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self.tls is not None:
                connection.settimeout(10)
                plain, connection = connection, self.tls.wrap_socket(connection, server_side=True)
                with self._changed:
                    self._sockets.discard(plain)
                    self._sockets.add(connection)
            with connection, connection.makefile("rb") as reader:
                while (seen := _read_request(reader, number)) is not None:
                    with self._changed:
                        self.requests.append(seen)
                        count = len(self.requests)
                        self._changed.notify_all()
                    steps = (
                        self.script(seen) if callable(self.script) else self.script[min(count, len(self.script)) - 1]
                    )
                    if not self._perform(connection, steps):
                        return
        except (OSError, ValueError):  # the client went away, or doesn't speak HTTP
            with self._changed:
                self.disconnects.append(time.monotonic())
        finally:
            with self._changed:
                self.open_connections -= 1
                self._sockets.discard(connection)
                self._changed.notify_all()

    def _perform(self, connection: socket.socket, steps: Iterable[Step]) -> bool:
        """Do the steps; return whether the connection lives on."""
        for step in _with_the_end(list(steps)):
            if isinstance(step, (bytes, bytearray)):
                connection.sendall(step)
            elif isinstance(step, threading.Event):
                step.wait(10)
            elif callable(step):
                step()
            elif step == HANG:
                if select.select([connection], [], [], 10)[0] and not connection.recv(1, socket.MSG_PEEK):
                    with self._changed:
                        self.disconnects.append(time.monotonic())
                return False
            elif step == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            elif step == CLOSE:
                return False
        return True


LAST = b"0\r\n\r\n"
"""The end of a chunked body."""


def _with_the_end(steps: list[Step]) -> list[Step]:
    """Send the end of a body with what comes before, or whether a client still waits for it is the machine's choice.

    A test that wants them apart puts an event between them.
    """
    if steps[-1:] == [LAST] and isinstance(steps[-2], bytes):
        return [*steps[:-2], steps[-2] + LAST]
    return steps


def _read_request(reader: Any, number: int) -> Seen | None:
    line = reader.readline()
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (header := reader.readline()).strip():
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = reader.read(length)
    if len(body) < length:  # the client went away while it sent: no request that anybody could answer
        return None
    return Seen(method, path, headers, body, number)


# What answers are made of


def http(body: Any = b"", status: int = 200, headers: dict[str, str] | None = None, reason: str = "X") -> list[Step]:
    """Return a whole reply with Content-Length; a dict or list becomes JSON."""
    given = dict(headers or {})
    if isinstance(body, (dict, list)):
        given.setdefault("Content-Type", "application/json")
        body = json.dumps(body, ensure_ascii=False).encode()
    elif isinstance(body, str):
        body = body.encode()
    given.setdefault("Content-Length", str(len(body)))
    return [_head(status, given, reason) + body]


def _head(status: int, headers: dict[str, str], reason: str = "X") -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def slowly(data: bytes, pause: float = 0.05) -> list[Step]:
    """Return steps that send `data` byte by byte, with a pause after each: a drip."""
    return [step for byte in data for step in (bytes([byte]), lambda: time.sleep(pause))]


def piece(data: bytes) -> bytes:
    """Return one piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(*events: Any, end: bool = True, headers: dict[str, str] | None = None) -> list[Step]:
    """Return a chunked event stream. Dicts become `data: {...}`, str raw lines, acts stay acts."""
    given = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **(headers or {})}
    steps: list[Step] = [_head(200, given)]
    for event in events:
        if isinstance(event, dict):
            steps.append(piece(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"))
        elif isinstance(event, str) and event not in (CLOSE, RESET, HANG):
            steps.append(piece(event.encode()))
        elif isinstance(event, bytes):
            steps.append(piece(event))
        else:
            steps.append(event)
    if end:
        steps.append(LAST)
    return steps


DONE = "data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def completion(*texts: str, finish: str | None = "stop", usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    """Return the body of a reply with these texts as choices 0, 1, ..."""
    choices = [{"text": t, "index": i, "logprobs": None, "finish_reason": finish} for i, t in enumerate(texts)]
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "served-model"}
    return {**body, "system_fingerprint": "fp_1", "choices": choices, "usage": usage, **more}


def chunk(text: str | None = "", index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return one event of a stream."""
    choice = {"text": text, "index": index, "logprobs": more.pop("logprobs", None), "finish_reason": finish}
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "served-model"}
    return {**body, "system_fingerprint": "fp_1", "choices": [choice], **more}


def usage_chunk(usage: Any = USAGE) -> dict[str, Any]:
    """Return the event that carries the token counts."""
    return {**chunk(), "choices": [], "usage": usage}


def tokens(*texts: str, finish: str = "stop", usage: Any = USAGE) -> list[Step]:
    """Return a whole, healthy stream of these texts, with a usage event."""
    events = [chunk(text) for text in texts]
    return stream(*events, chunk("", finish=finish), usage_chunk(usage), DONE)


def echoing(seen: Seen) -> list[Step]:
    """A healthy server: the answer to a prompt is `<prompt>`, numbered where n > 1, streamed or not.

    Counts one token per word of the prompt and one per choice.
    """
    body = seen.json
    prompt = body["prompt"]
    prompts = prompt if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else [prompt]
    n = body.get("n", 1)
    echoed = [str(p) if body.get("echo") else "" for p in prompts]
    texts = [
        start + (f"<{p}>" if n == 1 else f"<{p}#{j}>")
        for p, start in zip(prompts, echoed, strict=True)
        for j in range(n)
    ]
    asked = sum(len(str(p).split()) for p in prompts)
    usage = {"prompt_tokens": asked, "completion_tokens": len(texts), "total_tokens": asked + len(texts)}
    if not body.get("stream"):
        return http(completion(*texts, usage=usage, model=body["model"]))
    events: list[Any] = []
    for part in range(2):  # the halves of the choices, interleaved
        for i, text in enumerate(texts):
            half = text[: len(text) // 2] if part == 0 else text[len(text) // 2 :]
            events.append(chunk(half, i, model=body["model"]))
    events += [chunk("", i, "stop") for i in range(len(texts))]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(usage_chunk(usage))
    return stream(*events, DONE)

"""Both transports behind the same calls, and servers with certificates."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.programs import Programs
from tests.scripted import ScriptedServer, echoing
from tests.worlds import KINDS, World, worlds
from xdm_integrations.core.protocol.wire import Limits, Reply, Request, Timeout
from xdm_integrations.transports.aio.transport import AiohttpTransport
from xdm_integrations.transports.blocking.transport import RequestsTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "Bearer the-key"


class TransportWorld(World):
    """One transport, driven by blocking calls whichever it is."""

    def __init__(self, *, is_async: bool) -> None:
        super().__init__(is_async=is_async)
        self.transport: Any = self.new_transport()

    def new_transport(self, limits: Limits = Limits()) -> Any:
        self.transport = (AiohttpTransport if self.is_async else RequestsTransport)(limits)
        return self.transport

    def send(self, request: Request) -> Reply:
        return self.run(self.transport.send(request))

    def read(self, reply: Reply, within: float | None = None) -> bytes:
        return self.run(reply.stream.read(within))

    def read_all(self, reply: Reply) -> bytes:
        blocks = []
        while block := self.read(reply):
            blocks.append(block)
        return b"".join(blocks)

    def drain(self, reply: Reply) -> None:
        self.run(reply.stream.drain())

    def close_reply(self, reply: Reply) -> None:
        reply.stream.close()
        self.settle()

    def settle(self) -> None:
        """Let a loop do what it has been told to do."""
        if self.loop is not None:
            self.loop.run_until_complete(asyncio.sleep(0))

    def close_transport(self) -> None:
        self.run(self.transport.close())

    def close(self) -> None:
        self.close_transport()
        super().close()


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[TransportWorld]:
    """The transports, sync and async: a test that uses this runs with each."""
    yield from worlds(TransportWorld, request.param)


def ask(
    server: ScriptedServer | str, *, streaming: bool = False, timeout: Timeout = Timeout(30, 30), **more: Any
) -> Request:
    """Return a request to the server, or to a URL."""
    url = server if isinstance(server, str) else server.url + "/completions"
    headers = {"Authorization": KEY, "Content-Type": "application/json", **more.pop("headers", {})}
    return Request(
        url, headers, more.pop("body", b'{"prompt": "x", "model": "m"}'), streaming=streaming, timeout=timeout, **more
    )


def head(**headers: str) -> bytes:
    """Return the head of a 200 reply: `Transfer_Encoding="chunked"`."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(["HTTP/1.1 200 OK", *lines]) + "\r\n\r\n").encode()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The path of a CA bundle that trusts `authority`."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Callable[..., ScriptedServer]]:
    """A function that starts an https server whose certificate names the given host."""
    running: list[ScriptedServer] = []

    def start(name: str = "localhost", script: Any = echoing) -> ScriptedServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        running.append(ScriptedServer(script, tls=context))
        return running[-1].__enter__()

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with Programs() as running:
        yield running

"""What all tests share: a clean environment, the real engine, a scripted server, and clients sync and async."""

from __future__ import annotations

import gc
import signal
from typing import TYPE_CHECKING, Any

import pytest
from local_engine import running_chat_engine, running_engine, what_is_missing

from tests.overheard import Overheard
from tests.programs import FRAMEWORKS, Programs
from tests.scripted import ScriptedServer, echoing
from tests.worlds import KINDS, ClientWorld, worlds

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell in the background ignores Ctrl-C, and so would the programs that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what lasts as long as the run: tens of thousands of tests, and all that they import."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no proxy and no netrc of the machine reaches a test."""
    for name in ("XDM_API_KEY", "XDM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The real engine on loopback; `engine.base_url` is its root URL."""
    with running_engine() as running:
        yield running


@pytest.fixture(scope="session")
def chat_engine() -> Iterator[Any]:
    """The small real chat model and the embedding model, asked one after the other, so that an answer has one text."""
    if missing := what_is_missing():
        pytest.skip(missing)
    with running_chat_engine() as running:
        yield running


@pytest.fixture(scope="session")
def programs_of_users() -> Iterator[Programs]:
    """Runs what users write, in processes that find both frameworks imported."""
    with Programs(FRAMEWORKS, options=()) as running:
        yield running


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A healthy scripted server; set `server.script` to make it do otherwise."""
    with ScriptedServer(echoing) as running:
        yield running


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[Overheard]:
    """The bodies of the streams that are opened from here on, in their order."""
    from xdm_integrations.transports.aio.transport import AiohttpTransport
    from xdm_integrations.transports.blocking.transport import RequestsTransport

    opened: list[Overheard] = []
    send, asend = RequestsTransport.send, AiohttpTransport.send

    def overheard(reply: Any) -> Any:
        if reply.stream is None:
            return reply
        opened.append(Overheard(reply.stream))
        return reply._replace(stream=opened[-1])

    async def send_async(transport: Any, request: Any) -> Any:
        return overheard(await asend(transport, request))

    monkeypatch.setattr(RequestsTransport, "send", lambda transport, request: overheard(send(transport, request)))
    monkeypatch.setattr(AiohttpTransport, "send", send_async)
    return opened


@pytest.fixture(params=KINDS)
def surface(request: pytest.FixtureRequest) -> Iterator[ClientWorld]:
    """Clients, sync and async: a test that uses this runs with each."""
    yield from worlds(ClientWorld, request.param)

"""What every room of the tests shares: a clean environment, the real engine, and the two surfaces."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest
from local_engine import running_engine

from tests.scripted import ScriptedServer, echoing
from xdm_integrations import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Iterator

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell in the background ignores Ctrl-C, and so would the programs that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A healthy scripted server; set `server.script` to make it do otherwise."""
    with ScriptedServer(echoing) as running:
        yield running


class Surface:
    """One way to use a client: the same calls, blocking or awaited."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self._clients: list[Any] = []
        self._runner: Any = None

    def client(self, **settings: Any) -> Any:
        client = (AsyncClient if self.is_async else Client)(**settings)
        self._clients.append(client)
        return client

    def complete(self, client: Any, prompt: Any, **params: Any) -> Any:
        return self._run(client.complete(prompt, **params))

    def batch(self, client: Any, prompts: Any, **params: Any) -> Any:
        return self._run(client.complete_batch(prompts, **params))

    def stream(self, client: Any, prompt: Any, **params: Any) -> Any:
        """Return the chunks and the whole completion."""
        if not self.is_async:
            with client.stream(prompt, **params) as stream:
                return list(stream), stream.completion

        async def consume() -> Any:
            async with await client.stream(prompt, **params) as stream:
                return [chunk async for chunk in stream], stream.completion

        return self._run(consume())

    def _run(self, outcome: Any) -> Any:
        if not self.is_async:
            return outcome
        if self._runner is None:
            self._runner = asyncio.new_event_loop()
        return self._runner.run_until_complete(outcome)

    def close_clients(self) -> None:
        for client in self._clients:
            self._run(client.aclose()) if self.is_async else client.close()

    def close(self) -> None:
        self.close_clients()
        if self._runner is not None:
            self._runner.run_until_complete(self._runner.shutdown_asyncgens())
            self._runner.close()


@pytest.fixture(params=["sync", "async"])
def surface(request: pytest.FixtureRequest) -> Iterator[Surface]:
    """Both worlds: a test that uses this runs in each."""
    made = Surface(is_async=request.param == "async")
    yield made
    made.close()

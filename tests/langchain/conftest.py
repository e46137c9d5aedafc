"""The two worlds of LangChain, and a handler that writes down what callbacks are told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler

from tests.scripted import ScriptedServer
from xdm_integrations.langchain import XDMLLM

if TYPE_CHECKING:
    from collections.abc import Iterator


class World:
    """One way to use an LLM: the same calls, blocking or awaited, on one event loop."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self._llms: list[Any] = []
        self._loop = asyncio.new_event_loop() if is_async else None

    def llm(self, server: Any = None, cls: type[Any] = XDMLLM, **settings: Any) -> Any:
        """Make an LLM that asks `server`; it is closed after the test."""
        if server is not None:
            settings.setdefault("base_url", server.url if isinstance(server, ScriptedServer) else server.base_url)
        llm = cls(**settings)
        self._llms.append(llm)
        return llm

    def run(self, outcome: Any) -> Any:
        return self._loop.run_until_complete(outcome) if self._loop is not None else outcome

    def call(self, target: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call `target.method` or `target.amethod`."""
        return self.run(getattr(target, "a" + method if self.is_async else method)(*args, **kwargs))

    def invoke(self, llm: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(llm, "invoke", *args, **kwargs)

    def batch(self, llm: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(llm, "batch", *args, **kwargs)

    def generate(self, llm: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(llm, "generate", *args, **kwargs)

    def stream(self, llm: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return self.each(llm, "stream", *args, **kwargs)

    def each(self, target: Any, method: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Collect what an iterating method yields."""
        if not self.is_async:
            return list(getattr(target, method)(*args, **kwargs))
        name = "_a" + method[1:] if method.startswith("_") else "a" + method

        async def collect() -> list[Any]:
            return [one async for one in getattr(target, name)(*args, **kwargs)]

        return self.run(collect())

    def close(self) -> None:
        for llm in self._llms:
            self.call(llm, "close")
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


@pytest.fixture(params=["sync", "async"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Both worlds: a test that uses this runs in each."""
    made = World(is_async=request.param == "async")
    yield made
    made.close()


@dataclass
class Run:
    """One run, as callbacks saw it."""

    prompt: str
    params: dict[str, Any]
    metadata: dict[str, Any]
    serialized: dict[str, Any]
    name: str | None = None
    tokens: list[str] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None
    partial: Any = None
    retries: list[Any] = field(default_factory=list)

    @property
    def generation(self) -> Any:
        return self.result.generations[0][0]


class Recorder(BaseCallbackHandler):
    """Writes every run down, and lets no mistake of its own pass."""

    raise_error = True

    def __init__(self) -> None:
        self.runs: dict[Any, Run] = {}

    @property
    def run(self) -> Run:
        (run,) = self.runs.values()
        return run

    @property
    def all(self) -> list[Run]:
        return list(self.runs.values())

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: Any, metadata: Any = None, **told: Any) -> None:
        (prompt,) = prompts
        assert run_id not in self.runs
        self.runs[run_id] = Run(prompt, told["invocation_params"], metadata or {}, serialized, told.get("name"))

    def on_llm_new_token(self, token: str, *, chunk: Any = None, run_id: Any, **_: Any) -> None:
        self.runs[run_id].tokens.append(token)
        self.runs[run_id].chunks.append(chunk)

    def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        run = self.runs[run_id]
        assert run.result is None
        assert run.error is None
        run.result = response

    def on_llm_error(self, error: BaseException, *, run_id: Any, response: Any = None, **_: Any) -> None:
        run = self.runs[run_id]
        assert run.result is None
        assert run.error is None
        run.error = error
        run.partial = response

    def on_retry(self, retry_state: Any, *, run_id: Any, **_: Any) -> None:
        self.runs[run_id].retries.append(retry_state)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()

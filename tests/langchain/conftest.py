"""LangChain, sync and async, and a handler that writes down what callbacks receive."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler

from tests.scripted import ScriptedServer
from tests.worlds import KINDS, World, worlds
from xdm_integrations.langchain import XDMLLM, ChatXDM

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    """Run coroutines of LangChain's standard suites, each on a loop of its own; they expect a plugin to do it."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


class LangChainWorld(World):
    """LLMs of LangChain, sync and async."""

    def llm(self, server: Any = None, cls: type[Any] = XDMLLM, **settings: Any) -> Any:
        """Make an LLM that asks `server`; it is closed after the test."""
        if server is not None:
            settings.setdefault("base_url", server.url if isinstance(server, ScriptedServer) else server.base_url)
        return self.keep(cls(**settings))

    def chat(self, server: Any = None, **settings: Any) -> Any:
        """Make a chat model that asks `server`; it is closed after the test."""
        return self.llm(server, ChatXDM, **{"model": "m", **settings})

    def invoke(self, llm: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(llm, "invoke", *args, **kwargs)

    def batch(self, llm: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(llm, "batch", *args, **kwargs)

    def generate(self, llm: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(llm, "generate", *args, **kwargs)

    def stream(self, llm: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return self.items(llm, "stream", *args, **kwargs)


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[LangChainWorld]:
    """LangChain's methods, sync and async: a test that uses this runs with each."""
    yield from worlds(LangChainWorld, request.param)


@dataclass
class Run:
    """One run, as callbacks saw it."""

    prompt: Any
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
    options: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)

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

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: Any, metadata: Any = None, **more: Any) -> None:
        (prompt,) = prompts
        assert run_id not in self.runs
        self.runs[run_id] = Run(prompt, more["invocation_params"], metadata or {}, serialized, more.get("name"))

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: Any, metadata: Any = None, **more: Any
    ) -> None:
        (conversation,) = messages
        assert run_id not in self.runs
        self.runs[run_id] = Run(conversation, more["invocation_params"], metadata or {}, serialized, more.get("name"))
        self.runs[run_id].options = more.get("options", {})
        self.runs[run_id].tags = more.get("tags") or []

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

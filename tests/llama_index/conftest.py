"""LlamaIndex, sync and async."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage
from pydantic import Field

from tests.wire.chat import talking
from tests.worlds import KINDS, worlds
from tests.worlds import World as Base
from xdm_integrations.llama_index import XDM, XDMChat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scripted import ScriptedServer


class World(Base):
    """LLMs of LlamaIndex, sync and async."""

    def ask(self, llm: Any, method: str, text: str = "hi", **kwargs: Any) -> Any:
        """Ask by any of the eight methods (named without their "a"); return the last response."""
        return self.ask_messages(llm, method, [ChatMessage(text)] if method.endswith("chat") else text, **kwargs)

    def ask_messages(self, llm: Any, method: str, asked: Any, **kwargs: Any) -> Any:
        """See `ask`."""
        if method.startswith("stream"):
            return self.items(llm, method, asked, **kwargs)[-1]
        return self.call(llm, method, asked, **kwargs)


METHODS = ["complete", "stream_complete", "chat", "stream_chat"]
STREAMS = ["stream_complete", "stream_chat"]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """LlamaIndex's methods, sync and async: a test that uses this runs with each."""
    yield from worlds(World, request.param)


@pytest.fixture
def llm(server: ScriptedServer) -> XDM:
    """An LLM of the scripted server, without retries."""
    return XDM(api_base=server.url, max_retries=0)


@pytest.fixture
def chat(server: ScriptedServer) -> XDMChat:
    """A chat LLM of the scripted server, which says "hi", without retries."""
    server.script = talking("hi")
    return XDMChat(model="m", api_base=server.url, max_retries=0)


@pytest.fixture(autouse=True)
def clean_settings() -> Iterator[None]:
    """LlamaIndex's global settings are as new before and after each test."""
    forget_settings()
    yield
    forget_settings()


def forget_settings() -> None:
    Settings._llm = None
    Settings._embed_model = None
    Settings._callback_manager = None  # an empty manager would take over its handlers
    Settings._prompt_helper = None  # made from the first model that was set
    Settings._chat_prompt_helper = None


@pytest.fixture(autouse=True)
def idle_loop() -> Iterator[None]:
    """A current loop that isn't running: LlamaIndex's blocking methods would make one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.set_event_loop(None)


class Recorder(BaseEventHandler):
    """Keeps every event of LlamaIndex's instrumentation."""

    events: list[Any] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Recorder"

    def handle(self, event: Any, **_: Any) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [event.class_name() for event in self.events]


class Spans(SimpleSpanHandler):
    """Keeps the ids of the spans it has seen."""

    def ids(self) -> list[str]:
        return [span.id_.rsplit("-", 5)[0] for span in [*self.completed_spans, *self.dropped_spans]]


class Arguments(SimpleSpanHandler):
    """Keeps the arguments that tracers are given."""

    seen: list[str] = Field(default_factory=list)

    def new_span(self, id_: str, bound_args: Any, instance: Any = None, **more: Any) -> Any:
        self.seen.append(f"{id_} {bound_args.arguments!r}")
        return super().new_span(id_, bound_args, instance, **more)


@pytest.fixture
def arguments() -> Iterator[Arguments]:
    """The arguments that tracers are given, of whatever makes a span."""
    root, handler = get_dispatcher(), Arguments()
    root.add_span_handler(handler)
    yield handler
    root.span_handlers.remove(handler)


@pytest.fixture
def seen() -> Iterator[Recorder]:
    root = get_dispatcher()
    recorder = Recorder(events=[])
    root.add_event_handler(recorder)
    yield recorder
    root.event_handlers.remove(recorder)


@pytest.fixture(params=[False, True], ids=["alone", "traced"])
def traced(request: pytest.FixtureRequest) -> None:
    """A test that uses this runs without a tracer, where calls go past LlamaIndex's decorators, and with one."""
    if request.param:
        request.getfixturevalue("seen")


@pytest.fixture
def spans() -> Iterator[Spans]:
    root = get_dispatcher()
    handler = Spans()
    root.add_span_handler(handler)
    yield handler
    root.span_handlers.remove(handler)


@pytest.fixture
def exported() -> Iterator[Any]:
    """Spans as the OpenInference instrumentor exports them."""
    pytest.importorskip("openinference.instrumentation.llama_index")
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()


def counting() -> TokenCountingHandler:
    """Return a token counter that estimates nothing: it shows what the server counted, or 0."""
    return TokenCountingHandler(tokenizer=lambda _text: [])


async def joined(generator: Any) -> str:
    return "".join([token async for token in generator])

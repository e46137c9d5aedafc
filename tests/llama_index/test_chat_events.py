"""What LlamaIndex's callbacks, token counters and tracers see of `XDMChat`."""

# ruff: noqa: PLR0913, PLR0917 # fixtures and parameters of a test

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from tests.llama_index.conftest import METHODS, STREAMS, Arguments, Recorder, Spans, World, counting
from tests.scripted import ScriptedServer, http
from tests.wire.chat import answer, chat_stream, talking, tool_call
from xdm_integrations import APIStatusError
from xdm_integrations.llama_index import XDMChat

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "key-that-nobody-may-see"
WITH_TOOLS = ["chat_with_tools", "stream_chat_with_tools"]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOLS = [FunctionTool.from_defaults(add)]
CALL = tool_call("add", {"a": 1, "b": 2})


def ask(world: World, llm: XDMChat, method: str, **kwargs: Any) -> Any:
    if method not in WITH_TOOLS:
        return world.ask(llm, method, **kwargs)
    if method.startswith("stream"):
        return world.items(llm, method, TOOLS, "hi", **kwargs)[-1]
    return world.call(llm, method, TOOLS, "hi", **kwargs)


@pytest.mark.parametrize("method", [*METHODS, *WITH_TOOLS])
def test_token_counters_have_the_servers_counts_once(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    counter = counting()
    chat.callback_manager = CallbackManager([counter])
    server.script = talking([CALL] if method in WITH_TOOLS else "hi")
    ask(world, chat, method)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (7, 3)
    assert len(counter.llm_token_counts) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, None),
        ([], None),
        ({}, None),
        ({"prompt_tokens": 7.0, "completion_tokens": 3.0, "total_tokens": 10.0}, (7, 3)),
        ({"input_tokens": 7, "output_tokens": 3}, (7, 3)),
    ],
)
def test_counts_in_odd_shapes_cost_no_answer(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, usage: Any, counted: tuple[int, int] | None
) -> None:
    counter = counting()
    chat.callback_manager = CallbackManager([counter])
    server.script = talking("hi", usage=usage)
    world.ask(chat, method)
    (count,) = counter.llm_token_counts  # without counts of the server, LlamaIndex estimates
    assert counted in (None, (count.prompt_token_count, count.completion_token_count))


@pytest.mark.parametrize("method", [*METHODS, *WITH_TOOLS])
def test_one_start_n_progress_one_end_and_one_span(
    world: World, server: ScriptedServer, chat: XDMChat, seen: Recorder, spans: Spans, method: str
) -> None:
    server.script = [chat_stream("a", "b", "c") if method.startswith("stream") else http(answer("abc"))]
    ask(world, chat, method)
    kind = "LLMCompletion" if method.endswith("complete") else "LLMChat"
    progress = [f"{kind}InProgressEvent"] * (4 if method.startswith("stream") else 0)
    assert seen.names() == [f"{kind}StartEvent", *progress, f"{kind}EndEvent"]
    called = method.removesuffix("_with_tools")
    assert spans.ids().count(f"XDMChat.{'a' if world.is_async else ''}{called}") == 1
    assert len({event.span_id for event in seen.events}) == 1


@pytest.mark.parametrize("method", [*METHODS, *WITH_TOOLS])
def test_events_can_be_dumped_with_calls_and_counts_and_hold_no_key(
    world: World, server: ScriptedServer, seen: Recorder, method: str
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    server.script = talking([CALL] if method in WITH_TOOLS else "hi")
    secrets: dict[str, Any] = {"api_key": KEY, "default_headers": {"X-Secret": KEY}, "extra_body": {"a": KEY}}
    llm = XDMChat(model="m", api_base=server.url, callback_manager=CallbackManager([debug]), **secrets)
    ask(world, llm, method)
    dumped = [json.dumps(event.model_dump(mode="json")) for event in seen.events]
    assert '"prompt_tokens": 7' in dumped[-1]
    if method in WITH_TOOLS:
        assert '"tool_name": "add"' in dumped[-1]
    assert not [text for text in [*dumped, repr(seen.events), repr(debug.get_events())] if KEY in text]


@pytest.mark.parametrize("method", [*METHODS, *WITH_TOOLS])
def test_options_of_a_call_are_sent_and_never_traced(
    world: World, server: ScriptedServer, chat: XDMChat, seen: Recorder, method: str
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    chat.callback_manager = CallbackManager([debug])
    handler = Arguments()
    get_dispatcher().add_span_handler(handler)
    options: dict[str, Any] = {"extra_headers": {"X-Secret": KEY}, "extra_body": {"token": KEY}, "timeout": 50}
    try:
        ask(world, chat, method, **options, max_tokens=5)
    finally:
        get_dispatcher().span_handlers.remove(handler)
    request = server.requests[0]
    assert (request.headers["x-secret"], request.json["token"], request.json["max_tokens"]) == (KEY, KEY, 5)
    assert seen.events[0].additional_kwargs["max_tokens"] == 5
    assert not seen.events[0].additional_kwargs.keys() & {"extra_headers", "extra_body", "timeout", "request_options"}
    shown = [*handler.seen, repr(seen.events), str([e.model_dump() for e in seen.events]), repr(debug.get_events())]
    assert not [text for text in shown if KEY in text]


@pytest.mark.parametrize("method", METHODS)
def test_an_error_ends_the_event_and_drops_the_span(
    world: World, server: ScriptedServer, chat: XDMChat, seen: Recorder, spans: Spans, method: str
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    chat.callback_manager = CallbackManager([debug])
    server.script = [http({"error": {"message": "no"}}, 400)]
    with pytest.raises(APIStatusError) as caught:
        world.ask(chat, method)
    ends = [event for event in debug.get_events(CBEventType.LLM) if "exception" in (event.payload or {})]
    assert [end.payload["exception"] for end in ends] == [caught.value]
    assert "SpanDropEvent" in seen.names()
    assert len(spans.dropped_spans) == 1


def test_a_message_with_an_image_is_sent_once_however_often_it_is_traced(
    world: World, server: ScriptedServer, chat: XDMChat, seen: Recorder
) -> None:
    message = ChatMessage(blocks=[ImageBlock(url="https://a.example/b.png")])
    for _ in range(2):
        world.call(chat, "chat", [message])
    assert seen.events
    assert len(message.blocks) == 1
    assert [len(request.json["messages"][0]["content"]) for request in server.requests] == [1, 1]


@pytest.mark.parametrize("method", [*METHODS, *WITH_TOOLS])
def test_a_rate_limiter_is_asked_once_per_call(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    turns: list[str] = []

    class Limiter:
        def acquire(self) -> None:
            turns.append("sync")

        async def async_acquire(self) -> None:
            turns.append("async")

    chat.rate_limiter = Limiter()
    ask(world, chat, method)
    assert turns == ["async" if world.is_async else "sync"]


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # the instrumentor calls it on LLMMetadata
@pytest.mark.parametrize("method", [*METHODS, *WITH_TOOLS])
def test_openinference_sees_model_answer_tokens_and_calls(
    world: World, server: ScriptedServer, chat: XDMChat, exported: Any, method: str
) -> None:
    chat.api_key = KEY
    server.script = talking([CALL] if method in WITH_TOOLS else "an answer")
    ask(world, chat, method, extra_headers={"X-Secret": KEY})
    llm_spans: Sequence[Any] = [
        span for span in exported.get_finished_spans() if dict(span.attributes).get("openinference.span.kind") == "LLM"
    ]
    (span,) = [one for one in llm_spans if "llm.token_count.prompt" in dict(one.attributes)]
    found = dict(span.attributes)
    assert found["llm.model_name"] == "m"
    assert (found["llm.token_count.prompt"], found["llm.token_count.completion"]) == (7, 3)
    if method in WITH_TOOLS:
        said = "llm.output_messages.0.message.tool_calls.0.tool_call.function"
        assert found[f"{said}.name"] == "add"
        assert json.loads(found[f"{said}.arguments"]) == {"a": 1, "b": 2}
    else:
        assert "an answer" in found["output.value"]
    assert not [one for one in exported.get_finished_spans() if KEY in one.to_json()]


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # the instrumentor calls it on LLMMetadata
@pytest.mark.parametrize("method", [*METHODS, *WITH_TOOLS])
def test_langfuse_is_sent_the_servers_counts(world: World, server: ScriptedServer, chat: XDMChat, method: str) -> None:
    """It traces LlamaIndex by OpenInference's spans, which it reads the counts of."""
    langfuse = pytest.importorskip("langfuse")
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    client = langfuse.Langfuse(
        public_key=f"pk-llama-{world.is_async}-{method}",
        secret_key="none",
        base_url="http://127.0.0.1:9",
        span_exporter=exporter,
        tracer_provider=provider,
    )
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        ask(world, chat, method)
        client.flush()
    finally:
        instrumentor.uninstrument()
        client.shutdown()
    told = [dict(span.attributes) for span in exporter.get_finished_spans()]
    counts = [one["llm.token_count.total"] for one in told if "llm.token_count.total" in one]
    assert counts == [10]


@pytest.mark.parametrize("method", STREAMS)
def test_a_stream_that_is_left_early_ends_its_event(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    chat.callback_manager = CallbackManager([debug])
    server.script = [chat_stream("a", "b", "c")]
    asked: Any = [ChatMessage("hi")] if method == "stream_chat" else "hi"
    if world.is_async:

        async def leave() -> None:
            items = await getattr(chat, "a" + method)(asked)
            await items.__anext__()
            await items.aclose()

        world.run(leave())
    else:
        items = getattr(chat, method)(asked)
        next(items)
        items.close()
    assert len(debug.get_llm_inputs_outputs()) == 1

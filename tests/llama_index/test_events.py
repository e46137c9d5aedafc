"""What LlamaIndex's callbacks, token counters and tracers see."""

# ruff: noqa: PLR0913, PLR0917 # fixtures and parameters of a test

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage

from tests.llama_index.conftest import METHODS, STREAMS, Arguments, Recorder, Spans, World, counting, joined
from tests.scripted import ScriptedServer, completion, http, tokens
from xdm_integrations import APIStatusError
from xdm_integrations.llama_index import XDM

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "key-that-nobody-may-see"


def answer(method: str) -> Any:
    return tokens("a", "b", "c") if method.startswith("stream") else http(completion("abc"))


@pytest.mark.parametrize("method", METHODS)
def test_token_counters_have_the_servers_counts_once(world: World, server: ScriptedServer, method: str) -> None:
    counter = counting()
    llm = XDM(api_base=server.url, callback_manager=CallbackManager([counter]))
    server.script = [answer(method)]
    world.ask(llm, method)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (7, 3)
    assert len(counter.llm_token_counts) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_token_counts_through_a_query_engine(world: World, server: ScriptedServer, streaming: bool) -> None:
    counter = counting()
    Settings.callback_manager = CallbackManager([counter])
    server.script = lambda seen: answer("stream" if seen.json.get("stream") else "complete")
    llm = XDM(api_base=server.url)
    index = VectorStoreIndex.from_documents([Document(text="bees")], embed_model=MockEmbedding(3))
    engine = index.as_query_engine(llm=llm, streaming=streaming)
    response = world.call(engine, "query", "what?")
    if streaming and world.is_async:
        text = world.loop.run_until_complete(joined(response.async_response_gen()))
    elif streaming:
        text = "".join(response.response_gen)
    else:
        text = str(response)
    assert text == "abc"
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (7, 3)
    assert len(counter.llm_token_counts) == 1


@pytest.mark.parametrize("method", METHODS)
def test_one_start_n_progress_one_end_and_one_span(
    world: World, server: ScriptedServer, llm: XDM, seen: Recorder, spans: Spans, method: str
) -> None:
    server.script = [answer(method)]
    world.ask(llm, method)
    kind = "LLMChat" if method.endswith("chat") else "LLMCompletion"
    progress = [f"{kind}InProgressEvent"] * (4 if method.startswith("stream") else 0)
    assert seen.names() == [f"{kind}StartEvent", *progress, f"{kind}EndEvent"]
    assert spans.ids() == [f"XDM.{'a' if world.is_async else ''}{method}"]
    assert len({event.span_id for event in seen.events}) == 1


@pytest.mark.parametrize("method", METHODS)
def test_handlers_that_come_after_a_call_that_nobody_heard_hear_the_next(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    server.script = lambda _seen: answer(method)
    world.ask(llm, method)
    debug, events, spans = LlamaDebugHandler(print_trace_on_end=False), Recorder(events=[]), Spans()
    llm.callback_manager.add_handler(debug)
    with _added(get_dispatcher("llama_index.core.llms.callbacks").event_handlers, events):
        with _added(get_dispatcher().span_handlers, spans):
            world.ask(llm, method)
        assert len(spans.ids()) == 1
        world.ask(llm, method)
    world.ask(llm, method)
    assert sum(name.endswith("EndEvent") for name in events.names()) == 2
    assert len(spans.ids()) == 1
    assert len(debug.get_llm_inputs_outputs()) == 3
    llm.callback_manager.remove_handler(debug)
    world.ask(llm, method)
    assert len(debug.get_llm_inputs_outputs()) == 3


@contextmanager
def _added(handlers: list[Any], handler: Any) -> Iterator[None]:
    handlers.append(handler)
    yield
    handlers.remove(handler)


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_manager_of_ones_own_hears_without_handlers(
    world: World, server: ScriptedServer, method: str
) -> None:
    class Counting(CallbackManager):
        heard: list[str]

        def on_event_start(self, event_type: CBEventType, *args: Any, **kwargs: Any) -> str:
            self.heard.append(event_type)
            return super().on_event_start(event_type, *args, **kwargs)

    manager = Counting()
    manager.heard = []
    server.script = [answer(method)]
    world.ask(XDM(api_base=server.url, callback_manager=manager), method)
    assert manager.heard == [CBEventType.LLM]


@pytest.mark.parametrize("method", METHODS)
def test_one_legacy_event_with_the_parameters_of_the_call(world: World, server: ScriptedServer, method: str) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = XDM(api_base=server.url, callback_manager=CallbackManager([debug]))
    world.ask(llm, method, max_tokens=5)
    ((start, end),) = debug.get_llm_inputs_outputs()
    assert start.payload["additional_kwargs"] == {"max_tokens": 5}
    assert ("response" if method.endswith("chat") else "completion") in end.payload


@pytest.mark.parametrize("method", ["complete", "stream_complete"])
def test_the_event_shows_the_prompt_as_it_is_sent(
    world: World, server: ScriptedServer, seen: Recorder, method: str
) -> None:
    llm = XDM(api_base=server.url, completion_to_prompt=lambda prompt: f"[{prompt}]")
    world.ask(llm, method)
    assert server.requests[0].json["prompt"] == "[hi]"
    assert {event.prompt for event in seen.events} == {"[hi]"}


@pytest.mark.parametrize("method", METHODS)
def test_no_key_in_events_payloads_dumps_or_errors(
    world: World, server: ScriptedServer, seen: Recorder, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="xdm_integrations")
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = XDM(
        api_base=server.url,
        api_key=KEY,
        default_headers={"X-Secret": KEY},
        callback_manager=CallbackManager([debug]),
        max_retries=0,
    )
    world.ask(llm, method)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    server.script = [http({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)]
    with pytest.raises(APIStatusError) as caught:
        world.ask(llm, method)
    shown = [
        repr(llm), str(llm), llm.to_json(), repr(llm.to_dict()), repr(llm.to_payload()),
        repr(llm.model_dump()),
        json.dumps(llm.to_dict(), default=str), repr(seen.events), str([e.model_dump() for e in seen.events]),
        repr(debug.get_events()), str(caught.value), repr(caught.value), repr(caught.value.__dict__), caplog.text,
    ]  # fmt: skip
    assert not [text for text in shown if KEY in text]


def arguments_of(method: str) -> tuple[Any, ...]:
    """What a method is called with before its parameters."""
    if method.endswith("chat"):
        return ([ChatMessage("hi")],)
    return {"fill_in_middle": ("a", "b"), "stream_fill_in_middle": ("a", "b"), "complete_batch": (["a"],)}.get(
        method, ("hi",)
    )


@pytest.mark.parametrize("method", [*METHODS, "fill_in_middle", "stream_fill_in_middle", "complete_batch"])
def test_headers_and_bodies_of_a_call_are_sent_and_never_traced(
    world: World, server: ScriptedServer, seen: Recorder, method: str
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = XDM(api_base=server.url, callback_manager=CallbackManager([debug]))
    handler = Arguments()
    get_dispatcher().add_span_handler(handler)
    options: dict[str, Any] = {"extra_headers": {"X-Secret": KEY}, "extra_body": {"token": KEY}, "timeout": 50}
    try:
        if method.startswith("stream"):
            world.items(llm, method, *arguments_of(method), **options, max_tokens=5)
        else:
            world.call(llm, method, *arguments_of(method), **options, max_tokens=5)
        world.call(llm, "complete", "a second one")
    finally:
        get_dispatcher().span_handlers.remove(handler)
    first, second = server.requests
    assert (first.headers["x-secret"], first.json["token"], first.json["max_tokens"]) == (KEY, KEY, 5)
    assert "x-secret" not in second.headers
    assert "token" not in second.json
    assert "'max_tokens': 5" in handler.seen[0]
    assert "'request_options': Hidden()" in handler.seen[0]
    assert seen.events[0].additional_kwargs.keys() - {"suffix"} == {"max_tokens"}
    assert seen.events[0].additional_kwargs["max_tokens"] == 5
    shown = [*handler.seen, repr(seen.events), str([e.model_dump() for e in seen.events]), repr(debug.get_events())]
    assert not [text for text in shown if KEY in text]
    assert set(options) == {"extra_headers", "extra_body", "timeout"}


def test_options_stay_with_their_call(world: World, server: ScriptedServer) -> None:
    """A template that asks an LLM itself asks without them."""
    inner = XDM(api_base=server.url)

    def ask_first(prompt: str) -> str:
        return inner.complete("what?").text + prompt

    outer = XDM(api_base=server.url, completion_to_prompt=ask_first)
    world.call(outer, "complete", "hi", extra_headers={"X-One": "1"})
    assert ["x-one" in request.headers for request in server.requests] == [False, True]


def test_a_refused_key_is_not_in_the_error() -> None:
    for wrong in (f"{KEY} {KEY}", f"{KEY}\n{KEY}"):
        with pytest.raises(ValueError, match="api_key") as caught:
            XDM(api_key=wrong)
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_an_error_ends_the_event_and_drops_the_span(
    world: World, server: ScriptedServer, seen: Recorder, spans: Spans, method: str
) -> None:
    """Also for streams: they are opened by the call, not by the first look at an item."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = XDM(api_base=server.url, callback_manager=CallbackManager([debug]), max_retries=0)
    server.script = [http({"error": {"message": "no"}}, 400)]
    with pytest.raises(APIStatusError) as caught:
        world.ask(llm, method)
    ends = [event for event in debug.get_events(CBEventType.LLM) if "exception" in (event.payload or {})]
    assert [end.payload["exception"] for end in ends] == [caught.value]
    assert "SpanDropEvent" in seen.names()
    assert [span.id_.rsplit("-", 5)[0] for span in spans.dropped_spans] == [
        f"XDM.{'a' if world.is_async else ''}{method}"
    ]


def test_dumping_an_event_leaves_raw_as_it_is(world: World, server: ScriptedServer, llm: XDM, seen: Recorder) -> None:
    response = world.call(llm, "complete", "hi")
    before = json.dumps(response.raw)
    for event in seen.events:
        event.model_dump()
    assert json.dumps(response.raw) == before


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # the instrumentor calls it on LLMMetadata
@pytest.mark.parametrize("method", METHODS)
def test_openinference_sees_model_prompt_answer_and_tokens(
    world: World, server: ScriptedServer, exported: Any, method: str
) -> None:
    llm = XDM(api_base=server.url, api_key=KEY, model="my-model")
    server.script = [answer(method)]
    world.ask(llm, method, extra_headers={"X-Secret": KEY})
    (span,) = exported.get_finished_spans()
    found = dict(span.attributes)
    assert found["openinference.span.kind"] == "LLM"
    assert found["llm.model_name"] == "my-model"
    assert (found["llm.token_count.prompt"], found["llm.token_count.completion"]) == (7, 3)
    assert "hi" in str(
        found.get("llm.prompts") or found.get("llm.input_messages.0.message.content") or found["input.value"]
    )
    assert "abc" in found["output.value"]
    assert span.status.is_ok or span.status.is_unset
    assert KEY not in span.to_json()


@pytest.mark.parametrize("method", STREAMS)
def test_a_stream_that_is_left_early_ends_its_event(world: World, server: ScriptedServer, method: str) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = XDM(api_base=server.url, callback_manager=CallbackManager([debug]))
    server.script = [tokens("a", "b", "c")]
    asked: Any = [ChatMessage("hi")] if method == "stream_chat" else "hi"
    if world.is_async:

        async def leave() -> None:
            items = await getattr(llm, "a" + method)(asked)
            await items.__anext__()
            await items.aclose()

        world.loop.run_until_complete(leave())
    else:
        items = getattr(llm, method)(asked)
        next(items)
        items.close()
    assert len(debug.get_llm_inputs_outputs()) == 1

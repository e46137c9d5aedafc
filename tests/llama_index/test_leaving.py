"""Streams that are left, calls that are given up, and calls at once: of `XDM` and `XDMChat`, by all eight methods."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.llms import ChatMessage

from tests.llama_index.conftest import METHODS, STREAMS
from tests.scripted import HANG, chunk, completion, http, stream, tokens
from tests.wire.chat import answer, chat_stream, delta
from xdm_integrations.llama_index import XDM, XDMChat

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer


class Kind(NamedTuple):
    """A class of LLM, and what its endpoint sends: an event with a text, an answer, a stream."""

    cls: type[XDM | XDMChat]
    event: Any
    answer: Any
    stream: Any

    def made(self, server: ScriptedServer, *handlers: Any) -> XDM | XDMChat:
        """Return an LLM of the server, without retries."""
        callbacks = CallbackManager(list(handlers))
        return self.cls(model="m", api_base=server.url, callback_manager=callbacks, max_retries=0)


@pytest.fixture(params=[XDM, XDMChat])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param is XDM:
        return Kind(XDM, chunk("a"), http(completion("ok")), tokens("ok"))
    return Kind(XDMChat, delta("a"), http(answer("ok")), chat_stream("ok"))


@pytest.fixture(params=["no handler", "a handler that keeps exceptions"])
def endless(request: pytest.FixtureRequest, server: ScriptedServer, kind: Kind) -> XDM | XDMChat:
    """An LLM whose streams never end, with and without a callback handler that keeps what it sees."""
    server.script = [stream(kind.event, kind.event, HANG, end=False)]
    return kind.made(server, *([LlamaDebugHandler(print_trace_on_end=False)] if "keeps" in request.param else []))


def opened(llm: XDM | XDMChat, method: str) -> Any:
    return getattr(llm, method)([ChatMessage("hi")] if method.endswith("chat") else "hi")


def text_of(response: Any) -> str:
    return str(response.message.content if hasattr(response, "message") else response.text)


def let_go(server: ScriptedServer) -> bool:
    """Whether the server has seen the client go, without the garbage collector; it would hold on for longer."""
    return server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("how", ["close", "drop", "drop unread"])
def test_leaving_a_stream_frees_its_connection(
    server: ScriptedServer, endless: XDM | XDMChat, method: str, how: str
) -> None:
    gc.disable()
    try:
        items = opened(endless, method)
        if how != "drop unread":
            next(items)
        if how == "close":
            items.close()
        del items
        assert let_go(server)
    finally:
        gc.enable()


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("how", ["close", "drop", "drop unread", "cancel"])
def test_leaving_an_async_stream_frees_its_connection(
    server: ScriptedServer, endless: XDM | XDMChat, method: str, how: str
) -> None:
    async def main() -> bool:
        if how == "cancel":
            reading = asyncio.Event()

            async def consume() -> None:
                async for _ in await opened(endless, "a" + method):
                    reading.set()

            task = asyncio.ensure_future(consume())
            await reading.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            items = await opened(endless, "a" + method)
            if how != "drop unread":
                await items.__anext__()
            if how == "close":
                await items.aclose()
            del items
        return await asyncio.to_thread(let_go, server)

    gc.disable()
    try:
        assert asyncio.run(main())
    finally:
        gc.enable()


@pytest.mark.parametrize("method", METHODS)
def test_wait_for_ends_a_call_and_frees_its_connection(server: ScriptedServer, kind: Kind, method: str) -> None:
    server.script = [[HANG]]

    async def main() -> bool:
        call = asyncio.ensure_future(opened(kind.made(server), "a" + method))
        assert await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(call, 0.05)
        return await asyncio.to_thread(let_go, server)

    assert asyncio.run(main())


@pytest.mark.parametrize("method", METHODS)
def test_calls_run_at_once_and_the_loop_goes_on(server: ScriptedServer, kind: Kind, method: str) -> None:
    """No answer comes before all six requests have: blocked calls would wait for ever."""
    all_here = threading.Barrier(6, timeout=60)
    good = kind.stream if method.startswith("stream") else kind.answer
    server.script = lambda _seen: [lambda: all_here.wait() and None, *good]
    llm = kind.made(server)

    async def one() -> str:
        if method.startswith("stream"):
            return [text_of(item) async for item in await opened(llm, "a" + method)][-1]
        return text_of(await opened(llm, "a" + method))

    async def main() -> list[str]:
        return await asyncio.wait_for(asyncio.gather(*(one() for _ in range(6))), 60)

    assert asyncio.run(main()) == ["ok"] * 6
    assert len(server.requests) == 6

"""Streams of the client as streams of LlamaIndex's responses.

Every piece of text is handed on at once. The piece with the finish_reason is held back until the
token counts have come, so that the last item of a stream is the whole answer: what `complete`
would have returned, plus its `delta`. A stream without text has that one item. Where more text comes
after the finish_reason, the piece that was held back goes first, and the last item has the rest.

LlamaIndex's decorator wraps a generator in its own, and never closes what it wraps: a callback
handler that keeps exceptions (`LlamaDebugHandler` does) would keep the connection too. So the
decorated method says what it has opened, and the public one owns it:

    def stream_complete(...):
        return owned(self._stream_complete(...))    # a generator that closes what was opened

    @completion_events
    def _stream_complete(...):
        return items(opened(client.stream(...)), ...)
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from .convert import completions as _convert

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from xdm_integrations.client.streams import AsyncCompletionStream, CompletionStream
    from xdm_integrations.core.completions.results import CompletionChunk

Item = TypeVar("Item", CompletionResponse, ChatResponse)
Stream = TypeVar("Stream")

_opened: ContextVar[Any] = ContextVar("opened", default=None)


def opened(stream: Stream) -> Stream:
    """Leave `stream` to `owned`, which the caller's caller calls next."""
    _opened.set(stream)
    return stream


def owned(generator: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Return `generator` as one that closes the stream that was opened for it."""
    stream = _opened.get()
    _opened.set(None)
    return _owned(generator, stream)


def _owned(generator: Generator[Item, None, None], stream: CompletionStream) -> Generator[Item, None, None]:
    try:
        yield from generator
    finally:
        stream.close()


def aowned(generator: AsyncGenerator[Item, None]) -> AsyncGenerator[Item, None]:
    """See `owned`."""
    stream = _opened.get()
    _opened.set(None)
    return _aowned(generator, stream)


async def _aowned(generator: AsyncGenerator[Item, None], stream: AsyncCompletionStream) -> AsyncGenerator[Item, None]:
    try:
        async for item in generator:
            yield item
    finally:
        await stream.aclose()
        await generator.aclose()  # nothing else tells the callbacks


def items(
    stream: CompletionStream, piece: Callable[..., Item], whole: Callable[..., Item]
) -> Generator[Item, None, None]:
    """Yield the items of a stream, made by the functions of `_convert`: the last one by `whole`."""
    text = ""
    about = _convert.about(stream.completion)
    held: CompletionChunk | None = None
    for chunk in stream:
        if chunk.index:
            continue  # of another choice; all are in the last item
        if held is not None and held.text:  # it wasn't the last piece after all
            text += held.text
            yield piece(about, text, held)
        held = None
        if chunk.finish_reason is not None:
            held = chunk._replace(finish_reason=None)  # the last item has it
            continue
        text += chunk.text
        yield piece(about, text, chunk)
    tail = "" if held is None else held.text
    yield whole(stream.completion, text + tail, tail)


async def aitems(
    stream: AsyncCompletionStream, piece: Callable[..., Item], whole: Callable[..., Item]
) -> AsyncGenerator[Item, None]:
    """See `items`."""
    text = ""
    about = _convert.about(stream.completion)
    held: CompletionChunk | None = None
    async for chunk in stream:
        if chunk.index:
            continue
        if held is not None and held.text:
            text += held.text
            yield piece(about, text, held)
        held = None
        if chunk.finish_reason is not None:
            held = chunk._replace(finish_reason=None)
            continue
        text += chunk.text
        yield piece(about, text, chunk)
    tail = "" if held is None else held.text
    yield whole(stream.completion, text + tail, tail)

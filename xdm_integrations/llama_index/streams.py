"""Streams of the client as streams of LlamaIndex's responses.

Every piece of text is handed on at once, but for the last one (`HeldBack`): the last item of a stream is the complete
answer, what `complete` would have returned, plus its `delta`. A stream without text has that one item.

LlamaIndex's decorator wraps a generator in its own, and never closes what it wraps: a callback handler that keeps
exceptions (`LlamaDebugHandler` does) would keep the connection too. So the outermost generator closes the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from xdm_integrations.core.protocol.held_back import HeldBack, Piece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from xdm_integrations.client.streams import AsyncStream, Stream

    from .calls import Instrumented

Item = TypeVar("Item", CompletionResponse, ChatResponse)
C = TypeVar("C", bound=Piece)
S = TypeVar("S", bound="Stream[Any, Any]")
A = TypeVar("A", bound="AsyncStream[Any, Any]")


@dataclass(frozen=True)
class Shape(Generic[Item]):
    """How an answer is shown: as a completion or as a message.

    Attributes:
        events: LlamaIndex's decorator for it.
        response: Makes it of a complete answer.
        piece: Makes an item of a stream before the last, of what is known of the answer, its text so far and a chunk.
        last: Makes the last item of a stream, of the complete answer, its text and the delta.
    """

    events: Callable[..., Any]
    response: Callable[..., Item]
    piece: Callable[..., Item]
    last: Callable[..., Item]


def streamed(
    call: Instrumented,
    open_stream: Callable[[], S],
    items: Callable[[S], Generator[Item, None, None]],
) -> Generator[Item, None, None]:
    """Return the items of a stream that has been opened; closing them closes it."""
    opened: list[S] = []

    def work() -> Generator[Item, None, None]:
        opened.append(open_stream())
        return items(opened[0])

    return _owned(call.run(work), opened[0])


async def astreamed(
    call: Instrumented,
    open_stream: Callable[[], Awaitable[A]],
    items: Callable[[A], AsyncGenerator[Item, None]],
) -> AsyncGenerator[Item, None]:
    """See `streamed`."""
    opened: list[A] = []

    async def work() -> AsyncGenerator[Item, None]:
        opened.append(await open_stream())
        return items(opened[0])

    return _aowned(await call.arun(work), opened[0])


def _owned(generator: Generator[Item, None, None], stream: Stream[Any, Any]) -> Generator[Item, None, None]:
    try:
        yield from generator
    finally:
        stream.close()


async def _aowned(generator: AsyncGenerator[Item, None], stream: AsyncStream[Any, Any]) -> AsyncGenerator[Item, None]:
    try:
        async for item in generator:
            yield item
    finally:
        await stream.aclose()
        await generator.aclose()  # nothing else tells the callbacks


def items(
    stream: Stream[C, Any], piece: Callable[[str, C], Item], response: Callable[..., Item]
) -> Generator[Item, None, None]:
    """Yield the items of a stream.

    Args:
        stream: Its chunks; those of choices after the first stand in the last item only.
        piece: Makes an item of all the text so far and a chunk.
        response: Makes the last one of the completion, its text, and the delta.
    """
    text = ""
    held_back: HeldBack[C] = HeldBack()
    while chunks := stream.next_chunks():
        for ready in held_back.ready(chunks):
            text += ready.text
            yield piece(text, ready)
    last = held_back.end()
    delta = "" if last is None else last.text
    yield response(stream.completion, text + delta, delta)


async def aitems(
    stream: AsyncStream[C, Any], piece: Callable[[str, C], Item], response: Callable[..., Item]
) -> AsyncGenerator[Item, None]:
    """See `items`."""
    text = ""
    held_back: HeldBack[C] = HeldBack()
    while chunks := await stream.next_chunks():
        for ready in held_back.ready(chunks):
            text += ready.text
            yield piece(text, ready)
    last = held_back.end()
    delta = "" if last is None else last.text
    yield response(stream.completion, text + delta, delta)

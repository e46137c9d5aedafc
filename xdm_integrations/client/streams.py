"""Streams as users hold them: iterators that own the open reply and give it back.

Dropping, closing or leaving a stream closes its connection at once: nothing here is part of a
reference cycle, so that this holds without the garbage collector too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from xdm_integrations.core.chat.results import ChatChunk, ChatCompletion
from xdm_integrations.core.completions.results import Completion, CompletionChunk
from xdm_integrations.core.errors.tree import APIConnectionError, StreamInterruptedError, XDMError

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType

    from typing_extensions import Self

    from xdm_integrations.core.protocol.reading import Streaming
    from xdm_integrations.core.protocol.results import Answer

log = logging.getLogger("xdm_integrations")


Chunk = TypeVar("Chunk")
A = TypeVar("A", bound="Answer")


class _Stream(Generic[Chunk, A]):
    """What both streams share: the chunks at hand, and the end."""

    def __init__(self, streaming: Streaming[Chunk, A], on_complete: Callable[[A], None] | None = None) -> None:
        """Take over an open stream; `on_complete` is called with its answer once that is complete."""
        self._on_complete = on_complete
        self._streaming = streaming
        self._body = streaming.body
        self._decoder = streaming.decoder
        self._chunks = streaming.chunks
        self._closed = False
        self._unreported = False
        """True while it hasn't been reported that the answer isn't complete, because its reader was stopped."""

    @property
    def completion(self) -> A:
        """The answer as far as it has come; complete, with usage, once the stream has ended."""
        return self._decoder.result()

    def _complete(self) -> A:
        """Return the answer, once there is nothing more to read; raise if it isn't complete."""
        error: XDMError | None = self._decoder.failure
        if error is None and not (self._decoder.ended or self._decoder.finished):
            error = StreamInterruptedError("The stream was closed before its end. What came of it is in `.partial`.")
            error.partial = self.completion
        if error is not None:
            raise error
        return self.completion

    def _read_on(self) -> bool:
        """Say whether to read; raise what ended the stream if that was an error."""
        error = self._decoder.failure
        if self._closed:
            if self._unreported and error is not None:
                self._unreported = False
                raise error
            return False
        if self._decoder.ended:
            if error is not None:
                self._log_end(type(error).__name__)
                self._close()
                raise error
            return False
        return True

    def _log_end(self, outcome: str) -> None:
        """Write what the line of the request couldn't know yet; neither prompt nor answer."""
        if log.isEnabledFor(logging.DEBUG):
            complete = self.completion
            tokens = complete.usage.total_tokens if complete.usage else None
            facts = {"outcome": outcome, "model": complete.model, "tokens": tokens, "request_id": complete.request_id}
            log.debug(
                "stream %(outcome)s, model %(model)s, tokens %(tokens)s, request id %(request_id)s",
                facts,
                extra={"xdm": facts},
            )

    def _log_complete(self) -> None:
        self._log_end("complete")
        if self._on_complete is not None:
            self._on_complete(self.completion)

    def _on_read_error(self, error: XDMError) -> None:
        self._chunks.extend(self._streaming.interrupt(error))
        failure = self._decoder.failure
        if self._closed and failure is not None:  # closed by another thread while this one was reading
            raise failure

    def _abort(self) -> None:
        """Close after a read that was stopped, so that going on is an error and no end of the answer."""
        if not self._closed:
            self._streaming.interrupt(APIConnectionError("Reading was cancelled, which closed the connection."))
            self._unreported = True
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._chunks.clear()
        self._body.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._close()


class Stream(_Stream[Chunk, A]):
    """An iterator over the chunks of an answer."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        while True:
            try:
                return self._chunks.popleft()
            except IndexError:
                pass  # read on outside, so that it is no part of what an error there shows
            if not self.next_chunks():
                raise StopIteration

    def next_chunks(self) -> deque[Chunk]:
        """Return what has come and wasn't taken yet, to be taken from its left; empty at the end of the stream.

        Waits only where nothing is at hand. For loops over very many chunks: a call for each would cost them more.
        """
        while not self._chunks:
            if not self._read_on():
                self._finish()
                break
            try:
                block = self._body.read(self._streaming.within)
            except XDMError as error:
                self._on_read_error(error)
            except BaseException:  # Ctrl-C or cancelled
                self._abort()
                raise
            else:
                self._chunks.extend(self._streaming.feed(block))
        return self._chunks

    def close(self) -> None:
        """End the stream and give its connection up. May be called twice."""
        self._unreported = False
        if not self._closed:
            self._close()

    def _finish(self) -> None:
        if not self._closed:
            self._closed = True
            self._log_complete()
            try:
                self._body.drain()
            except BaseException:  # Ctrl-C
                self._body.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Stream[Chunk, A]):
    """An async iterator over the chunks of an answer."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while True:
            try:
                return self._chunks.popleft()
            except IndexError:
                pass
            if not await self.next_chunks():
                raise StopAsyncIteration

    async def next_chunks(self) -> deque[Chunk]:
        """See `Stream.next_chunks`."""
        while not self._chunks:
            if not self._read_on():
                await self._finish()
                break
            try:
                block = await self._body.read(self._streaming.within)
            except XDMError as error:
                self._on_read_error(error)
            except BaseException:  # Ctrl-C or cancelled
                self._abort()
                raise
            else:
                self._chunks.extend(self._streaming.feed(block))
        return self._chunks

    async def aclose(self) -> None:
        """End the stream and give its connection up. May be called twice."""
        self._unreported = False
        if not self._closed:
            self._close()

    async def _finish(self) -> None:
        if not self._closed:
            self._closed = True
            self._log_complete()
            try:
                await self._body.drain()
            except BaseException:  # cancelled
                self._body.close()
                raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class CompletionStream(Stream[CompletionChunk, Completion]):
    """An iterator over the `CompletionChunk`s of an answer."""


class AsyncCompletionStream(AsyncStream[CompletionChunk, Completion]):
    """An async iterator over the `CompletionChunk`s of an answer."""


class ChatStream(Stream[ChatChunk, ChatCompletion]):
    """An iterator over the `ChatChunk`s of an answer."""

    def text(self) -> Iterator[str]:
        """Iterate over the new text only."""
        return (chunk.text for chunk in self if chunk.text)

    def until_done(self) -> ChatCompletion:
        """Read to the end, and return the complete answer; raise if the stream failed, or was closed before."""
        for _ in self:
            pass
        return self._complete()


class AsyncChatStream(AsyncStream[ChatChunk, ChatCompletion]):
    """An async iterator over the `ChatChunk`s of an answer."""

    async def text(self) -> AsyncIterator[str]:
        """Iterate over the new text only."""
        async for chunk in self:
            if chunk.text:
                yield chunk.text

    async def until_done(self) -> ChatCompletion:
        """Read to the end, and return the complete answer; raise if the stream failed, or was closed before."""
        async for _ in self:
            pass
        return self._complete()

"""From a client's stream to LangChain's chunks, each reported to its run."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.held_back import HeldBack

from .convert import completions as convert

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.outputs import GenerationChunk

    from xdm_integrations import AsyncCompletionStream, CompletionStream
    from xdm_integrations.core.completions.results import Completion, CompletionChunk


def chunks(stream: CompletionStream, run: CallbackManagerForLLMRun | None) -> Iterator[GenerationChunk]:
    """Yield the pieces of the first choice, each reported to the run; the last has the token counts."""
    report = run.on_llm_new_token if run is not None and run.handlers else None
    held: HeldBack[CompletionChunk] = HeldBack()
    while pieces := stream.next_chunks():
        for ready in held.ready(pieces):
            chunk = convert.chunk(ready)
            if report is not None:
                report(ready.text, chunk=chunk)
            yield chunk
    chunk = convert.last_chunk(held.end(), stream.completion)
    if report is not None:
        report(chunk.text, chunk=chunk)
    yield chunk


async def achunks(
    stream: AsyncCompletionStream, run: AsyncCallbackManagerForLLMRun | None
) -> AsyncGenerator[GenerationChunk, None]:
    """See `chunks`."""
    report = run.on_llm_new_token if run is not None and run.handlers else None
    held: HeldBack[CompletionChunk] = HeldBack()
    while pieces := await stream.next_chunks():
        for ready in held.ready(pieces):
            chunk = convert.chunk(ready)
            if report is not None:
                await report(ready.text, chunk=chunk)
            yield chunk
    chunk = convert.last_chunk(held.end(), stream.completion)
    if report is not None:
        await report(chunk.text, chunk=chunk)
    yield chunk


def stream_texts(open_stream: Callable[[], CompletionStream], run: CallbackManagerForLLMRun) -> Iterator[str]:
    """Yield the texts of a stream, and end its run with all that came."""
    stream = None
    yielded = False
    try:
        with open_stream() as stream:
            if run.handlers:
                for chunk in chunks(stream, run):
                    if chunk.text:
                        yielded = True
                        yield chunk.text
            else:
                for piece in stream:
                    if piece.text and not piece.index:
                        yielded = True
                        yield piece.text
        if not yielded:
            yield ""  # chains expect a piece, be it empty
    except BaseException as error:
        run.on_llm_error(error, response=convert.partial_result(_so_far(stream, error)))
        raise
    run.on_llm_end(convert.streamed_result(stream.completion))


async def astream_texts(
    open_stream: Callable[[], Awaitable[AsyncCompletionStream]], run: AsyncCallbackManagerForLLMRun
) -> AsyncGenerator[str, None]:
    """See `stream_texts`."""
    stream = None
    yielded = False
    try:
        async with await open_stream() as stream:
            if run.handlers:
                async with aclosing(achunks(stream, run)) as reported:
                    async for chunk in reported:
                        if chunk.text:
                            yielded = True
                            yield chunk.text
            else:
                async for piece in stream:
                    if piece.text and not piece.index:
                        yielded = True
                        yield piece.text
        if not yielded:
            yield ""
    except BaseException as error:
        await run.on_llm_error(error, response=convert.partial_result(_so_far(stream, error)))
        raise
    await run.on_llm_end(convert.streamed_result(stream.completion))


def _so_far(stream: CompletionStream | AsyncCompletionStream | None, error: BaseException) -> Completion | None:
    """Return what had arrived of an answer when `error` ended it."""
    if stream is not None:
        return stream.completion
    return error.partial if isinstance(error, XDMError) else None

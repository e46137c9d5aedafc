"""Prompts whose answers come as streams: each piece to its run, and what the pieces add up to."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.tree import XDMError

from .convert import completions as _convert
from .prompts import as_sent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.outputs import GenerationChunk

    from xdm_integrations import AsyncClient, AsyncCompletionStream, Client, CompletionStream
    from xdm_integrations.client.batches import Batch
    from xdm_integrations.core.completions.packing import Outcome
    from xdm_integrations.core.completions.results import Completion, CompletionChunk
    from xdm_integrations.core.protocol.wire import Sleep

    from .asking import Question


def ask_streaming(
    client: Client, question: Question, runs: Sequence[CallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """Return the outcome of each prompt, streamed; the runs are told of each piece."""
    failed: list[XDMError] = []
    reading: dict[int, CompletionStream] = {}
    stopped = Event()

    def one(i: int) -> Outcome:
        if failed and question.stop_on_error:
            return failed[0]
        run = runs[i] if i < len(runs) else None
        try:
            with client.stream(as_sent(question.prompts[i]), on_retry=retries_to([run]), **question.params) as stream:
                reading[i] = stream
                if not stopped.is_set():
                    for _ in chunks(stream, run):
                        pass
                return stream.completion
        except XDMError as error:
            failed.append(error)
            return error
        finally:
            reading.pop(i, None)

    def stop() -> None:
        stopped.set()
        for stream in list(reading.values()):
            stream.close()

    count = len(question.prompts)
    return question.batch([one(0)] if count == 1 else _in_threads(one, count, question.max_concurrency, stop))


def _in_threads(one: Callable[[int], Outcome], count: int, most: int, stop: Callable[[], None]) -> list[Outcome]:
    """Return `one(0)`, `one(1)` and so on; `stop` ends early what is under way.

    Raises:
        BaseException: What a thread crashed with, such as an error of a handler; or Ctrl-C, which
            waits for no thread.
    """
    numbers = iter(range(count))
    contexts = [copy_context() for _ in range(count)]
    outcomes: dict[int, Outcome] = {}
    crashes: list[BaseException] = []

    def work() -> None:
        try:
            for i in numbers:
                if crashes:
                    return
                outcomes[i] = contexts[i].run(one, i)
        except BaseException as crash:  # noqa: BLE001 - raised again below, in the calling thread
            crashes.append(crash)
            stop()

    threads = [Thread(target=work, daemon=True) for _ in range(min(count, most))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as interrupt:
        crashes.append(interrupt)
        stop()
        raise
    for crash in crashes:
        raise crash
    return [outcomes[i] for i in range(count)]


async def aask_streaming(
    client: AsyncClient, question: Question, runs: Sequence[AsyncCallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """See `ask_streaming`."""
    failed: list[XDMError] = []
    turns = asyncio.Semaphore(question.max_concurrency)

    async def one(i: int) -> Outcome:
        async with turns:
            if failed and question.stop_on_error:
                return failed[0]
            run = runs[i] if i < len(runs) else None
            prompt = as_sent(question.prompts[i])
            try:
                async with await client.stream(prompt, on_retry=retries_to([run]), **question.params) as stream:
                    async for _ in achunks(stream, run):
                        pass
                    return stream.completion
            except XDMError as error:
                failed.append(error)
                return error

    tasks = [asyncio.ensure_future(one(i)) for i in range(len(question.prompts))]
    try:
        return question.batch(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # they end their streams before this returns


def chunks(stream: CompletionStream, run: CallbackManagerForLLMRun | None) -> Iterator[GenerationChunk]:
    """Yield the pieces of the first choice, and tell the run of each.

    The piece with the finish reason is held back until the stream has ended, so that token counts
    and all that describes the answer travel with it, on exactly one piece. If text comes after it,
    its own goes first.
    """
    tell = run.on_llm_new_token if run is not None and run.handlers else None
    held: CompletionChunk | None = None
    for piece in stream:
        if piece.index:
            continue
        if piece.finish_reason is not None:
            held = piece
            continue
        for ready in (piece,) if held is None else _released(held, piece):
            chunk = _convert.chunk(ready)
            if tell is not None:
                tell(ready.text, chunk=chunk)
            yield chunk
        held = None
    chunk = _convert.last_chunk(held, stream.completion)
    if tell is not None:
        tell(chunk.text, chunk=chunk)
    yield chunk


async def achunks(
    stream: AsyncCompletionStream, run: AsyncCallbackManagerForLLMRun | None
) -> AsyncGenerator[GenerationChunk, None]:
    """See `chunks`."""
    tell = run.on_llm_new_token if run is not None and run.handlers else None
    held: CompletionChunk | None = None
    async for piece in stream:
        if piece.index:
            continue
        if piece.finish_reason is not None:
            held = piece
            continue
        for ready in (piece,) if held is None else _released(held, piece):
            chunk = _convert.chunk(ready)
            if tell is not None:
                await tell(ready.text, chunk=chunk)
            yield chunk
        held = None
    chunk = _convert.last_chunk(held, stream.completion)
    if tell is not None:
        await tell(chunk.text, chunk=chunk)
    yield chunk


def _released(held: CompletionChunk, piece: CompletionChunk) -> Sequence[CompletionChunk]:
    """Return what is handed out when a piece comes after the one with the finish reason."""
    return (held, piece) if held.text or held.logprobs is not None else (piece,)


def retries_to(runs: Sequence[Any]) -> Callable[[Sleep], Any] | None:
    """Return the hook that tells LangChain's `on_retry` handlers of a retry, once per HTTP retry.

    A request may carry the prompts of several runs; the first run of the batch is told.
    """
    run = runs[0] if runs else None
    if run is None or not run.handlers:
        return None
    return lambda pause: run.on_retry(_convert.retry_state(pause))

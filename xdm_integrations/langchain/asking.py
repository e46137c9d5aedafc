"""Asking the client for the answers to LangChain's prompts: one, many, or each as a stream.

Every function exists once for each world; what both do is in `Question`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import ContextThreadPoolExecutor

from xdm_integrations.batches import Batch
from xdm_integrations.core.errors import XDMError
from xdm_integrations.core.results import Completion, total_usage

from . import _convert
from .prompts import as_sent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.outputs import GenerationChunk

    from xdm_integrations import AsyncClient, AsyncCompletionStream, Client, CompletionStream
    from xdm_integrations.core.packing import Outcome
    from xdm_integrations.core.results import CompletionChunk
    from xdm_integrations.core.wire import Sleep


@dataclass(frozen=True)
class Question:
    """Prompts with what is asked of them."""

    prompts: Sequence[str]
    params: Mapping[str, Any]
    model: str
    """The model asked for: its name stands in where the server doesn't say which one served."""
    streaming: bool = False
    batch_size: int = 20
    max_concurrency: int = 8
    stop_on_error: bool = False
    """Ask nothing more once a prompt has failed."""

    def named(self, outcome: Outcome) -> Outcome:
        """Return the outcome with a model name."""
        if isinstance(outcome, Completion) and not outcome.model:
            return replace(outcome, model=self.model)
        return outcome

    def batch(self, outcomes: Sequence[Outcome]) -> Batch:
        """Return single outcomes as a batch."""
        usages = [one.usage for one in outcomes if isinstance(one, Completion)]
        return Batch([self.named(one) for one in outcomes], total_usage(usages))


def ask(client: Client, question: Question, runs: Sequence[CallbackManagerForLLMRun | None]) -> Batch:
    """Return the outcome of each prompt. `runs` are their run managers, or shorter, or empty."""
    prompts = question.prompts
    if not prompts:
        return Batch()
    if question.streaming:
        return _ask_streaming(client, question, runs)
    on_retry = retries_to(runs)
    if len(prompts) == 1:
        try:
            return question.batch([client.complete(as_sent(prompts[0]), on_retry=on_retry, **question.params)])
        except XDMError as error:
            return Batch([error])
    batch = client.complete_batch(
        [as_sent(prompt) for prompt in prompts],
        batch_size=question.batch_size,
        max_concurrency=question.max_concurrency,
        stop_on_error=question.stop_on_error,
        on_retry=on_retry,
        **question.params,
    )
    return Batch([question.named(one) for one in batch.outcomes], batch.usage)


async def aask(client: AsyncClient, question: Question, runs: Sequence[AsyncCallbackManagerForLLMRun | None]) -> Batch:
    """See `ask`."""
    prompts = question.prompts
    if not prompts:
        return Batch()
    if question.streaming:
        return await _aask_streaming(client, question, runs)
    on_retry = retries_to(runs)
    if len(prompts) == 1:
        try:
            return question.batch([await client.complete(as_sent(prompts[0]), on_retry=on_retry, **question.params)])
        except XDMError as error:
            return Batch([error])
    batch = await client.complete_batch(
        [as_sent(prompt) for prompt in prompts],
        batch_size=question.batch_size,
        max_concurrency=question.max_concurrency,
        stop_on_error=question.stop_on_error,
        on_retry=on_retry,
        **question.params,
    )
    return Batch([question.named(one) for one in batch.outcomes], batch.usage)


def _ask_streaming(client: Client, question: Question, runs: Sequence[CallbackManagerForLLMRun | None]) -> Batch:
    failed: list[XDMError] = []

    def one(i: int) -> Outcome:
        if failed and question.stop_on_error:
            return failed[0]
        run = runs[i] if i < len(runs) else None
        try:
            with client.stream(as_sent(question.prompts[i]), on_retry=retries_to([run]), **question.params) as stream:
                for _ in chunks(stream, run):
                    pass
                return stream.completion
        except XDMError as error:
            failed.append(error)
            return error

    count = len(question.prompts)
    if count == 1:
        return question.batch([one(0)])
    with ContextThreadPoolExecutor(max_workers=min(count, question.max_concurrency)) as threads:
        return question.batch(list(threads.map(one, range(count))))


async def _aask_streaming(
    client: AsyncClient, question: Question, runs: Sequence[AsyncCallbackManagerForLLMRun | None]
) -> Batch:
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


def chunks(stream: CompletionStream, run: CallbackManagerForLLMRun | None) -> Iterator[GenerationChunk]:
    """Yield the pieces of the first choice, and tell the run of each.

    The piece with the finish reason is held back until the stream has ended, so that token counts
    and all that describes the answer travel with it, on exactly one piece.
    """
    tell = run.on_llm_new_token if run is not None and run.handlers else None
    held: CompletionChunk | None = None
    for piece in stream:
        if piece.index:
            continue
        if piece.finish_reason is not None:
            held = piece
            continue
        chunk = _convert.chunk(piece)
        if tell is not None:
            tell(piece.text, chunk=chunk)
        yield chunk
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
        chunk = _convert.chunk(piece)
        if tell is not None:
            await tell(piece.text, chunk=chunk)
        yield chunk
    chunk = _convert.last_chunk(held, stream.completion)
    if tell is not None:
        await tell(chunk.text, chunk=chunk)
    yield chunk


def retries_to(runs: Sequence[Any]) -> Callable[[Sleep], Any] | None:
    """Return the hook that tells LangChain's `on_retry` handlers of a retry, once per HTTP retry.

    A request may carry the prompts of several runs; the first run of the batch is told.
    """
    run = runs[0] if runs else None
    if run is None or not run.handlers:
        return None
    return lambda pause: run.on_retry(_convert.retry_state(pause))


__all__ = ["Question", "aask", "achunks", "ask", "chunks", "retries_to"]

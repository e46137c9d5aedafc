"""Prompts on their way to the client: one request, a batch, or a stream for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from xdm_integrations.client.batches import Batch, run_batch, run_batch_async
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, packs_of

from .prompts import TokenIds
from .retries import retries_to
from .streams import achunks, chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Thread

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun

    from xdm_integrations import AsyncClient, Client, CompletionStream
    from xdm_integrations.core.completions.packing import Outcome
    from xdm_integrations.core.completions.parameters import OnePrompt
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.protocol.wire import Sleep

Opened = TypeVar("Opened")


@dataclass(frozen=True)
class PromptRequest:
    """Prompts, and how they are sent."""

    prompts: Sequence[str]
    params: Mapping[str, Any]
    streaming: bool
    batch_size: int
    max_concurrency: int
    stop_on_error: bool
    """Once a prompt has failed, send nothing more and wait for no other."""

    @property
    def batching(self) -> dict[str, Any]:
        """The arguments of a batch beside what is asked for."""
        return {
            "batch_size": self.batch_size,
            "max_concurrency": self.max_concurrency,
            "stop_on_error": self.stop_on_error,
        }

    def with_model(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the name of the model asked for, where the server doesn't say which one served."""
        if isinstance(outcome, XDMError) or outcome.model:
            return outcome
        return replace(outcome, model=self.params["model"])


def _on_retry(runs: Sequence[Any]) -> Callable[[Sleep], Any] | None:
    """Return the hook for retries, where anything listens. Several prompts may share a request: the first run hears."""
    run = runs[0] if runs else None
    return retries_to(run) if run is not None and run.handlers else None


def as_sent(prompt: str) -> OnePrompt:
    """Return what the client sends for a prompt of LangChain's."""
    return prompt.ids if isinstance(prompt, TokenIds) else prompt


def run_prompts(
    client: Client, request: PromptRequest, runs: Sequence[CallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """Return the outcome of each prompt. `runs` are their run managers, or shorter, or empty."""
    prompts = request.prompts
    on_retry = _on_retry(runs)
    if request.streaming:
        batch = _run_streams(client, request, runs)
    elif len(prompts) == 1:
        try:
            completion = client.complete(as_sent(prompts[0]), on_retry=on_retry, **request.params)
        except XDMError as error:
            return Batch([error])
        return Batch([request.with_model(completion)], completion.usage)
    else:
        texts = [as_sent(prompt) for prompt in prompts]
        batch = client.complete_batch(texts, on_retry=on_retry, **request.batching, **request.params)
    return Batch([request.with_model(one) for one in batch.outcomes], batch.usage)


async def arun_prompts(
    client: AsyncClient, request: PromptRequest, runs: Sequence[AsyncCallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """See `run_prompts`."""
    prompts = request.prompts
    on_retry = _on_retry(runs)
    if request.streaming:
        batch = await _arun_streams(client, request, runs)
    elif len(prompts) == 1:
        try:
            completion = await client.complete(as_sent(prompts[0]), on_retry=on_retry, **request.params)
        except XDMError as error:
            return Batch([error])
        return Batch([request.with_model(completion)], completion.usage)
    else:
        texts = [as_sent(prompt) for prompt in prompts]
        batch = await client.complete_batch(texts, on_retry=on_retry, **request.batching, **request.params)
    return Batch([request.with_model(one) for one in batch.outcomes], batch.usage)


def open_stream(
    stream: Callable[..., Opened],
    request: PromptRequest,
    i: int,
    run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
) -> Opened:
    """Call a client's `stream` for one of the prompts; that of `AsyncClient` is to be awaited."""
    return stream(as_sent(request.prompts[i]), on_retry=_on_retry([run]), **request.params)


def _run_streams(
    client: Client, request: PromptRequest, runs: Sequence[CallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """Return the outcome of each prompt, streamed; each piece is reported to its run."""
    reading: dict[int, CompletionStream] = {}
    stopped = Event()

    def work(pack: Pack) -> PackResult:
        (i,) = pack.positions
        run = runs[i] if i < len(runs) else None
        try:
            with open_stream(client.stream, request, i, run) as stream:
                reading[i] = stream
                if not stopped.is_set():  # else it has been opened too late for `abort` to see it
                    for _ in chunks(stream, run):
                        pass
                return PackResult([stream.completion], stream.completion.usage)
        except XDMError as error:
            return PackResult([error])
        finally:
            reading.pop(i, None)

    def abort(threads: Sequence[Thread]) -> None:
        stopped.set()
        for stream in list(reading.values()):
            stream.close()
        client.abort(threads)

    return run_batch(
        packs_of(len(request.prompts), 1),
        work,
        max_concurrency=request.max_concurrency,
        stop_on_error=request.stop_on_error,
        abort=abort,
    )


async def _arun_streams(
    client: AsyncClient, request: PromptRequest, runs: Sequence[AsyncCallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """See `_run_streams`."""

    async def work(pack: Pack) -> PackResult:
        (i,) = pack.positions
        run = runs[i] if i < len(runs) else None
        try:
            async with await open_stream(client.stream, request, i, run) as stream:
                async for _ in achunks(stream, run):
                    pass
                return PackResult([stream.completion], stream.completion.usage)
        except XDMError as error:
            return PackResult([error])

    return await run_batch_async(
        packs_of(len(request.prompts), 1),
        work,
        max_concurrency=request.max_concurrency,
        stop_on_error=request.stop_on_error,
    )

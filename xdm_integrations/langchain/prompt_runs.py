"""Prompts and their runs: what callbacks hear of each prompt, from its start over its retries to its end.

LangChain's base class does so too, but it passes on only the first of several runs, ends the run of a stream
without token counts, and gives every run of a batch the same error.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackManager, CallbackManager
from langchain_core.outputs import LLMResult, RunInfo

from xdm_integrations.client.batches import Batch, run_batch, run_batch_async
from xdm_integrations.core.completions.parameters import ParamsBesideStop
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, packs_of

from .convert import completions as convert
from .prompts import as_sent
from .streams import achunks, chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun, Callbacks
    from langchain_core.language_models.llms import BaseLLM
    from langchain_core.runnables import RunnableConfig

    from xdm_integrations import AsyncClient, Client, CompletionStream
    from xdm_integrations.core.completions.packing import Outcome
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.protocol.wire import Sleep

    from .settings import Params

Opened = TypeVar("Opened")

_TAKES_DEFAULTS = "langsmith_inheritable_metadata" in inspect.signature(CallbackManager.configure).parameters
"""langchain-core 1.4 and later give their own tracer the parameters of the call this way."""


class GenerateParams(ParamsBesideStop, total=False):
    """What `generate` may be given: the parameters of the call, and what LangChain wants to know of its runs."""

    tags: list[str] | list[list[str]] | None
    """Labels of the runs, for all prompts or prompt by prompt."""
    metadata: Params | list[Params] | None
    """What the runs carry, for all prompts or prompt by prompt."""
    run_name: str | list[str] | None
    """What the runs are called in traces."""
    run_id: UUID | list[UUID | None] | None
    """The ids of the runs."""


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


def run_prompts(
    client: Client, request: PromptRequest, runs: Sequence[CallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """Return the outcome of each prompt. `runs` are their run managers, or shorter, or empty."""
    prompts = request.prompts
    on_retry = retries_to(runs)
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
    on_retry = retries_to(runs)
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
    return stream(as_sent(request.prompts[i]), on_retry=retries_to([run]), **request.params)


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

    def abort(_: Sequence[int]) -> None:
        stopped.set()
        for stream in list(reading.values()):
            stream.close()

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


def retries_to(runs: Sequence[Any]) -> Callable[[Sleep], Any] | None:
    """Return the hook that calls LangChain's `on_retry` handlers, once per HTTP retry.

    A request may carry the prompts of several runs; the first run of the batch hears of it.
    """
    run = runs[0] if runs else None
    if run is None or not run.handlers:
        return None
    return lambda pause: run.on_retry(convert.retry_state(pause))


class Start:
    """What the runs of one call have in common when they start."""

    def __init__(
        self, llm: BaseLLM, stop: list[str] | None, kwargs: Mapping[str, Any], params: Mapping[str, Any], size: int
    ) -> None:
        """Collect what callbacks receive.

        Args:
            llm: The LLM that runs.
            stop: The stop sequences in effect.
            kwargs: The arguments of the call.
            params: The effective parameters, as callbacks may see them.
            size: Prompts in the call.
        """
        self.params = params
        self._llm = llm
        self._ls_params = llm._get_ls_params(stop=stop, **kwargs)  # noqa: SLF001 - LangChain's, overridden by ours
        self._defaults: dict[str, Any] = {"langsmith_inheritable_metadata": params} if _TAKES_DEFAULTS else {}
        self._about: dict[str, Any] = {"invocation_params": params, "options": {"stop": stop}, "batch_size": size}

    def run(self, prompt: str, config: RunnableConfig) -> CallbackManagerForLLMRun:
        """Start the run of one prompt."""
        manager = CallbackManager.configure(*self._settings(config), **self._defaults)
        about: dict[str, Any] = {"name": config.get("run_name"), "run_id": config.get("run_id"), **self._about}
        return manager.on_llm_start(self._llm._serialized, [prompt], **about)[0]  # noqa: SLF001 - the base class's own

    async def arun(self, prompt: str, config: RunnableConfig) -> AsyncCallbackManagerForLLMRun:
        """See `run`."""
        manager = AsyncCallbackManager.configure(*self._settings(config), **self._defaults)
        about: dict[str, Any] = {"name": config.get("run_name"), "run_id": config.get("run_id"), **self._about}
        return (await manager.on_llm_start(self._llm._serialized, [prompt], **about))[0]  # noqa: SLF001 - as above

    def runs(self, prompts: Sequence[tuple[str, RunnableConfig]]) -> list[CallbackManagerForLLMRun]:
        """Start the run of each prompt; none where no handler listens.

        If one can't start, those that did are ended with its error.
        """
        started: list[CallbackManagerForLLMRun] = []
        if self._has_no_listeners(prompts):
            return started
        try:
            for prompt, config in prompts:
                started.append(self.run(prompt, config))
        except BaseException as error:
            fail(started, error)
            raise
        return started

    async def aruns(self, prompts: Sequence[tuple[str, RunnableConfig]]) -> list[AsyncCallbackManagerForLLMRun]:
        """See `runs`; they start at the same time."""
        if self._has_no_listeners(prompts):
            return []
        starting = [asyncio.ensure_future(self.arun(prompt, config)) for prompt, config in prompts]
        try:
            # All of them come to an end first: a run that is cancelled between its handler's start and the return of
            # its manager could never be ended.
            await asyncio.wait(starting)
            return await asyncio.gather(*starting)
        except BaseException as error:
            for one in starting:
                one.cancel()
            begun = await asyncio.gather(*starting, return_exceptions=True)
            await afail([run for run in begun if not isinstance(run, BaseException)], error)
            raise

    def _has_no_listeners(self, prompts: Sequence[tuple[str, RunnableConfig]]) -> bool:
        """Say whether no handler listens to any of these prompts: a thousand runs would be started for no listener."""
        if not prompts:
            return True
        for _, config in prompts:
            callbacks = config.get("callbacks")  # a list, or in a chain the manager of its run
            if getattr(callbacks, "handlers", callbacks):
                return False
        # What else may listen (the LLM's own, tracers of the environment and of the context) is the same for all.
        return not CallbackManager.configure(*self._settings(prompts[0][1]), **self._defaults).handlers

    def _settings(self, config: RunnableConfig) -> tuple[Any, ...]:
        llm = self._llm
        metadata = {**(config.get("metadata") or {}), **self._ls_params}
        return (
            config.get("callbacks"), llm.callbacks, llm.verbose, config.get("tags"), llm.tags, metadata, llm.metadata
        )  # fmt: skip


def end(runs: Sequence[CallbackManagerForLLMRun], batch: Batch[Completion]) -> None:
    """End each run with its own result or error; a failed run gets the text that had arrived."""
    if not any(run.handlers for run in runs):
        return
    for run, result in zip(runs, convert.results_by_run(batch.outcomes, batch.usage), strict=True):
        if isinstance(result, XDMError):
            run.on_llm_error(result, response=convert.partial_result(result.partial))
        else:
            run.on_llm_end(result)


async def aend(runs: Sequence[AsyncCallbackManagerForLLMRun], batch: Batch[Completion]) -> None:
    """See `end`."""
    if not any(run.handlers for run in runs):
        return
    await asyncio.gather(
        *(
            run.on_llm_error(result, response=convert.partial_result(result.partial))
            if isinstance(result, XDMError)
            else run.on_llm_end(result)
            for run, result in zip(runs, convert.results_by_run(batch.outcomes, batch.usage), strict=True)
        )
    )


def result_of(batch: Batch[Completion], runs: Sequence[Any]) -> LLMResult:
    """Return the result of `generate`, which names its runs.

    Raises:
        XDMError: A prompt failed: the first one's error.
    """
    result = convert.result(batch.completions, batch.usage)
    if runs:
        result.run = [RunInfo(run_id=run.run_id) for run in runs]
    return result


def fail(runs: Sequence[CallbackManagerForLLMRun], error: BaseException) -> None:
    """End every run with the same error: the complete call failed."""
    for run in runs:
        run.on_llm_error(error, response=convert.partial_result(None))


async def afail(runs: Sequence[AsyncCallbackManagerForLLMRun], error: BaseException) -> None:
    """See `fail`."""
    await asyncio.gather(*(run.on_llm_error(error, response=convert.partial_result(None)) for run in runs))


def split_run_arguments(
    kwargs: Mapping[str, Any], callbacks: Callbacks | list[Callbacks] | None, prompts: Sequence[str]
) -> tuple[Params, Params]:
    """Part the parameters of a call from what LangChain wants to know of its runs."""
    params: Params = dict(kwargs)
    of_runs: Params = {name: params.pop(name) for name in ("tags", "metadata", "run_name", "run_id") if name in params}
    if of_runs.get("metadata") is None:  # the base class adds its own only where there are some
        per_prompt = (
            isinstance(callbacks, list)
            and callbacks
            and (callbacks[0] is None or isinstance(callbacks[0], (list, BaseCallbackManager)))
        )
        of_runs["metadata"] = [{} for _ in prompts] if per_prompt else {}
    return params, of_runs

"""The runs of prompts: what callbacks hear of each, from its start to its end.

LangChain's base class does so too, but it passes on only the first of several runs, ends the run of a stream
without token counts, and gives every run of a batch the same error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackManager, CallbackManager
from langchain_core.outputs import LLMResult, RunInfo

from xdm_integrations.core.completions.parameters import ParamsBesideStop
from xdm_integrations.core.errors.tree import XDMError

from .convert import completions as convert

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun, Callbacks
    from langchain_core.language_models.llms import BaseLLM
    from langchain_core.runnables import RunnableConfig

    from xdm_integrations.client import Batch
    from xdm_integrations.core.completions.results import Completion

    from .settings import Params

    RunCallbacks: TypeAlias = Callbacks | list[Callbacks] | None
    """For all prompts, or prompt by prompt."""

Stop: TypeAlias = "str | Sequence[str] | None"


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


def stops_of(*given: Stop) -> list[str] | None:
    """Return the first stop sequences that were given, as a list; what can't be any is refused when it is sent."""
    stop = next((one for one in given if one is not None), None)
    return [stop] if isinstance(stop, str) else list(stop) if isinstance(stop, Iterable) else stop


class Start:
    """What the runs of one call have in common when they start."""

    def __init__(
        self, llm: BaseLLM, stop: list[str] | None, kwargs: Mapping[str, Any], params: Mapping[str, Any], size: int
    ) -> None:
        """Collect what callbacks receive: the stop sequences and parameters in effect, and the number of prompts."""
        self.params = params
        self._llm = llm
        self._ls_params = llm._get_ls_params(stop=stop, **kwargs)  # noqa: SLF001 - LangChain's, overridden by ours
        self._about: dict[str, Any] = {"invocation_params": params, "options": {"stop": stop}, "batch_size": size}

    def run(self, prompt: str, config: RunnableConfig) -> CallbackManagerForLLMRun:
        """Start the run of one prompt."""
        manager = CallbackManager.configure(*self._settings(config), langsmith_inheritable_metadata=self.params)
        name, run_id = config.get("run_name"), config.get("run_id")
        return manager.on_llm_start(self._llm._serialized, [prompt], run_id, name=name, **self._about)[0]  # noqa: SLF001 - the base class's own

    async def arun(self, prompt: str, config: RunnableConfig) -> AsyncCallbackManagerForLLMRun:
        """See `run`."""
        manager = AsyncCallbackManager.configure(*self._settings(config), langsmith_inheritable_metadata=self.params)
        name, run_id = config.get("run_name"), config.get("run_id")
        return (await manager.on_llm_start(self._llm._serialized, [prompt], run_id, name=name, **self._about))[0]  # noqa: SLF001 - as above

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
        """Say whether no handler listens to any of these prompts, of which there may be a thousand."""
        if not prompts:
            return True
        for _, config in prompts:
            callbacks = config.get("callbacks")  # a list, or in a chain the manager of its run
            if getattr(callbacks, "handlers", callbacks):
                return False
        # What else may listen (the LLM's own, tracers of the environment and of the context) is the same for all.
        return not CallbackManager.configure(*self._settings(prompts[0][1])).handlers

    def _settings(self, config: RunnableConfig) -> tuple[Any, ...]:
        llm = self._llm
        metadata = {**(config.get("metadata") or {}), **self._ls_params}
        return (
            config.get("callbacks"), llm.callbacks, llm.verbose, config.get("tags"), llm.tags, metadata, llm.metadata
        )  # fmt: skip


def ended(runs: Sequence[CallbackManagerForLLMRun], work: Callable[[], Batch[Completion]]) -> Batch[Completion]:
    """Return what `work` brings, and end each run with what came of its prompt; an error ends them all."""
    try:
        batch = work()
    except BaseException as error:
        fail(runs, error)
        raise
    _end(runs, batch)
    return batch


async def aended(
    runs: Sequence[AsyncCallbackManagerForLLMRun], work: Callable[[], Awaitable[Batch[Completion]]]
) -> Batch[Completion]:
    """See `ended`."""
    try:
        batch = await work()
    except BaseException as error:
        await afail(runs, error)
        raise
    await _aend(runs, batch)
    return batch


def _end(runs: Sequence[CallbackManagerForLLMRun], batch: Batch[Completion]) -> None:
    """End each run with its own result or error; a failed run gets the text that had arrived."""
    if not any(run.handlers for run in runs):
        return
    for run, result in zip(runs, convert.results_by_run(batch.outcomes, batch.usage), strict=True):
        if isinstance(result, XDMError):
            run.on_llm_error(result, response=convert.partial_result(result.partial))
        else:
            run.on_llm_end(result)


async def _aend(runs: Sequence[AsyncCallbackManagerForLLMRun], batch: Batch[Completion]) -> None:
    """See `_end`."""
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


def text_of(batch: Batch[Completion]) -> str:
    """Return the answer to the only prompt.

    Raises:
        XDMError: It failed.
    """
    (outcome,) = batch.outcomes
    if isinstance(outcome, XDMError):
        raise outcome
    return outcome.choices[0].text


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
    kwargs: Mapping[str, Any], callbacks: RunCallbacks, prompts: Sequence[str]
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

"""What LangChain's base class asks of `XDMLLM`, and how each prompt gets its answer and its run's end."""

# ruff: noqa: ANN401 - LangChain's own signatures take `**kwargs: Any`

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.globals import get_llm_cache
from langchain_core.outputs import LLMResult, RunInfo

from xdm_integrations.core.completions.parameters import split_prompts
from xdm_integrations.core.protocol.config import KEY_VARIABLE

from . import runs
from .asking import Question, aask, ask
from .convert import completions as _convert
from .life import XDMConnected
from .prompts import TokenPrompt, as_sent, as_texts, is_token_ids, text_of
from .streams import achunks, chunks, retries_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models.base import LangSmithParams, LanguageModelInput
    from langchain_core.outputs import GenerationChunk
    from langchain_core.prompt_values import PromptValue

    from xdm_integrations.client.batches import Batch
    from xdm_integrations.core.completions.results import Completion

    from .asking import BatchCall
    from .prompts import Stop
    from .settings import Params

CALL: ContextVar[tuple[object, Params] | None] = ContextVar("xdm_integrations_langchain_call", default=None)
"""The LLM that is being called in this context, and the call's own parameters: the base class asks
`_identifying_params` for cache keys and traces, and has no other way to tell it of the call."""


class XDMAnswering(XDMConnected):
    """`XDMConnected` with the methods that LangChain's base class leaves to its heirs."""

    @property
    def _llm_type(self) -> str:
        return "xdm-llm"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Say that `dumpd` gives the constructor's arguments, secrets left out."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Say which argument is secret, and which environment variable holds it."""
        return {"xdm_api_key": KEY_VARIABLE}

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What identifies this LLM and, during a call, the call: the key of caches and traces."""
        call = CALL.get()
        own = super()._identifying_params
        return {**own, **call[1]} if call is not None and call[0] is self else own

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        effective = {**self.model_kwargs, **_given(kwargs)}
        effective.pop("stop", None)
        params = super()._get_ls_params(stop=stop, **effective)
        params["ls_provider"] = _convert.PROVIDER
        return params

    def _generate(
        self,
        prompts: list[str],
        stop: Stop = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        batch = ask(self._sync_client(), self._question(as_texts(prompts), stop, kwargs), [run_manager])
        return _convert.result(batch.completions, batch.usage)

    async def _agenerate(
        self,
        prompts: list[str],
        stop: Stop = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        batch = await aask(self._async_client(), self._question(as_texts(prompts), stop, kwargs), [run_manager])
        return _convert.result(batch.completions, batch.usage)

    def _generate_helper(
        self, prompts: list[str], stop: list[str] | None, run_managers: list[CallbackManagerForLLMRun], **kwargs: Any
    ) -> LLMResult:
        """Give every prompt's run its own tokens, result and error; the base class knows only the first."""
        if not self._answers_itself:
            return super()._generate_helper(prompts, stop, run_managers, **kwargs)
        kwargs.pop("new_arg_supported", None)
        batch = self._answer(run_managers, lambda: self._question(prompts, stop, kwargs))
        return _with_runs(_convert.result(batch.completions, batch.usage), run_managers)

    async def _agenerate_helper(
        self,
        prompts: list[str],
        stop: list[str] | None,
        run_managers: list[AsyncCallbackManagerForLLMRun],
        **kwargs: Any,
    ) -> LLMResult:
        """See `_generate_helper`."""
        if not self._answers_itself:
            return await super()._agenerate_helper(prompts, stop, run_managers, **kwargs)
        kwargs.pop("new_arg_supported", None)
        batch = await self._aanswer(run_managers, lambda: self._question(prompts, stop, kwargs))
        return _with_runs(_convert.result(batch.completions, batch.usage), run_managers)

    def _stream(
        self,
        prompt: str,
        stop: Stop = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        question = self._question(as_texts([prompt]), stop, kwargs)
        with self._sync_client().stream(
            as_sent(question.prompts[0]), on_retry=retries_to([run_manager]), **question.params
        ) as stream:
            yield from chunks(stream, run_manager)

    async def _astream(
        self,
        prompt: str,
        stop: Stop = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        question = self._question(as_texts([prompt]), stop, kwargs)
        async with (
            await self._async_client().stream(
                as_sent(question.prompts[0]), on_retry=retries_to([run_manager]), **question.params
            ) as stream,
            aclosing(achunks(stream, run_manager)) as told,
        ):
            async for chunk in told:
                yield chunk

    # Ours

    def _answer(self, managers: list[CallbackManagerForLLMRun], question: Callable[[], Question]) -> Batch[Completion]:
        """Ask, and end each run with what became of its prompt; a mistake in the question ends it too."""
        try:
            batch = ask(self._sync_client(), question(), managers)
        except BaseException as error:
            runs.fail(managers, error)
            raise
        if any(run.handlers for run in managers):
            runs.end(managers, _convert.results_by_run(batch.outcomes, batch.usage))
        return batch

    async def _aanswer(
        self, managers: list[AsyncCallbackManagerForLLMRun], question: Callable[[], Question]
    ) -> Batch[Completion]:
        """See `_answer`."""
        try:
            batch = await aask(self._async_client(), question(), managers)
        except BaseException as error:
            await runs.afail(managers, error)
            raise
        if any(run.handlers for run in managers):
            await runs.aend(managers, _convert.results_by_run(batch.outcomes, batch.usage))
        return batch

    def _question(
        self, prompts: Sequence[str], stop: Stop, kwargs: Mapping[str, Any], call: BatchCall | None = None
    ) -> Question:
        params = self._params(_as_list(stop), kwargs)
        return Question(
            prompts,
            params,
            params["model"],
            streaming=self.streaming,
            batch_size=self.batch_size,
            max_concurrency=(call.max_concurrency if call is not None else None) or self.max_concurrency,
            stop_on_error=call is None or not call.return_exceptions,
        )

    def _start(self, stop: Stop, kwargs: Mapping[str, Any], prompts: Sequence[str]) -> runs.Start:
        stops = self._stop(stop)
        params = {**self._identifying_params, **self._shown(kwargs, prompts), "_type": self._llm_type, "stop": stops}
        return runs.Start(self, stops, kwargs, params, len(prompts))

    def _stop(self, stop: Stop) -> list[str] | None:
        """Return the stop sequences in effect: the call's, else those of `model_kwargs`, else the field's."""
        if stop is None:
            stop = self.model_kwargs.get("stop")
        return _as_list(self.stop if stop is None else stop)

    def _convert_input(self, model_input: LanguageModelInput | Sequence[int]) -> PromptValue:
        if is_token_ids(model_input):
            return TokenPrompt(ids=list(model_input))  # type: ignore[arg-type] # just checked
        return super()._convert_input(model_input)  # type: ignore[arg-type] # what isn't an input is refused there

    def _prompt(self, model_input: LanguageModelInput) -> str:
        prompt = self.prompt_text(model_input)
        split_prompts(as_sent(prompt))  # an empty one fails here, alone
        return prompt

    @property
    def _caching(self) -> bool:
        return not ((self.cache is None and get_llm_cache() is None) or self.cache is False)

    @property
    def _answers_itself(self) -> bool:
        """False for a subclass with a way of its own to answer, which must be gone."""
        return _keeps(type(self), "_generate", "_agenerate")

    @property
    def _streams_itself(self) -> bool:
        """See `_answers_itself`."""
        return _keeps(type(self), "_stream", "_astream")

    def prompt_text(self, model_input: LanguageModelInput | Sequence[int]) -> str:
        """Return the text that is sent for an input.

        Raises:
            ConfigurationError: It holds an image, or anything else that isn't text.
        """
        return model_input if type(model_input) is str else text_of(self._convert_input(model_input))


def _keeps(cls: type[XDMAnswering], *names: str) -> bool:
    return all(getattr(cls, name) is getattr(XDMAnswering, name) for name in names)


def _as_list(stop: Stop) -> list[str] | None:
    if isinstance(stop, str):
        return [stop]
    return list(stop) if isinstance(stop, Iterable) else stop  # what is neither is refused when it is asked


def _given(kwargs: Mapping[str, Any]) -> Params:
    return {name: value for name, value in kwargs.items() if value is not None}


def _with_runs(result: LLMResult, managers: Sequence[Any]) -> LLMResult:
    if managers:
        result.run = [RunInfo(run_id=run.run_id) for run in managers]
    return result

"""`XDMLLM`: LangChain's LLM interface, kept where LangChain's own base class breaks it too.

The base class leaves the arguments of a call out of its cache key, drops the token counts of
streams, fails a complete batch with one prompt and takes `max_concurrency` for a slice length. The
methods that it does so in are overridden here; everything else is inherited.
"""

from __future__ import annotations

from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.globals import get_llm_cache
from langchain_core.language_models.llms import BaseLLM, aget_prompts, aupdate_cache, get_prompts, update_cache
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import ensure_config

from xdm_integrations.core.completions.parameters import PARAMETERS, check_parameters

from . import prompt_runs
from .batch_call import BatchCall
from .convert import PROVIDER
from .fields import CompletionSettings, StreamSettings
from .prompt_requests import PromptRequest, arun_prompts, open_stream, run_prompts
from .prompts import TokenIds, TokenPrompt, as_texts, is_token_ids, text_of
from .settings import GatewaySettings
from .streams import achunks, astream_texts, chunks, stream_texts
from .tokens import token_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun as AsyncRun
    from langchain_core.callbacks import CallbackManagerForLLMRun as Run
    from langchain_core.language_models.base import LangSmithParams, LanguageModelInput
    from langchain_core.outputs import GenerationChunk, LLMResult
    from langchain_core.prompt_values import PromptValue
    from langchain_core.runnables import RunnableConfig
    from typing_extensions import Unpack

    from xdm_integrations.client import AsyncCompletionStream, Batch, CompletionStream
    from xdm_integrations.core.completions.parameters import ParamsBesideStop
    from xdm_integrations.core.completions.results import Completion

    from .prompt_runs import GenerateParams, RunCallbacks, Start, Stop
    from .settings import Params
    from .structured import StructuredParams

_CALL: ContextVar[tuple[object, Params] | None] = ContextVar("xdm_integrations_langchain_call", default=None)
"""The LLM that is being called in this context, and the call's parameters: the base class reads
`_identifying_params` for cache keys and traces, and has no other way to pass it the call."""


class XDMLLM(CompletionSettings, StreamSettings, GatewaySettings, BaseLLM):
    """Text completions of the XDM gateway as a LangChain LLM.

    Setup:
        `pip install "xdm-integrations[langchain]"`, and set the environment variable `XDM_API_KEY`.

    Example:
        >>> from xdm_integrations.langchain import XDMLLM
        >>> llm = XDMLLM(temperature=0, max_tokens=20)
        >>> answer = llm.invoke("Say this is a test")
        >>> "".join(llm.stream("Say this is a test")) == answer
        True
        >>> llm.batch(["Say this is a test"] * 2) == [answer, answer]
        True
        >>> import asyncio
        >>> asyncio.run(llm.ainvoke("Say this is a test")) == answer
        True
        >>> llm.close()

    Fields are documented in `CompletionSettings`, `StreamSettings` and `GatewaySettings`. Every parameter of the
    endpoint can be given per call too, and so can `extra_body`, `extra_headers` and `timeout`. Precedence: the call,
    `bind`, `model_kwargs`, the field. One instance serves any number of threads and event loops.
    """

    PARAMETERS = PARAMETERS
    CHECK_PARAMETERS = check_parameters
    DECIDED = ("prompt", "stream")
    NONE_IS_A_VALUE = frozenset({"max_tokens"})  # None leaves it to the server

    # Runnable

    def invoke(  # type: ignore[override] # the base class takes anything
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: Stop = None,
        **kwargs: Unpack[ParamsBesideStop],
    ) -> str:
        """Return the answer to a text, a prompt value, a list of messages or a list of token ids."""
        if not self._answers_itself:
            return super().invoke(input, config, stop=self._stop(stop), **kwargs)
        if self._caching:
            return self.batch([input], config, stop=stop, **kwargs)[0]
        prompt = self.prompt_text(input)
        run = self._start(stop, kwargs, [prompt]).run(prompt, ensure_config(config))
        return prompt_runs.text_of(self._answer([prompt], [run], stop, kwargs))

    async def ainvoke(  # type: ignore[override] # the base class takes anything
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: Stop = None,
        **kwargs: Unpack[ParamsBesideStop],
    ) -> str:
        """See `invoke`."""
        if not self._answers_itself:
            return await super().ainvoke(input, config, stop=self._stop(stop), **kwargs)
        if self._caching:
            return (await self.abatch([input], config, stop=stop, **kwargs))[0]
        prompt = self.prompt_text(input)
        run = await self._start(stop, kwargs, [prompt]).arun(prompt, ensure_config(config))
        return prompt_runs.text_of(await self._aanswer([prompt], [run], stop, kwargs))

    def stream(  # type: ignore[override] # the base class takes anything
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: Stop = None,
        **kwargs: Unpack[ParamsBesideStop],
    ) -> Iterator[str]:
        """Yield the answer's texts as they arrive; the run's end has the token counts."""
        if not self._streams_itself:
            yield from super().stream(input, config, stop=self._stop(stop), **kwargs)
            return
        prompt = self.prompt_text(input)
        run = self._start(stop, kwargs, [prompt]).run(prompt, ensure_config(config))
        yield from stream_texts(lambda: self._open(prompt, stop, kwargs, run), run)

    async def astream(  # type: ignore[override] # the base class takes anything
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: Stop = None,
        **kwargs: Unpack[ParamsBesideStop],
    ) -> AsyncIterator[str]:
        """See `stream`."""
        if not self._streams_itself:
            async for text in super().astream(input, config, stop=self._stop(stop), **kwargs):
                yield text
            return
        prompt = self.prompt_text(input)
        run = await self._start(stop, kwargs, [prompt]).arun(prompt, ensure_config(config))
        async with aclosing(astream_texts(lambda: self._aopen(prompt, stop, kwargs, run), run)) as texts:
            async for text in texts:
                yield text

    def batch(  # type: ignore[override] # the base class takes anything
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        stop: Stop = None,
        **kwargs: Unpack[ParamsBesideStop],
    ) -> list[str]:
        """Answer many inputs: `batch_size` of them per request, several requests at once.

        Args:
            inputs: The inputs.
            config: `max_concurrency` is the number of requests in flight (default: the field's).
            return_exceptions: Put an exception in the place of an input that failed, and only there.
            stop: Stop sequences instead of the field's.
            **kwargs: Parameters of the call.
        """
        if not inputs:
            return []
        if not self._answers_itself:
            return super().batch(inputs, config, return_exceptions=return_exceptions, stop=stop, **kwargs)
        call = BatchCall(self.prompt_text, inputs, config, return_exceptions=return_exceptions)
        start = self._start(stop, kwargs, call.prompts)
        llm_string = ""
        if self._caching:
            cached, llm_string, _, _ = get_prompts(dict(start.params), call.prompts, self.cache)
            call.add_cached(cached)
        uncached = call.uncached
        managers = start.runs(uncached)
        try:
            call.add_outcomes(self._answer([prompt for prompt, _ in uncached], managers, stop, kwargs, call))
        except Exception as error:  # noqa: BLE001 - raised again there, unless exceptions are to be returned
            call.add_failure(error)
        if llm_string:
            update_cache(self.cache, {}, llm_string, *call.cacheable())
        return call.texts()

    async def abatch(  # type: ignore[override] # the base class takes anything
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        stop: Stop = None,
        **kwargs: Unpack[ParamsBesideStop],
    ) -> list[str]:
        """See `batch`."""
        if not inputs:
            return []
        if not self._answers_itself:
            return await super().abatch(inputs, config, return_exceptions=return_exceptions, stop=stop, **kwargs)
        call = BatchCall(self.prompt_text, inputs, config, return_exceptions=return_exceptions)
        start = self._start(stop, kwargs, call.prompts)
        llm_string = ""
        if self._caching:
            cached, llm_string, _, _ = await aget_prompts(dict(start.params), call.prompts, self.cache)
            call.add_cached(cached)
        uncached = call.uncached
        managers = await start.aruns(uncached)
        try:
            call.add_outcomes(await self._aanswer([prompt for prompt, _ in uncached], managers, stop, kwargs, call))
        except Exception as error:  # noqa: BLE001 - raised again there, unless exceptions are to be returned
            call.add_failure(error)
        if llm_string:
            await aupdate_cache(self.cache, {}, llm_string, *call.cacheable())
        return call.texts()

    # Language model

    def generate_prompt(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[PromptValue],
        stop: Stop = None,
        callbacks: RunCallbacks = None,
        **kwargs: Unpack[GenerateParams],
    ) -> LLMResult:
        """See `generate`. A prompt that holds an image is an error."""
        return self.generate([text_of(prompt) for prompt in prompts], stop=stop, callbacks=callbacks, **kwargs)

    async def agenerate_prompt(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[PromptValue],
        stop: Stop = None,
        callbacks: RunCallbacks = None,
        **kwargs: Unpack[GenerateParams],
    ) -> LLMResult:
        """See `generate_prompt`."""
        return await self.agenerate([text_of(prompt) for prompt in prompts], stop=stop, callbacks=callbacks, **kwargs)

    def generate(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[str] | list[list[int]],
        stop: Stop = None,
        callbacks: RunCallbacks = None,
        **kwargs: Unpack[GenerateParams],
    ) -> LLMResult:
        """Answer prompts: texts, or lists of token ids. See the base class."""
        texts = as_texts(prompts)
        params, of_runs = prompt_runs.split_run_arguments(kwargs, callbacks, texts)
        token = _CALL.set((self, self._shown_of(params, texts)))
        try:
            return super().generate(texts, self._stop(stop), callbacks or None, **of_runs, **params)
        finally:
            _CALL.reset(token)

    async def agenerate(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[str] | list[list[int]],
        stop: Stop = None,
        callbacks: RunCallbacks = None,
        **kwargs: Unpack[GenerateParams],
    ) -> LLMResult:
        """See `generate`."""
        texts = as_texts(prompts)
        params, of_runs = prompt_runs.split_run_arguments(kwargs, callbacks, texts)
        token = _CALL.set((self, self._shown_of(params, texts)))
        try:
            return await super().agenerate(texts, self._stop(stop), callbacks or None, **of_runs, **params)
        finally:
            _CALL.reset(token)

    def with_structured_output(  # type: ignore[override] # the base class takes anything
        self, schema: Params | type, **kwargs: Unpack[StructuredParams]
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a chain that answers with an object of `schema`; see `structured.structured_text`."""
        from .structured import structured_text  # noqa: PLC0415 - slow to import, and rarely needed

        return structured_text(self, self.prompt_text, schema, **kwargs)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text, without ever using the network; see `tokens.token_ids`."""
        return self.custom_get_token_ids(text) if self.custom_get_token_ids else token_ids(text, self.model)

    def prompt_text(self, model_input: LanguageModelInput | Sequence[int]) -> str:
        """Return the text that is sent for an input.

        Raises:
            ConfigurationError: It holds an image, or anything else that isn't text.
        """
        return model_input if type(model_input) is str else text_of(self._convert_input(model_input))

    # The abstract methods of BaseLLM, and what it reads of its subclasses

    def _generate(
        self, prompts: list[str], stop: Stop = None, run_manager: Run | None = None, **kwargs: Any
    ) -> LLMResult:
        request = self._request(as_texts(prompts), stop, kwargs)
        return prompt_runs.result_of(run_prompts(self._sync_client(), request, [run_manager]), ())

    async def _agenerate(
        self, prompts: list[str], stop: Stop = None, run_manager: AsyncRun | None = None, **kwargs: Any
    ) -> LLMResult:
        request = self._request(as_texts(prompts), stop, kwargs)
        return prompt_runs.result_of(await arun_prompts(self._async_client(), request, [run_manager]), ())

    def _generate_helper(
        self, prompts: list[str], stop: list[str] | None, run_managers: list[Run], **kwargs: Any
    ) -> LLMResult:
        """Give every prompt's run its own tokens, result and error; the base class knows only the first."""
        if not self._answers_itself:
            return super()._generate_helper(prompts, stop, run_managers, **kwargs)
        kwargs.pop("new_arg_supported", None)
        return prompt_runs.result_of(self._answer(prompts, run_managers, stop, kwargs), run_managers)

    async def _agenerate_helper(
        self, prompts: list[str], stop: list[str] | None, run_managers: list[AsyncRun], **kwargs: Any
    ) -> LLMResult:
        """See `_generate_helper`."""
        if not self._answers_itself:
            return await super()._agenerate_helper(prompts, stop, run_managers, **kwargs)
        kwargs.pop("new_arg_supported", None)
        return prompt_runs.result_of(await self._aanswer(prompts, run_managers, stop, kwargs), run_managers)

    def _stream(
        self, prompt: str, stop: Stop = None, run_manager: Run | None = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        with self._open(prompt, stop, kwargs, run_manager) as stream:
            yield from chunks(stream, run_manager)

    async def _astream(
        self, prompt: str, stop: Stop = None, run_manager: AsyncRun | None = None, **kwargs: Any
    ) -> AsyncIterator[GenerationChunk]:
        async with (
            await self._aopen(prompt, stop, kwargs, run_manager) as stream,
            aclosing(achunks(stream, run_manager)) as reported,
        ):
            async for chunk in reported:
                yield chunk

    @property
    def _llm_type(self) -> str:
        return "xdm-llm"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What identifies this LLM and, during `generate`, the call: the key of caches and traces."""
        call = _CALL.get()
        return {**self._identity(), **call[1]} if call is not None and call[0] is self else self._identity()

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        effective = {**self.model_kwargs, **{name: value for name, value in kwargs.items() if value is not None}}
        effective.pop("stop", None)
        params = super()._get_ls_params(stop=stop, **effective)
        params["ls_provider"] = PROVIDER
        return params

    def _convert_input(self, model_input: LanguageModelInput | Sequence[int]) -> PromptValue:
        if is_token_ids(model_input):
            return TokenPrompt(ids=list(model_input))  # type: ignore[arg-type] # just checked
        return super()._convert_input(model_input)  # type: ignore[arg-type] # what isn't an input is refused there

    # Ours

    def _answer(
        self, prompts: list[str], runs: list[Run], stop: Stop, kwargs: Mapping[str, Any], call: BatchCall | None = None
    ) -> Batch[Completion]:
        """Send the prompts, and end each one's run with what came of it."""

        def work() -> Batch[Completion]:
            client = self._made_sync or self._sync_client()
            return run_prompts(client, self._request(prompts, stop, kwargs, call), runs)

        return prompt_runs.ended(runs, work)

    async def _aanswer(
        self,
        prompts: list[str],
        runs: list[AsyncRun],
        stop: Stop,
        kwargs: Mapping[str, Any],
        call: BatchCall | None = None,
    ) -> Batch[Completion]:
        """See `_answer`."""

        async def work() -> Batch[Completion]:
            client = self._made_async or self._async_client()
            return await arun_prompts(client, self._request(prompts, stop, kwargs, call), runs)

        return await prompt_runs.aended(runs, work)

    def _request(
        self, prompts: Sequence[str], stop: Stop, kwargs: Mapping[str, Any], call: BatchCall | None = None
    ) -> PromptRequest:
        return PromptRequest(
            prompts,
            self._params({**kwargs, "stop": stop}),
            streaming=self.streaming,
            batch_size=self.batch_size,
            max_concurrency=(call.max_concurrency if call is not None else None) or self.max_concurrency,
            stop_on_error=call is None or not call.return_exceptions,
        )

    def _open(self, prompt: str, stop: Stop, kwargs: Mapping[str, Any], run: Run | None) -> CompletionStream:
        return open_stream(self._sync_client().stream, self._request(as_texts([prompt]), stop, kwargs), 0, run)

    async def _aopen(
        self, prompt: str, stop: Stop, kwargs: Mapping[str, Any], run: AsyncRun | None
    ) -> AsyncCompletionStream:
        return await open_stream(self._async_client().stream, self._request(as_texts([prompt]), stop, kwargs), 0, run)

    def _start(self, stop: Stop, kwargs: Mapping[str, Any], prompts: Sequence[str]) -> Start:
        stops = self._stop(stop)
        params = {**self._identifying_params, **self._shown_of(kwargs, prompts), "_type": self._llm_type, "stop": stops}
        return prompt_runs.Start(self, stops, kwargs, params, len(prompts))

    def _shown_of(self, kwargs: Mapping[str, Any], prompts: Sequence[str]) -> Params:
        shown = self._shown(kwargs) if kwargs else {}
        if TokenIds in map(type, prompts):
            shown["prompt_type"] = "token_ids"  # the ids [1, 2] and the text "[1, 2]" aren't the same prompt
        return shown

    def _stop(self, stop: Stop) -> list[str] | None:
        """Return the stop sequences in effect: the call's, else those of `model_kwargs`, else the field's."""
        return prompt_runs.stops_of(stop, self.model_kwargs.get("stop"), self.stop)

    @property
    def _caching(self) -> bool:
        return not ((self.cache is None and get_llm_cache() is None) or self.cache is False)

    @property
    def _answers_itself(self) -> bool:
        """False for a subclass with a way of its own to answer, which must be used."""
        cls = type(self)
        return cls._generate is XDMLLM._generate and cls._agenerate is XDMLLM._agenerate

    @property
    def _streams_itself(self) -> bool:
        """See `_answers_itself`."""
        cls = type(self)
        return cls._stream is XDMLLM._stream and cls._astream is XDMLLM._astream


# LangChain's fallbacks ask what this returns, and resolve all annotations that they find.
XDMLLM.with_structured_output.__annotations__ = {"return": Runnable}

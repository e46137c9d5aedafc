"""`XDMLLM`: LangChain's LLM interface, kept where LangChain's own base class breaks it too.

The base class leaves the arguments of a call out of its cache key, drops the token counts of
streams, fails a whole batch with one prompt and takes `max_concurrency` for a slice length. The
methods that it does so in are overridden here; everything else is inherited.
"""

# ruff: noqa: ANN401 - LangChain's own signatures take `**kwargs: Any`

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.llms import aget_prompts, aupdate_cache, get_prompts, update_cache
from langchain_core.runnables.config import ensure_config, get_config_list
from pydantic import ConfigDict

from xdm_integrations.core.errors.tree import XDMError

from .asking import BatchCall
from .convert import completions as _convert
from .generating import XDMGenerating
from .prompts import as_sent
from .streams import achunks, chunks, retries_to
from .tokens import token_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.runnables import Runnable, RunnableConfig
    from typing_extensions import Unpack

    from xdm_integrations.core.completions.parameters import ParamsBesideStop
    from xdm_integrations.core.completions.results import Completion

    from .llm_structured import StructuredParams
    from .prompts import Stop
    from .settings import Params


class XDMLLM(XDMGenerating):
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

    Fields are documented in `XDMFields`. Every parameter of the endpoint can be given per call too, and
    so can `extra_body`, `extra_headers` and `timeout`. Precedence: the call, `bind`, `model_kwargs`, the
    field. One instance serves any number of threads and event loops.
    """

    model_config = ConfigDict(defer_build=False)

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
        return self._answer([run], lambda: self._question([prompt], stop, kwargs)).completions[0].text

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
        return (await self._aanswer([run], lambda: self._question([prompt], stop, kwargs))).completions[0].text

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
        stream = None
        yielded = False
        try:
            with self._sync_client().stream(
                as_sent(prompt), on_retry=retries_to([run]), **self._params(stop, kwargs)
            ) as stream:
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
            run.on_llm_error(error, response=_convert.partial_result(_so_far(stream, error)))
            raise
        run.on_llm_end(_convert.streamed_result(stream.completion))

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
        stream = None
        yielded = False
        try:
            async with await self._async_client().stream(
                as_sent(prompt), on_retry=retries_to([run]), **self._params(stop, kwargs)
            ) as stream:
                if run.handlers:
                    async with aclosing(achunks(stream, run)) as told:
                        async for chunk in told:
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
            await run.on_llm_error(error, response=_convert.partial_result(_so_far(stream, error)))
            raise
        await run.on_llm_end(_convert.streamed_result(stream.completion))

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
        call = BatchCall(
            self._prompt, inputs, get_config_list(config, len(inputs)), return_exceptions=return_exceptions
        )
        start = self._start(stop, kwargs, call.prompts)
        llm_string = ""
        if self._caching:
            cached, llm_string, _, _ = get_prompts(dict(start.params), call.prompts, self.cache)
            call.take_cached(cached)
        managers = start.runs(call.asked())
        try:
            call.take(self._answer(managers, lambda: self._question(call.missing, stop, kwargs, call)))
        except Exception as error:  # noqa: BLE001 - raised again there, unless exceptions are to be returned
            call.take_failure(error)
        if llm_string:
            update_cache(self.cache, {}, llm_string, *call.learnt())
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
        call = BatchCall(
            self._prompt, inputs, get_config_list(config, len(inputs)), return_exceptions=return_exceptions
        )
        start = self._start(stop, kwargs, call.prompts)
        llm_string = ""
        if self._caching:
            cached, llm_string, _, _ = await aget_prompts(dict(start.params), call.prompts, self.cache)
            call.take_cached(cached)
        managers = await start.aruns(call.asked())
        try:
            call.take(await self._aanswer(managers, lambda: self._question(call.missing, stop, kwargs, call)))
        except Exception as error:  # noqa: BLE001 - raised again there, unless exceptions are to be returned
            call.take_failure(error)
        if llm_string:
            await aupdate_cache(self.cache, {}, llm_string, *call.learnt())
        return call.texts()

    # Language model

    def with_structured_output(  # type: ignore[override] # the base class takes anything
        self, schema: Params | type, **kwargs: Unpack[StructuredParams]
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a chain that answers with an object of `schema`; see `structured.structured_output`."""
        from .llm_structured import structured_output  # noqa: PLC0415 - slow to import, and rarely needed

        return structured_output(self, schema, **kwargs)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text, without ever using the network; see `tokens.token_ids`."""
        return self.custom_get_token_ids(text) if self.custom_get_token_ids else token_ids(text, self.model)


def _so_far(stream: Any, error: BaseException) -> Completion | None:
    """Return what had arrived of an answer when `error` ended it."""
    if stream is not None:
        completion: Completion = stream.completion
        return completion
    return error.partial if isinstance(error, XDMError) else None

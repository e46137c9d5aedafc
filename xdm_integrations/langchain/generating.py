"""`generate` and its kin: the base class's own, told of the call that it would forget."""

# ruff: noqa: ANN401 - LangChain's own signatures take `**kwargs: Any`

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackManager

from xdm_integrations.core.completions.parameters import ParamsBesideStop

from .answering import CALL, XDMAnswering
from .prompts import as_texts, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from langchain_core.callbacks import Callbacks
    from langchain_core.outputs import LLMResult
    from langchain_core.prompt_values import PromptValue
    from typing_extensions import Unpack

    from .prompts import Stop
    from .settings import Params


class RunParams(ParamsBesideStop, total=False):
    """What `generate` may be given: the parameters of the call, and what LangChain wants to know of its runs."""

    tags: list[str] | list[list[str]] | None
    """Labels of the runs, for all prompts or prompt by prompt."""
    run_name: str | list[str] | None
    """What the runs are called in traces."""
    run_id: UUID | list[UUID | None] | None
    """The ids of the runs."""


class PromptRunParams(RunParams, total=False):
    """What `generate_prompt` may be given: `generate` has `metadata` as an argument of its own."""

    metadata: Params | list[Params] | None
    """What the runs carry, for all prompts or prompt by prompt."""


class XDMGenerating(XDMAnswering):
    """`XDMAnswering` with `generate`: what it keeps in caches and shows to callbacks depends on the call."""

    def generate_prompt(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[PromptValue],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        **kwargs: Unpack[PromptRunParams],
    ) -> LLMResult:
        """See `generate`. A prompt that holds an image is an error."""
        return self.generate([text_of(prompt) for prompt in prompts], stop=stop, callbacks=callbacks, **kwargs)

    async def agenerate_prompt(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[PromptValue],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        **kwargs: Unpack[PromptRunParams],
    ) -> LLMResult:
        """See `generate_prompt`."""
        return await self.agenerate([text_of(prompt) for prompt in prompts], stop=stop, callbacks=callbacks, **kwargs)

    def generate(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[str] | list[list[int]],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        *,
        metadata: Params | list[Params] | None = None,
        **kwargs: Unpack[RunParams],
    ) -> LLMResult:
        """Answer prompts: texts, or lists of token ids. See the base class."""
        params, runs_of = _split(kwargs)
        stop = self._stop(stop)
        texts = as_texts(prompts)
        token = CALL.set((self, self._shown(params, texts)))
        try:
            return super().generate(
                texts, stop, callbacks or None, metadata=_metadata(metadata, callbacks, texts), **runs_of, **params
            )
        finally:
            CALL.reset(token)

    async def agenerate(  # type: ignore[override] # the base class takes anything
        self,
        prompts: list[str] | list[list[int]],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        *,
        metadata: Params | list[Params] | None = None,
        **kwargs: Unpack[RunParams],
    ) -> LLMResult:
        """See `generate`."""
        params, runs_of = _split(kwargs)
        stop = self._stop(stop)
        texts = as_texts(prompts)
        token = CALL.set((self, self._shown(params, texts)))
        try:
            return await super().agenerate(
                texts, stop, callbacks or None, metadata=_metadata(metadata, callbacks, texts), **runs_of, **params
            )
        finally:
            CALL.reset(token)


_RUN_ARGUMENTS = ("tags", "run_name", "run_id")


def _split(kwargs: Mapping[str, Any]) -> tuple[Params, Params]:
    """Part the parameters of a call from what LangChain wants to know of its runs."""
    params = dict(kwargs)
    runs_of = {name: params.pop(name) for name in _RUN_ARGUMENTS if name in params}
    return params, runs_of


def _metadata(metadata: Any, callbacks: Any, prompts: Sequence[str]) -> Any:
    """Return metadata that isn't None: the base class adds its own only where there are some."""
    if metadata is not None:
        return metadata
    per_prompt = (
        isinstance(callbacks, list)
        and callbacks
        and (callbacks[0] is None or isinstance(callbacks[0], (list, BaseCallbackManager)))
    )
    return [{} for _ in prompts] if per_prompt else {}

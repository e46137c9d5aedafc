"""`generate` and its kin: the base class's own, told of the call that it would forget."""

# ruff: noqa: ANN401 - LangChain's own signatures take `**kwargs: Any`

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackManager

from .answering import CALL, XDMAnswering
from .prompts import as_texts, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import Callbacks
    from langchain_core.outputs import LLMResult
    from langchain_core.prompt_values import PromptValue

    from .fields import Params
    from .prompts import Stop


class XDMGenerating(XDMAnswering):
    """`XDMAnswering` with `generate`: what it keeps in caches and shows to callbacks depends on the call."""

    def generate_prompt(
        self,
        prompts: list[PromptValue],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """See `generate`. A prompt that holds an image is an error."""
        return self.generate([text_of(prompt) for prompt in prompts], stop=stop, callbacks=callbacks, **kwargs)

    async def agenerate_prompt(
        self,
        prompts: list[PromptValue],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """See `generate_prompt`."""
        return await self.agenerate([text_of(prompt) for prompt in prompts], stop=stop, callbacks=callbacks, **kwargs)

    def generate(
        self,
        prompts: list[str] | list[list[int]],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        *,
        metadata: Params | list[Params] | None = None,
        **kwargs: Any,
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

    async def agenerate(
        self,
        prompts: list[str] | list[list[int]],
        stop: Stop = None,
        callbacks: Callbacks | list[Callbacks] | None = None,
        *,
        metadata: Params | list[Params] | None = None,
        **kwargs: Any,
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


def _split(kwargs: Params) -> tuple[Params, Params]:
    """Part the parameters of a call from what LangChain wants to know of its runs."""
    runs_of = {name: kwargs.pop(name) for name in _RUN_ARGUMENTS if name in kwargs}
    return kwargs, runs_of


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

"""What LlamaIndex makes of a model's answers, objects and calls of tools, with its faults mended; for all LLMs here.

LlamaIndex's programs for objects leave the choice of the tool to the model while they stream, so that an answer in
words ends as an empty object; forget the system prompt when they are async; refuse recursive and generic classes;
double the braces of a schema (run-llama/llama_index PR 22380), and write into the caller's template. For models
without tools `predict_and_call` builds a ReAct agent of `None` and `None`, which it refuses.
"""

# ruff: noqa: ANN401 # LlamaIndex's own signatures

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent as _EndEvent
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictStartEvent as _StartEvent

from .calls import dispatcher, span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Generator

    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.program.utils import FlexibleModel
    from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
    from llama_index.core.types import Model, PydanticProgramMode


class Predictions:
    """The predictions of an LLM, in spans that show no options. A class stands this before LlamaIndex's own."""

    OBJECT_MODES: ClassVar[Collection[PydanticProgramMode]]
    """The modes that are carried out here; LlamaIndex has programs for the others."""
    OBJECT_CALL: ClassVar[Callable[..., Any]]
    """Makes a call (which has `run`, `arun`, `stream` and `astream`) of the LLM and what `structured_predict` takes."""

    if TYPE_CHECKING:
        pydantic_program_mode: PydanticProgramMode

    @span
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the answer as an instance of `output_cls`.

        Args:
            output_cls: A Pydantic class.
            prompt: A template. It isn't changed.
            llm_kwargs: Parameters of the call, as for `chat`.
            **prompt_args: What fills the template.

        Raises:
            ValueError: The class refuses the answer, or the answer of a text model holds no object.
            ContentFilterError: The model refuses.
            XDMError: The call failed, or the answer of a chat model holds no such object.
        """
        if self.pydantic_program_mode not in self.OBJECT_MODES:
            return cast("Model", _unspanned(self, "structured_predict")(output_cls, prompt, llm_kwargs, **prompt_args))
        dispatcher.event(_StartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))
        made: Model = self.OBJECT_CALL(self, output_cls, prompt, llm_kwargs, prompt_args).run()
        dispatcher.event(_EndEvent(output=made))
        return made

    @span
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """See `structured_predict`."""
        if self.pydantic_program_mode not in self.OBJECT_MODES:
            predict = _unspanned(self, "astructured_predict")
            return cast("Model", await predict(output_cls, prompt, llm_kwargs, **prompt_args))
        dispatcher.event(_StartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))
        made: Model = await self.OBJECT_CALL(self, output_cls, prompt, llm_kwargs, prompt_args).arun()
        dispatcher.event(_EndEvent(output=made))
        return made

    @span
    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        """Yield the answer as an instance that grows: first of a class whose fields may be missing, then of its own."""
        predict = _unspanned(self, "stream_structured_predict")
        return cast("Generator[Model, None, None]", predict(output_cls, prompt, llm_kwargs, **prompt_args))

    @span
    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        """See `stream_structured_predict`."""
        predict = _unspanned(self, "astream_structured_predict")
        return cast("AsyncGenerator[Model, None]", await predict(output_cls, prompt, llm_kwargs, **prompt_args))

    # These two are called by LlamaIndex's streams above.

    def _structured_stream_call(
        self, output_cls: type[Model], prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        if self.pydantic_program_mode not in self.OBJECT_MODES:
            return _unspanned(self, "_structured_stream_call")(output_cls, prompt, llm_kwargs, **prompt_args)
        return self.OBJECT_CALL(self, output_cls, prompt, llm_kwargs, prompt_args).stream()

    async def _structured_astream_call(
        self, output_cls: type[Model], prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        if self.pydantic_program_mode not in self.OBJECT_MODES:
            return await _unspanned(self, "_structured_astream_call")(output_cls, prompt, llm_kwargs, **prompt_args)
        return self.OBJECT_CALL(self, output_cls, prompt, llm_kwargs, prompt_args).astream()

    @span
    def predict_and_call(self, *args: Any, **kwargs: Any) -> AgentChatResponse:
        """Let the model choose a tool, call it, and return its output; see the base class for the arguments.

        A model that takes no tools is asked by the ReAct prompt.
        """
        predict = _unspanned(self, "predict_and_call")
        return cast("AgentChatResponse", predict(*args, **_with_react(self, kwargs)))

    @span
    async def apredict_and_call(self, *args: Any, **kwargs: Any) -> AgentChatResponse:
        """See `predict_and_call`."""
        predict = _unspanned(self, "apredict_and_call")
        return cast("AgentChatResponse", await predict(*args, **_with_react(self, kwargs)))


def _unspanned(llm: Predictions, name: str) -> Callable[..., Any]:
    """Return a method of LlamaIndex's class without its span, which shows all that it is given."""
    method: Callable[..., Any] = inspect.unwrap(getattr(super(Predictions, type(llm)), name))
    return partial(method, llm)


def _with_react(llm: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `predict_and_call`, for a model without tools with the parts of a ReAct agent."""
    if llm.metadata.is_function_calling_model:
        return kwargs
    from llama_index.core.agent.react import ReActChatFormatter, ReActOutputParser  # noqa: PLC0415 - 20 ms, with all agents

    return {
        **kwargs,
        "react_chat_formatter": kwargs.get("react_chat_formatter") or ReActChatFormatter.from_defaults(),
        "output_parser": kwargs.get("output_parser") or ReActOutputParser(),
    }

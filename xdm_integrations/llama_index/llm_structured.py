"""Structured answers and tool calls, which LlamaIndex has for text models, with its faults mended.

Structured answers: a Pydantic class in the prompt as a JSON schema, and its instance out of the answer.

LlamaIndex's own program for text models doubles every brace of the schema (run-llama/llama_index
PR 22380) and writes its output parser into the caller's template. Here the prompt is made from a
copy, and then given to the same program as it is.

Tool calls: `predict_and_call` hands `None` for both parts of the ReAct agent that it builds, which
the agent refuses; here they have their defaults.
"""

# ruff: noqa: ANN401, FBT001, FBT002 # LlamaIndex's own signatures

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.llm import LLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import LLMTextCompletionProgram
from llama_index.core.program.utils import get_program_for_llm
from llama_index.core.prompts import PromptTemplate, SelectorPromptTemplate
from llama_index.core.types import PydanticProgramMode

from .instrumentation import dispatcher
from .settings import XDMFields

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.tools import BaseTool
    from llama_index.core.types import BasePydanticProgram, Model

_BY_TEXT = (PydanticProgramMode.DEFAULT, PydanticProgramMode.LLM)


class _SchemaWriter(PydanticOutputParser[Any]):
    """Writes the schema below a prompt, with single braces."""

    def format(self, query: str) -> str:
        return f"{query}\n\n{self.get_format_string(escape_json=False)}"


class _Reader(PydanticOutputParser[Any]):
    """Reads the answer, and leaves a finished prompt as it is."""

    def format(self, query: str) -> str:
        return query


def _program_for(
    llm: LLM,
    output_cls: type[Model],
    prompt: BasePromptTemplate,
    llm_kwargs: dict[str, Any] | None,
    prompt_args: dict[str, Any],
) -> tuple[BasePydanticProgram[Model], dict[str, Any]]:
    """Return a program for structured answers, and the arguments to call it with.

    The prompt has what `llm.predict` gives it too: `completion_to_prompt` or `messages_to_prompt`,
    and the system prompt. A `pydantic_program_mode` for other kinds of models is left to LlamaIndex.
    """
    if llm.pydantic_program_mode not in _BY_TEXT:
        program = get_program_for_llm(output_cls, prompt, llm, pydantic_program_mode=llm.pydantic_program_mode)
        return program, {"llm_kwargs": llm_kwargs, **prompt_args}
    while isinstance(prompt, SelectorPromptTemplate):
        prompt = prompt.select(llm)
    template = copy.copy(prompt)
    template.output_parser = _SchemaWriter(output_cls)
    text = template.format(
        llm=llm,
        messages_to_prompt=llm.messages_to_prompt,
        completion_to_prompt=llm.completion_to_prompt,
        **prompt_args,
    )
    program = LLMTextCompletionProgram(_Reader(output_cls), output_cls, PromptTemplate("{prompt}"), llm)
    return program, {"llm_kwargs": {**(llm_kwargs or {}), "formatted": True}, "prompt": llm._extend_prompt(text)}  # noqa: SLF001 - the base class's way to add the system prompt


# LlamaIndex decorates an override with a span of its own: what it overrides must not make a second one.
_predict_and_call: Callable[..., AgentChatResponse] = inspect.unwrap(LLM.predict_and_call)
_apredict_and_call: Callable[..., Awaitable[AgentChatResponse]] = inspect.unwrap(LLM.apredict_and_call)


class StructuredAnswers(XDMFields):
    """`structured_predict` and its kin, `predict_and_call` and its."""

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the answer as an instance of `output_cls`.

        Args:
            output_cls: A Pydantic class; its JSON schema goes below the prompt.
            prompt: A template. It isn't changed.
            llm_kwargs: Parameters of the call, as for `complete`.
            **prompt_args: What fills the template.

        Raises:
            ValueError: The answer holds no JSON, or none that fits.
            XDMError: The call failed.
        """
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        program, arguments = _program_for(self, output_cls, prompt, llm_kwargs, prompt_args)
        result = cast("Model", program(**arguments))  # a list only from models that call functions
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """See `structured_predict`."""
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        program, arguments = _program_for(self, output_cls, prompt, llm_kwargs, prompt_args)
        result = cast("Model", await program.acall(**arguments))
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result

    # `stream_structured_predict` and `astream_structured_predict` of the base class call these two.

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        program, arguments = _program_for(self, output_cls, prompt, llm_kwargs, prompt_args)
        return program.stream_call(**arguments)

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        program, arguments = _program_for(self, output_cls, prompt, llm_kwargs, prompt_args)
        return await program.astream_call(**arguments)

    def predict_and_call(
        self,
        tools: list[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """Let the model choose a tool by the ReAct prompt, call it, and return its output."""
        return _predict_and_call(self, tools, user_msg, chat_history, verbose, **_with_react(kwargs))

    async def apredict_and_call(
        self,
        tools: list[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """See `predict_and_call`."""
        return await _apredict_and_call(self, tools, user_msg, chat_history, verbose, **_with_react(kwargs))


def _with_react(kwargs: dict[str, Any]) -> dict[str, Any]:
    from llama_index.core.agent.react import ReActChatFormatter, ReActOutputParser  # noqa: PLC0415 - 20 ms, with all agents

    return {
        **kwargs,
        "react_chat_formatter": kwargs.get("react_chat_formatter") or ReActChatFormatter.from_defaults(),
        "output_parser": kwargs.get("output_parser") or ReActOutputParser(),
    }

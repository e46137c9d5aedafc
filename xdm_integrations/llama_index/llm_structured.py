"""Structured answers and tool calls, which LlamaIndex has for text models, with its faults mended.

Structured answers: a Pydantic class in the prompt as a JSON schema, and its instance out of the answer.

LlamaIndex's own program for text models doubles every brace of the schema (run-llama/llama_index
PR 22380) and writes its output parser into the caller's template. Here the prompt is made from a
copy, and then given to the same program as it is.

Tool calls: `predict_and_call` hands `None` for both parts of the ReAct agent that it builds, which
the agent refuses; here they have their defaults.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import LLMTextCompletionProgram
from llama_index.core.program.utils import get_program_for_llm
from llama_index.core.prompts import PromptTemplate, SelectorPromptTemplate
from llama_index.core.types import PydanticProgramMode

from .instrumentation import dispatcher

if TYPE_CHECKING:
    from llama_index.core.llms.llm import LLM
    from llama_index.core.prompts import BasePromptTemplate
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


def program_for(
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


def structured_answer(
    llm: LLM,
    output_cls: type[Model],
    prompt: BasePromptTemplate,
    llm_kwargs: dict[str, Any] | None,
    prompt_args: dict[str, Any],
) -> Model:
    """Return the answer as an instance of `output_cls`, between the events that LlamaIndex makes of it."""
    _started(output_cls, prompt, prompt_args)
    program, arguments = program_for(llm, output_cls, prompt, llm_kwargs, prompt_args)
    return _ended(program(**arguments))


async def astructured_answer(
    llm: LLM,
    output_cls: type[Model],
    prompt: BasePromptTemplate,
    llm_kwargs: dict[str, Any] | None,
    prompt_args: dict[str, Any],
) -> Model:
    """See `structured_answer`."""
    _started(output_cls, prompt, prompt_args)
    program, arguments = program_for(llm, output_cls, prompt, llm_kwargs, prompt_args)
    return _ended(await program.acall(**arguments))


def _started(output_cls: type[Model], prompt: BasePromptTemplate, prompt_args: dict[str, Any]) -> None:
    event = LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
    dispatcher.event(event)


def _ended(result: Model | list[Model]) -> Model:
    answer = cast("Model", result)  # a list only from models that call functions
    dispatcher.event(LLMStructuredPredictEndEvent(output=answer))
    return answer


def with_react(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `predict_and_call` with the parts of a ReAct agent that LlamaIndex leaves out."""
    from llama_index.core.agent.react import ReActChatFormatter, ReActOutputParser  # noqa: PLC0415 - 20 ms, with all agents

    return {
        **kwargs,
        "react_chat_formatter": kwargs.get("react_chat_formatter") or ReActChatFormatter.from_defaults(),
        "output_parser": kwargs.get("output_parser") or ReActOutputParser(),
    }

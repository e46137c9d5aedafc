"""Structured answers and tool calls, which LlamaIndex has for text models, with its faults mended.

Structured answers: a Pydantic class in the prompt as a JSON schema, and its instance out of the answer.

LlamaIndex's own program for text models doubles every brace of the schema (run-llama/llama_index PR 22380) and writes
its output parser into the caller's template: here the prompt is made from a copy. It reads all that stands between the
first brace and the last, and its streams end with whatever they have, were it an object without content: here the
answer is the last object that fits, or an error.

Tool calls: `predict_and_call` hands `None` for both parts of the ReAct agent that it builds, which
the agent refuses; here they have their defaults.
"""

# ruff: noqa: ANN401 # LlamaIndex's own signatures

from __future__ import annotations

import copy
import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.bridge.pydantic import ValidationError
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.llm import LLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import LLMTextCompletionProgram
from llama_index.core.program.utils import get_program_for_llm, process_streaming_objects
from llama_index.core.prompts import PromptTemplate, SelectorPromptTemplate
from llama_index.core.types import PydanticProgramMode

from xdm_integrations.core import jsontext
from xdm_integrations.core.protocol.json_answers import objects_for

from .calls import dispatcher, span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from llama_index.core.base.llms.types import CompletionResponse
    from llama_index.core.bridge.pydantic import BaseModel
    from llama_index.core.program.utils import FlexibleModel
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.types import BaseOutputParser, BasePydanticProgram, Model

# What these make would otherwise be spans of LlamaIndex's, which show all that they are given.
_stream_structured_predict: Callable[..., Generator[Any, None, None]] = inspect.unwrap(LLM.stream_structured_predict)
_astream_structured_predict: Callable[..., Awaitable[AsyncGenerator[Any, None]]] = inspect.unwrap(
    LLM.astream_structured_predict
)
_BY_TEXT = (PydanticProgramMode.DEFAULT, PydanticProgramMode.LLM)


class _SchemaWriter(PydanticOutputParser[Any]):
    """Writes the schema below a prompt, with single braces."""

    def format(self, query: str) -> str:
        return f"{query}\n\n{self.get_format_string(escape_json=False)}"


class _Reader(PydanticOutputParser[Any]):
    """Reads the answer, and leaves a finished prompt as it is."""

    def parse(self, text: str) -> Any:
        """Return the last complete object of the text that the class takes: models write drafts and prose around it."""
        error = ValueError(f"The answer holds no JSON object that fits {self.output_cls.__name__}: {text[:200]!r}")
        for value in objects_for(text, self.output_cls.model_json_schema()):
            try:
                return self.output_cls.model_validate_json(jsontext.dumps(value))
            except ValidationError as refused:
                error = refused
        raise error

    def format(self, query: str) -> str:
        return query


class _Program(LLMTextCompletionProgram[Any]):
    """LlamaIndex's program, whose streams end with an instance of the class, or raise."""

    def stream_call(
        self, *args: Any, llm_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> Generator[Any, None, None]:
        so_far = _ObjectSoFar(self._output_parser, self._output_cls)
        for response in self._llm.stream_complete(self._prompt.format(**kwargs), *args, **(llm_kwargs or {})):
            yield from so_far.feed(response)
        yield so_far.end()

    async def astream_call(
        self, *args: Any, llm_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        responses = await self._llm.astream_complete(self._prompt.format(**kwargs), *args, **(llm_kwargs or {}))
        return self._objects(responses)

    async def _objects(self, responses: AsyncGenerator[CompletionResponse, None]) -> AsyncGenerator[Any, None]:
        so_far = _ObjectSoFar(self._output_parser, self._output_cls)
        async with aclosing(responses):
            async for response in responses:
                for partial in so_far.feed(response):
                    yield partial
        yield so_far.end()


class _ObjectSoFar:
    """What has come of an object: partial ones in LlamaIndex's own way, once they hold something of the class."""

    def __init__(self, reader: BaseOutputParser, output_cls: type[BaseModel]) -> None:
        self._reader = reader
        self._output_cls = output_cls
        self._partials: list[Any] = []
        self._text = ""

    def feed(self, response: CompletionResponse) -> list[Any]:
        self._text = response.text
        try:
            partial: Any = process_streaming_objects(response, self._output_cls, self._partials)
        except Exception:  # noqa: BLE001 - of a validator of the class, which is given half an object
            return []
        if not partial.model_fields_set & self._output_cls.model_fields.keys():
            return []
        self._partials = [partial]
        return self._partials

    def end(self) -> Any:
        return self._reader.parse(self._text)


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
    program = _Program(_Reader(output_cls), output_cls, PromptTemplate("{prompt}"), llm)
    return program, {"llm_kwargs": {**(llm_kwargs or {}), "formatted": True}, "prompt": llm._extend_prompt(text)}  # noqa: SLF001 - the base class's way to add the system prompt


def structured_answer(
    llm: LLM,
    output_cls: type[Model],
    prompt: BasePromptTemplate,
    llm_kwargs: dict[str, Any] | None,
    prompt_args: dict[str, Any],
) -> Model:
    """Return the answer as an instance of `output_cls`, between the events that LlamaIndex makes of it."""
    started(output_cls, prompt, prompt_args)
    program, arguments = program_for(llm, output_cls, prompt, llm_kwargs, prompt_args)
    return ended(program(**arguments))


async def astructured_answer(
    llm: LLM,
    output_cls: type[Model],
    prompt: BasePromptTemplate,
    llm_kwargs: dict[str, Any] | None,
    prompt_args: dict[str, Any],
) -> Model:
    """See `structured_answer`."""
    started(output_cls, prompt, prompt_args)
    program, arguments = program_for(llm, output_cls, prompt, llm_kwargs, prompt_args)
    return ended(await program.acall(**arguments))


class ObjectStreams:
    """LlamaIndex's streams of objects, in spans that show no options; a class stands this before LlamaIndex's own."""

    @span
    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        """Yield the answer as an instance that grows: first of a class whose fields may be missing, then of its own."""
        return _stream_structured_predict(self, output_cls, prompt, llm_kwargs, **prompt_args)

    @span
    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        """See `stream_structured_predict`."""
        return await _astream_structured_predict(self, output_cls, prompt, llm_kwargs, **prompt_args)


def started(output_cls: type[Model], prompt: BasePromptTemplate, prompt_args: dict[str, Any]) -> None:
    """Tell LlamaIndex's listeners that an object is asked for."""
    event = LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
    dispatcher.event(event)


def ended(result: Model | list[Model]) -> Model:
    """Tell LlamaIndex's listeners of the object, and return it."""
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

"""Calls for an object: of a text model, with the JSON schema of a class below the prompt, and of a chat model.

How a chat model is asked is decided by `core.chat.structured`.
"""

# ruff: noqa: ANN401 # LlamaIndex's own signatures

from __future__ import annotations

import copy
from contextlib import aclosing, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from llama_index.core.bridge.pydantic import ValidationError
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program.utils import create_flexible_model
from llama_index.core.prompts import SelectorPromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from pydantic_core import from_json

from xdm_integrations.core import jsontext
from xdm_integrations.core.chat.structured import JSON_SCHEMA, NAMED_TOOL, PROMPT, NotTheSchemaError
from xdm_integrations.core.protocol.json_answers import objects_for

from .calls import Instrumented, chat_events, dispatcher, hide_options
from .convert.chat import AnswerSoFar, chat_response
from .convert.messages import TOOL_CALLS, ato_wire, to_wire
from .streams import aitems, astreamed, items, streamed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence

    from llama_index.core.base.llms.types import ChatMessage, ChatResponse
    from llama_index.core.prompts import BasePromptTemplate

    from xdm_integrations.client.objects import AsyncObjectStream, ObjectStream

_DECIDED = (
    "allow_parallel_tool_calls",
    "parallel_tool_calls",
    "response_format",
    "tool_choice",
    "tool_required",
    "tools",
)
"""Parameters that the way of asking decides."""


@contextmanager
def _told() -> Iterator[None]:
    """Tell tracers of an error: while a stream of objects is read, no span is open that would."""
    try:
        yield
    except Exception as error:
        dispatcher.event(ExceptionEvent(exception=error))
        raise


class ObjectSoFar(Generic[Model]):
    """An object that grows out of a stream.

    Attributes:
        shown: Whether anything of it has been handed on.
    """

    def __init__(self, output_cls: type[Model]) -> None:
        self.shown = False
        self._classes = (output_cls, create_flexible_model(output_cls))
        self._names = {name for key, field in output_cls.model_fields.items() for name in (key, field.alias)}
        self._known: dict[str, Any] = {}

    def feed(self, written: str) -> list[Any]:
        """Take all of its JSON that has come, perhaps with prose in front, and return the object if it has grown.

        While it isn't valid, it is one of LlamaIndex's flexible class, which takes anything.
        """
        begin = written.find("{")
        if begin < 0:
            return []
        try:
            value = from_json(written[begin:], allow_partial="trailing-strings")
        except ValueError:
            return []
        if not isinstance(value, dict) or value == self._known or not value.keys() & self._names:
            return []
        self._known, self.shown = value, True
        own, flexible = self._classes
        try:
            return [own.model_validate(value)]
        except Exception:  # noqa: BLE001 - a validator of the class may raise whatever it likes at half an object
            return [flexible.model_validate(value)]


class _SchemaWriter(PydanticOutputParser[Any]):
    """Writes the schema below a prompt, with single braces."""

    def format(self, query: str) -> str:
        return f"{query}\n\n{self.get_format_string(escape_json=False)}"


class TextObjectCall(Generic[Model]):
    """One call for an object. Its prompt has the templates and the system prompt that `llm.predict` gives it too."""

    def __init__(
        self,
        llm: Any,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> None:
        while isinstance(prompt, SelectorPromptTemplate):
            prompt = prompt.select(llm)
        template = copy.copy(prompt)
        template.output_parser = _SchemaWriter(output_cls)
        templates = {name: getattr(llm, name) for name in ("messages_to_prompt", "completion_to_prompt")}
        text = template.format(llm=llm, **templates, **prompt_args)
        self._llm = llm
        self._output_cls = output_cls
        self._asked = {**(llm_kwargs or {}), "prompt": llm._extend_prompt(text), "formatted": True}  # noqa: SLF001 - the base class's way to add the system prompt

    def run(self) -> Model:
        """Return the object."""
        return self._read(self._llm.complete(**self._asked).text)

    async def arun(self) -> Model:
        """See `run`."""
        return self._read((await self._llm.acomplete(**self._asked)).text)

    def stream(self) -> Generator[Any, None, None]:
        """Yield the object as it grows, and at last the valid one."""
        so_far, text = ObjectSoFar(self._output_cls), ""
        with closing(self._llm.stream_complete(**self._asked)) as responses:
            for response in responses:
                text = response.text
                yield from so_far.feed(text)
        with _told():
            made = self._read(text)
        yield made

    async def astream(self) -> AsyncGenerator[Any, None]:
        """See `stream`."""
        so_far, text = ObjectSoFar(self._output_cls), ""
        async with aclosing(await self._llm.astream_complete(**self._asked)) as responses:
            async for response in responses:
                text = response.text
                for grown in so_far.feed(text):
                    yield grown
        with _told():
            made = self._read(text)
        yield made

    def _read(self, text: str) -> Model:
        """Return the last complete object of the text that the class takes: models write drafts and prose around it."""
        error = ValueError(f"The answer holds no JSON object that fits {self._output_cls.__name__}: {text[:200]!r}")
        for value in objects_for(text, self._output_cls.model_json_schema()):
            try:
                return self._output_cls.model_validate_json(jsontext.dumps(value))
            except ValidationError as refused:
                error = refused
        raise error


def method_for(llm: Any) -> str | None:
    """Return how objects are asked for: one of `core.chat.structured.METHODS`, or None for the best one."""
    if llm.pydantic_program_mode == PydanticProgramMode.LLM:
        return PROMPT
    if llm.pydantic_program_mode == PydanticProgramMode.FUNCTION or llm.should_use_structured_outputs is False:
        return NAMED_TOOL
    if llm.should_use_structured_outputs:
        return JSON_SCHEMA
    return None if llm.is_function_calling_model else PROMPT


class ChatObjectCall(Generic[Model]):
    """One call for an object, with LlamaIndex's events around each request."""

    def __init__(
        self,
        llm: Any,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> None:
        given = hide_options({name: value for name, value in (llm_kwargs or {}).items() if name not in _DECIDED})
        messages = prompt.format_messages(llm=llm, **prompt_args)
        self._llm = llm
        self._output_cls = output_cls
        self._messages: Sequence[ChatMessage] = llm._extend_messages(messages)  # noqa: SLF001 - the base class's way to add the system prompt
        self._call = Instrumented(chat_events, llm, self._messages, given)
        self._arguments = {
            "schema": output_cls.model_json_schema(),
            "method": method_for(llm),
            "strict": llm.strict,
            **{name: value for name, value in llm._params(given).items() if name not in _DECIDED},  # noqa: SLF001 - of this package
        }

    def run(self) -> Model:
        """Return the object; a `ValidationError` says why the class refuses it."""
        sent = to_wire(self._messages)
        found: list[dict[str, Any]] = []

        def work() -> ChatResponse:
            completion = self._llm._sync_client().chat_structured(sent, **self._arguments)  # noqa: SLF001 - of this package
            found.append(completion.parsed)
            return chat_response(completion, one_call=True)

        self._call.run(work)
        return self._made(found[0])

    async def arun(self) -> Model:
        """See `run`."""
        sent = await ato_wire(self._messages)
        found: list[dict[str, Any]] = []

        async def work() -> ChatResponse:
            completion = await self._llm._async_client().chat_structured(sent, **self._arguments)  # noqa: SLF001 - of this package
            found.append(completion.parsed)
            return chat_response(completion, one_call=True)

        await self._call.arun(work)
        return self._made(found[0])

    def stream(self) -> Generator[Any, None, None]:
        """Yield the object as it grows, and at last the valid one; ask again as `core.chat.structured` says."""
        sent = to_wire(self._messages)
        while True:
            opened: list[ObjectStream] = []

            def open_stream(opened: list[ObjectStream] = opened) -> ObjectStream:
                opened.append(self._llm._sync_client().stream_structured(sent, **self._arguments))  # noqa: SLF001 - of this package
                return opened[0]

            so_far = ObjectSoFar(self._output_cls)
            with _told():
                answer = streamed(self._call, open_stream, partial(_shown, items))
            with closing(answer) as responses:
                for response in responses:
                    yield from so_far.feed(_written(response))
            with _told():
                made = self._found(opened[0], so_far)
            if made is not None:
                yield made
                return

    async def astream(self) -> AsyncGenerator[Any, None]:
        """See `stream`."""
        sent = await ato_wire(self._messages)
        while True:
            opened: list[AsyncObjectStream] = []

            async def open_stream(opened: list[AsyncObjectStream] = opened) -> AsyncObjectStream:
                opened.append(await self._llm._async_client().stream_structured(sent, **self._arguments))  # noqa: SLF001 - of this package
                return opened[0]

            so_far = ObjectSoFar(self._output_cls)
            with _told():
                answer = await astreamed(self._call, open_stream, partial(_shown, aitems))
            async with aclosing(answer) as responses:
                async for response in responses:
                    for grown in so_far.feed(_written(response)):
                        yield grown
            with _told():
                made = self._found(opened[0], so_far)
            if made is not None:
                yield made
                return

    def _found(self, stream: ObjectStream | AsyncObjectStream, so_far: ObjectSoFar[Model]) -> Model | None:
        """Return the object of a stream that is over; None if the model is to be asked in another way."""
        try:
            return self._made(stream.asked.read(stream.completion))
        except NotTheSchemaError as error:
            if not stream.asked.learn(error) or so_far.shown:
                raise
            return None

    def _made(self, found: Mapping[str, Any]) -> Model:
        return self._output_cls.model_validate_json(jsontext.dumps(found))


def _written(response: ChatResponse) -> str:
    """Return what has come of an object: the arguments of the first call, else the text."""
    calls = response.message.additional_kwargs.get(TOOL_CALLS)
    return calls[0]["function"]["arguments"] if calls else response.message.content or ""


def _shown(made: Callable[..., Any], stream: ObjectStream | AsyncObjectStream) -> Any:
    """Return the items of a stream, made by `items` or `aitems`."""
    so_far = AnswerSoFar(stream.completion, one_call=True)
    return made(stream, so_far.chat_piece, so_far.last_chat)

"""Objects out of chat: a Pydantic class as a JSON schema, and its instance out of the answer.

LlamaIndex's own program for models that call functions leaves the choice of the tool to the model while it streams,
so that an answer in words ends as an empty object; its async twin forgets the system prompt; it can't ask for recursive
or generic classes. Here `core.chat.structured` decides how to ask, complete and streamed, and the last object of a
stream is a valid one, or an error is raised.
"""

# ruff: noqa: ANN401 # LlamaIndex's own signatures

from __future__ import annotations

from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from llama_index.core.bridge.pydantic import ValidationError
from llama_index.core.program.utils import create_flexible_model
from llama_index.core.types import Model, PydanticProgramMode
from pydantic_core import from_json

from xdm_integrations.core import jsontext
from xdm_integrations.core.chat.structured import JSON_SCHEMA, NAMED_TOOL, PROMPT, NotTheSchemaError

from .calls import Instrumented, chat_events, hide_options
from .convert.chat import about
from .convert.chat_so_far import AnswerSoFar
from .convert.messages import TOOL_CALLS, ato_wire, to_wire
from .streams import aitems, astreamed, items, streamed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence

    from llama_index.core.base.llms.types import ChatMessage, ChatResponse
    from llama_index.core.prompts import BasePromptTemplate

    from xdm_integrations.client.objects import AsyncObjectStream, ObjectStream

OURS = (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION, PydanticProgramMode.LLM)
"""The modes that are carried out here; LlamaIndex has programs for the others."""
_DECIDED = (
    "allow_parallel_tool_calls",
    "parallel_tool_calls",
    "response_format",
    "tool_choice",
    "tool_required",
    "tools",
)
"""Parameters that the way of asking decides."""


def method_for(llm: Any) -> str | None:
    """Return how objects are asked for: one of `core.chat.structured.METHODS`, or None for the best one."""
    if llm.pydantic_program_mode == PydanticProgramMode.LLM:
        return PROMPT
    if llm.pydantic_program_mode == PydanticProgramMode.FUNCTION or llm.should_use_structured_outputs is False:
        return NAMED_TOOL
    if llm.should_use_structured_outputs:
        return JSON_SCHEMA
    return None if llm.is_function_calling_model else PROMPT


class ObjectCall(Generic[Model]):
    """One call for an object.

    Attributes:
        output_cls: The class that is wanted.
        messages: What is asked.
        call: The call with LlamaIndex's events around it.
        arguments: What the client is called with, beside the messages.
    """

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
        self.output_cls = output_cls
        self.messages: Sequence[ChatMessage] = llm._extend_messages(messages)  # noqa: SLF001 - the base class's way to add the system prompt
        self.call = Instrumented(chat_events, llm, self.messages, given)
        self.arguments = {
            "schema": output_cls.model_json_schema(),
            "method": method_for(llm),
            "strict": llm.strict,
            **{name: value for name, value in llm._params(given).items() if name not in _DECIDED},  # noqa: SLF001 - of this package
        }

    def made(self, found: Mapping[str, Any]) -> Model:
        """Return the instance, of the object as it was found.

        Raises:
            ValidationError: The class refuses it.
        """
        return self.output_cls.model_validate_json(jsontext.dumps(found))


class ObjectSoFar(Generic[Model]):
    """An object that grows out of a stream.

    Attributes:
        shown: Whether anything of it has been handed on.
    """

    def __init__(self, output_cls: type[Model]) -> None:
        self.shown = False
        self._output_cls = output_cls
        self._flexible = create_flexible_model(output_cls)
        self._names = {name for key, field in output_cls.model_fields.items() for name in (key, field.alias)}
        self._known: dict[str, Any] = {}

    def feed(self, response: ChatResponse) -> list[Any]:
        """Take an item of the stream, and return the object if it has grown.

        While it isn't valid, it is one of LlamaIndex's flexible class, which takes anything.
        """
        calls = response.message.additional_kwargs.get(TOOL_CALLS)
        written = calls[0]["function"]["arguments"] if calls else response.message.content or ""
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
        try:
            return [self._output_cls.model_validate(value)]
        except ValidationError:
            return [self._flexible.model_validate(value)]


def objects(llm: Any, asked: ObjectCall[Model]) -> Generator[Any, None, None]:
    """Yield an object as it grows, and at last the valid one; ask again as `core.chat.structured` says."""
    sent = to_wire(asked.messages)
    while True:
        opened: list[ObjectStream] = []

        def open_stream(opened: list[ObjectStream] = opened) -> ObjectStream:
            opened.append(llm._sync_client().stream_structured(sent, **asked.arguments))  # noqa: SLF001 - of this package
            return opened[0]

        so_far = ObjectSoFar(asked.output_cls)
        with closing(streamed(asked.call, open_stream, partial(shown, items))) as responses:
            for response in responses:
                yield from so_far.feed(response)
        stream = opened[0]
        try:
            yield asked.made(stream.asked.read(stream.completion))
        except NotTheSchemaError as error:
            if not stream.asked.learn(error) or so_far.shown:
                raise
        else:
            return


async def aobjects(llm: Any, asked: ObjectCall[Model]) -> AsyncGenerator[Any, None]:
    """See `objects`."""
    sent = await ato_wire(asked.messages)
    while True:
        opened: list[AsyncObjectStream] = []

        async def open_stream(opened: list[AsyncObjectStream] = opened) -> AsyncObjectStream:
            opened.append(await llm._async_client().stream_structured(sent, **asked.arguments))  # noqa: SLF001 - of this package
            return opened[0]

        so_far = ObjectSoFar(asked.output_cls)
        async with aclosing(await astreamed(asked.call, open_stream, partial(shown, aitems))) as responses:
            async for response in responses:
                for grown in so_far.feed(response):
                    yield grown
        stream = opened[0]
        try:
            yield asked.made(stream.asked.read(stream.completion))
        except NotTheSchemaError as error:
            if not stream.asked.learn(error) or so_far.shown:
                raise
        else:
            return


def shown(made: Callable[..., Any], stream: ObjectStream | AsyncObjectStream) -> Any:
    """Return the items of a stream, made by `items` or `aitems`."""
    so_far = AnswerSoFar(about(stream.completion), one_call=True)
    return made(stream, so_far.chat_piece, so_far.last_chat)

"""Objects as answers: the class or JSON schema they are asked for with, what is made of the text, and their streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from xdm_integrations.core.chat.structured import NotTheSchemaError
from xdm_integrations.core.errors.tree import ConfigurationError

from .annotations import is_record, schema_of, value_of
from .streams import AsyncChatStream, ChatStream

if TYPE_CHECKING:
    from xdm_integrations.core.chat.results import ChatChunk, ChatCompletion
    from xdm_integrations.core.chat.structured_stream import AskedObject
    from xdm_integrations.core.protocol.reading import Streaming

Schema: TypeAlias = "Mapping[str, Any] | type[Any]"
"""A JSON schema, or a class: Pydantic's, a dataclass, a TypedDict."""


@dataclass(frozen=True)
class Wanted:
    """An object that is wanted.

    Attributes:
        schema: Its JSON schema.
        cls: Its class; None where a dictionary is wanted.
    """

    schema: Mapping[str, Any]
    cls: type[Any] | None = None

    @classmethod
    def of(cls, schema: object) -> Wanted:
        """Return what is wanted by a schema.

        Raises:
            ConfigurationError: It is neither a JSON schema nor a class that has one.
        """
        if isinstance(schema, Mapping):
            return cls(schema)
        if isinstance(schema, type) and is_record(schema):
            return cls(schema_of(schema, schema.__name__), schema)
        raise ConfigurationError(
            f"schema: expected a JSON schema, a Pydantic class, a dataclass or a TypedDict, got {schema!r:.80}."
        )

    def made(self, completion: ChatCompletion) -> Any:  # noqa: ANN401 - of the class, or a dictionary
        """Return the object that an answer holds, as an instance of the class.

        Raises:
            NotTheSchemaError: The class refuses what the model wrote.
        """
        if self.cls is None:
            return completion.parsed
        try:
            return value_of(self.cls, completion.parsed, self.cls.__name__)
        except ValueError as error:
            reason = str(error)
        raise NotTheSchemaError(  # not in the handler: Pydantic's error holds more than its text
            f"The answer is no {self.cls.__name__}: {reason}",
            headers=completion.headers,
            partial=replace(completion, parsed=None),
            request_id=completion.request_id,
        )


def schema_in(response_format: object) -> Schema | None:
    """Return a `response_format` that is a schema; None if it is the API's own form (`{"type": "json_object"}`)."""
    if response_format is None:
        return None
    if isinstance(response_format, Mapping):
        is_schema = response_format.get("type", "object") == "object"
        return response_format if is_schema else None
    return response_format if isinstance(response_format, type) else None


class ObjectStream(ChatStream):
    """An iterator over the `ChatChunk`s of an answer that is to be an object.

    Attributes:
        asked: How it was asked for; reads the object out of the complete answer.
    """

    def __init__(self, streaming: Streaming[ChatChunk, ChatCompletion], asked: AskedObject) -> None:
        super().__init__(streaming)
        self.asked = asked


class AsyncObjectStream(AsyncChatStream):
    """See `ObjectStream`."""

    def __init__(self, streaming: Streaming[ChatChunk, ChatCompletion], asked: AskedObject) -> None:
        super().__init__(streaming)
        self.asked = asked

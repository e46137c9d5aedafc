"""Streams of answers that are to be objects: they know how they were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .streams import AsyncChatStream, ChatStream

if TYPE_CHECKING:
    from xdm_integrations.core.chat.results import ChatChunk, ChatCompletion
    from xdm_integrations.core.chat.structured_stream import AskedObject
    from xdm_integrations.core.protocol.reading import Streaming


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

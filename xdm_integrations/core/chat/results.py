"""What comes back: chat completions, chunks, messages. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core.protocol.results import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.protocol.results import Logprobs

    from .tool_calls import ToolCall, ToolCallDelta

REASONING_KEYS = ("reasoning_content", "reasoning", "reasoning_details")
"""The fields of a message that servers put reasoning into, the preferred one first."""


class Message(NamedTuple):
    """What the model answered.

    Attributes:
        text: The text; "" if there is none.
        reasoning: The model's reasoning, where the server shows it.
        tool_calls: Calls that can be carried out: they have a name, and arguments that are a JSON object.
        invalid_tool_calls: All others, such as those that were cut off.
        refusal: Why the model refuses, where it says so in this field.
        audio: Spoken answer (`id`, `data` in base64, `transcript`, `expires_at`), or None.
        images: Image parts as the server sent them (`{"type": "image_url", "image_url": {"url": ...}}`).
        annotations: Citations and the like, as the server sent them.
        reasoning_fields: Reasoning as it goes back: by the name of the field that it came in.
        extra: The server's other fields of the message.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    invalid_tool_calls: tuple[ToolCall, ...] = ()
    refusal: str = ""
    audio: Mapping[str, Any] | None = None
    images: tuple[Any, ...] = ()
    annotations: tuple[Any, ...] = ()
    reasoning_fields: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the message as it goes back in the next request (see `messages`), as a new dictionary."""
        calls = [call.to_wire() for call in (*self.tool_calls, *self.invalid_tool_calls) if call.id and call.name]
        wire: dict[str, Any] = {
            **(self.extra or {}),
            "role": "assistant",
            "content": self.text or (None if calls else ""),
        }
        if calls:
            wire["tool_calls"] = calls
            wire.update(self.reasoning_fields or {})
        if self.refusal:
            wire["refusal"] = self.refusal
        if self.audio and self.audio.get("id"):
            wire["audio"] = {"id": self.audio["id"]}  # the API wants no more of it
            wire["content"] = self.text or None
        return wire


class ChatChoice(NamedTuple):
    """One answer.

    Attributes:
        message: What the model answered.
        index: The choice's number, 0 unless `n` was more than 1.
        finish_reason: "stop", "length", "tool_calls", "content_filter" or a server's own; None if not given.
        logprobs: Log probabilities, if they were asked for and given.
        extra: What the server added to the choice (`stop_reason`, `token_ids`, ...); in a stream, lists are joined.
    """

    message: Message
    index: int = 0  # type: ignore[assignment] # the API's own name; it hides `tuple.index`
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    extra: Mapping[str, Any] = {}


class ChatChunk(NamedTuple):
    """One piece of a stream, for one choice.

    Attributes:
        text: The new text; may be "".
        index: The choice it belongs to, 0 unless `n` was more than 1.
        finish_reason: Given once for each choice, on its last piece; else None.
        reasoning: The new reasoning; may be "".
        tool_calls: Pieces of tool calls.
        refusal: The new text of a refusal; may be "".
        logprobs: Log probabilities of the tokens in this piece, if asked for and given.
    """

    text: str
    index: int = 0  # type: ignore[assignment] # the API's own name; it hides `tuple.index`
    finish_reason: str | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    refusal: str = ""
    logprobs: Logprobs | None = None


_NOTHING = ChatChoice(Message())


@dataclass(frozen=True, slots=True)
class ChatCompletion(Answer):
    """A complete answer, of a call or of a stream that has ended; see `Answer` too.

    Its properties are those of the first choice; see `Message`.

    Attributes:
        choices: The answers, ordered by index. Many gateways send one whatever `n` was.
        n: Choices asked for.
        parsed: The object that was asked for by a schema, or None.
    """

    choices: tuple[ChatChoice, ...]
    n: int = 1
    parsed: Any = None

    @property
    def _choice(self) -> ChatChoice:
        return self.choices[0] if self.choices else _NOTHING

    @property
    def text(self) -> str:
        """The text; "" if there is none (yet)."""
        return self._choice.message.text

    @property
    def reasoning(self) -> str:
        """The reasoning; "" if the server shows none."""
        return self._choice.message.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that can be carried out."""
        return self._choice.message.tool_calls

    @property
    def invalid_tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that can't."""
        return self._choice.message.invalid_tool_calls

    @property
    def refusal(self) -> str:
        """Why the model refuses; "" if it doesn't say so."""
        return self._choice.message.refusal

    @property
    def audio(self) -> Mapping[str, Any] | None:
        """The audio answer, or None."""
        return self._choice.message.audio

    @property
    def images(self) -> tuple[Any, ...]:
        """Images of the answer, as the server sent them."""
        return self._choice.message.images

    @property
    def annotations(self) -> tuple[Any, ...]:
        """Citations and the like, as the server sent them."""
        return self._choice.message.annotations

    @property
    def finish_reason(self) -> str | None:
        """The finish reason, or None."""
        return self._choice.finish_reason

    @property
    def logprobs(self) -> Logprobs | None:
        """The log probabilities, or None."""
        return self._choice.logprobs

    @property
    def message(self) -> dict[str, Any]:
        """The message as the next request takes it: `messages.append(completion.message)`."""
        return self._choice.message.to_wire()

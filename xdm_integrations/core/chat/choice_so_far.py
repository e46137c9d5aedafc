"""One choice of a chat answer as far as it has come: its text, reasoning, tool calls and all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core.jsontext import has_surrogates, join_surrogates, whole_characters
from xdm_integrations.core.protocol.results import join_logprobs

from .calls_so_far import CallsSoFar
from .pieces import KNOWN, calls_of, content_of, listed, reasoning_of
from .results import ChatChunk, Message
from .think_tags import ThinkTags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.protocol.results import Logprobs

    from .tool_calls import ToolCallDelta

CUT = ("length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded")
"""Finish reasons that say that the answer was cut by its limit; `model_length` is Mistral's."""
_FILTERED = ("content_filter", "sensitive")
"""Finish reasons that say that it was cut by a filter."""


class ChoiceSoFar:
    """One choice as far as it has come."""

    def __init__(self, *, think_tags: bool) -> None:
        self.texts: list[str] = []
        self.finish: str | None = None
        self.extra: dict[str, Any] = {}
        """The choice's other fields; `_extra` are those of its message."""
        self.begun = False
        """True if a message has come, be it empty."""
        self.plain = not think_tags
        """True if texts can be taken as they are: no tags are looked for, no half of a character waits."""
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._reasoning_key = ""
        """The field that the reasoning came in."""
        self._details: list[Any] = []
        self._tags = ThinkTags() if think_tags else None
        self._half = ""
        self._thought_half = ""
        self._calls = CallsSoFar()
        self._logprobs: list[Logprobs] = []
        self._audio: dict[str, Any] = {}
        self._images: list[Any] = []
        self._annotations: list[Any] = []
        self._extra: dict[str, Any] = {}

    @property
    def has_output(self) -> bool:
        """True if anything of the answer has come; a role alone is nothing."""
        return bool(
            self.texts
            or self._reasoning
            or self.finish
            or self._calls
            or self._refusal
            or self._audio
            or self._images
            or self._logprobs
            or any(self._waiting())
        )

    def add_plain(self, delta: dict[str, Any], index: int, chunks: list[ChatChunk], *, each: bool) -> bool:
        """As `add`, for a delta or a message with nothing unusual; False, and nothing is added, if there is more."""
        text = thought = key = ""
        calls: list[Any] | None = None
        for name, value in delta.items():
            if value is None or (not value and name in KNOWN) or name == "role":
                continue
            if name == "content" and value.__class__ is str:
                text = value
            elif name in {"reasoning_content", "reasoning"} and value.__class__ is str and not thought:
                thought, key = value, name
            elif name == "tool_calls" and value.__class__ is list:
                calls = value
            else:
                return False
        if not self.plain or (not (text.isascii() and thought.isascii()) and has_surrogates(text + thought)):
            return False
        self.begun = True
        deltas = tuple(self._calls.add(calls, each=each)) if calls else ()
        if text:
            self.texts.append(text)
        if thought:
            self._reasoning.append(thought)
            self._reasoning_key = key
        if text or thought or deltas:
            chunks.append(ChatChunk(text, index, None, thought, deltas))
        return True

    def add(self, inner: dict[str, Any], index: int, logprobs: Logprobs | None, *, each: bool) -> ChatChunk | None:
        """Add a message or a delta; `each`: every entry of its tool calls is a call of its own."""
        text, thoughts, images = content_of(inner)
        details = listed(inner.get("reasoning_details"))
        reasoning, key = reasoning_of(inner, details)
        text, thought = self._words(text, reasoning or thoughts)
        self._reasoning_key = key or self._reasoning_key
        if details:
            self._details = _joined_details(self._details, details)
        refusal = inner.get("refusal")
        refusal = join_surrogates(refusal) if isinstance(refusal, str) else ""
        if refusal:
            self._refusal.append(refusal)
        deltas = self._calls.add(calls_of(inner), each=each)
        if logprobs is not None:
            self._logprobs.append(logprobs)
        audio = inner.get("audio")
        if isinstance(audio, dict):
            _join(self._audio, audio)
        self._images += images
        self._annotations += listed(inner.get("annotations"))
        self._extra.update((name, value) for name, value in inner.items() if name not in KNOWN and value is not None)
        if not (text or thought or deltas or refusal or logprobs):
            return None
        return ChatChunk(text, index, None, thought, tuple(deltas), refusal, logprobs)

    def _words(self, text: str, thought: str) -> tuple[str, str]:
        """Add text and reasoning, and return what of them is ready to be delivered."""
        if self._half or not text.isascii():
            text, self._half = whole_characters(self._half + text)
        if self._tags is not None:
            text, more = self._tags.take(text)
            thought += more
        if self._thought_half or not thought.isascii():
            thought, self._thought_half = whole_characters(self._thought_half + thought)
        self.plain = self._tags is None and not (self._half or self._thought_half)
        if text:
            self.texts.append(text)
        if thought:
            self._reasoning.append(thought)
        return text, thought

    def _waiting(self) -> tuple[str, str]:
        """Return the text and the reasoning that were held back."""
        text, thought = join_surrogates(self._half), join_surrogates(self._thought_half)
        if self._tags is not None:
            text, more = self._tags.waiting(text)
            thought += more
        return text, thought

    def close_calls(self) -> None:
        """Take note that a finish_reason came, after the calls so far."""
        self._calls.close()

    def end(self, index: int, answer_id: str) -> ChatChunk | None:
        """Return what was held back, and the finish reason."""
        text, thought = self._waiting()
        deltas: list[ToolCallDelta] = self._calls.end(answer_id, cut=self.finish in (*CUT, *_FILTERED))
        if self.finish is None and not (text or thought or deltas):
            return None
        return ChatChunk(text, index, self.finish, thought, tuple(deltas))

    def message(self, answer_id: str, *, complete: bool) -> Message:
        """Return the message as far as it has come."""
        calls, invalid = self._calls.result(answer_id, complete=complete, cut=self.finish in (*CUT, *_FILTERED))
        text, thought = self._waiting()
        reasoning = "".join(self._reasoning) + thought
        fields: dict[str, Any] = {self._reasoning_key: reasoning} if self._reasoning_key else {}
        if self._details:
            fields["reasoning_details"] = self._details
        return Message(
            "".join(self.texts) + text,
            reasoning,
            calls,
            invalid,
            "".join(self._refusal),
            self._audio or None,
            tuple(self._images),
            tuple(self._annotations),
            fields or None,
            self._extra or None,
        )

    def all_logprobs(self) -> Logprobs | None:
        """Return all log probabilities so far."""
        return join_logprobs(self._logprobs) if self._logprobs else None


def _join(so_far: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Join fields that come in pieces: texts grow, other values replace."""
    for name, value in more.items():
        old = so_far.get(name)
        if isinstance(old, str) and isinstance(value, str) and name not in ("id", "format"):
            so_far[name] = old + value
        elif value is not None:
            so_far[name] = value


def _joined_details(old: list[Any], more: list[Any]) -> list[Any]:
    """Join OpenRouter's `reasoning_details`: pieces of one detail have its index and its type."""
    joined = list(old)
    for detail in more:
        last = joined[-1] if joined else None
        if (
            isinstance(last, dict)
            and isinstance(detail, dict)
            and detail.get("index") is not None
            and [last.get(name) for name in ("index", "type")] == [detail.get(name) for name in ("index", "type")]
        ):
            grown = dict(last)
            for name, value in detail.items():
                grows = (
                    name in ("text", "summary", "data") and isinstance(value, str) and isinstance(last.get(name), str)
                )
                grown[name] = last[name] + value if grows else last.get(name) if value is None else value
            joined[-1] = grown
        else:
            joined.append(detail)
    return joined

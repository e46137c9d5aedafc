"""A chat answer as far as it has come: the accumulator that a `StreamDecoder` is handed.

It is asked once per token, so a plain token takes one path: `content` first, and into the rest of
the event only if there is more. Everything that the end decides is delivered at the end, once: the
finish reason (relays send it several times, and calls of tools after it), and held back pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.catalogue import error_in
from xdm_integrations.core.errors.reply_text import request_id_of
from xdm_integrations.core.errors.tree import APIResponseError, ContentFilterError, StreamInterruptedError
from xdm_integrations.core.protocol.lenient import finish_reason_of, has_surrogates, label, whole_characters
from xdm_integrations.core.protocol.results import Logprobs, Usage

from .calls_so_far import CallsSoFar
from .pieces import inner_of, pieces_of
from .results import ChatChoice, ChatChunk, ChatCompletion, Message
from .think_tags import ThinkTags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.errors.tree import Retry, XDMError

    from .pieces import Pieces
    from .results import ToolCallDelta

FAILED: dict[str, Retry] = {
    "error": "once",
    "failed": "once",
    "abort": "once",
    "cancelled": "once",
    "insufficient_system_resource": "backoff",
}
"""Finish reasons that say that the answer failed (OpenRouter, vLLM, DeepSeek), and whether to ask again."""
CUT = ("length", "max_tokens", "MAX_TOKENS", "model_context_window_exceeded")
_FILTERED = "content_filter"


class ChatSoFar:
    """Choices that grow.

    Attributes:
        expected: How many choices were asked for, `n`. If it is 1, every choice is choice 0: relays
            number the blocks of Claude's answers there.
        unfinished: How many of them have had no finish_reason yet.
    """

    def __init__(self, expected: int, *, think_tags: bool = False, streaming: bool = True) -> None:
        self.expected = expected
        self.unfinished = expected
        self._choices = [_Growing(think_tags=think_tags) for _ in range(expected)]
        self._streaming = streaming
        self._usage: Usage | None = None
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._accepted = False

    @property
    def has_output(self) -> bool:
        """True if anything of the answer has come."""
        return any(choice.has_output for choice in self._choices)

    def add(self, event: dict[str, Any], chunks: list[ChatChunk]) -> None:
        """Take an event that is no error, and add its chunks to `chunks`.

        Raises:
            StreamInterruptedError: A choice says that it failed; in a complete answer, `APIResponseError`.
            APIResponseError: A choice has an index that wasn't asked for.
            ContentFilterError: The only choice was filtered away.
        """
        if not self._first.get("model"):  # a first event may speak of the prompt's filter only
            self._first = event
        self._last = event
        usage = event.get("usage")
        if usage:
            self._take_usage(usage)
        choices = event.get("choices")
        if choices.__class__ is list:
            for choice in choices:
                if choice.__class__ is dict:
                    self._take_choice(choice, chunks)

    def _take_choice(self, choice: dict[str, Any], chunks: list[ChatChunk]) -> None:
        index = 0 if self.expected == 1 else self._index_of(choice.get("index"))
        growing = self._choices[index]
        finish = choice.get("finish_reason")
        logprobs = choice.get("logprobs")
        delta = choice.get("delta")
        if finish is None and logprobs is None and delta.__class__ is dict and not choice.get("error"):
            if growing.add_plain(delta, index, chunks):
                return
        elif choice.get("error"):
            raise self._failed(error_in(choice))
        inner = inner_of(choice)
        parsed = Logprobs.parse(logprobs) if logprobs is not None else None
        growing.begun = growing.begun or inner is not None
        if inner is not None or parsed is not None:
            chunk = growing.add(pieces_of(inner or {}), index, parsed, each=not self._streaming)
            if chunk is not None:
                chunks.append(chunk)
        if finish is not None:
            self._take_finish(finish_reason_of(finish), growing, choice)

    def _take_finish(self, reason: str | None, growing: _Growing, choice: dict[str, Any]) -> None:
        if reason is None or reason == "null":  # DashScope writes the word
            return
        if reason in FAILED:
            raise self._failed(None, reason)
        usage = choice.get("usage")  # Moonshot's place for it
        if usage:
            self._take_usage(usage)
        if reason == _FILTERED and self.expected == 1 and not growing.has_output:
            raise self._filtered()
        if not growing.begun and self.expected == 1:
            raise APIResponseError("The server ended the answer without any message.", retry="once")
        if growing.finish is None:
            self.unfinished -= 1
        if growing.finish is None or reason != "stop":
            growing.finish = reason  # a later "stop" takes back neither "tool_calls" nor "length"

    def end(self, chunks: list[ChatChunk]) -> None:
        """Add what was held back, and each choice's finish reason: the answer is complete. Called once."""
        self._accepted = True
        answer_id = label(self._first.get("id"))
        for index, growing in enumerate(self._choices):
            chunk = growing.end(index, answer_id)
            if chunk is not None:
                chunks.append(chunk)

    def result(self, headers: Mapping[str, str]) -> ChatCompletion:
        """Return the answer as far as it has come."""
        first, answer_id = self._first, label(self._first.get("id"))
        created = first.get("created")
        choices = [
            ChatChoice(
                growing.message(answer_id, complete=self._accepted or growing.finish is not None),
                index,
                growing.finish,
                growing.all_logprobs(),
            )
            for index, growing in enumerate(self._choices)
            if self.expected == 1 or growing.has_output or not self._accepted
        ]
        return ChatCompletion(
            tuple(choices),
            self.expected,
            self._usage,
            label(first.get("model")),
            answer_id,
            created if isinstance(created, int) else None,
            label(first.get("system_fingerprint")) or None,
            request_id_of(headers),
            dict(headers),
            self._last,
        )

    def _index_of(self, index: object) -> int:
        number = int(index) if isinstance(index, str) and index.isascii() and index.isdigit() else index or 0
        if isinstance(number, int) and 0 <= number < self.expected:
            return number
        raise APIResponseError(f"The server sent choice {index!r} where {self.expected} were asked for.")

    def _take_usage(self, value: object) -> None:
        usage = Usage.parse(value)
        if usage is not None and (usage.total_tokens or self._usage is None):  # zeros take nothing back
            self._usage = usage

    def _failed(self, error: XDMError | None, reason: str = "error") -> XDMError:
        """Return the error for a choice that says that it failed, in the server's words where there are any."""
        message = error.message if error is not None else f"The server ended the answer with finish_reason {reason!r}"
        if self._streaming and self.has_output:
            return StreamInterruptedError(f"{message} The text so far is in `.partial`.")
        partial = self.result({}) if self.has_output else None
        return APIResponseError(message, partial=partial, retry="never" if partial else FAILED[reason])

    def _filtered(self) -> ContentFilterError:
        return ContentFilterError(
            "The provider filtered the answer: it ended with finish_reason 'content_filter' and without any text.",
            status_code=200,
            partial=self.result({}),  # for its token counts: they are paid for
        )


class _Growing:
    """One choice as far as it has come."""

    def __init__(self, *, think_tags: bool) -> None:
        self.texts: list[str] = []
        self.finish: str | None = None
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
            or self._half
        )

    def add_plain(self, delta: dict[str, Any], index: int, chunks: list[ChatChunk]) -> bool:
        """Add a delta that holds what most do, and its chunk; False if it holds more, and nothing was added."""
        text = thought = key = ""
        calls: list[Any] | None = None
        for name, value in delta.items():
            if not value or name == "role":
                continue
            if name == "content" and value.__class__ is str:
                text = value
            elif name in {"reasoning_content", "reasoning"} and value.__class__ is str and not thought:
                thought, key = value, name
            elif name == "tool_calls" and value.__class__ is list:
                calls = value
            else:
                return False
        if not self.plain or has_surrogates(text) or has_surrogates(thought):
            return False
        self.begun = True
        deltas = tuple(self._calls.add(calls)) if calls else ()
        if text:
            self.texts.append(text)
        if thought:
            self._reasoning.append(thought)
            self._reasoning_key = key
        if text or thought or deltas:
            chunks.append(ChatChunk(text, index, None, thought, deltas))
        return True

    def add(self, pieces: Pieces, index: int, logprobs: Logprobs | None, *, each: bool) -> ChatChunk | None:
        """Add what an event holds; `each`: every entry of its tool calls is a call of its own."""
        text, thought = self._words(pieces.text, pieces.reasoning)
        self._reasoning_key = pieces.reasoning_key or self._reasoning_key
        if pieces.reasoning_details:
            self._details = _joined_details(self._details, pieces.reasoning_details)
        if pieces.refusal:
            self._refusal.append(pieces.refusal)
        deltas = self._calls.add(pieces.tool_calls, each=each) if pieces.tool_calls else []
        if logprobs is not None:
            self._logprobs.append(logprobs)
        if pieces.audio:
            _join(self._audio, pieces.audio)
        self._images += pieces.images
        self._annotations += pieces.annotations
        self._extra.update(pieces.extra)
        if not (text or thought or deltas or pieces.refusal or logprobs):
            return None
        return ChatChunk(text, index, None, thought, tuple(deltas), pieces.refusal, logprobs)

    def _words(self, text: str, thought: str) -> tuple[str, str]:
        """Add text and reasoning, and return what of them is ready to be delivered."""
        if self._half or not text.isascii():
            text, self._half = whole_characters(self._half + text)
        if self._tags is not None and text:
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

    def end(self, index: int, answer_id: str) -> ChatChunk | None:
        """Return what was held back, and the finish reason."""
        text, thought = self._tags.end() if self._tags is not None else ("", "")
        if self._half:
            text, self._half = text + "\ufffd", ""
        if text:
            self.texts.append(text)
        if thought:
            self._reasoning.append(thought)
        deltas: list[ToolCallDelta] = self._calls.end(answer_id, cut=self.finish in CUT)
        if self.finish is None and not (text or thought or deltas):
            return None
        return ChatChunk(text, index, self.finish, thought, tuple(deltas))

    def message(self, answer_id: str, *, complete: bool) -> Message:
        """Return the message as far as it has come."""
        calls, invalid = self._calls.result(answer_id, complete=complete, cut=self.finish in CUT)
        reasoning = "".join(self._reasoning)
        fields: dict[str, Any] = {self._reasoning_key: reasoning} if self._reasoning_key else {}
        if self._details:
            fields["reasoning_details"] = self._details
        return Message(
            "".join(self.texts),
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
        """Return the log probabilities of all tokens so far."""
        parts = self._logprobs
        if not parts:
            return None
        return Logprobs(
            [token for part in parts for token in part.tokens],
            [number for part in parts for number in part.token_logprobs],
            [top for part in parts for top in part.top_logprobs],
            [offset for part in parts for offset in part.text_offset],
        )


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

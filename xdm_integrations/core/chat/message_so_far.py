"""A chat answer as far as it has come: the accumulator that a `StreamDecoder` is handed.

It is asked once per token, so a plain token takes one path: `content` first, and into the rest of
the event only if there is more. Everything that the end decides is delivered at the end, once: the
finish reason (relays send it several times, and calls of tools after it), and held back pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.tree import APIResponseError, ContentFilterError
from xdm_integrations.core.protocol.ends import finish_reason_of, stopped
from xdm_integrations.core.protocol.results import (
    ANSWER_FIELDS,
    CHOICE_FIELDS,
    Logprobs,
    Usage,
    answer_fields,
    index_of,
    join_extra,
    label,
)

from .choice_so_far import ChoiceSoFar
from .pieces import begins_a_call, inner_of
from .results import ChatChoice, ChatChunk, ChatCompletion

if TYPE_CHECKING:
    from collections.abc import Mapping


_FILTERED = "content_filter"


class ChatSoFar:
    """Choices that grow; see `SoFar`.

    Attributes:
        expected: `n`. If it is 1, every choice is choice 0: relays number the blocks of Claude's answers there.
        may_go_on: True if the last finish_reason came in the event in which a call of a tool begins: New API's Gemini
            channel sends each call in one event with one, the next call may take the model a minute, and another one
            comes at the end. A finish_reason with the last piece of a call's arguments (vLLM, SGLang) is the end, and
            so are token counts without a choice: a server that then neither ends nor sends [DONE] isn't waited for.
    """

    def __init__(self, expected: int, *, think_tags: bool = False, streaming: bool = True) -> None:
        self.expected = expected
        self.unfinished = expected
        self.may_go_on = False
        self._choices = [ChoiceSoFar(think_tags=think_tags) for _ in range(expected)]
        self._streaming = streaming
        self._usage: Usage | None = None
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._all: dict[str, Any] = {}
        self._accepted = False

    @property
    def has_output(self) -> bool:
        """True if anything of the answer has come."""
        return any(choice.has_output for choice in self._choices)

    @property
    def complete_if_done(self) -> bool:
        """True if every choice that began has had its finish_reason: most channels make one, whatever `n` was."""
        finished = [choice.finish is not None for choice in self._choices if choice.begun or choice.has_output]
        return bool(finished) and all(finished)

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
        if not ANSWER_FIELDS.issuperset(event):
            self._all.update((name, value) for name, value in event.items() if value is not None)
        usage = event.get("usage")
        if usage:
            self._take_usage(usage)
        choices = event.get("choices")
        if usage and not choices:
            self.may_go_on = False
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
        inner: Any = delta or choice.get("message") or delta
        if choice.get("error"):
            self._refuse_stopped(choice, finish_reason_of(finish))
        plain = logprobs is None and inner.__class__ is dict and (inner or finish is None)
        if not plain or not growing.add_plain(inner, index, chunks, each=not self._streaming):
            self._take_all(choice, logprobs, index, chunks)
        if not CHOICE_FIELDS.issuperset(choice):
            join_extra(growing.extra, choice)
        if finish is not None:
            self._take_finish(finish_reason_of(finish), growing, choice)

    def _take_all(self, choice: dict[str, Any], logprobs: object, index: int, chunks: list[ChatChunk]) -> None:
        """Take a choice that holds more than most do, or nothing."""
        growing = self._choices[index]
        inner = inner_of(choice)
        parsed = Logprobs.parse(logprobs) if logprobs is not None else None
        growing.begun = growing.begun or inner is not None
        if inner is not None or parsed is not None:
            chunk = growing.add(inner or {}, index, parsed, each=not self._streaming)
            if chunk is not None:
                chunks.append(chunk)

    def _take_finish(self, reason: str | None, growing: ChoiceSoFar, choice: dict[str, Any]) -> None:
        if reason is None:
            return
        self._refuse_stopped(choice, reason)
        usage = choice.get("usage")  # Moonshot's place for it
        if usage:
            self._take_usage(usage)
        if reason == _FILTERED and self.expected == 1 and not growing.has_output:
            raise self._filtered()
        if not growing.begun and self.expected == 1:
            raise APIResponseError("The server ended the answer without any message.", retry="once")
        self.may_go_on = self._streaming and begins_a_call(inner_of(choice) or {})
        growing.close_calls()
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
        choices = [
            ChatChoice(
                growing.message(answer_id, complete=self._accepted or growing.finish is not None),
                index,
                growing.finish,
                growing.all_logprobs(),
                growing.extra,
            )
            for index, growing in enumerate(self._choices)
            if growing.has_output or not self._accepted
        ]
        fields = answer_fields(first, headers, self._usage, self._last, self._all)
        return ChatCompletion(choices=tuple(choices), n=self.expected, **fields)

    def _index_of(self, index: object) -> int:
        number = index_of(index or 0)
        if number is not None and 0 <= number < self.expected:
            return number
        raise APIResponseError(f"The server sent choice {index!r} where {self.expected} were asked for.")

    def _take_usage(self, value: object) -> None:
        usage = Usage.parse(value)
        if usage is not None and (usage.total_tokens or self._usage is None):  # zeros take nothing back
            self._usage = usage

    def _refuse_stopped(self, choice: dict[str, Any], reason: str | None) -> None:
        error = stopped(choice, reason, "chat", streaming=self._streaming)
        if error is not None:
            if self.has_output:  # it is paid for, and may have been delivered
                error.partial, error.retry = self.result({}), "never"
            raise error

    def _filtered(self) -> ContentFilterError:
        return ContentFilterError(
            "The provider filtered the answer: it ended with finish_reason 'content_filter' and without any text.",
            status_code=200,
            partial=self.result({}),  # for its token counts: they are paid for
        )

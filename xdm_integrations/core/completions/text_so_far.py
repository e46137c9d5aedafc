"""An answer that is being streamed, as far as it has come: texts, ends, counts, who serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.tree import APIResponseError
from xdm_integrations.core.jsontext import join_surrogates
from xdm_integrations.core.protocol.ends import finish_reason_of, stopped
from xdm_integrations.core.protocol.results import (
    ANSWER_FIELDS,
    CHOICE_FIELDS,
    Logprobs,
    Usage,
    answer_fields,
    index_of,
    join_extra,
    join_logprobs,
)

from .echo import cannot_echo, check_echo
from .parse import choice_text
from .results import Choice, Completion, CompletionChunk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .parameters import OnePrompt


class TextSoFar:
    """`len(prompts) * n` choices that grow; see `SoFar`. Asked once per token, so it does nothing that nobody needs."""

    def __init__(self, prompts: int, n: int, echoed: Sequence[OnePrompt] = ()) -> None:
        self.expected = expected = prompts * n
        self.unfinished = expected
        self.may_go_on = False
        self._n = n
        self._prompts = echoed
        self._echoed = {
            i * n + j: prompt for i, prompt in enumerate(echoed) for j in range(n) if isinstance(prompt, str)
        }
        self._texts: list[list[str]] = [[] for _ in range(expected)]
        self._finish: list[str | None] = [None] * expected
        self._pending_surrogates: dict[int, str] = {}
        self._first_index: object = None
        self._logprobs: dict[int, list[Logprobs]] = {}
        self._extra: dict[int, dict[str, Any]] = {}
        self._usage: Usage | None = None
        self._usage_of: dict[int, Usage] = {}
        self._usages = 0
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._all: dict[str, Any] = {}

    @property
    def has_output(self) -> bool:
        """True if anything of the answer has come."""
        return any(self._texts) or self.unfinished < self.expected or bool(self._logprobs or self._pending_surrogates)

    @property
    def complete_if_done(self) -> bool:
        """True if every choice has had its finish_reason: each belongs to a prompt, and none may be missing."""
        return self.unfinished == 0

    def add(self, event: dict[str, Any], chunks: list[CompletionChunk]) -> None:
        """Take an event that is no error, and add its chunks to `chunks`.

        Raises:
            APIResponseError: A choice has an index that wasn't asked for.
        """
        if not self._first.get("model"):  # a first event may speak of the prompt's filter only
            self._first = event
        self._last = event
        if not ANSWER_FIELDS.issuperset(event):
            self._all.update((name, value) for name, value in event.items() if value is not None)
        choices = event.get("choices")
        usage = event.get("usage")
        if usage:
            self._add_usage(usage, choices)
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._add_choice(choice, chunks)

    def end(self, chunks: list[CompletionChunk]) -> None:
        """Add what was held back, and refuse an answer that should hold its prompts and doesn't.

        Raises:
            UnsupportedParameterError: See `check_echo`.
        """
        chunks += [CompletionChunk(join_surrogates(half), i) for i, half in self._pending_surrogates.items()]
        if self._prompts:
            check_echo(self.result({}), self._prompts)

    def result(self, headers: Mapping[str, str]) -> Completion:
        """Return the answer as far as it has come."""
        choices = tuple(
            Choice("".join(texts) + self._waiting(i), i, self._finish[i], self._logprobs_of(i), self._extra.get(i, {}))
            for i, texts in enumerate(self._texts)
        )
        return Completion(
            choices, self._n, **answer_fields(self._first, headers, self._counts(), self._last, self._all)
        )

    def _add_choice(  # noqa: C901 - one pass over a choice
        self, choice: dict[str, Any], chunks: list[CompletionChunk]
    ) -> None:
        text = choice.get("text")
        if not isinstance(text, str):
            text = choice_text(choice)
        index = 0
        if choice.get("index") != self._first_index:
            index = self._index_of(choice.get("index"), text)
        finish = choice.get("finish_reason")
        stop = None
        if finish is not None or "error" in choice:
            finish = finish_reason_of(finish)
            stop = stopped(choice, finish, "completions", streaming=True)
            finish = self._finish_with(finish, index) if stop is None else None
        if index in self._pending_surrogates or not text.isascii():
            text = self._joined(text, index, last=finish is not None)
        logprobs = choice.get("logprobs")
        if logprobs is not None:
            logprobs = Logprobs.parse(logprobs)
            if logprobs is not None:
                self._logprobs.setdefault(index, []).append(logprobs)
        if not CHOICE_FIELDS.issuperset(choice):
            join_extra(self._extra.setdefault(index, {}), choice)
        if text:
            self._texts[index].append(text)
            if index in self._echoed:
                self._check_echo(index)
        if stop is not None:
            if text:
                chunks.append(CompletionChunk(text, index, None, logprobs))
            raise stop
        if text or finish is not None or logprobs is not None:
            chunks.append(CompletionChunk(text, index, finish, logprobs))

    def _check_echo(self, index: int) -> None:
        """Refuse a text as soon as it can't begin with the prompt any more; what that can't show, `end` sees."""
        prompt, text = self._echoed[index].strip(), "".join(self._texts[index]).lstrip()
        if not prompt.startswith(text[: len(prompt)]):
            raise cannot_echo()
        if len(text) >= len(prompt):
            del self._echoed[index]

    def _index_of(self, index: object, text: str) -> int:
        """Return the choice that an event speaks of.

        Where one choice was asked for, servers number it as they like, but the number of its text
        must not change; only the event without text that finishes it may have another one.
        """
        if self.expected > 1:
            number = index_of(index or 0)
            if number is not None and 0 <= number < self.expected:
                return number
        elif not text or not (isinstance(self._first_index, int) and isinstance(index, int)):
            self._first_index = index if text else self._first_index
            return 0
        raise APIResponseError(f"The server sent choice {index!r} where {self.expected} were asked for.")

    def _joined(self, text: str, index: int, *, last: bool) -> str:
        """Join what was cut inside a surrogate pair; the half that ends a piece waits for the next one."""
        text = self._pending_surrogates.pop(index, "") + text
        if "\ud800" <= text[-1] <= "\udbff" and not last:
            self._pending_surrogates[index] = text[-1]
            text = text[:-1]
        return join_surrogates(text)

    def _waiting(self, index: int) -> str:
        """Return what waits of a choice, as it is where nothing more comes."""
        return join_surrogates(self._pending_surrogates.get(index, ""))

    def _finish_with(self, reason: str | None, index: int) -> str | None:
        if reason is None or self._finish[index] is not None:
            return None  # sent twice: once is enough
        self._finish[index] = reason
        self.unfinished -= 1
        return reason

    def _add_usage(self, value: object, choices: object) -> None:
        usage = Usage.parse(value)
        if usage is None or not (usage.total_tokens or self._usage is None):
            return  # zeros take nothing back
        self._usage = usage
        self._usages += 1
        if self.expected > 1 and isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict):
            index = index_of(choices[0].get("index"))
            if choices[0].get("finish_reason") and index is not None:
                self._usage_of[index] = usage

    def _counts(self) -> Usage | None:
        """Return the last counts, which are those of the complete answer, but for one habit.

        llama.cpp counts each choice by itself, on the event that finishes it, and sends no other
        counts: there the answers are summed, and each prompt is counted once.
        """
        each = self._usage_of
        if len(each) < self.expected or self._usages != self.expected:
            return self._usage
        prompts = [each[i].prompt_tokens for i in range(0, self.expected, self._n)]
        answers = [usage.completion_tokens for usage in each.values()]
        return Usage(sum(prompts), sum(answers), sum(prompts) + sum(answers))

    def _logprobs_of(self, index: int) -> Logprobs | None:
        parts = self._logprobs.get(index)
        return join_logprobs(parts) if parts else None

"""The body of a reply to a `Completion`, tolerant of what relays do to it, strict about pairing."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.catalogue import error_for, not_an_answer
from xdm_integrations.core.errors.tree import APIResponseError
from xdm_integrations.core.protocol.ends import PLAIN_ENDS, finish_reason_of, stopped
from xdm_integrations.core.protocol.results import Logprobs, Usage, answer_fields, extra_of

from .results import Choice, Completion, numbered

if TYPE_CHECKING:
    from xdm_integrations.core.errors.tree import Scope
    from xdm_integrations.core.protocol.wire import Reply


class WrongChoicesError(APIResponseError):
    """The server's choices can't be paired with the prompts: too few, too many, or wrong indices."""

    scope: Scope = "request"


def parse_completion(reply: Reply, prompts: int, n: int) -> Completion:
    """Return the answer that a 2xx reply holds, with `prompts * n` choices ordered by index.

    Raises:
        WrongChoicesError: Their number or indices don't fit; `.partial` has what came.
        APIResponseError: The body is empty, isn't JSON or has no choices.
        APIStatusError: The body is an error in spite of the status.
    """
    status, headers, body, *_ = reply
    value = jsontext.read(body)
    choices = value.get("choices") if isinstance(value, dict) else None
    if not choices or not isinstance(choices, list) or value.get("error"):
        raise error_for(status, headers, body)
    expected = prompts * n
    choices = [choice for choice in choices if isinstance(choice, dict)]
    parsed = [_choice(choice) for choice in choices]
    if not [choice for choice in parsed if choice.text or choice.finish_reason or choice.logprobs]:
        raise not_an_answer(status, headers, body)
    reasons = [choice.finish_reason for choice in parsed]
    indices = list(range(expected))
    if [choice.index for choice in parsed] != indices:
        parsed.sort(key=attrgetter("index"))
        if prompts == 1 and len(parsed) == expected:
            # All belong to the same prompt, so that a wrong index pairs nothing wrongly.
            parsed = [*numbered(parsed)]
    about = answer_fields(value, headers, Usage.parse(value.get("usage")))
    completion = Completion(tuple(parsed), n, **about)
    if [choice.index for choice in parsed] != indices:
        raise WrongChoicesError(
            f"The server returned {len(parsed)} choices with the indices {[c.index for c in parsed][:20]}. Choices "
            f"asked for: {expected}{f' (n={n} for each of {prompts} prompts)' if prompts > 1 else ''}. What it sent "
            f"is in `.partial`.",
            status_code=status,
            headers=headers,
            request_id=completion.request_id,
            partial=completion,
        )
    _refuse_stopped(choices, reasons, completion)
    return completion


def _refuse_stopped(choices: list[dict[str, Any]], reasons: list[str | None], completion: Completion) -> None:
    """Raise for the first of the choices that the server stopped; `reasons` are their ends."""
    for choice, reason in zip(choices, reasons, strict=True):
        if reason in PLAIN_ENDS and not choice.get("error"):
            continue
        error = stopped(choice, reason, "completions", streaming=False)
        if error is not None:
            error.partial = completion
            if any(parsed.text for parsed in completion.choices):
                error.retry = "never"  # it is paid for
            raise error


def _choice(choice: dict[str, Any]) -> Choice:
    """Read one choice; a missing or odd index becomes 0."""
    text, index, reason = choice.get("text"), choice.get("index"), choice.get("finish_reason")
    return Choice(
        jsontext.join_surrogates(text if isinstance(text, str) else choice_text(choice)),
        index if isinstance(index, int) else 0,
        reason if reason in PLAIN_ENDS else finish_reason_of(reason),
        Logprobs.parse(choice.get("logprobs")),
        extra_of(choice),
    )


def choice_text(choice: dict[str, Any]) -> str:
    """Return the content of a choice that has no `text` but is shaped like a chat's; "" for null."""
    for name in ("message", "delta"):
        inner = choice.get(name)
        content = inner.get("content") if isinstance(inner, dict) else None
        if isinstance(content, list):
            parts = [part.get("text") for part in content if isinstance(part, dict)]
            return "".join(part for part in parts if isinstance(part, str))
        if isinstance(content, str):
            return content
    return ""

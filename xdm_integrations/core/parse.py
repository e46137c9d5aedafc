"""The body of a reply to a `Completion`, tolerant of what relays do to it, strict about pairing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from . import jsontext
from .catalogue import error_in, not_an_answer
from .errors import APIResponseError
from .results import Choice, Completion, Logprobs, Usage
from .said import request_id_of

if TYPE_CHECKING:
    from .errors import Scope
    from .wire import Reply

_HALF = re.compile("[\ud800-\udfff]")


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
    status, headers, body, _ = reply
    try:
        value = jsontext.loads(body)
    except (ValueError, RecursionError):
        raise not_an_answer(status, headers, body) from None
    choices = value.get("choices") if isinstance(value, dict) else None
    if not choices or not isinstance(choices, list) or value.get("error"):
        raise error_in(value, status=status, headers=headers, body=body) or _no_choices(value, reply)
    expected = prompts * n
    parsed = [parse_choice(choice) for choice in choices if isinstance(choice, dict)]
    if not any(choice.text or choice.finish_reason or choice.logprobs for choice in parsed):
        raise _no_choices(value, reply)
    if prompts == 1 and len(parsed) == expected:
        # All belong to the same prompt, so that a wrong index pairs nothing wrongly.
        parsed = [choice._replace(index=i) for i, choice in enumerate(sorted(parsed, key=_index))]
    else:
        parsed.sort(key=_index)
    completion = Completion(
        choices=tuple(parsed),
        n=n,
        usage=Usage.parse(value.get("usage")),
        raw=value,
        **metadata_of(value, headers),
    )
    if [choice.index for choice in parsed] != list(range(expected)):
        raise WrongChoicesError(
            f"The server returned {len(parsed)} choices with the indices {[c.index for c in parsed][:20]} where "
            f"{prompts} prompts x n={n} ask for {expected}. What it sent is in `.partial`.",
            status_code=status,
            headers=headers,
            request_id=completion.request_id,
            partial=completion,
        )
    return completion


def _no_choices(value: object, reply: Reply) -> APIResponseError:
    """Return the error for JSON without an answer; with `choices`, another prompt may well be answered."""
    error = not_an_answer(reply.status, reply.headers, reply.body)
    if isinstance(value, dict) and "choices" in value:
        error.scope = "request"
    return error


def _index(choice: Choice) -> int:
    return choice.index


def parse_choice(choice: dict[str, Any]) -> Choice:
    """Read one choice; a missing or odd index becomes 0."""
    index = choice.get("index")
    return Choice(
        mended(choice_text(choice)),
        index if isinstance(index, int) else 0,
        finish_reason_of(choice.get("finish_reason")),
        Logprobs.parse(choice.get("logprobs")),
    )


def choice_text(choice: dict[str, Any]) -> str:
    """Return the text of a choice: `text`, or the content of a chat-shaped one; "" for null."""
    text = choice.get("text")
    if isinstance(text, str):
        return text
    for name in ("message", "delta"):
        inner = choice.get(name)
        content = inner.get("content") if isinstance(inner, dict) else None
        if isinstance(content, list):
            parts = [part.get("text") for part in content if isinstance(part, dict)]
            return "".join(part for part in parts if isinstance(part, str))
        if isinstance(content, str):
            return content
    return ""


def mended(text: str) -> str:
    r"""Return `text` with the halves of surrogate pairs joined, and U+FFFD for each that is alone.

    JSON can hold such halves ("\ud83d"); hardly anything that text is passed on to takes them.
    """
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def finish_reason_of(value: object) -> str | None:
    """Return a finish reason, None for null and for the "" of running chunks."""
    return label(value) or None


def label(value: object) -> str:
    """Return a name or an id as text; "" for null and for what can't be one."""
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) and value else ""


def metadata_of(value: dict[str, Any], headers: Any) -> dict[str, Any]:  # noqa: ANN401 - a mapping of strings
    """Return the fields of a `Completion` that say who served it."""
    created = value.get("created")
    return {
        "model": label(value.get("model")),
        "id": label(value.get("id")),
        "created": created if isinstance(created, int) else None,
        "system_fingerprint": label(value.get("system_fingerprint")) or None,
        "request_id": request_id_of(headers),
        "headers": dict(headers),
    }

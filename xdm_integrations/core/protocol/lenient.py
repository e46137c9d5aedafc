"""Values that servers send in odd shapes, read leniently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_SURROGATE = re.compile("[\ud800-\udfff]")


def join_surrogates(text: str) -> str:
    r"""Return `text` with the halves of surrogate pairs joined, and U+FFFD for each that is alone.

    JSON can hold such halves ("\ud83d"); hardly anything that text is passed on to takes them.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def has_surrogates(text: str) -> bool:
    """True if `text` holds a half of a surrogate pair."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def whole_characters(text: str) -> tuple[str, str]:
    """Return `text` with its surrogate pairs joined, and the half that ends it and waits for the next piece."""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    return join_surrogates(text[:-1] if half else text), half


def index_of(value: object) -> int | None:
    """Return an index as a number, where it came as digits or with a decimal point as well; None if it is none."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < _LONGEST_INDEX else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_LONGEST_INDEX = 10  # digits
_NONE = ("", "null", "none")


def finish_reason_of(value: object) -> str | None:
    """Return a finish reason; None for null, and for the "", "null" and "None" of running chunks."""
    reason = value if isinstance(value, str) else label(value)
    return None if reason.lower() in _NONE else reason


_CHOICE_FIELDS = frozenset({"text", "index", "finish_reason", "logprobs", "message", "delta", "usage", "error"})


def extra_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server added to a choice."""
    return {name: value for name, value in choice.items() if name not in _CHOICE_FIELDS and value is not None}


def join_extra(so_far: dict[str, Any], choice: Mapping[str, Any]) -> None:
    """Join what a server added to a choice of a stream with what came before: lists grow, other values replace."""
    for name, value in extra_of(choice).items():
        before = so_far.get(name)
        so_far[name] = before + value if isinstance(before, list) and isinstance(value, list) else value


def label(value: object) -> str:
    """Return a name or an id as text; "" for null and for what can't be one."""
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) and value else ""

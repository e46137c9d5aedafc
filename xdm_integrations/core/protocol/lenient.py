"""Values that servers send in odd shapes, read leniently."""

from __future__ import annotations

import re
from typing import Literal

_SURROGATE = re.compile("[\ud800-\udfff]")


def join_surrogates(text: str) -> str:
    r"""Return `text` with the halves of surrogate pairs joined, and U+FFFD for each that is alone.

    JSON can hold such halves ("\ud83d"); hardly anything that text is passed on to takes them.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_NONE = ("", "null", "none")

ENDS: dict[str, Literal["complete", "failed"]] = {
    # OpenAI's own, and what other servers call the same.
    "stop": "complete",
    "length": "complete",
    "content_filter": "complete",
    "tool_calls": "complete",
    "function_call": "complete",
    "eos": "complete",
    "eos_token": "complete",
    "end_turn": "complete",
    "stop_sequence": "complete",
    "max_tokens": "complete",
    "model_length": "complete",
    "sensitive": "complete",  # Zhipu's content_filter
    "repetition": "complete",  # vLLM's repetition detection
    # The answer was stopped, and isn't complete.
    "abort": "failed",  # vLLM and SGLang: shutdown, sleep, scale-down
    "aborted": "failed",
    "cancelled": "failed",
    "canceled": "failed",
    "error": "failed",
    "failed": "failed",
    "timeout": "failed",
    "network_error": "failed",  # Zhipu: the inference failed
    "insufficient_system_resource": "failed",  # DeepSeek: interrupted by overload
}
"""What the finish reasons that servers are known to send say of the answer; any other is kept, and taken as an end."""


def has_surrogates(text: str) -> bool:
    """True if `text` holds a half of a surrogate pair."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def whole_characters(text: str) -> tuple[str, str]:
    """Return `text` with its surrogate pairs joined, and the half that ends it and waits for the next piece."""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    return join_surrogates(text[:-1] if half else text), half


def finish_reason_of(value: object) -> str | None:
    """Return a finish reason; None for null, and for the "", "null" and "None" of running chunks."""
    reason = label(value)
    return None if reason.lower() in _NONE else reason


def is_failed_end(reason: str | None) -> bool:
    """Tell whether a finish reason says that the answer was stopped before its end (see `ENDS`)."""
    return reason is not None and ENDS.get(reason.lower()) == "failed"


def label(value: object) -> str:
    """Return a name or an id as text; "" for null and for what can't be one."""
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) and value else ""

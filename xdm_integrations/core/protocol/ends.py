"""How answers end: which finish reasons say that the server stopped before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.catalogue import error_in
from xdm_integrations.core.errors.tree import APIResponseError, StreamInterruptedError

from .results import label

if TYPE_CHECKING:
    from xdm_integrations.core.errors.endpoints import Endpoint
    from xdm_integrations.core.errors.tree import Retry

PLAIN_ENDS = ("stop", "length")
"""What nearly all answers end with: the rest of the rules is for others."""
FAILED = {
    "abort",  # vLLM and SGLang: shutdown, sleep, scale-down
    "aborted",
    "cancelled",
    "canceled",
    "error",
    "failed",
    "timeout",
    "network_error",  # Zhipu: the inference failed
    "insufficient_system_resource",  # DeepSeek: interrupted by overload
}
"""The finish reasons of an answer that isn't complete, in lower case; any other is kept, and taken as an end."""

_NONE = ("", "null", "none")


def finish_reason_of(value: object) -> str | None:
    """Return a finish reason; None for null, and for the "", "null" and "None" of running chunks."""
    reason = value if isinstance(value, str) else label(value)
    return None if reason.lower() in _NONE else reason


def stopped(
    choice: dict[str, Any], reason: str | None, endpoint: Endpoint, *, streaming: bool
) -> StreamInterruptedError | APIResponseError | None:
    """Return the error for a choice that the server stopped before its end, or None if it didn't.

    Seen: a finish_reason of `FAILED`, and OpenRouter's `{"finish_reason": "error", "error": {...}}`. `choice` may be an
    event's part of one; `reason` is its finish reason, read, or None while it goes on.
    """
    told = error_in(choice, endpoint=endpoint) if choice.get("error") else None
    if told is None and (reason is None or reason.lower() not in FAILED):
        return None
    how = f" (finish_reason {reason!r}): it isn't complete." if told is None else f". {told.message}"
    message = f"The server stopped the answer before its end{how}"
    retry: Retry = "backoff" if reason == "insufficient_system_resource" else "once"
    if streaming:
        return StreamInterruptedError(f"{message} What came of it is in `.partial`.", retry=retry)
    error = APIResponseError(message, retry=retry)
    error.scope = "request"  # another one may well be answered
    return error

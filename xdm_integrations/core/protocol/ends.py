"""How answers end: which finish reasons are good ends, and which say that the server stopped before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from xdm_integrations.core.errors.catalogue import error_in
from xdm_integrations.core.errors.tree import APIResponseError, StreamInterruptedError

from .results import label

if TYPE_CHECKING:
    from xdm_integrations.core.errors.endpoints import Endpoint
    from xdm_integrations.core.errors.tree import Retry

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

_NONE = ("", "null", "none")


def finish_reason_of(value: object) -> str | None:
    """Return a finish reason; None for null, and for the "", "null" and "None" of running chunks."""
    reason = value if isinstance(value, str) else label(value)
    return None if reason.lower() in _NONE else reason


def stopped(
    choice: dict[str, Any], reason: str | None, endpoint: Endpoint, *, streaming: bool
) -> StreamInterruptedError | APIResponseError | None:
    """Return the error for a choice that the server stopped before its end, or None if it didn't.

    Seen: a finish_reason of `ENDS`, and OpenRouter's `{"finish_reason": "error", "error": {...}}`.

    Args:
        choice: The choice, or an event's part of it.
        reason: Its finish reason, read; None while it goes on.
        endpoint: What was asked.
        streaming: Whether the answer comes as a stream.
    """
    told = error_in(choice, endpoint=endpoint) if choice.get("error") else None
    if told is None and (reason is None or ENDS.get(reason.lower()) != "failed"):
        return None
    message = f"The server stopped the answer before its end (finish_reason {reason!r}): it isn't complete."
    if told is not None:
        message = f"The server stopped the answer before its end. {told.message}"
    retry: Retry = "backoff" if reason == "insufficient_system_resource" else "once"
    if streaming:
        return StreamInterruptedError(f"{message} What came of it is in `.partial`.", retry=retry)
    error = APIResponseError(message, retry=retry)
    error.scope = "request"  # another one may well be answered
    return error

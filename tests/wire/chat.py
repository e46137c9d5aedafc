"""Chat on the wire."""

from __future__ import annotations

from typing import Any

from tests.scripted import DONE, USAGE

ABOUT = {"id": "chatcmpl-1", "created": 1700000000, "model": "served-model", "system_fingerprint": "fp_1"}


def answer(text: str | None, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """Return the body of a reply with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return {**ABOUT, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def event(text: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return one event of a stream."""
    told = {**({} if text is None else {"content": text}), **delta}
    choice = {"index": 0, "delta": told, "finish_reason": finish}
    return {**ABOUT, "object": "chat.completion.chunk", "choices": [choice]}


def usage_event() -> dict[str, Any]:
    """Return the event that carries the token counts."""
    return {**event(), "choices": [], "usage": USAGE}


GOOD = answer("alpha beta")
BEGINNING = [event("", role="assistant"), event("alpha")]
REST = [event(" beta"), event(finish="stop"), usage_event(), DONE]

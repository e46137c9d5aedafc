"""What a message or a delta holds, read from every shape that servers give it."""

from __future__ import annotations

from typing import Any

from .results import REASONING_KEYS

KNOWN = {
    "role", "content", "text", *REASONING_KEYS, "tool_calls", "function_call", "refusal", "audio", "image", "images",
    "annotations",
}  # fmt: skip
"""The fields of a message or a delta that are read; empty ones mean nothing. All others are kept as they came."""


def inner_of(choice: dict[str, Any]) -> dict[str, Any] | None:
    """Return the delta or the message of a choice, `text` taken for its content; None if it has none."""
    for name in ("delta", "message"):
        inner = choice.get(name)
        if isinstance(inner, dict) and inner:
            return inner
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else None


def begins_a_call(inner: dict[str, Any]) -> bool:
    """True if a message or a delta names a tool, as the first piece of its call does."""
    functions = [call.get("function") for call in listed(inner.get("tool_calls")) if isinstance(call, dict)]
    return any(isinstance(function, dict) and function.get("name") for function in functions)


def content_of(inner: dict[str, Any]) -> tuple[str, str, list[Any]]:
    """Return text, reasoning (Mistral's place for it) and images of a message or a delta."""
    content = inner.get("content")
    text, thoughts, images = (content, "", []) if isinstance(content, str) else _parts(listed(content))
    outside = listed(inner.get("images")) or listed(inner.get("image"))
    return text, thoughts, outside + images


def calls_of(inner: dict[str, Any]) -> list[Any]:
    """Return the tool calls of a message or a delta as they came, or its `function_call` as one of them."""
    legacy = inner.get("function_call")
    return listed(inner.get("tool_calls")) or ([{"function": legacy}] if isinstance(legacy, dict) else [])


def listed(value: object) -> list[Any]:
    """Return a list, or an object as a list of one; [] for anything else."""
    return value if isinstance(value, list) else [value] if isinstance(value, dict) and value else []


def _parts(content: list[Any]) -> tuple[str, str, list[Any]]:
    """Return text, reasoning and images of a content that is a list of parts."""
    texts: list[str] = []
    thoughts: list[str] = []
    images: list[Any] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = part.get("type")
            if kind == "thinking":
                inner = part.get("thinking")
                thoughts.append(
                    _parts(inner)[0] if isinstance(inner, list) else inner if isinstance(inner, str) else ""
                )
            elif kind in ("image_url", "image"):
                images.append(part)
            elif isinstance(part.get("text"), str):
                texts.append(part["text"])
    return "".join(texts), "".join(thoughts), images


def reasoning_of(inner: dict[str, Any], details: list[Any]) -> tuple[str, str]:
    """Return reasoning once, whatever number of fields it came in, and the field; "" for OpenRouter's details."""
    for name in REASONING_KEYS:
        value = inner.get(name)
        if isinstance(value, str) and value:
            return value, name
    words = [detail.get("text") or detail.get("summary") for detail in details if isinstance(detail, dict)]
    return "".join(word for word in words if isinstance(word, str)), ""

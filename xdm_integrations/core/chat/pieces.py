"""What a message or a delta holds, read from every shape that servers give it."""

from __future__ import annotations

from typing import Any, NamedTuple

from .results import REASONING_KEYS

KNOWN = {
    "role", "content", "text", *REASONING_KEYS, "tool_calls", "function_call", "refusal", "audio", "image", "images",
    "annotations",
}  # fmt: skip
"""The fields of a message or a delta that are read; empty ones mean nothing. All others are kept as they came."""


class Pieces(NamedTuple):
    """What one message or delta holds; see `Message`.

    Attributes:
        reasoning: Its reasoning, once, whatever number of fields it came in.
        reasoning_key: The field that it came in; "" for a part of the content (Mistral) and for details alone.
        reasoning_details: OpenRouter's reasoning in parts, which goes back as it came.
        tool_calls: Its calls as they came; a `function_call` among them.
    """

    text: str
    reasoning: str
    reasoning_key: str
    reasoning_details: list[Any]
    tool_calls: list[Any]
    refusal: str
    audio: dict[str, Any]
    images: list[Any]
    annotations: list[Any]
    extra: dict[str, Any]


def inner_of(choice: dict[str, Any]) -> dict[str, Any] | None:
    """Return the delta or the message of a choice, `text` taken for its content; None if it has none."""
    for name in ("delta", "message"):
        inner = choice.get(name)
        if isinstance(inner, dict) and inner:
            return inner
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else None


def begins_a_call(inner: dict[str, Any]) -> bool:
    """True if a message or a delta names a tool, as the first piece of its call does."""
    functions = [call.get("function") for call in _listed(inner.get("tool_calls")) if isinstance(call, dict)]
    return any(isinstance(function, dict) and function.get("name") for function in functions)


def pieces_of(inner: dict[str, Any]) -> Pieces:
    """Read a message or a delta."""
    content = inner.get("content")
    text, thoughts, images = content if isinstance(content, str) else "", "", _listed(inner.get("images"))
    images = images or _listed(inner.get("image"))
    if isinstance(content, list):
        text, thoughts, more = _parts(content)
        images = [*images, *more]
    details = _listed(inner.get(REASONING_KEYS[2]))
    reasoning, key = _reasoning(inner, details)
    calls = _listed(inner.get("tool_calls"))
    legacy = inner.get("function_call")
    if not calls and isinstance(legacy, dict):
        calls = [{"function": legacy}]
    refusal, audio = inner.get("refusal"), inner.get("audio")
    return Pieces(
        text,
        reasoning or thoughts,
        key,
        details,
        calls,
        refusal if isinstance(refusal, str) else "",
        audio if isinstance(audio, dict) else {},
        images,
        _listed(inner.get("annotations")),
        {name: value for name, value in inner.items() if name not in KNOWN and value is not None},
    )


def _listed(value: object) -> list[Any]:
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


def _reasoning(inner: dict[str, Any], details: list[Any]) -> tuple[str, str]:
    """Return reasoning, and the field that it goes back in."""
    for name in REASONING_KEYS[:2]:
        value = inner.get(name)
        if isinstance(value, str) and value:
            return value, name
    words = [detail.get("text") or detail.get("summary") for detail in details if isinstance(detail, dict)]
    return "".join(word for word in words if isinstance(word, str)), ""

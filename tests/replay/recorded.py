"""What a recording says, read in the plainest way: the yardstick for what the package makes of it.

Nothing here uses the package, so that both can't be wrong in the same way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Position: TypeAlias = "tuple[str, float | None, dict[str, float]]"
"""A token, its log probability, and those of the other candidates."""
ToldChoice: TypeAlias = "tuple[str, str | None, list[Position] | None]"
"""Text, finish reason, log probabilities."""


@dataclass
class Told:
    """What one recorded reply says."""

    status: int
    texts: dict[int, str] = field(default_factory=dict)
    finish: dict[int, str] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    usage_of: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What was counted on the event that finished a choice."""
    model: str | None = None
    id: str | None = None
    positions: dict[int, list[Position]] = field(default_factory=dict)
    """Each choice's logprobs."""
    calls: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    """Each choice's calls of tools: id, name, arguments."""
    error: dict[str, Any] | None = None

    def counts(self, n: int) -> tuple[int, int, int] | None:
        """Return the tokens of prompts, answers and both; llama.cpp counts each streamed choice by itself."""
        if len(self.usage_of) == len(self.texts) > 1:
            prompts = sum(self.usage_of[i]["prompt_tokens"] for i in range(0, len(self.texts), n))
            answers = sum(usage["completion_tokens"] for usage in self.usage_of.values())
            return prompts, answers, prompts + answers
        if self.usage is None:
            return None
        return self.usage["prompt_tokens"], self.usage["completion_tokens"], self.usage["total_tokens"]

    @property
    def choices(self) -> list[ToldChoice]:
        return [(text, self.finish.get(i), self.positions.get(i)) for i, text in sorted(self.texts.items())]

    @property
    def text(self) -> str:
        return self.texts.get(0, "")


def read_reply(response: dict[str, Any]) -> Told:
    """Read a reply as vcrpy keeps it."""
    body = response["body"]["string"]
    text = body if isinstance(body, str) else body.decode("utf-8")
    told = Told(response["status"]["code"])
    if text.startswith("data:"):
        for block in text.split("\n\n"):
            data = block.removeprefix("data:").strip()
            if data not in ("", "null", "[DONE]"):
                _take(told, json.loads(data), streamed=True)
    else:
        _take(told, json.loads(text), streamed=False)
    return told


def _take(told: Told, value: dict[str, Any], *, streamed: bool) -> None:
    told.error = value.get("error", told.error)
    told.model = told.model or value.get("model")
    told.id = told.id or value.get("id")
    told.usage = value.get("usage") or told.usage
    for choice in value.get("choices", []):
        index = choice["index"]
        inner = choice.get("message") or choice.get("delta") or {}
        told.texts[index] = told.texts.get(index, "") + (choice.get("text") or inner.get("content") or "")
        _take_calls(told.calls.setdefault(index, []), inner.get("tool_calls") or [])
        if choice.get("finish_reason"):
            told.finish[index] = choice["finish_reason"]
            if streamed and value.get("usage"):
                told.usage_of[index] = value["usage"]
        shape = choice.get("logprobs") or {}
        positions = _positions(shape)
        if positions:
            told.positions.setdefault(index, []).extend(positions)


def _take_calls(calls: list[dict[str, str]], pieces: list[dict[str, Any]]) -> None:
    for number, piece in enumerate(pieces):
        place = piece.get("index", number)
        while len(calls) <= place:
            calls.append({"id": "", "name": "", "arguments": ""})
        function = piece["function"]
        calls[place]["id"] += piece.get("id") or ""
        calls[place]["name"] += function.get("name") or ""
        calls[place]["arguments"] += function.get("arguments") or ""


def _positions(shape: dict[str, Any]) -> list[Position]:
    """Read logprobs in the shape of chat completions, or in that of the API's page."""
    if shape.get("content"):
        items = [
            (item["token"], item["logprob"], {top["token"]: top["logprob"] for top in item["top_logprobs"]})
            for item in shape["content"]
        ]
    else:
        tokens = shape.get("tokens") or []
        items = list(zip(tokens, shape["token_logprobs"], shape["top_logprobs"], strict=True)) if tokens else []
    return [(token, value, {t: v for t, v in (top or {}).items() if t != token}) for token, value, top in items]


def _completions(cassette: Any) -> list[tuple[Any, Any]]:
    """Return requests and replies of the endpoints, without the questions for models that an error may bring."""
    return [
        (request, response)
        for request, response in zip(cassette.requests, cassette.responses, strict=True)
        if request.path.endswith(("/completions", "/embeddings"))
    ]


def replies(cassette: Any) -> list[Told]:
    """Return what every reply of a cassette says, in the order of recording."""
    return [read_reply(response) for _, response in _completions(cassette)]


def bodies(cassette: Any) -> list[Any]:
    """Return the bodies of the requests of a cassette."""
    return [json.loads(request.body) for request, _ in _completions(cassette)]


def json_of(response: dict[str, Any]) -> Any:
    """Return the JSON of a reply as vcrpy keeps it."""
    return json.loads(response["body"]["string"])

"""Chat and embeddings by plain requests and aiohttp, as a careful user would write it: the lower part of floors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

HEADERS = {"Authorization": "Bearer k"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def chat_body(content: str = "x", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def streaming(tokens: int, **more: Any) -> dict[str, Any]:
    return chat_body(stream=True, stream_options={"include_usage": True}, max_tokens=tokens, **more)


def plain_chat(session: Any, url: str, body: dict[str, Any]) -> str:
    reply = session.post(url + "/chat/completions", json=body, headers=HEADERS, timeout=60)
    reply.raise_for_status()
    return str(reply.json()["choices"][0]["message"]["content"])


async def plain_achat(session: Any, url: str, body: dict[str, Any]) -> str:
    async with session.post(url + "/chat/completions", json=body, headers=HEADERS) as reply:
        reply.raise_for_status()
        return str((await reply.json())["choices"][0]["message"]["content"])


def _delta(line: bytes) -> Any:
    """Return the delta of an event, or None if the line holds none."""
    if line.startswith(b"data: ") and line != b"data: [DONE]":
        choices = json.loads(line[6:])["choices"]
        if choices:
            return choices[0]["delta"]
    return None


def plain_deltas(session: Any, url: str, body: dict[str, Any]) -> Iterator[Any]:
    with session.post(url + "/chat/completions", json=body, headers=HEADERS, stream=True, timeout=60) as reply:
        reply.raise_for_status()
        for line in reply.iter_lines():
            if delta := _delta(line):
                yield delta


async def plain_adeltas(session: Any, url: str, body: dict[str, Any]) -> AsyncIterator[Any]:
    async with session.post(url + "/chat/completions", json=body, headers=HEADERS) as reply:
        reply.raise_for_status()
        buffer = b""
        async for block in reply.content.iter_any():
            lines = (buffer + block).split(b"\n")
            buffer = lines.pop()
            for line in lines:
                if delta := _delta(line):
                    yield delta


class PlainCalls:
    """The calls of an answer, joined from their deltas as the API's guide shows it."""

    def __init__(self) -> None:
        self.calls: dict[int, dict[str, str]] = {}

    def take(self, delta: dict[str, Any]) -> None:
        for piece in delta.get("tool_calls") or []:
            call = self.calls.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
            function = piece["function"]
            call["id"] = piece.get("id") or call["id"]
            call["name"] = function.get("name") or call["name"]
            call["arguments"] += function.get("arguments") or ""


def plain_embed(session: Any, url: str, texts: list[str], model: str = "m") -> list[list[float]]:
    body = {"model": model, "input": texts}
    reply = session.post(url + "/embeddings", json=body, headers=HEADERS, timeout=60)
    reply.raise_for_status()
    return [item["embedding"] for item in sorted(reply.json()["data"], key=lambda item: item["index"])]


async def plain_aembed(session: Any, url: str, texts: list[str], model: str = "m") -> list[list[float]]:
    body = {"model": model, "input": texts}
    async with session.post(url + "/embeddings", json=body, headers=HEADERS) as reply:
        reply.raise_for_status()
        return [item["embedding"] for item in sorted((await reply.json())["data"], key=lambda item: item["index"])]

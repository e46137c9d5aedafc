"""What a healthy server of `POST /v1/embeddings` answers: a vector for each text that no other text has."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from tests.scripted import http

if TYPE_CHECKING:
    from tests.scripted import Seen, Step

USAGE = {"prompt_tokens": 3, "total_tokens": 3}


def vector_of(text: Any, length: int = 4) -> list[float]:
    """Return a vector that no other text has; its numbers are float32."""
    seed = zlib.crc32(repr(text).encode("utf-8", "surrogatepass"))
    return [float(number % 65_521) / 65_536 - 0.5 for number in range(seed, seed + length * 7_919, 7_919)]


def base64_of(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def inputs_of(body: dict[str, Any]) -> list[Any]:
    """Return the texts of a request, however many it holds."""
    given = body["input"]
    return given if isinstance(given, list) and not isinstance(given[0], int) else [given]


def answer(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what a healthy server answers."""
    encode = base64_of if body.get("encoding_format") == "base64" else list
    data = [
        {"object": "embedding", "index": i, "embedding": encode(vector_of(text, body.get("dimensions", 4)))}
        for i, text in enumerate(inputs_of(body))
    ]
    return {"object": "list", "data": data, "model": "served", "usage": USAGE, **more}


def embedding(seen: Seen) -> list[Step]:
    """A healthy server; counts three tokens for each request."""
    return http(answer(seen.json))


def numbered(count: int) -> list[str]:
    """Return so many texts, which say where they stand."""
    return [f"text {i}" for i in range(count)]


def vectors_of(texts: Any) -> list[list[float]]:
    """Return the vectors that a healthy server has for these texts."""
    return [vector_of(text) for text in texts]


def refusal(message: str = "no", status: int = 400, **more: Any) -> list[Step]:
    """Return an error of OpenAI's shape."""
    return http({"error": {"message": message, "type": "invalid_request_error", **more}}, status)

"""Embeddings on the wire."""

from __future__ import annotations

GOOD = {
    "object": "list",
    "model": "served-model",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}],
    "usage": {"prompt_tokens": 10, "total_tokens": 10},
}

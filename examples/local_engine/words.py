"""Vectors for LlamaIndex without a model, for examples that are about something else."""

from __future__ import annotations

import re
import zlib

from llama_index.core.base.embeddings.base import BaseEmbedding


class Words(BaseEmbedding):
    """An embedding without a model: each word is hashed to a place, long ones weigh more."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.0] * 1024
        for word in set(re.findall(r"[a-z0-9]{3,}|[\u4e00-\u9fff]", text.lower())):
            vector[zlib.crc32(word.rstrip("s").encode()) % 1024] = len(word) ** 0.5
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

"""Embeddings: `OpenAIEmbeddings`, LlamaIndex's `OpenAIEmbedding`, `OpenAILikeEmbedding`, and ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import llama_index.core
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.embeddings.openai_like import OpenAILikeEmbedding

from tests.scripted import Seen, http
from tests.vectors import answer
from xdm_integrations.langchain import XDMEmbeddings
from xdm_integrations.llama_index import XDMEmbedding

from . import Contender

VOCABULARIES = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
"""Vocabularies of tiktoken that come with LlamaIndex, so that `OpenAIEmbeddings` works without a network."""


class Embedding(Contender):
    """An integration of embeddings."""

    __slots__ = ()
    endpoint = "Embeddings"

    def make(self, url: str, **settings: Any) -> Any:
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(VOCABULARIES))
        return super().make(url, **settings)

    def embed(self, llm: Any, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents."""
        if self.framework == "LangChain":
            return llm.embed_documents(texts)
        return llm.get_text_embedding_batch(texts)

    async def aembed(self, llm: Any, texts: list[str]) -> list[list[float]]:
        if self.framework == "LangChain":
            return await llm.aembed_documents(texts)
        return await llm.aget_text_embedding_batch(texts)

    def complete(self, llm: Any, prompt: str = "x", **parameters: Any) -> list[float]:
        """Return the vector of a query: what is nearest to the call of the other endpoints."""
        return (llm.embed_query if self.framework == "LangChain" else llm.get_query_embedding)(prompt, **parameters)

    async def acomplete(self, llm: Any, prompt: str = "x") -> list[float]:
        if self.framework == "LangChain":
            return await llm.aembed_query(prompt)
        return await llm.aget_query_embedding(prompt)

    @staticmethod
    def healthy(seen: Seen) -> list[Any]:
        """Answer as a healthy server does."""
        return http(answer(seen.json))


LANGCHAIN = {"model": "text-embedding-3-small", "api_key": "k"}
TEXTS = {**LANGCHAIN, "check_embedding_ctx_length": False}
LLAMA_INDEX = {"model_name": "text-embedding-3-small", "api_key": "k"}
EMBEDDINGS = [
    Embedding("`OpenAIEmbeddings`", "LangChain", False, OpenAIEmbeddings, "base_url", LANGCHAIN),
    Embedding("`OpenAIEmbeddings(check_embedding_ctx_length=False)`", "LangChain", False, OpenAIEmbeddings, "base_url",
              TEXTS),
    Embedding("LlamaIndex's `OpenAIEmbedding`", "LlamaIndex", False, OpenAIEmbedding, "api_base",
              {"model": "text-embedding-3-small", "api_key": "k"}),
    Embedding("`OpenAILikeEmbedding`", "LlamaIndex", False, OpenAILikeEmbedding, "api_base", LLAMA_INDEX),
    Embedding("`XDMEmbeddings`", "LangChain", True, XDMEmbeddings, "base_url", LANGCHAIN),
    Embedding("`XDMEmbedding`", "LlamaIndex", True, XDMEmbedding, "api_base", LLAMA_INDEX),
]  # fmt: skip

"""The ways to vectors: the client and both frameworks, each sync and async, under the same names.

A door makes an embedder, and asks it for the vectors of documents and of a query. What must be so wherever a program
comes in is written once, over `door`; what only one of them has is tested in its own room.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.worlds import KINDS, ClientWorld, World
from xdm_integrations.langchain import XDMEmbeddings
from xdm_integrations.llama_index import XDMEmbedding

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_CALLS = ("model", "dimensions", "user", "encoding_format", "batch_size", "max_concurrency")
"""What the client's method takes, and adapters have as fields."""
_OF_LLAMA_INDEX = {"base_url": "api_base", "model": "model_name", "batch_size": "embed_batch_size"}


class ClientDoor(ClientWorld):
    """`Client.embed` and `AsyncClient.embed`."""

    agent = ""

    def embedder(self, **settings: Any) -> Any:
        """Return a client and what each of its calls says; the client is closed after the test."""
        of_calls = {name: settings.pop(name) for name in _OF_CALLS if name in settings}
        return self.client(**settings), of_calls

    def documents(self, embedder: Any, texts: Sequence[Any]) -> list[list[float]]:
        client, params = embedder
        return self.embed(client, texts, **params).vectors

    def query(self, embedder: Any, text: Any) -> list[float]:
        client, params = embedder
        return self.embed(client, text, **params)[0]

    def shown(self, embedder: Any) -> list[str]:
        """Return every text that an embedder shows of itself."""
        client, _ = embedder
        return [repr(client), str(client), repr(client.config), str(client.config)]


class LangChainDoor(World):
    """`XDMEmbeddings`."""

    agent = "langchain-core/"

    def embedder(self, **settings: Any) -> Any:
        """Return embeddings, which are closed after the test."""
        return self.keep(XDMEmbeddings(**settings))

    def documents(self, embedder: Any, texts: Sequence[Any]) -> list[list[float]]:
        return self.call(embedder, "embed_documents", texts)

    def query(self, embedder: Any, text: Any) -> list[float]:
        return self.call(embedder, "embed_query", text)

    def shown(self, embedder: Any) -> list[str]:
        """Return every text that an embedder shows of itself."""
        schema = json.dumps(XDMEmbeddings.model_json_schema(mode="serialization"))
        return [repr(embedder), str(embedder), repr(embedder.model_dump()), embedder.model_dump_json(), schema]


class LlamaIndexDoor(World):
    """`XDMEmbedding`."""

    agent = "llama-index-core/"

    def embedder(self, **settings: Any) -> Any:
        """Return an embedding model, which is closed after the test."""
        return self.keep(XDMEmbedding(**{_OF_LLAMA_INDEX.get(name, name): v for name, v in settings.items()}))

    def documents(self, embedder: Any, texts: Sequence[Any]) -> list[list[float]]:
        return self.call(embedder, "get_text_embedding_batch", texts)

    def query(self, embedder: Any, text: Any) -> list[float]:
        return self.call(embedder, "get_query_embedding", text)

    def shown(self, embedder: Any) -> list[str]:
        """Return every text that an embedder shows of itself."""
        schema = json.dumps(XDMEmbedding.model_json_schema(mode="serialization"))
        dumps = [embedder.to_dict(), embedder.to_payload(), embedder.model_dump()]
        return [repr(embedder), str(embedder), embedder.to_json(), schema, *map(repr, dumps)]


CLIENT, LANGCHAIN, LLAMA_INDEX = "client", "langchain", "llama_index"
DOORS: dict[str, Any] = {CLIENT: ClientDoor, LANGCHAIN: LangChainDoor, LLAMA_INDEX: LlamaIndexDoor}
"""By the name of the room."""
of_frameworks = pytest.mark.parametrize(
    "door", [(room, kind) for room in (LANGCHAIN, LLAMA_INDEX) for kind in KINDS], indirect=True, ids="-".join
)
"""Marks a test of what both frameworks' embedders have, and the client hasn't."""

"""Real vectors: what retrieval over `examples/data` finds, and that client and both frameworks get the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from local_engine import EMBEDDING_MODEL

from tests.worlds import KINDS, World, worlds
from xdm_integrations import AsyncClient, Client
from xdm_integrations.langchain import XDMEmbeddings
from xdm_integrations.llama_index import XDMEmbedding

DATA = Path(__file__).parents[2] / "examples" / "data"
TEXTS = {path.name: path.read_text("utf-8").strip() for path in sorted(DATA.glob("*.md"))}
LINES = [json.loads(line) for line in (DATA / "questions.jsonl").read_text("utf-8").splitlines()]
# A question finds its document in its own language; examples/local_engine/README.md has the figures.
EXPECTED = {
    line["question"]: line["document"]
    for line in LINES
    if line["language"] == ("zh" if "-zh" in line["document"] else "en")
}


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Any:
    yield from worlds(World, request.param)


def found(queries: list[list[float]], documents: list[list[float]], names: Any) -> list[str]:
    """Return the name of the document whose vector is nearest to each query's."""
    scores = [[sum(a * b for a, b in zip(query, one, strict=True)) for one in documents] for query in queries]
    return [list(names)[row.index(max(row))] for row in scores]


def test_each_question_finds_its_document(chat_engine: Any) -> None:
    """In English and in Chinese; a question in the other language doesn't, which the engine's README says."""
    assert len(EXPECTED) > 30
    with Client(base_url=chat_engine.base_url, model=EMBEDDING_MODEL) as client:
        result = client.embed([*TEXTS.values(), *EXPECTED], batch_size=4, max_concurrency=2)
    documents, queries = result.vectors[: len(TEXTS)], result.vectors[len(TEXTS) :]
    assert found(queries, documents, TEXTS) == list(EXPECTED.values())
    assert result.model == EMBEDDING_MODEL
    assert result.usage.total_tokens > 500


def test_the_client_and_both_frameworks_get_the_same_vectors(world: Any, chat_engine: Any) -> None:
    """Alike for queries and documents, so what one finds, all of them find."""
    texts = ["tea", "熊猫"]
    make = AsyncClient if world.is_async else Client
    client = world.keep(make(base_url=chat_engine.base_url, model=EMBEDDING_MODEL))
    vectors = world.run(client.embed(texts)).vectors
    floats = world.run(client.embed(texts, encoding_format="float")).vectors
    langchain = world.keep(XDMEmbeddings(base_url=chat_engine.base_url, model=EMBEDDING_MODEL))
    llama_index = world.keep(XDMEmbedding(api_base=chat_engine.base_url, model_name=EMBEDDING_MODEL))
    assert world.call(langchain, "embed_documents", texts) == vectors
    assert world.call(llama_index, "get_text_embedding_batch", texts) == vectors
    assert [world.call(langchain, "embed_query", text) for text in texts] == vectors
    assert [world.call(llama_index, "get_query_embedding", text) for text in texts] == vectors
    assert floats == [pytest.approx(vector, abs=1e-7) for vector in vectors]

"""Retrieval over `examples/data` with real vectors: through the client and both frameworks, sync and async."""

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
FEW = ["What causes the tides?", "Who lays the eggs in a bee colony?", "刚出生的大熊猫有多重？", "家蚕吃什么？"]  # noqa: RUF001 - Chinese punctuation

SOME = {name: TEXTS[name] for name in ("bees.md", "panda-zh.md", "silk-zh.md", "tides.md")}
"""The documents of `FEW`; all of them take half a minute, so that they are embedded once."""


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Any:
    yield from worlds(World, request.param)


def found(queries: list[list[float]], documents: list[list[float]], names: Any) -> list[str]:
    """Return the name of the document whose vector is nearest to each query's."""
    scores = [[sum(a * b for a, b in zip(query, one, strict=True)) for one in documents] for query in queries]
    return [list(names)[row.index(max(row))] for row in scores]


def client_of(world: Any, engine: Any) -> Any:
    make = AsyncClient if world.is_async else Client
    return world.keep(make(base_url=engine.base_url, model=EMBEDDING_MODEL))


def test_each_question_finds_its_document_with_the_client(world: Any, chat_engine: Any) -> None:
    texts, questions = (TEXTS, list(EXPECTED)) if world.is_async else (SOME, FEW)
    call = client_of(world, chat_engine).embed([*texts.values(), *questions], batch_size=4, max_concurrency=2)
    result = world.run(call)
    documents, queries = result.vectors[: len(texts)], result.vectors[len(texts) :]
    assert found(queries, documents, texts) == [EXPECTED[question] for question in questions]
    assert result.model == EMBEDDING_MODEL
    assert result.usage.total_tokens > 500


def test_each_question_finds_its_document_with_langchain(world: Any, chat_engine: Any) -> None:
    embeddings = world.keep(XDMEmbeddings(base_url=chat_engine.base_url, model=EMBEDDING_MODEL))
    documents = world.call(embeddings, "embed_documents", list(SOME.values()))
    queries = [world.call(embeddings, "embed_query", question) for question in FEW]
    assert found(queries, documents, SOME) == [EXPECTED[question] for question in FEW]


def test_each_question_finds_its_document_with_llama_index(world: Any, chat_engine: Any) -> None:
    embedding = world.keep(XDMEmbedding(api_base=chat_engine.base_url, model_name=EMBEDDING_MODEL))
    documents = world.call(embedding, "get_text_embedding_batch", list(SOME.values()))
    queries = [world.call(embedding, "get_query_embedding", question) for question in FEW]
    assert found(queries, documents, SOME) == [EXPECTED[question] for question in FEW]


def test_the_client_and_both_frameworks_get_the_same_vector(world: Any, chat_engine: Any) -> None:
    client = client_of(world, chat_engine)
    (vector,) = world.run(client.embed("tea")).vectors
    (floats,) = world.run(client.embed("tea", encoding_format="float")).vectors
    langchain = world.keep(XDMEmbeddings(base_url=chat_engine.base_url, model=EMBEDDING_MODEL))
    llama_index = world.keep(XDMEmbedding(api_base=chat_engine.base_url, model_name=EMBEDDING_MODEL))
    assert world.call(langchain, "embed_query", "tea") == vector
    assert world.call(llama_index, "get_text_embedding", "tea") == vector
    assert floats == pytest.approx(vector, abs=1e-7)

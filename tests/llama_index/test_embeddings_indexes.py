"""`XDMEmbedding` in what LlamaIndex programs put it into: indexes, pipelines, splitters."""

from __future__ import annotations

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SemanticSplitterNodeParser, SentenceSplitter
from llama_index.core.schema import TextNode

from tests.scripted import http
from tests.vectors import answer, embedding, inputs_of, vector_of
from xdm_integrations import BadRequestError
from xdm_integrations.llama_index import XDMEmbedding

TEXTS = [f"document {i}" for i in range(40)]
NODES = [TextNode(text=text, id_=f"node-{i}") for i, text in enumerate(TEXTS)]


@pytest.fixture
def server(server):
    server.script = embedding
    return server


@pytest.fixture
def model(world, server):
    return world.keep(XDMEmbedding(api_base=server.url, embed_batch_size=16))


def found(world, index, text):
    nodes = world.call(index.as_retriever(similarity_top_k=1), "retrieve", text)
    return [node.text for node in nodes]


@pytest.mark.parametrize("use_async", [False, True])
def test_an_index_finds_each_node_by_its_vector(world, server, model, use_async):
    if use_async and world.is_async:
        pytest.skip("the index runs the loop by itself")
    index = VectorStoreIndex(nodes=NODES, embed_model=model, use_async=use_async)
    for text in TEXTS[::7]:
        assert found(world, index, text) == [text]
    index.insert(Document(text="another one"))
    assert found(world, index, "another one") == ["another one"]


def test_the_global_setting_is_used(world, server, model):
    Settings.embed_model = model
    index = VectorStoreIndex(nodes=NODES)
    assert found(world, index, TEXTS[5]) == [TEXTS[5]]


def test_a_refused_text_builds_no_index(server, model):
    refused = http({"error": {"message": "no", "type": "invalid_request_error"}}, 400)
    server.script = lambda seen: refused if TEXTS[20] in inputs_of(seen.json) else embedding(seen)
    with pytest.raises(BadRequestError, match=r"^input 20: "):
        VectorStoreIndex(nodes=NODES, embed_model=model)


def test_a_pipeline_embeds_every_node_and_asks_nothing_twice(world, server, model):
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), model], cache=IngestionCache())
    documents = [Document(text=text, id_=text) for text in TEXTS]
    nodes = world.call(pipeline, "run", documents=documents)
    assert [node.embedding for node in nodes] == [vector_of(text) for text in TEXTS]
    server.requests.clear()
    again = world.call(pipeline, "run", documents=documents)
    assert [node.embedding for node in again] == [node.embedding for node in nodes]
    assert server.requests == []
    model.dimensions = 8  # of which the pipeline's cache knows nothing
    server.script = lambda seen: http(answer(seen.json))
    assert {len(node.embedding) for node in world.call(pipeline, "run", documents=documents)} == {8}


def test_a_pipeline_in_two_processes(server):
    model = XDMEmbedding(api_base=server.url, api_key="a-key-that-nobody-has")
    pipeline = IngestionPipeline(transformations=[model], disable_cache=True)
    nodes = pipeline.run(nodes=NODES, num_workers=2)
    assert {node.text: node.embedding for node in nodes} == {text: vector_of(text) for text in TEXTS}
    assert {seen.headers["authorization"] for seen in server.requests} == {"Bearer a-key-that-nobody-has"}


def test_the_semantic_splitter(world, server, model):
    splitter = SemanticSplitterNodeParser(embed_model=model, buffer_size=1)
    text = "The cat sleeps. The cat eats. Stocks fell on Monday. Stocks rose on Friday."
    nodes = world.call(splitter, "get_nodes_from_documents", [Document(text=text)])
    assert "".join(node.text for node in nodes).replace(" ", "") == text.replace(" ", "")
    assert server.requests


def test_nodes_get_their_own_vectors(world, server, model):
    nodes = [TextNode(text=text) for text in TEXTS]
    embedded = world.run(model.acall(nodes)) if world.is_async else model(nodes)
    assert [node.embedding for node in embedded] == [vector_of(text) for text in TEXTS]

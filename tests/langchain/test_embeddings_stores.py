"""`XDMEmbeddings` in what LangChain programs put it into: stores, caches, indexing."""

from __future__ import annotations

import pytest
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_classic.storage import InMemoryByteStore
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import InMemoryVectorStore

from tests.scripted import http
from tests.vectors import embedding, inputs_of, vector_of
from xdm_integrations import BadRequestError
from xdm_integrations.langchain import XDMEmbeddings

TEXTS = [f"document {i}" for i in range(40)]


@pytest.fixture
def server(server):
    server.script = embedding
    return server


@pytest.fixture
def embeddings(world, server):
    return world.keep(XDMEmbeddings(base_url=server.url, batch_size=16))


def refusing(text):
    refused = http({"error": {"message": "no", "type": "invalid_request_error"}}, 400)
    return lambda seen: refused if text in inputs_of(seen.json) else embedding(seen)


def found(world, store, text):
    return [document.page_content for document in world.call(store, "similarity_search", text, k=1)]


def test_the_store_in_memory(world, server, embeddings):
    store = InMemoryVectorStore(embeddings)
    world.call(store, "add_documents", [Document(text) for text in TEXTS])
    for text in TEXTS[::7]:
        assert found(world, store, text) == [text]
    marginal = world.call(store, "max_marginal_relevance_search", TEXTS[3], k=2, fetch_k=5)
    assert marginal[0].page_content == TEXTS[3]


def test_a_failed_batch_stores_nothing(world, server, embeddings):
    server.script = refusing(TEXTS[20])
    store = InMemoryVectorStore(embeddings)
    with pytest.raises(BadRequestError, match=r"^input 20: "):
        world.call(store, "add_texts", TEXTS)
    assert store.store == {}


def test_cached_vectors_are_not_asked_for_again(world, server, embeddings):
    cached = CacheBackedEmbeddings.from_bytes_store(
        embeddings, InMemoryByteStore(), namespace=embeddings.model, key_encoder="sha256"
    )
    first = world.call(cached, "embed_documents", TEXTS[:10])
    server.requests.clear()
    assert world.call(cached, "embed_documents", TEXTS[:20]) == [vector_of(text) for text in TEXTS[:20]]
    assert first == [vector_of(text) for text in TEXTS[:10]]
    assert [inputs_of(seen.json) for seen in server.requests] == [TEXTS[10:20]]


def test_indexing_stores_all_or_nothing_of_a_batch(world, server, embeddings):
    store = InMemoryVectorStore(embeddings)
    manager = InMemoryRecordManager("tests")
    manager.create_schema()
    indexing = {"cleanup": "full", "source_id_key": "source", "key_encoder": "sha256"}

    def run():
        return world.run((aindex if world.is_async else index)(documents, manager, store, **indexing))

    documents = [Document(text, metadata={"source": text}) for text in TEXTS]
    server.script = refusing(TEXTS[20])
    with pytest.raises(BadRequestError):
        run()
    assert store.store == {}
    server.script = embedding
    for added in (40, 0):
        assert run()["num_added"] == added
    assert found(world, store, TEXTS[20]) == [TEXTS[20]]


def test_faiss(world, server, embeddings):
    pytest.importorskip("faiss")
    from langchain_community.vectorstores import FAISS

    store = world.call(FAISS, "from_texts", TEXTS, embeddings)
    for text in TEXTS[::7]:
        assert found(world, store, text) == [text]


def test_chroma(world, server, embeddings):
    pytest.importorskip("langchain_chroma")
    from langchain_chroma import Chroma

    store = world.call(Chroma, "from_texts", TEXTS, embeddings, collection_name=f"sync-{not world.is_async}")
    for text in TEXTS[::7]:
        assert found(world, store, text) == [text]


def test_qdrant(world, server, embeddings):
    pytest.importorskip("langchain_qdrant")
    from langchain_qdrant import QdrantVectorStore

    store = QdrantVectorStore.from_texts(TEXTS, embeddings, location=":memory:", collection_name="tests")
    for text in TEXTS[::7]:
        assert found(world, store, text) == [text]
    store.client.close()

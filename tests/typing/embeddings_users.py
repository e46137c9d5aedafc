"""What users of both frameworks' embeddings write, and what they must not. Checked by mypy and pyright; never run."""

# ruff: noqa: TC002  (written as users write)
from __future__ import annotations

from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import SecretStr
from typing_extensions import assert_type

from xdm_integrations import Timeout
from xdm_integrations.langchain import XDMEmbeddings
from xdm_integrations.llama_index import XDMEmbedding


def made() -> Embeddings:
    XDMEmbeddings()
    XDMEmbeddings(
        api_key=SecretStr("key"),
        base_url="http://127.0.0.1:8080/v1",
        timeout=Timeout(total=60),
        model="m",
        dimensions=256,
        encoding_format="float",
        query_instruction="query: ",
        text_instruction="passage: ",
        batch_size=10,
        max_concurrency=2,
        extra_body={"input_type": "query"},
        default_headers={"X-A": "b"},
    )
    return XDMEmbeddings(api_key=lambda: "key")


def embedded(embeddings: XDMEmbeddings) -> None:
    assert_type(embeddings.embed_query("a"), list[float])
    assert_type(embeddings.embed_documents(["a", "b"], dimensions=8), list[list[float]])
    assert_type(embeddings.embed_documents(text for text in "ab"), list[list[float]])
    InMemoryVectorStore(embeddings).add_texts(["a"])
    given(embeddings)


def given(base: Embeddings) -> None:
    """Whatever takes embeddings takes these."""
    assert_type(base.embed_documents(["a"]), list[list[float]])


async def awaited(embeddings: XDMEmbeddings) -> None:
    assert_type(await embeddings.aembed_query("a", model="m"), list[float])
    assert_type(await embeddings.aembed_documents(["a"]), list[list[float]])


def indexed() -> BaseEmbedding:
    XDMEmbedding()
    return XDMEmbedding(
        api_key="key",
        api_base="http://127.0.0.1:8080/v1",
        timeout=(1, 5),
        model_name="m",
        embed_batch_size=10,
        dimensions=256,
        query_instruction="query: ",
        max_concurrency=2,
        extra_body={"input_type": "query"},
        default_headers={"X-A": "b"},
        additional_kwargs={"a": 1},
    )


def vectors(embed_model: XDMEmbedding, base: BaseEmbedding) -> None:
    assert_type(embed_model.get_query_embedding("a"), list[float])
    assert_type(embed_model.get_text_embedding_batch(["a", "b"], show_progress=True), list[list[float]])
    assert_type(base.get_text_embedding("a"), list[float])


async def awaited_vectors(embed_model: XDMEmbedding) -> None:
    assert_type(await embed_model.aget_query_embedding("a"), list[float])
    assert_type(await embed_model.aget_text_embedding_batch(["a"]), list[list[float]])


def mistakes(embeddings: XDMEmbeddings, options: dict[str, Any]) -> None:
    XDMEmbeddings(dimension=8)  # type: ignore[call-arg] # misspelt
    XDMEmbeddings(dimensions="8")  # type: ignore[arg-type] # a string
    XDMEmbeddings(batch_size=None)  # type: ignore[arg-type] # how many it is, is always said
    embeddings.embed_query("a", dimension=8)  # type: ignore[call-arg] # misspelt
    embeddings.embed_query(["a"])  # type: ignore[arg-type] # several texts
    embeddings.embed_documents(["a"], encoding_format=8)  # type: ignore[arg-type] # a number
    embeddings.embed_documents(["a"], temperature=0)  # type: ignore[call-arg] # of another endpoint
    embeddings.embed_documents(5)  # type: ignore[arg-type] # no texts
    embeddings.embed_documents(["a"], **options)


async def awaited_mistakes(embeddings: XDMEmbeddings) -> None:
    await embeddings.aembed_query("a", dimension=8)  # type: ignore[call-arg] # misspelt
    await embeddings.aembed_documents([1])  # type: ignore[list-item] # a number


def mistakes_of_an_index(embed_model: XDMEmbedding) -> None:
    """No more of them: LlamaIndex's decorators take the types of its own methods away."""
    embed_model.get_text_embedding_batch("a")  # type: ignore[arg-type] # one text
    XDMEmbedding(dimension=8)  # type: ignore[call-arg] # misspelt
    XDMEmbedding(dimensions="8")  # type: ignore[arg-type] # a string
    XDMEmbedding(embed_batch_size=None)  # type: ignore[arg-type] # how many it is, is always said

"""Embed texts, keep them in a vector store, and find the one that answers a question."""

from langchain_core.vectorstores import InMemoryVectorStore
from served import served

from xdm_integrations import Client
from xdm_integrations.langchain import XDMEmbeddings

TEXTS = [
    "The queen lays all the eggs of a bee colony.",
    "Paper was made in China from bark and rags.",
    "豆腐是用大豆做的。",
]

with served(vectors=True):
    with Client() as client:
        vectors = client.embed(TEXTS)
        print(len(vectors), "vectors of", vectors.dimensions, "numbers")
    store = InMemoryVectorStore.from_texts(TEXTS, XDMEmbeddings())
    for question in ("Which bee lays the eggs?", "豆腐用什么做？"):  # noqa: RUF001 - Chinese punctuation
        print(store.similarity_search(question, k=1)[0].page_content)

# Output:
# 3 vectors of 384 numbers
# The queen lays all the eggs of a bee colony.
# 豆腐是用大豆做的。

"""Answer from documents with LlamaIndex: embed them, find the right one, let a chat model answer from it."""

from pathlib import Path

from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from served import served

from xdm_integrations.llama_index import XDMChat, XDMEmbedding

DATA = Path(__file__).with_name("data")
FILES = [DATA / name for name in ("bees.md", "tides.md", "paper.md", "compass-zh.md")]

with served(vectors=True):
    documents = SimpleDirectoryReader(input_files=FILES).load_data()
    index = VectorStoreIndex.from_documents(documents, embed_model=XDMEmbedding())
    engine = index.as_query_engine(llm=XDMChat(temperature=0), similarity_top_k=1, streaming=True)
    answer = engine.query("Who lays the eggs in a bee colony?")
    for text in answer.response_gen:
        print(text, end="")
    print(f" ({answer.source_nodes[0].metadata['file_name']})")
    found = index.as_retriever(similarity_top_k=1).retrieve("指南针的核心是什么？")  # noqa: RUF001 - Chinese punctuation
    print(found[0].metadata["file_name"])

# Output:
# ... (bees.md)
# compass-zh.md

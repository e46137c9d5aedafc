"""A LlamaIndex query engine over documents: index, retrieve, answer from the sources."""

from pathlib import Path

from llama_index.core import Document, VectorStoreIndex
from local_engine.words import Words
from served import served

from xdm_integrations.llama_index import XDM

DATA = Path(__file__).with_name("data")

with served():
    texts = {path.name: path.read_text("utf-8").strip() for path in sorted(DATA.glob("*.md"))}
    documents = [Document(text=text, id_=name) for name, text in texts.items()]
    # `Words` is an embedding without a model, for this example; use a real one.
    index = VectorStoreIndex.from_documents(documents, embed_model=Words())
    engine = index.as_query_engine(llm=XDM(temperature=0), similarity_top_k=1)
    for question in ("What causes the tides?", "指南针的核心是什么？"):  # noqa: RUF001 - Chinese punctuation
        answer = engine.query(question)
        print(answer, f"({answer.source_nodes[0].node.ref_doc_id})")

# Output:
# Mainly the gravity of the Moon. (tides.md)
# 一根可以自由转动的磁针。 (compass-zh.md)

"""Answer from documents with LangChain: embed them, find the right one, let a chat model answer from it."""

from pathlib import Path

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.vectorstores import InMemoryVectorStore
from served import served

from xdm_integrations.langchain import ChatXDM, XDMEmbeddings

DATA = Path(__file__).with_name("data")
NAMES = ["bees.md", "tides.md", "paper.md", "compass-zh.md"]
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer the question from the text, in one sentence."), ("user", "{text}\n\nQuestion: {question}")]
)

with served(vectors=True):
    texts = [(DATA / name).read_text("utf-8") for name in NAMES]
    store = InMemoryVectorStore.from_texts(texts, XDMEmbeddings(), metadatas=[{"name": name} for name in NAMES])
    chain = PROMPT | ChatXDM(temperature=0, max_tokens=60) | StrOutputParser()
    for question in ("Who lays the eggs in a bee colony?",):
        found = store.similarity_search(question, k=1)[0]
        for piece in chain.stream({"text": found.page_content, "question": question}):
            print(piece, end="")
        print(f" ({found.metadata['name']})")
    print(store.similarity_search("指南针的核心是什么？", k=1)[0].metadata["name"])  # noqa: RUF001 - Chinese punctuation

# Output:
# ... (bees.md)
# compass-zh.md

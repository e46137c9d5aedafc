"""Chat and embeddings: plain code, each framework over models that answer from memory, ours, and the peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from benchmarks.plain import async_plain, plain_session
from benchmarks.plain_chat import (
    WEATHER,
    PlainCalls,
    chat_body,
    plain_achat,
    plain_adeltas,
    plain_chat,
    plain_deltas,
    plain_embed,
    streaming,
)
from benchmarks.rows import AT_ONCE, CALLS, TOKENS, cpu_per, cpu_per_async, row

VECTORS = 1000
TEXTS = [f"text-{i}" for i in range(VECTORS)]


def chat_from_memory(answers: int = 1) -> Any:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    class FromMemory(BaseChatModel):
        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            return ChatResult(generations=[ChatGeneration(message=AIMessage("<x>"))])

        async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
            return self._generate()

        def _stream(self, *_: Any, **__: Any) -> Any:
            for _i in range(answers):
                yield ChatGenerationChunk(message=AIMessageChunk(" word"))

        async def _astream(self, *_: Any, **__: Any) -> Any:
            for _i in range(answers):
                yield ChatGenerationChunk(message=AIMessageChunk(" word"))

        @property
        def _llm_type(self) -> str:
            return "memory"

    return FromMemory()


def index_chat_from_memory(answers: int = 1) -> Any:
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse
    from llama_index.core.llms.callbacks import llm_chat_callback

    from benchmarks.on_llama_index import llama_index_from_memory

    class FromMemory(type(llama_index_from_memory())):  # type: ignore[misc] # a class that is made at runtime
        @llm_chat_callback()
        def chat(self, *_: Any, **__: Any) -> Any:
            return ChatResponse(message=ChatMessage("<x>", role="assistant"))

        @llm_chat_callback()
        async def achat(self, *_: Any, **__: Any) -> Any:
            return ChatResponse(message=ChatMessage("<x>", role="assistant"))

        @llm_chat_callback()
        def stream_chat(self, *_: Any, **__: Any) -> Any:
            def items() -> Any:
                text = ""
                for _i in range(answers):
                    text += " word"
                    yield ChatResponse(message=ChatMessage(text, role="assistant"), delta=" word")

            return items()

        @llm_chat_callback()
        async def astream_chat(self, *_: Any, **__: Any) -> Any:
            async def items() -> Any:
                text = ""
                for _i in range(answers):
                    text += " word"
                    yield ChatResponse(message=ChatMessage(text, role="assistant"), delta=" word")

            return items()

    return FromMemory()


def langchain_chat(subject: str, url: str, tokens: int) -> Any:
    if subject == "framework":
        return chat_from_memory(tokens)
    if subject == "peer":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model="m", api_key="k", base_url=url, max_tokens=tokens, stream_usage=True)
    from xdm_integrations.langchain import ChatXDM

    return ChatXDM(model="m", xdm_api_key="k", base_url=url, max_tokens=tokens)


def llama_index_chat(subject: str, url: str, tokens: int) -> Any:
    if subject == "framework":
        return index_chat_from_memory(tokens)
    settings: Any = {"model": "m", "api_key": "k", "api_base": url, "max_tokens": tokens, "context_window": 10**6}
    if subject == "peer":
        from llama_index.llms.openai_like import OpenAILike

        return OpenAILike(**settings, is_chat_model=True, is_function_calling_model=True)
    from xdm_integrations.llama_index import XDMChat

    return XDMChat(**settings)


def _messages() -> Any:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage("x")]


async def _consumed(stream: Any) -> None:
    async for _ in stream:
        pass


def _rows(name: str, subject: str, make: Callable[[str, str, int], Any], methods: list[str], asked: Any) -> None:
    chat, achat, stream, astream = methods

    @row(f"{name} {chat}", subject)
    def _(url: str) -> float:
        model, asking = make(subject, url, 64), asked()
        return cpu_per(CALLS, lambda: [getattr(model, chat)(asking) for _ in range(CALLS)])

    @row(f"{name} {achat}, 64 at once", subject)
    def _(url: str) -> float:
        model, asking = make(subject, url, 64), asked()

        async def work() -> None:
            for _ in range(4):
                await asyncio.gather(*(getattr(model, achat)(asking) for _ in range(AT_ONCE)))

        return cpu_per_async(4 * AT_ONCE, work)

    @row(f"{name} {stream}", subject)
    def _(url: str) -> float:
        model, asking = make(subject, url, TOKENS), asked()
        return cpu_per(TOKENS, lambda: sum(1 for _ in getattr(model, stream)(asking)))

    @row(f"{name} {astream}", subject)
    def _(url: str) -> float:
        model, asking = make(subject, url, TOKENS), asked()

        async def work() -> None:
            made = getattr(model, astream)(asking)
            await _consumed(await made if asyncio.iscoroutine(made) else made)

        return cpu_per_async(TOKENS, work)


LANGCHAIN = ["invoke", "ainvoke", "stream", "astream"]
LLAMA_INDEX = ["chat", "achat", "stream_chat", "astream_chat"]
for _subject in ("framework", "ours", "peer"):
    _rows("langchain chat:", _subject, langchain_chat, LANGCHAIN, lambda: "x")
    _rows("llama_index chat:", _subject, llama_index_chat, LLAMA_INDEX, _messages)


def _plain(names: tuple[str, str, str, str]) -> None:
    chat, achat, stream, astream = names

    @row(chat, "plain")
    def _(url: str) -> float:
        session = plain_session()
        return cpu_per(CALLS, lambda: [plain_chat(session, url, chat_body()) for _ in range(CALLS)])

    @row(achat, "plain")
    def _(url: str) -> float:
        async def work(session: Any) -> None:
            for _ in range(4):
                await asyncio.gather(*(plain_achat(session, url, chat_body()) for _ in range(AT_ONCE)))

        return async_plain(4 * AT_ONCE, work)

    @row(stream, "plain")
    def _(url: str) -> float:
        session = plain_session()
        return cpu_per(TOKENS, lambda: sum(1 for _ in plain_deltas(session, url, streaming(TOKENS))))

    @row(astream, "plain")
    def _(url: str) -> float:
        return async_plain(TOKENS, lambda session: _consumed(plain_adeltas(session, url, streaming(TOKENS))))


for _name, (_chat, _achat, _stream, _astream) in (("langchain", LANGCHAIN), ("llama_index", LLAMA_INDEX)):
    _names = (f"{_chat}", f"{_achat}, 64 at once", f"{_stream}", f"{_astream}")
    _plain(tuple(f"{_name} chat: {one}" for one in _names))  # type: ignore[arg-type] # four of them


@row("client stream_chat", "plain")
def _(url: str) -> float:
    session = plain_session()
    return cpu_per(TOKENS, lambda: sum(1 for _ in plain_deltas(session, url, streaming(TOKENS))))


@row("client stream_chat", "ours")
def _(url: str) -> float:
    from xdm_integrations import Client

    client = Client("k", base_url=url, model="m")
    return cpu_per(TOKENS, lambda: sum(1 for _ in client.stream_chat("x", max_tokens=TOKENS)))


@row("client stream_chat, a tool's arguments", "plain")
def _(url: str) -> float:
    session, calls = plain_session(), PlainCalls()

    def work() -> None:
        for delta in plain_deltas(session, url, streaming(TOKENS, tools=[WEATHER])):
            calls.take(delta)

    return cpu_per(TOKENS, work)


@row("client stream_chat, a tool's arguments", "ours")
def _(url: str) -> float:
    from xdm_integrations import Client

    client = Client("k", base_url=url, model="m")
    return cpu_per(TOKENS, lambda: sum(1 for _ in client.stream_chat("x", max_tokens=TOKENS, tools=[WEATHER])))


@row("langchain embeddings", "plain")
@row("llama_index embeddings", "plain")
def _(url: str) -> float:
    session = plain_session()
    return cpu_per(VECTORS, lambda: [plain_embed(session, url, TEXTS[i : i + 100]) for i in range(0, VECTORS, 100)])


@row("langchain embeddings", "ours")
def _(url: str) -> float:
    from xdm_integrations.langchain import XDMEmbeddings

    model = XDMEmbeddings(model="m", api_key="k", base_url=url, batch_size=100)
    return cpu_per(VECTORS, lambda: model.embed_documents(TEXTS))


@row("langchain embeddings", "peer")
def _(url: str) -> float:
    from langchain_openai import OpenAIEmbeddings

    model = OpenAIEmbeddings(model="m", api_key="k", base_url=url, chunk_size=100, check_embedding_ctx_length=False)
    return cpu_per(VECTORS, lambda: model.embed_documents(TEXTS))


@row("llama_index embeddings", "ours")
def _(url: str) -> float:
    from xdm_integrations.llama_index import XDMEmbedding

    model = XDMEmbedding(model="m", api_key="k", api_base=url, embed_batch_size=100)
    return cpu_per(VECTORS, lambda: model.get_text_embedding_batch(TEXTS))


@row("llama_index embeddings", "peer")
def _(url: str) -> float:
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding

    model = OpenAILikeEmbedding(model_name="m", api_key="k", api_base=url, embed_batch_size=100)
    return cpu_per(VECTORS, lambda: model.get_text_embedding_batch(TEXTS))

"""Who is asked in the rows of chat: plain code, the client, each framework over memory, ours and the peers.

Each subject is a function of the server's address, the model's name (which sets the server's pace), how many tokens
are asked for, and whether a tool is given; it returns how it is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from benchmarks.on_llama_index import llama_index_from_memory
from benchmarks.plain import plain_session
from benchmarks.plain_chat import (
    WEATHER,
    PlainCalls,
    chat_body,
    plain_achat,
    plain_adeltas,
    plain_chat,
    plain_deltas,
    streaming,
)
from benchmarks.rows import nothing

WORKERS = 50
"""Calls at once in a batch."""


class Asked(NamedTuple):
    """How one subject is asked: once, as a stream, for `count` answers; what a piece of a stream says."""

    call: Callable[[], Any]
    acall: Callable[[], Awaitable[Any]]
    stream: Callable[[], Iterable[Any]]
    astream: Callable[[], AsyncIterator[Any]]
    batch: Callable[[int], Any] | None
    abatch: Callable[[int], Awaitable[Any]]
    text: Callable[[Any], str]
    aclose: Callable[[], Awaitable[Any]] = nothing


def plain(url: str, model: str = "m", tokens: int = 64, *, tools: bool = False) -> Asked:
    session, sessions = plain_session(), {}
    more: dict[str, Any] = {"model": model, **({"tools": [WEATHER]} if tools else {})}
    body, streamed = chat_body(**more), streaming(tokens, **more)

    def asession() -> Any:
        import aiohttp

        if "a" not in sessions:
            sessions["a"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return sessions["a"]

    def stream() -> Iterator[Any]:
        calls = PlainCalls()
        for delta in plain_deltas(session, url, streamed):
            if tools:
                calls.take(delta)
            yield delta

    async def astream() -> AsyncIterator[Any]:
        calls = PlainCalls()
        async for delta in plain_adeltas(asession(), url, streamed):
            if tools:
                calls.take(delta)
            yield delta

    def batch(count: int) -> Any:
        import requests

        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=WORKERS))
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(lambda _: plain_chat(session, url, body), range(count)))

    return Asked(
        call=lambda: plain_chat(session, url, body),
        acall=lambda: plain_achat(asession(), url, body),
        stream=stream,
        astream=astream,
        batch=batch,
        abatch=lambda count: at_most_at_once(lambda: plain_achat(asession(), url, body), count),
        text=lambda delta: delta.get("content") or "",
        aclose=lambda: asession().close(),
    )


async def at_most_at_once(call: Callable[[], Awaitable[Any]], count: int) -> None:
    turn = asyncio.Semaphore(WORKERS)

    async def one() -> None:
        async with turn:
            await call()

    await asyncio.gather(*(one() for _ in range(count)))


def client(url: str, model: str = "m", tokens: int = 64, *, tools: bool = False) -> Asked:
    from xdm_integrations import AsyncClient, Client

    ours, awaiting = (make("k", base_url=url, model=model) for make in (Client, AsyncClient))
    more: dict[str, Any] = {"max_tokens": tokens, **({"tools": [WEATHER]} if tools else {})}

    async def astream() -> AsyncIterator[Any]:
        async for chunk in await awaiting.stream_chat("x", **more):
            yield chunk

    return Asked(
        call=lambda: ours.chat("x"),
        acall=lambda: awaiting.chat("x"),
        stream=lambda: ours.stream_chat("x", **more),
        astream=astream,
        batch=lambda count: ours.chat_batch(["x"] * count, max_concurrency=WORKERS),
        abatch=lambda count: awaiting.chat_batch(["x"] * count, max_concurrency=WORKERS),
        text=lambda chunk: chunk.text,
        aclose=awaiting.aclose,
    )


def chat_from_memory(answers: int = 1, *, wait: float = 0.0, pace: float = 0.0, tools: bool = False) -> Any:  # noqa: C901 - a class, and what it answers
    """Return a chat model of LangChain that answers after a wait, or by a token every `pace` seconds."""
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    def piece(number: int) -> Any:
        if not tools:
            return ChatGenerationChunk(message=AIMessageChunk(_word(pace)))
        first = {"id": "call_0", "name": "get_weather"} if not number else {"id": None, "name": None}
        call: Any = {"type": "tool_call_chunk", "index": 0, "args": " word", **first}
        return ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))

    class FromMemory(BaseChatModel):
        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            if wait:
                time.sleep(wait)
            return ChatResult(generations=[ChatGeneration(message=AIMessage("<x>"))])

        async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
            if wait:
                await asyncio.sleep(wait)
            return ChatResult(generations=[ChatGeneration(message=AIMessage("<x>"))])

        def _stream(self, *_: Any, **__: Any) -> Any:
            for i in range(answers):
                if pace:
                    time.sleep(pace)
                yield piece(i)

        async def _astream(self, *_: Any, **__: Any) -> Any:
            for i in range(answers):
                if pace:
                    await asyncio.sleep(pace)
                yield piece(i)

        @property
        def _llm_type(self) -> str:
            return "memory"

    return FromMemory()


def _word(pace: float) -> str:
    """Return a token; one that comes at a pace is the moment of its sending, as the server's are."""
    return str(time.monotonic()) if pace else " word"


def index_chat_from_memory(answers: int = 1, *, wait: float = 0.0, pace: float = 0.0, tools: bool = False) -> Any:  # noqa: C901 - a class, and what it answers
    """Return an LLM of LlamaIndex that answers messages after a wait, or by a token every `pace` seconds."""
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, TextBlock, ToolCallBlock
    from llama_index.core.llms.callbacks import llm_chat_callback

    def answer() -> Any:
        return ChatResponse(message=ChatMessage("<x>", role="assistant"))

    def pieces() -> Iterator[Any]:
        text = ""
        for _ in range(answers):
            if pace:
                time.sleep(pace)
            word = _word(pace)
            text += word
            if tools:
                call = ToolCallBlock(tool_call_id="call_0", tool_name="get_weather", tool_kwargs=text)
                message = ChatMessage(role="assistant", blocks=[TextBlock(text=""), call])
                yield ChatResponse(message=message, delta="")
            else:
                yield ChatResponse(message=ChatMessage(text, role="assistant"), delta=word)

    class FromMemory(type(llama_index_from_memory())):  # type: ignore[misc] # a class that is made at runtime
        @llm_chat_callback()
        def chat(self, *_: Any, **__: Any) -> Any:
            return answer()

        @llm_chat_callback()
        async def achat(self, *_: Any, **__: Any) -> Any:
            if wait:
                await asyncio.sleep(wait)
            return answer()

        @llm_chat_callback()
        def stream_chat(self, *_: Any, **__: Any) -> Any:
            return pieces()

        @llm_chat_callback()
        async def astream_chat(self, *_: Any, **__: Any) -> Any:
            async def items() -> Any:
                for item in pieces():
                    yield item

            return items()

    return FromMemory()


def _seconds_of(model: str) -> dict[str, float]:
    """Return what the name of a model asks for: a wait before the answer, or a pace of its tokens."""
    kind, _, milliseconds = model.partition("-")
    name = {"delay": "wait", "paced": "pace"}.get(kind)
    return {name: int(milliseconds) / 1000} if name else {}


def _langchain(make: Callable[..., Any]) -> Callable[..., Asked]:
    def asked(url: str, model: str = "m", tokens: int = 64, *, tools: bool = False) -> Asked:
        made = make(url, model, tokens, tools)
        chat = made.bind(tools=[WEATHER]) if tools else made
        return Asked(
            call=lambda: chat.invoke("x"),
            acall=lambda: chat.ainvoke("x"),
            stream=lambda: chat.stream("x"),
            astream=lambda: chat.astream("x"),
            batch=lambda count: chat.batch(["x"] * count, {"max_concurrency": WORKERS}),
            abatch=lambda count: chat.abatch(["x"] * count, {"max_concurrency": WORKERS}),
            text=lambda chunk: chunk.text,
            aclose=getattr(made, "aclose", nothing),
        )

    return asked


def langchain_chat_ours(url: str, model: str, tokens: int) -> Any:
    from xdm_integrations.langchain import ChatXDM

    return ChatXDM(model=model, xdm_api_key="k", base_url=url, max_tokens=tokens)


def langchain_chat_peer(url: str, model: str, tokens: int) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=model, api_key="k", base_url=url, max_tokens=tokens, stream_usage=True)


def _llama_index(make: Callable[..., Any]) -> Callable[..., Asked]:
    def asked(url: str, model: str = "m", tokens: int = 64, *, tools: bool = False) -> Asked:
        from llama_index.core.async_utils import run_jobs
        from llama_index.core.llms import ChatMessage

        llm, messages = make(url, model, tokens, tools), [ChatMessage("x")]
        more: dict[str, Any] = {"tools": [WEATHER]} if tools else {}

        async def astream() -> AsyncIterator[Any]:
            async for item in await llm.astream_chat(messages, **more):
                yield item

        return Asked(
            call=lambda: llm.chat(messages),
            acall=lambda: llm.achat(messages),
            stream=lambda: llm.stream_chat(messages, **more),
            astream=astream,
            batch=None,  # LlamaIndex has none
            abatch=lambda count: run_jobs([llm.achat(messages) for _ in range(count)], workers=WORKERS),
            text=lambda item: item.delta or "",
            aclose=getattr(llm, "aclose", nothing),
        )

    return asked


def llama_index_chat_ours(url: str, model: str, tokens: int) -> Any:
    from xdm_integrations.llama_index import XDMChat

    return XDMChat(model=model, api_key="k", api_base=url, max_tokens=tokens, context_window=10**6)


def llama_index_chat_peer(url: str, model: str, tokens: int) -> Any:
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(
        model=model,
        api_key="k",
        api_base=url,
        max_tokens=tokens,
        context_window=10**6,
        is_chat_model=True,
        is_function_calling_model=True,
    )


LANGCHAIN = {
    "framework": _langchain(lambda _url, model, n, tools: chat_from_memory(n, **_seconds_of(model), tools=tools)),
    "ours": _langchain(lambda url, model, n, _: langchain_chat_ours(url, model, n)),
    "peer": _langchain(lambda url, model, n, _: langchain_chat_peer(url, model, n)),
}
LLAMA_INDEX = {
    "framework": _llama_index(
        lambda _url, model, n, tools: index_chat_from_memory(n, **_seconds_of(model), tools=tools)
    ),
    "ours": _llama_index(lambda url, model, n, _: llama_index_chat_ours(url, model, n)),
    "peer": _llama_index(lambda url, model, n, _: llama_index_chat_peer(url, model, n)),
}

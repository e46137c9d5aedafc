"""Embeddings: what a vector of 1,536 numbers costs, and how long 10,000 texts take at 50 ms a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from benchmarks.plain import plain_session
from benchmarks.plain_chat import HEADERS, plain_aembed, plain_embed
from benchmarks.rows import cpu_per, cpu_per_awaited, finished, nothing, row, wall, wall_awaited

VECTORS = 1000
TEXTS = 10_000
PACK = 100
"""Texts per request."""
AT_ONCE = 8
"""Requests at once."""


class Embedder(NamedTuple):
    """How one subject is asked for vectors."""

    embed: Callable[[list[str]], Any]
    aembed: Callable[[list[str]], Awaitable[Any]]
    aclose: Callable[[], Awaitable[Any]] = nothing


def packs(texts: list[str]) -> list[list[str]]:
    return [texts[i : i + PACK] for i in range(0, len(texts), PACK)]


def _at_once(
    ask: Callable[[Any, list[str]], Any], aask: Callable[[Any, list[str]], Awaitable[Any]], at_once: int
) -> Embedder:
    """Return plain code with so many requests at once."""
    session, sessions = plain_session(), {}

    def embed(texts: list[str]) -> list[Any]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(partial(ask, session), packs(texts)))

    async def aembed(texts: list[str]) -> list[Any]:
        import aiohttp

        if "a" not in sessions:
            sessions["a"] = aiohttp.ClientSession()
        turn = asyncio.Semaphore(at_once)

        async def one(pack: list[str]) -> Any:
            async with turn:
                return await aask(sessions["a"], pack)

        return await asyncio.gather(*map(one, packs(texts)))

    async def aclose() -> None:
        if sessions:
            await sessions["a"].close()

    return Embedder(embed, aembed, aclose)


def plain(url: str, model: str) -> Embedder:
    """Read the numbers as JSON, as plain code does."""
    return _at_once(
        lambda session, pack: plain_embed(session, url, pack, model),
        lambda session, pack: plain_aembed(session, url, pack, model),
        AT_ONCE if model.startswith("delay-") else 1,
    )


def best(url: str, model: str) -> Embedder:
    """Wait for the answers in their shortest form, and read none."""

    def body(pack: list[str]) -> dict[str, Any]:
        return {"model": model, "input": pack, "encoding_format": "base64"}

    async def wait(session: Any, pack: list[str]) -> int:
        async with session.post(url + "/embeddings", json=body(pack), headers=HEADERS) as reply:
            return len(await reply.read())

    return _at_once(
        lambda session, pack: len(session.post(url + "/embeddings", json=body(pack), headers=HEADERS).content),
        wait,
        AT_ONCE,
    )


def client(url: str, model: str) -> Embedder:
    from xdm_integrations import AsyncClient, Client

    ours, awaiting = (make("k", base_url=url, model=model) for make in (Client, AsyncClient))
    more: dict[str, Any] = {"batch_size": PACK, "max_concurrency": AT_ONCE}
    return Embedder(
        lambda texts: ours.embed(texts, **more), lambda texts: awaiting.embed(texts, **more), awaiting.aclose
    )


def langchain_ours(url: str, model: str) -> Embedder:
    from xdm_integrations.langchain import XDMEmbeddings

    ours = XDMEmbeddings(model=model, api_key="k", base_url=url, batch_size=PACK, max_concurrency=AT_ONCE)
    return Embedder(ours.embed_documents, ours.aembed_documents, ours.aclose)


def langchain_peer(url: str, model: str) -> Embedder:
    from langchain_openai import OpenAIEmbeddings

    peer = OpenAIEmbeddings(model=model, api_key="k", base_url=url, chunk_size=PACK, check_embedding_ctx_length=False)
    return Embedder(peer.embed_documents, peer.aembed_documents)


def llama_index_ours(url: str, model: str) -> Embedder:
    from xdm_integrations.llama_index import XDMEmbedding

    ours = XDMEmbedding(model=model, api_key="k", api_base=url, embed_batch_size=PACK, max_concurrency=AT_ONCE)
    return Embedder(ours.get_text_embedding_batch, ours.aget_text_embedding_batch, ours.aclose)


def llama_index_peer(url: str, model: str) -> Embedder:
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding

    peer = OpenAILikeEmbedding(model_name=model, api_key="k", api_base=url, embed_batch_size=PACK, num_workers=AT_ONCE)
    return Embedder(peer.get_text_embedding_batch, peer.aget_text_embedding_batch)


def _rows(group: str, subject: str, make: Callable[[str, str], Embedder]) -> None:
    texts = [f"text-{i}" for i in range(TEXTS)]

    if subject != "best":

        @row(f"{group}: {VECTORS:,} vectors", subject)
        def _(url: str) -> float:
            model = make(url, "m")
            return cpu_per(VECTORS, lambda: model.embed(texts[:VECTORS]))

        @row(f"{group}: {VECTORS:,} vectors, async", subject)
        def _(url: str) -> float:
            model = make(url, "m")
            return finished(model.aclose, cpu_per_awaited(VECTORS, lambda: model.aembed(texts[:VECTORS])))

    if subject == "plain" and group != "client embeddings":
        return  # slow, and the same for all

    @row(f"{group}: {TEXTS:,} texts, 50 ms a request", subject)
    def _(url: str) -> float:
        model = make(url, "delay-50")
        model.embed(texts[: AT_ONCE * PACK])  # opens the connections
        return wall(lambda: model.embed(texts))

    @row(f"{group}: {TEXTS:,} texts, 50 ms a request, async", subject)
    def _(url: str) -> float:
        model = make(url, "delay-50")

        async def work() -> float:
            await model.aembed(texts[: AT_ONCE * PACK])
            return await wall_awaited(model.aembed(texts))

        return finished(model.aclose, work())


SUBJECTS = {
    "client embeddings": {"ours": client},
    "langchain embeddings": {"ours": langchain_ours, "peer": langchain_peer},
    "llama_index embeddings": {"ours": llama_index_ours, "peer": llama_index_peer},
}
for _group, _subjects in SUBJECTS.items():
    for _subject, _make in {"plain": plain, "best": best, **_subjects}.items():
        _rows(_group, _subject, _make)

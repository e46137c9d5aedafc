"""Load and soak: many streams at once, and many calls with faults among them.

    python -m benchmarks.soak [--streams 500] [--calls 10000] [--faults 0.05] [--only chat]

500 streams are open at once in one process: of texts, and of chat answers with several calls of tools. Then 10,000
calls of each endpoint are made, one in twenty of which the server spoils (refused with 429 or 503, reset, closed, cut),
and 10,000 texts are embedded in one call. All of it by threads over one `Client`, and by tasks over one `AsyncClient`.
Checked: every answer is the one to its prompt, none is lost or served twice, and sockets and memory are as they were
before. The server runs in another process. Ends with status 1 if a check fails.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.plain_chat import WEATHER
from benchmarks.server import running_server
from xdm_integrations import AsyncClient, Client, XDMError

AT_ONCE = 64
RETRIES = 8
"""With one fault in twenty, nine in a row come once in 5e11 calls."""
TOKENS = 20
MEGABYTE = 2**20
SLACK = 12.0
"""Megabytes that memory may grow by: arenas and caches, not answers."""


TOOLS = 3
DIMENSIONS = 64


class Kind(NamedTuple):
    """What is asked, and what the right answer says.

    Attributes:
        title: What is done so many times.
        ask: A client's method, with a prompt.
        said: What an answer says, as a text; None for what doesn't stream.
        told: What the pieces of a stream say.
        right: What the answer to a prompt has to say.
    """

    title: str
    ask: Callable[[Any, str], Any]
    said: Callable[[Any], str]
    right: Callable[[str], str]
    told: Callable[[list[Any]], str] | None = None


def _cities(calls: list[Any]) -> str:
    return json.dumps([[call.id, call.name, call.parsed()["city"]] for call in calls])


def _told_cities(chunks: list[Any]) -> str:
    calls: dict[int, list[str]] = {}
    for delta in (delta for chunk in chunks for delta in chunk.tool_calls):
        call = calls.setdefault(delta.index, ["", "", ""])
        for place, text in enumerate(delta[1:]):
            call[place] += text or ""
    return json.dumps([[call_id, name, json.loads(arguments)["city"]] for call_id, name, arguments in calls.values()])


def _right_cities(prompt: str) -> str:
    words = [len(range(TOOLS + i, TOKENS - TOOLS, TOOLS)) for i in range(TOOLS)]
    return json.dumps([[f"call_{i}", "get_weather", f"<{prompt}>" + " word" * n] for i, n in enumerate(words)])


STREAMS = {
    "texts": Kind(
        "streams",
        lambda client, prompt: client.stream(prompt, max_tokens=TOKENS),
        lambda completion: completion.text,
        lambda prompt: f"<{prompt}>" + " word" * (TOKENS - 1),
        lambda chunks: "".join(chunk.text for chunk in chunks),
    ),
    "chat": Kind(
        "chat streams with calls of tools",
        lambda client, prompt: client.stream_chat(prompt, max_tokens=TOKENS, tools=[WEATHER] * TOOLS),
        lambda completion: _cities(completion.tool_calls),
        _right_cities,
        _told_cities,
    ),
}
CALLS = {
    "texts": Kind(
        "calls",
        lambda client, prompt: client.complete(prompt),
        lambda completion: completion.text,
        lambda prompt: f"<{prompt}>",
    ),
    "chat": Kind(
        "chat calls",
        lambda client, prompt: client.chat(prompt),
        lambda completion: completion.text,
        lambda prompt: f"<{prompt}>",
    ),
    "embeddings": Kind(
        "calls for vectors",
        lambda client, prompt: client.embed([prompt], dimensions=DIMENSIONS),
        lambda embeddings: _numbers(embeddings)[0],
        lambda prompt: prompt.rpartition("-")[2],
    ),
}


def _numbers(embeddings: Any) -> list[str]:
    """Return what vectors say: the number that their text ends with; nothing if they are of another length."""
    return [f"{vector[0]:.0f}" if len(vector) == DIMENSIONS else "" for vector in embeddings.vectors]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count


def memory() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


class Report:
    """What was checked, line by line."""

    def __init__(self) -> None:
        self.failed = False

    def line(self, name: str, value: object, *, ok: bool = True) -> None:
        self.failed |= not ok
        print(f"  {'ok ' if ok else 'BAD'} {name}: {value}", flush=True)


class Books:
    """The answers that arrived, by prompt."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.errors: Counter[str] = Counter()
        self.retries = 0
        self._lock = threading.Lock()

    def retried(self, _: Any) -> None:
        with self._lock:
            self.retries += 1

    def take(self, prompt: str, text: str) -> None:
        with self._lock:
            self.answers[prompt] = text

    def fail(self, error: XDMError) -> None:
        with self._lock:
            self.errors[f"{type(error).__name__}: {error}"[:100]] += 1

    def check(self, report: Report, rights: dict[str, str], served: dict[str, Any]) -> None:
        wrong = [prompt for prompt, right in rights.items() if self.answers.get(prompt) != right]
        report.line("answers, right and paired", f"{len(rights) - len(wrong)} of {len(rights)}", ok=not wrong)
        report.line("errors", dict(self.errors) or "none", ok=not self.errors)
        report.line("served", served["served"], ok=served["served"] == len(rights))
        report.line("served more than once", served["served more than once"], ok=not served["served more than once"])
        spoilt = sum(served["spoilt"].values())
        report.line("spoilt by the server, and retried", f"{spoilt} and {self.retries}", ok=self.retries == spoilt)


def names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{i}" for i in range(count)]


def agreed(told: str, said: str) -> str:
    """Return what both the pieces and the complete answer say."""
    return said if told == said else f"{told} / {said}"


def by_threads(kind: Kind, client: Client, prompts: list[str], books: Books, threads: int) -> None:
    together = threading.Barrier(threads) if threads == len(prompts) else None

    def ask(prompt: str) -> None:
        try:
            if kind.told is None:
                books.take(prompt, kind.said(kind.ask(client, prompt)))
                return
            with kind.ask(client, prompt) as stream:
                pieces = [next(stream)]
                if together is not None:
                    together.wait(60)  # all are open at once
                pieces += stream
                books.take(prompt, agreed(kind.told(pieces), kind.said(stream.completion)))
        except XDMError as error:
            books.fail(error)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, prompts))


async def by_tasks(kind: Kind, client: AsyncClient, prompts: list[str], books: Books, tasks: int) -> None:
    turn = asyncio.Semaphore(tasks)
    opened, everybody = 0, asyncio.Event()

    async def ask(prompt: str) -> None:
        nonlocal opened
        try:
            async with turn:
                if kind.told is None:
                    books.take(prompt, kind.said(await kind.ask(client, prompt)))
                    return
                async with await kind.ask(client, prompt) as stream:
                    pieces = [await anext(stream)]
                    opened += 1
                    if opened == len(prompts):
                        everybody.set()
                    if tasks == len(prompts):
                        await asyncio.wait_for(everybody.wait(), 60)
                    pieces += [piece async for piece in stream]
                    books.take(prompt, agreed(kind.told(pieces), kind.said(stream.completion)))
        except XDMError as error:
            books.fail(error)

    await asyncio.gather(*map(ask, prompts))


def in_one_call(_: Kind, client: Client, texts: list[str], books: Books, at_once: int) -> None:
    """Embed all texts in one call, in packs of 10."""
    found = client.embed(texts, batch_size=10, max_concurrency=at_once, dimensions=DIMENSIONS)
    books.answers.update(zip(texts, _numbers(found), strict=True))


async def in_one_awaited_call(_: Kind, client: AsyncClient, texts: list[str], books: Books, at_once: int) -> None:
    found = await client.embed(texts, batch_size=10, max_concurrency=at_once, dimensions=DIMENSIONS)
    books.answers.update(zip(texts, _numbers(found), strict=True))


def run(  # noqa: PLR0913, PLR0917 - one argument per setting
    report: Report, kind: Kind, prefix: str, count: int, at_once: int, faults: float, *, one_call: bool
) -> None:
    """Make `count` calls, `at_once` of them at a time, by threads and by tasks."""
    settings: Any = {"api_key": "k", "model": "m", "max_retries": RETRIES, "timeout": 30}
    for world in ("threads", "tasks"):
        print(f"{count:,} {kind.title}, {at_once} at once, {faults:.0%} faults, by {world}", flush=True)
        with running_server(faults=faults, pause=0.05 if kind.told is not None else 0.0) as server:
            books = Books()
            made: Any = AsyncClient if world == "tasks" else Client
            client = made(base_url=server.url, on_retry=books.retried, **settings)

            def work(prompts: list[str], into: Books, client: Any = client, world: str = world) -> float:
                start = time.perf_counter()
                if world == "threads":
                    (in_one_call if one_call else by_threads)(kind, client, prompts, into, at_once)
                    client.close()
                else:
                    asyncio.run((in_one_awaited_call if one_call else by_tasks)(kind, client, prompts, into, at_once))
                return time.perf_counter() - start

            work(names(f"warm-{prefix}", max(at_once, 500)), Books())
            server.report()
            books.retries = 0
            files, size = open_files(), memory()
            rights = {prompt: kind.right(prompt) for prompt in names(f"{prefix}-{world}", count)}
            report.line("per second", f"{count / work([*rights], books):.0f}")
            books.check(report, rights, server.report())
            del rights
            books.answers.clear()
            grown = memory() - size
            report.line("memory grown by", f"{grown:.1f} MB", ok=grown < SLACK)
            report.line("files open, before and after", f"{files} and {open_files()}", ok=open_files() <= files)
            deadline = time.monotonic() + 5
            while (left := server.report()["open connections"]) and time.monotonic() < deadline:
                time.sleep(0.05)
            report.line("connections open at the server", left, ok=left == 0)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--streams", type=int, default=500)
    options.add_argument("--calls", type=int, default=10_000)
    options.add_argument("--faults", type=float, default=0.05)
    options.add_argument("--only", default="", help="texts, chat or embeddings")
    chosen = options.parse_args()
    report = Report()
    for name, kind in STREAMS.items():
        if chosen.only in ("", name):
            run(report, kind, f"stream-{name}", chosen.streams, chosen.streams, chosen.faults, one_call=False)
    for name, kind in CALLS.items():
        if chosen.only in ("", name):
            run(report, kind, f"call-{name}", chosen.calls, AT_ONCE, chosen.faults, one_call=False)
    if chosen.only in ("", "embeddings"):
        kind = CALLS["embeddings"]._replace(title="texts embedded in one call")
        run(report, kind, "text", chosen.calls, 8, chosen.faults, one_call=True)
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())

"""Load and soak: many streams at once, and many calls with faults among them.

    python -m benchmarks.soak [--streams 500] [--calls 10000] [--faults 0.05]

500 streams are open at once in one process, then 10,000 calls are made, one in twenty of which the
server spoils (refused with 429 or 503, reset, closed, cut): by threads over one `Client`, and by
tasks over one `AsyncClient`. Checked: every answer is the one to its prompt, none is lost or served
twice, and sockets and memory are as they were before. The server runs in another process.
Ends with status 1 if a check fails.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.server import running_server
from xdm_integrations import AsyncClient, Client, XDMError

AT_ONCE = 64
RETRIES = 8
"""With one fault in twenty, nine in a row come once in 5e11 calls."""
TOKENS = 20
MEGABYTE = 2**20
SLACK = 12.0
"""Megabytes that memory may grow by: arenas and caches, not answers."""


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

    def check(self, report: Report, prompts: list[str], served: dict[str, Any], *, streamed: bool) -> None:
        rest = " word" * (TOKENS - 1) if streamed else ""
        wrong = [prompt for prompt in prompts if self.answers.get(prompt) != f"<{prompt}>{rest}"]
        report.line("answers, right and paired", f"{len(prompts) - len(wrong)} of {len(prompts)}", ok=not wrong)
        report.line("errors", dict(self.errors) or "none", ok=not self.errors)
        report.line("served", served["served"], ok=served["served"] == len(prompts))
        report.line("served more than once", served["served more than once"], ok=not served["served more than once"])
        spoilt = sum(served["spoilt"].values())
        report.line("spoilt by the server, and retried", f"{spoilt} and {self.retries}", ok=self.retries == spoilt)


def names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{i}" for i in range(count)]


def by_threads(client: Client, prompts: list[str], books: Books, *, threads: int, streamed: bool) -> None:
    together = threading.Barrier(threads) if streamed and threads == len(prompts) else None

    def ask(prompt: str) -> None:
        try:
            if not streamed:
                books.take(prompt, client.complete(prompt).text)
                return
            with client.stream(prompt, max_tokens=TOKENS) as stream:
                first = next(stream).text
                if together is not None:
                    together.wait(60)  # all are open at once
                books.take(prompt, first + "".join(piece.text for piece in stream))
        except XDMError as error:
            books.fail(error)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, prompts))


async def by_tasks(client: AsyncClient, prompts: list[str], books: Books, *, tasks: int, streamed: bool) -> None:
    turn = asyncio.Semaphore(tasks)
    first_words, everybody = 0, asyncio.Event()

    async def ask(prompt: str) -> None:
        nonlocal first_words
        try:
            async with turn:
                if not streamed:
                    books.take(prompt, (await client.complete(prompt)).text)
                    return
                async with await client.stream(prompt, max_tokens=TOKENS) as stream:
                    first = (await stream.__anext__()).text
                    first_words += 1
                    if first_words == len(prompts):
                        everybody.set()
                    if tasks == len(prompts):
                        await asyncio.wait_for(everybody.wait(), 60)
                    books.take(prompt, first + "".join([piece.text async for piece in stream]))
        except XDMError as error:
            books.fail(error)

    await asyncio.gather(*map(ask, prompts))


def run(  # noqa: PLR0913, PLR0917 - one argument per setting
    report: Report, title: str, kind: str, count: int, at_once: int, faults: float, *, streamed: bool
) -> None:
    """Make `count` calls, `at_once` of them at a time, by threads and by tasks."""
    settings: Any = {"api_key": "k", "model": "m", "max_retries": RETRIES, "timeout": 30}
    for world in ("threads", "tasks"):
        print(f"{title}, by {world}", flush=True)
        with running_server(faults=faults, pause=0.05 if streamed else 0.0) as server:
            warm, books = Books(), Books()
            files = size = 0.0
            prompts = names(f"{kind}-{world}", count)
            warm_prompts = names("warm", max(at_once, 500))
            if world == "threads":
                client = Client(base_url=server.url, on_retry=books.retried, **settings)
                by_threads(client, warm_prompts, warm, threads=at_once, streamed=streamed)
                client.close()
                server.report()
                books.retries = 0
                files, size, start = open_files(), memory(), time.perf_counter()
                by_threads(client, prompts, books, threads=at_once, streamed=streamed)
                seconds = time.perf_counter() - start
                client.close()
            else:
                aclient = AsyncClient(base_url=server.url, on_retry=books.retried, **settings)

                async def whole(target: list[str], into: Books, aclient: AsyncClient = aclient) -> float:
                    start = time.perf_counter()
                    await by_tasks(aclient, target, into, tasks=at_once, streamed=streamed)
                    return time.perf_counter() - start

                asyncio.run(whole(warm_prompts, warm))
                server.report()
                books.retries = 0
                files, size = open_files(), memory()
                seconds = asyncio.run(whole(prompts, books))
            report.line("calls per second", f"{count / seconds:.0f}")
            books.check(report, prompts, server.report(), streamed=streamed)
            del books, warm
            grown = memory() - size
            report.line("memory grown by", f"{grown:.1f} MB", ok=grown < SLACK)
            report.line("files open, before and after", f"{files:.0f} and {open_files()}", ok=open_files() <= files)
            deadline = time.monotonic() + 5
            while (left := server.report()["open connections"]) and time.monotonic() < deadline:
                time.sleep(0.05)
            report.line("connections open at the server", left, ok=left == 0)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--streams", type=int, default=500)
    options.add_argument("--calls", type=int, default=10_000)
    options.add_argument("--faults", type=float, default=0.05)
    chosen = options.parse_args()
    report = Report()
    count = chosen.streams
    run(report, f"{count} streams at once", "stream", count, count, chosen.faults, streamed=True)
    title = f"{chosen.calls} calls with {chosen.faults:.0%} faults"
    run(report, title, "call", chosen.calls, AT_ONCE, chosen.faults, streamed=False)
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())

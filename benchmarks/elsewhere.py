"""Put the same misbehaving server before the integrations of today and ours, and write down what is seen.

    python -m benchmarks.elsewhere [--rows stream] [--endpoint chat] [--save]

Every situation runs for every integration in a process of its own, a few at a time, within a limit
in seconds: who hasn't come back by then is seen to be waiting. The words of the tables are made from
what happened. `--save` writes elsewhere.md, which the README's comparison stands on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = HERE / "elsewhere.md"

PRELOADED = ["benchmarks.situations", "openai.resources.chat", "openai.resources.embeddings", "httpcore", "aiohttp"]
"""What is imported once for all processes. These are imported late by who needs them."""
AT_ONCE = 3
"""Processes at a time. They wait far more than they compute."""
PATIENCE = 20.0
"""Seconds beyond a situation's limit after which its process itself is broken."""
PACKAGES = (
    "langchain-core", "langchain-openai", "langchain-deepseek", "langchain-community", "llama-index-core",
    "llama-index-llms-openai", "llama-index-llms-openai-like", "llama-index-embeddings-openai",
    "llama-index-embeddings-openai-like", "openai", "httpx", "requests", "aiohttp",
)  # fmt: skip


def observe(number: int, name: str, limit: float, answer: Connection) -> None:
    """Send what one contender does in one situation. Runs in a process of its own, and ends it."""
    from benchmarks.situations import SITUATIONS

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # event loops that were closed complain at length
    situation = SITUATIONS[number]
    (contender,) = (c for c in situation.contenders if c.name == name)
    seen = ["", f"still waiting after {limit:.0f} s"]

    def work() -> None:
        try:
            seen[1] = situation.observe(contender)
        except Exception:  # noqa: BLE001 - a fault of the situation, which the parent reports
            seen[:] = [traceback.format_exc(), ""]

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    answer.send(tuple(seen))
    os._exit(0)  # nothing of what still waits is waited for


def ask(number: int, name: str, limit: float) -> str:
    """Return the observation of one process."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=observe, args=(number, name, limit, theirs))
    process.start()
    theirs.close()
    try:
        fault, seen = ours.recv() if ours.poll(limit + PATIENCE) else ("it said nothing", "")
    finally:
        process.kill()
        process.join()
    if fault:
        raise RuntimeError(f"{name} in situation {number} failed: {fault}")
    return seen


def table(endpoint: str, rows: str) -> list[str]:
    """Return the lines of the table of one endpoint's situations whose row's name holds `rows`."""
    from benchmarks.situations import SITUATIONS

    lines = ["| what | situation | elsewhere | here |", "|---|---|---|---|"]
    last = ""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [
            (s, [(c, pool.submit(ask, number, c.name, s.limit)) for c in s.contenders])
            for number, s in enumerate(SITUATIONS)
            if s.endpoint == endpoint and rows.lower() in s.row.lower()
        ]
        for situation, answers in asked:
            cells = [
                alike([(c.name, seen.result()) for c, seen in answers if c.ours is ours]) for ours in (False, True)
            ]
            row = situation.row if situation.row != last else ""
            last = situation.row
            lines.append(f"| {row} | {situation.what} | {cells[0]} | {cells[1]} |")
            print(lines[-1], flush=True)
    return lines


def alike(seen: list[tuple[str, str]]) -> str:
    """Return a cell: each observation once, behind the names of all of whom it is true."""
    names: dict[str, list[str]] = {}
    for name, what in seen:
        names.setdefault(what, []).append(name)
    return "<br>".join(f"{', '.join(who)}: {what}" for what, who in names.items())


def environment() -> str:
    """Say what was compared."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"CPython {platform.python_version()}, {os.cpu_count()} cores; {packages}."


def save(endpoint: str, lines: list[str]) -> None:
    """Put a table into elsewhere.md, and leave those of the other endpoints as they are."""
    from benchmarks.situations import CONTENDERS

    head, *parts = PAGE.read_text("utf-8").split("\n## ")
    sections = {part.partition("\n")[0]: part for part in parts}
    sections[endpoint] = "\n".join([endpoint, "", *lines, "", environment(), ""])
    PAGE.write_text("\n## ".join([head, *(sections[name] for name in CONTENDERS if name in sections)]), "utf-8")


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", default="", help="only rows whose name holds this text")
    parser.add_argument("--endpoint", default="", help="only the table whose name begins so")
    parser.add_argument("--save", action="store_true", help="write the tables into elsewhere.md")
    arguments = parser.parse_args()
    if arguments.rows and arguments.save:
        parser.error("A table is saved with all of its rows, or not at all.")
    for name in [n for n in os.environ if n.lower().endswith("_proxy") or n.startswith(("XDM_", "OPENAI_"))]:
        del os.environ[name]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(ROOT)])
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    from benchmarks.situations import CONTENDERS

    for endpoint in [name for name in CONTENDERS if name.lower().startswith(arguments.endpoint.lower())]:
        start = time.monotonic()
        lines = table(endpoint, arguments.rows)
        print(f"{endpoint}: {time.monotonic() - start:.0f} s", file=sys.stderr)
        if arguments.save:
            save(endpoint, lines)


if __name__ == "__main__":
    main()

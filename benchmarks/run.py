"""Run the side-by-side comparison, and save it as a table and a plot.

    python -m benchmarks.run [--rounds 5] [--minutes 15] [--rows invoke] [--save]

Every subject of a row runs in a process of its own, in turn, round after round, against one
loopback server in another process; the rows of chat and of embeddings that belong together share one,
since imports take longer than they do; the peers' have their own, for some of them don't outlive an event loop.
No round begins that would end after `--minutes`, and the peers, which are slow and far from any bound, are
measured in the first round only. What is shown is the median
over the rounds, with the spread (half the range between the quartiles) of ours, and ours as a ratio to the
floor and to the peer. The floor is plain requests or aiohttp + the framework over a model that answers from
memory; of a row of waits, the same waits with nothing to do in between. `--save` writes `results.json`,
`results.md`, `results.png` and `results.svg`, and the table of both READMEs; with `--rows`, the other rows stay.

pyperf and pytest-benchmark time one subject many times over in one process, or one after the other;
here they take turns, so that a machine that slows down slows all of them, and imports are fresh.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.growth import GROWTH
from benchmarks.rows import in_one_process
from benchmarks.server import running_server
from benchmarks.subjects import ROWS
from benchmarks.tables import beyond_reach, growth_markdown, markdown, summary

HERE = Path(__file__).parent
PACKAGES = (
    "requests",
    "urllib3",
    "aiohttp",
    "orjson",
    "langchain-core",
    "langchain-openai",
    "llama-index-core",
    "llama-index-llms-openai-like",
    "llama-index-llms-openai",
    "llama-index-embeddings-openai-like",
    "llama-index-embeddings-openai",
    "openai",
)
PEER_ROUNDS = 1


def measure(rows: Sequence[str], subject: str, url: str) -> list[Any] | None:
    """Run one subject's rows in a process; None if it isn't installed, or fails.

    Bytecode may be written: an installed package has its own, and ours would be compiled at each import.
    """
    environment = {
        k: v
        for k, v in os.environ.items()
        if not k.lower().endswith("_proxy") and k not in ("XDM_API_KEY", "PYTHONDONTWRITEBYTECODE")
    }
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-m", "benchmarks.subjects", subject, url, *rows],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        check=False,
    )
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        print(f"{done.stderr}\n{rows} / {subject} failed", file=sys.stderr, flush=True)
        return None  # the others are measured; a table without these isn't saved
    return list(json.loads(done.stdout.splitlines()[-1]))


def plan(rows: list[str], number: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return the processes of a round, counted from 0: each one's subject, and its rows.

    Growth is measured in the first round only, and the peers in the first few.
    """
    rows = [name for name in rows if not (number and name in GROWTH)]
    ours = [
        (subject, tuple(name for name in group if (name, subject) in ROWS))
        for group in in_one_process(rows)
        for subject in dict.fromkeys(subject for name, subject in ROWS if name in group)
        if subject != "peer"
    ]
    peers = [("peer", (name,)) for name in rows if (name, "peer") in ROWS and number < PEER_ROUNDS]
    return ours + peers


def run(rows: list[str], rounds: int, minutes: float) -> tuple[dict[str, dict[str, list[Any]]], int]:
    """Return the figures by row and subject, and of how many rounds."""
    figures: dict[str, dict[str, list[Any]]] = {name: {} for name in rows}
    took: dict[tuple[str, tuple[str, ...]], float] = {}
    began, done = time.monotonic(), 0
    with running_server() as server:
        while done < rounds:
            processes = plan(rows, done)
            passed = time.monotonic() - began
            if done and passed + sum(took[process] for process in processes) > minutes * 60:
                break
            for subject, names in processes:
                start = time.monotonic()
                for name, figure in zip(names, measure(names, subject, server.url) or (), strict=False):
                    figures[name].setdefault(subject, []).append(figure)
                took[subject, names] = time.monotonic() - start
            done += 1
            passed = time.monotonic() - began
            print(f"round {done} of {rounds} done, after {passed:.0f} s", file=sys.stderr, flush=True)
    return figures, done


def environment() -> str:
    """Say what was measured with."""
    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    return f"CPython {platform.python_version()}, {os.cpu_count()} cores; {', '.join(packages)}."


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rows", default="", help="only rows whose name holds this text")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    rows = [name for name in dict.fromkeys(name for name, _ in ROWS) if arguments.rows in name]
    figures, rounds = run(rows, arguments.rounds, arguments.minutes)
    table = summary(figures)
    print(markdown(table))
    growth = {
        name: {subject: curves[0] for subject, curves in figures[name].items()} for name in figures if name in GROWTH
    }
    if growth:
        print(growth_markdown(growth))
    for line in beyond_reach(table):
        print(f"beyond its reach: {line}", file=sys.stderr)
    if not arguments.save:
        return
    missing = [f"{name} / {subject}" for name, subject in ROWS if name in rows and subject not in figures[name]]
    if missing:
        sys.exit(f"Not saved, for lack of: {', '.join(missing)}. `make bench` installs what all rows need.")
    from benchmarks import readme
    from benchmarks.plot import draw

    if arguments.rows:
        before = json.loads((HERE / "results.json").read_text())
        table = [next((new for new in table if new["row"] == old["row"]), old) for old in before["table"]]
        growth = {**before["growth"], **growth}
    (HERE / "results.json").write_text(
        json.dumps({"environment": environment(), "table": table, "growth": growth}, indent=1) + "\n"
    )
    (HERE / "results.md").write_text(
        f"{markdown(table)}\n\n"
        f"Medians of {rounds} rounds ({min(rounds, PEER_ROUNDS)} for the peers), with half the range between the "
        f"quartiles of ours. {environment()}\n\n"
        f"What an item costs, by how many there are:\n\n"
        f"{growth_markdown(growth)}\n\n"
        f"One round. Where there is one item, it carries the cost of its request. Each item of a LlamaIndex stream\n"
        f"holds all of the answer so far, text and calls, copied for it; in its own stream from memory too.\n"
    )
    draw(table, growth, HERE)
    readme.write()


if __name__ == "__main__":
    main()

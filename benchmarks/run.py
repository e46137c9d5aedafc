"""Run the side-by-side comparison, and save it as a table and a plot.

    python -m benchmarks.run [--rounds 5] [--rows invoke] [--save]

Every subject of a row runs in a process of its own, in turn, round after round, against one
loopback server in another process. What is shown is the median over the rounds, with the
spread (half the range between the quartiles) of ours, and ours as a ratio to the floor and to
the peer. The floor is plain requests or aiohttp + the framework over an LLM that answers from
memory. `--save` writes `results.json`, `results.md`, `results.png` and `results.svg`, and the table of both
READMEs.

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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.growth import GROWTH
from benchmarks.server import running_server
from benchmarks.subjects import ROWS

HERE = Path(__file__).parent
SUBJECTS = ("plain", "framework", "ours", "peer")


class Reach(NamedTuple):
    """What a row has to reach: ours as a ratio to the floor, at most; and the unit of the row."""

    ratio: float | None
    unit: str


REACH = {
    "langchain invoke": Reach(0.70, "us CPU"),
    "langchain ainvoke, 64 at once": Reach(1.0, "us CPU"),
    "langchain stream": Reach(1.0, "us CPU per token"),
    "langchain astream": Reach(1.0, "us CPU per token"),
    "langchain 100 astreams at once": Reach(1.0, "us CPU per token"),
    "langchain batch of 1000, 50 ms each": Reach(1.0, "s"),
    "langchain abatch of 1000, 50 ms each": Reach(1.0, "s"),
    "langchain import": Reach(1.1, "s CPU"),
    "llama_index complete": Reach(0.70, "us CPU"),
    "llama_index acomplete, 64 at once": Reach(1.0, "us CPU"),
    "llama_index stream_complete": Reach(1.0, "us CPU per token"),
    "llama_index astream_complete": Reach(1.0, "us CPU per token"),
    "llama_index import": Reach(1.1, "s CPU"),
    "langchain chat: invoke": Reach(0.75, "us CPU"),
    "langchain chat: ainvoke, 64 at once": Reach(1.0, "us CPU"),
    "langchain chat: stream": Reach(1.0, "us CPU per token"),
    "langchain chat: astream": Reach(1.0, "us CPU per token"),
    "llama_index chat: chat": Reach(0.70, "us CPU"),
    "llama_index chat: achat, 64 at once": Reach(1.0, "us CPU"),
    "llama_index chat: stream_chat": Reach(1.0, "us CPU per token"),
    "llama_index chat: astream_chat": Reach(1.0, "us CPU per token"),
    "client stream_chat": Reach(1.0, "us CPU per token"),
    "client stream_chat, a tool's arguments": Reach(1.4, "us CPU per token"),
    "langchain embeddings": Reach(0.5, "us CPU per vector"),
    "llama_index embeddings": Reach(0.5, "us CPU per vector"),
    "time to first token, sync": Reach(None, "us"),
    "time to first token, async": Reach(None, "us"),
    "time to first token, 64 at once": Reach(None, "us"),
    "token lag, sync, median": Reach(1.3, "us"),
    "token lag, sync, p99": Reach(1.3, "us"),
    "token lag, async, median": Reach(1.3, "us"),
    "token lag, async, p99": Reach(1.3, "us"),
    "langchain memory of 1000 streams at once": Reach(None, "MB"),
    "llama_index memory of 1000 streams at once": Reach(None, "MB"),
}


def measure(row: str, subject: str, url: str) -> float | None:
    """Run one subject in a process of its own; None if it isn't installed.

    Bytecode may be written: an installed package has its own, and ours would be compiled at each import.
    """
    environment = {
        k: v
        for k, v in os.environ.items()
        if not k.lower().endswith("_proxy") and k not in ("XDM_API_KEY", "PYTHONDONTWRITEBYTECODE")
    }
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-m", "benchmarks.subjects", row, subject, url],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        print(done.stderr, file=sys.stderr)
        message = f"{row} / {subject} failed"
        raise RuntimeError(message)
    return float(done.stdout.strip().splitlines()[-1])


def run(rows: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the figures of all rounds, by row and subject; growth is measured in the first round only."""
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in rows}
    with running_server() as server:
        for number in range(rounds):
            for name in rows:
                if number and name.startswith("growth"):
                    continue  # a curve, not a comparison: once is enough
                for subject in [s for n, s in ROWS if n == name]:
                    figure = measure(name, subject, server.url)
                    if figure is not None:
                        figures[name].setdefault(subject, []).append(figure)
            print(f"round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return figures


def spread(values: list[float]) -> float:
    if len(values) < 3:
        return 0.0
    low, _, high = quantiles(values, n=4)
    return (high - low) / 2


def summary(figures: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Return the table: medians, floor and ratios."""
    table = []
    for name, by_subject in figures.items():
        if name not in REACH or not by_subject:
            continue
        medians = {subject: median(values) for subject, values in by_subject.items()}
        floor = sum(medians[s] for s in ("plain", "framework") if s in medians) or None
        ours, peer = medians.get("ours"), medians.get("peer")
        table.append(
            {
                "row": name,
                "unit": REACH[name].unit,
                **{subject: medians.get(subject) for subject in SUBJECTS},
                "floor": floor,
                "spread": spread(by_subject.get("ours", [])),
                "ours / floor": ours / floor if ours is not None and floor else None,
                "reach": REACH[name].ratio,
                "peer / ours": peer / ours if ours and peer is not None else None,
            }
        )
    return table


def shown(value: float | None, *, ratio: bool = False) -> str:
    if value is None:
        return "-"
    if ratio:
        return f"{value:.2f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def markdown(table: list[dict[str, Any]]) -> str:
    """Return the table as Markdown."""
    head = ["", "unit", "plain", "framework", "floor", "ours", "±", "peer", "ours / floor", "reach", "peer / ours"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in table:
        cells = [
            line["row"],
            line["unit"],
            *(shown(line[key]) for key in ("plain", "framework", "floor", "ours", "spread", "peer")),
            shown(line["ours / floor"], ratio=True),
            "-" if line["reach"] is None else f"≤ {line['reach']:.2f}",
            shown(line["peer / ours"], ratio=True),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def growth_markdown(growth: dict[str, dict[str, float]]) -> str:
    """Return what an item costs, by how many there are, as Markdown."""
    curves: dict[str, dict[int, float]] = {}
    for name, by_subject in growth.items():
        _, what, count = name.split(", ")
        for subject, figure in by_subject.items():
            curves.setdefault(f"{subject}, per {what[:-1]}", {})[int(count)] = figure
    lines = [
        "| us CPU, where there are | " + " | ".join(f"{n:,}" for n in GROWTH) + " |",
        "|---" * (1 + len(GROWTH)) + "|",
    ]
    lines += [
        f"| {label} | " + " | ".join(shown(points.get(n)) for n in GROWTH) + " |" for label, points in curves.items()
    ]
    return "\n".join(lines)


def environment() -> str:
    """Say what was measured with."""
    packages = []
    for name in ("requests", "urllib3", "aiohttp", "orjson", "langchain-core", "langchain-openai", "llama-index-core",
                 "llama-index-llms-openai-like", "openai"):  # fmt: skip
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    return f"CPython {platform.python_version()}, {os.cpu_count()} cores; {', '.join(packages)}."


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="", help="only rows whose name holds this text")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    rows = [name for name in dict.fromkeys(name for name, _ in ROWS) if arguments.rows in name]
    figures = run(rows, arguments.rounds)
    table = summary(figures)
    print(markdown(table))
    growth = {
        name: {s: median(v) for s, v in subjects.items()} for name, subjects in figures.items() if "growth" in name
    }
    if growth:
        print(growth_markdown(growth))
    if not arguments.save:
        return
    missing = [f"{name} / {subject}" for name, subject in ROWS if subject not in figures.get(name, {})]
    if missing:
        sys.exit(f"Not saved, for lack of: {', '.join(missing)}. `make bench` installs what all rows need.")
    from benchmarks import readme
    from benchmarks.plot import draw

    (HERE / "results.json").write_text(
        json.dumps({"environment": environment(), "table": table, "growth": growth, "counts": GROWTH}, indent=1) + "\n"
    )
    (HERE / "results.md").write_text(
        f"{markdown(table)}\n\n"
        f"Medians of {arguments.rounds} rounds, with half the range between the quartiles of ours. "
        f"{environment()}\n\n"
        f"{growth_markdown(growth)}\n\n"
        f"One round. Each item of a LlamaIndex stream holds the whole text so far, copied for it; in its own stream\n"
        f"from memory too.\n"
    )
    draw(table, growth, HERE)
    readme.write()


if __name__ == "__main__":
    main()

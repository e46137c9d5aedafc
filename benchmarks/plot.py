"""The picture of a comparison: how far above its floor each subject is, and how costs grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.readme import LABELS

if TYPE_CHECKING:
    from pathlib import Path

OURS, PEER, FLOOR = "#0b6e4f", "#c8c4bc", "#8a3b12"

mpl.use("Agg")


def draw(table: list[dict[str, Any]], growth: dict[str, dict[str, dict[str, float]]], folder: Path) -> None:
    """Write `results.png` and `results.svg` into `folder`: the rows of the READMEs."""
    rows = [line for line in table if line["row"] in LABELS and None not in (line["ours / floor"], line["peer"])][::-1]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, 0.42 * len(rows) + 1.6), width_ratios=[1.7, 1], layout="constrained"
    )
    where = range(len(rows))
    left.barh([y + 0.2 for y in where], [line["peer"] / line["floor"] for line in rows], 0.4, color=PEER, label="peer")
    left.barh(
        [y - 0.2 for y in where], [line["ours / floor"] for line in rows], 0.4, color=OURS, label="xdm_integrations"
    )
    for y, line in zip(where, rows, strict=True):
        left.text(
            line["peer"] / line["floor"], y + 0.2, f" {line['peer'] / line['floor']:.1f}", va="center", fontsize=8
        )
        left.text(line["ours / floor"], y - 0.2, f" {line['ours / floor']:.2f}", va="center", fontsize=8)
    left.axvline(1, color=FLOOR, linewidth=1, label="floor: plain HTTP + framework")
    left.set_yticks(list(where), [line["row"].replace("_", "\u2009") for line in rows], fontsize=9)
    left.margins(y=0.01)
    left.set_xlabel("cost, as a multiple of the floor (less is better)")
    left.legend(frameon=False, loc="lower right", fontsize=8)
    for subject, points in growth.get("growth, tokens", {}).items():
        dashes = "--" if "memory" in subject else "-"
        counts = [int(count) for count in points]
        right.plot(counts, list(points.values()), dashes, marker="o", markersize=3, label=subject)
    if right.lines:
        right.set_xscale("log")
        right.set_ylim(bottom=0)
        right.set_xlabel("tokens in one stream")
        right.set_ylabel("us CPU per token")
        right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "results.png", dpi=150)
    figure.savefig(folder / "results.svg")

"""The figures as tables."""

from __future__ import annotations

from statistics import median, quantiles
from typing import Any

from benchmarks.growth import GROWTH
from benchmarks.reach import REACH

SUBJECTS = ("plain", "framework", "best", "ours", "peer")


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
        floor = medians.get("best") or sum(medians[s] for s in ("plain", "framework") if s in medians) or None
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


def beyond_reach(table: list[dict[str, Any]]) -> list[str]:
    """Return the rows whose ratio is above their reach."""
    return [
        f"{line['row']}: {line['ours / floor']:.2f}, wanted {line['reach']:.2f}"
        for line in table
        if None not in (line["reach"], line["ours / floor"]) and round(line["ours / floor"], 2) > line["reach"]
    ]


def growth_markdown(growth: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return what an item costs, by how many there are: a table for each kind of item."""
    tables = []
    for name, by_subject in growth.items():
        title, counts = GROWTH[name]
        lines = [
            f"| {title} | " + " | ".join(f"{n:,}" for n in counts) + " |",
            "|---" * (1 + len(counts)) + "|",
        ]
        lines += [
            f"| {subject} | " + " | ".join(shown(points.get(str(n))) for n in counts) + " |"
            for subject, points in by_subject.items()
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)

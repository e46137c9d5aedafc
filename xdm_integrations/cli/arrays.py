"""Vectors as a numpy array in a file."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


def check_numpy() -> None:
    """Refuse `.npy` where numpy is missing.

    Raises:
        click.UsageError: It isn't installed.
    """
    if importlib.util.find_spec("numpy") is None:
        raise click.UsageError("--output: .npy needs numpy: pip install numpy")


def write_array(lines: Path, output: Path, count: int) -> None:
    """Write the vectors of the first `count` lines as an array of float32; the file is complete at any moment.

    The lines are in order. Behind those are vectors of texts that aren't asked for any more.

    Raises:
        click.UsageError: The vectors have different lengths.
    """
    beside = output.with_name(output.name + ".writing")
    try:
        _fill(lines, beside, count)
        beside.replace(output)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _fill(lines: Path, output: Path, count: int) -> None:
    from numpy import float32  # noqa: PLC0415 - optional, and slow to load
    from numpy.lib.format import open_memmap  # noqa: PLC0415 - the same

    rows = None
    with lines.open("rb") as file:
        for i, line in zip(range(count), file, strict=False):
            vector = json.loads(line)["vector"]
            if rows is None:
                rows = open_memmap(output, mode="w+", dtype=float32, shape=(count, len(vector)))
            if len(vector) != rows.shape[1]:
                raise click.UsageError(
                    f"--output: {lines} has vectors of {rows.shape[1]} and of {len(vector)} numbers: the server served "
                    f"different models. Name another file to begin anew."
                )
            rows[i] = vector
    if rows is None:
        rows = open_memmap(output, mode="w+", dtype=float32, shape=(0, 0))
    rows.flush()

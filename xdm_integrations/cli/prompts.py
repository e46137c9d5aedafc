"""The file of prompts of `xdm batch`: read and checked whole before anything is sent."""

from __future__ import annotations

import json
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from xdm_integrations.core.completions.parameters import CompletionParams

from .text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_PARAMETERS = ("model", *CompletionParams.__annotations__)


class Task(NamedTuple):
    """One prompt of the file.

    Attributes:
        line: Its line, counted from 1.
        id: Its own id, or None.
        prompt: A text or token ids.
    """

    line: int
    id: Any
    prompt: Any


def read_tasks(path: Path, encoding: str | None = None) -> Iterator[Task]:
    """Read prompts: a JSON string, or an object with `prompt` and perhaps `id`, per line.

    Args:
        path: The file; `-` is standard input.
        encoding: Of the file; None is UTF-8.

    Raises:
        click.UsageError: A line is neither, or the file can't be read; nothing has been sent.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read()
        else:
            with path.open("rb") as file:
                data = file.read()
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}.") from None
    # Only a line feed ends a line: JSON may hold the others that `splitlines` knows.
    for number, line in enumerate(decode(data, encoding, name).split("\n"), 1):
        if line.strip():
            yield _task(number, line, f"{name}, line {number}")


def _task(number: int, line: str, where: str) -> Task:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(
            f"{where}: not JSON ({error}); {_kind(line)}. In JSON lines, a line is a JSON string or "
            f'{{"prompt": "..."}}.'
        ) from None
    fields = value if isinstance(value, dict) else {"prompt": value}
    if strange := [name for name in fields if name not in Task._fields[1:]]:
        raise click.UsageError(
            f"{where}: {', '.join(map(_named, strange))}: a line has only `prompt` and `id`; parameters are given as "
            f"options, for all lines."
        )
    prompt = fields.get("prompt")
    if not prompt or not (isinstance(prompt, str) or (isinstance(prompt, list) and all(map(_is_token, prompt)))):
        raise click.UsageError(
            f'{where}: expected a JSON string or {{"prompt": "...", "id": ...}}; a prompt is one text, or the '
            f"token ids of one."
        )
    return Task(number, fields.get("id"), prompt)


def _named(field: str) -> str:
    """Return the name of a field, with the option that it seems to mean."""
    near = get_close_matches(field.lower(), _PARAMETERS, n=1)
    return f"{field} (--{near[0].replace('_', '-')}?)" if near else field


def _kind(line: str) -> str:
    """Say what a line that isn't JSON looks like."""
    first = line.lstrip()
    if first.startswith("["):
        return "it looks like a JSON array over several lines"
    if first.startswith("{"):
        return "it looks like an object over several lines, or a cut one"
    if "\t" in first:
        return "it looks like TSV"
    return "it looks like CSV" if "," in first else "it looks like plain text"


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

"""The file of prompts of `xdm batch`: read and checked whole before anything is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def read_tasks(path: Path) -> Iterator[Task]:
    """Read prompts: a JSON string, or an object with `prompt` and perhaps `id`, per line.

    Raises:
        click.UsageError: A line is neither, or the file can't be read; nothing has been sent.
    """
    try:
        with path.open("rb") as lines:
            for number, data in enumerate(lines, 1):
                if data.strip():
                    yield _task(number, data, f"{path}, line {number}")
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}.") from None


def _task(number: int, data: bytes, where: str) -> Task:
    try:
        value = json.loads(data.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        raise click.UsageError(f"{where}: not UTF-8; save the file with this encoding.") from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{where}: not JSON ({error}).") from None
    fields = value if isinstance(value, dict) else {"prompt": value}
    prompt = fields.get("prompt")
    if not prompt or not (isinstance(prompt, str) or (isinstance(prompt, list) and all(map(_is_token, prompt)))):
        raise click.UsageError(
            f'{where}: expected a JSON string or {{"prompt": "...", "id": ...}}; a prompt is one text, or the '
            f"token ids of one."
        )
    return Task(number, fields.get("id"), prompt)


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

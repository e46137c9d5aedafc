"""The files of `xdm batch`: prompts that are read, and answers that survive whatever happens.

Every answer is one line, appended and synced to the disk as it arrives, so that an interrupted
run loses nothing but what was still on its way. A line that was cut off (a full disk, a power
failure) is dropped when the file is opened again. Once every prompt has its answer, the lines are
put in the order of the prompts, in one step.
"""

from __future__ import annotations

import contextlib
import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Self


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
        click.UsageError: A line is neither; nothing has been sent.
    """
    with path.open(encoding="utf-8-sig") as lines:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except ValueError as error:
                raise click.UsageError(f"{path}, line {number}: not JSON ({error}).") from None
            fields = value if isinstance(value, dict) else {"prompt": value}
            prompt = fields.get("prompt")
            if not prompt or not isinstance(prompt, (str, list)):
                raise click.UsageError(
                    f'{path}, line {number}: expected a JSON string or {{"prompt": "...", "id": ...}}.'
                )
            yield Task(number, fields.get("id"), prompt)


class Answers:
    """The file of answers, open for one run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at: dict[int, int] = {}
        """Where the latest record of a prompt begins, by the prompt's line."""
        self._prompts: dict[int, Any] = {}
        self._file = path.open("a+b")
        self._drop_cut_line()
        for at, record in self._records():
            self._at[record["line"]] = at
            self._prompts[record["line"]] = None if "error" in record else _mark(record.get("prompt"))

    def has(self, task: Task) -> bool:
        """True if this very prompt was answered before; a failure is no answer."""
        return self._prompts.get(task.line) == _mark(task.prompt)

    def add(self, task: Task, record: dict[str, Any]) -> None:
        """Append what came of a prompt, and wait until the disk has it."""
        head = {"line": task.line, **({} if task.id is None else {"id": task.id}), "prompt": task.prompt}
        data = json.dumps({**head, **record}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._at[task.line] = at
        self._prompts[task.line] = None if "error" in record else _mark(task.prompt)

    def put_in_order(self, tasks: list[Task]) -> None:
        """Leave one line per prompt, in the order of the prompts. The file is whole at any moment."""
        wanted = [self._at[task.line] for task in tasks if task.line in self._at]
        if wanted == sorted(wanted) and len(wanted) == self._count():
            return
        beside = self._path.with_name(self._path.name + ".sorting")
        with beside.open("wb") as ordered:
            for at in wanted:
                self._file.seek(at)
                ordered.write(self._file.readline())
            ordered.flush()
            os.fsync(ordered.fileno())
        self._file.close()
        beside.replace(self._path)
        self._file = self._path.open("a+b")

    def _count(self) -> int:
        self._file.seek(0)
        return sum(1 for _ in self._file)

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        self._file.seek(0)
        at = 0
        for data in self._file:
            with contextlib.suppress(ValueError):  # a line that isn't ours is left alone
                record = json.loads(data)
                if isinstance(record, dict) and isinstance(record.get("line"), int):
                    yield at, record
            at += len(data)

    def _drop_cut_line(self) -> None:
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, end - 1))
        if not end or self._file.read(1) == b"\n":
            return
        at = end
        while at:
            start = max(0, at - 65536)
            self._file.seek(start)
            found = self._file.read(at - start).rfind(b"\n")
            if found >= 0:
                self._file.truncate(start + found + 1)
                return
            at = start
        self._file.truncate(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _mark(prompt: object) -> bytes:
    """Return a short mark of a prompt: enough to see that a line of the file has changed."""
    return blake2b(json.dumps(prompt, ensure_ascii=False).encode("utf-8", "replace"), digest_size=12).digest()

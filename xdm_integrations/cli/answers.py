"""The file of answers of `xdm batch` and of vectors of `xdm embed`, which survives whatever happens.

Every answer is one line, handed to the system as it arrives, so that a run that is interrupted or killed loses
nothing but what was still on its way. The disk is waited for now and then, and at every end: always would make a run
several times slower, and only a failing machine can take what isn't on the disk yet. A line that was cut off (a full
disk, a power failure) is dropped when the file is opened again. A file that holds anything else is refused untouched,
and no answer that was paid is ever dropped.

An answer belongs to a prompt by what is asked (`id`, text, parameters of its line), never by its place in the
file, so that lines may be inserted, removed and moved between runs.

There are two kinds of lines, which may share a file: our own, which hold what was asked, and those of OpenAI's
batch format, which don't; their `id` is the mark of what was asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

from .options import given
from .prompts import mark_of
from .screens import as_json

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import Self

    from .prompts import Task

SYNC_ANSWERS, SYNC_SECONDS = 100, 1.0
"""How many answers, and seconds between them, may pass before the disk is waited for."""
_REQUEST_ID = "batch_req_"
"""How the ids of answers in OpenAI's batch format begin; the mark of what was asked follows."""
_OF_A_REQUEST = re.compile(_REQUEST_ID + "([0-9a-f]{24})")
_BEGINS = (b'{"line": ', b'{"id": "batch_req_')
"""How every record begins; a cut line is only dropped if it begins so too."""


def check_output(path: Path, others: Mapping[str, Path], option: str = "--output") -> None:
    """Refuse a path that can't be a file of this run.

    Raises:
        click.UsageError: Its folder doesn't exist, it is no file, or it is one of the others, which are named by what
            they are (`-` is none).
    """
    try:
        if not path.parent.is_dir():
            raise click.UsageError(f"{option}: the folder {path.parent} doesn't exist.")
        if path.exists() and not path.is_file():
            raise click.UsageError(f"{option}: {path} must be a file, because the next run reads or replaces it.")
        for what, other in others.items():
            if str(other) != "-" and _are_one(path, other):
                raise click.UsageError(f"{option}: {path} is the file of the {what}; name another one.")
    except OSError as error:
        raise click.UsageError(f"{option}: {path}: {error.strerror}.") from None


def _are_one(path: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, which may not be there yet."""
    return path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))


class _Record(NamedTuple):
    """Where a line of the file of answers begins, and what matters of it."""

    at: int
    line: int | None
    mark: bytes
    answered: bool

    def better(self) -> tuple[bool, float, int]:
        """Sort key: an answer before a failure, then the first line, then what came last."""
        return self.answered, -(self.line or float("inf")), self.at


class Answers:
    """The file of answers, open for one run.

    Args:
        path: The file; it is made if it doesn't exist.
        params: What our own kind of answers is made with, by the field that holds what is asked: the model and the
            sampling parameters.
        answer: The name of the field that every answer of our own kind has.
        dry: Only look: the file is neither made nor changed.

    Raises:
        click.UsageError: The file can't be opened, holds something else, or answers that were made with other
            parameters. It is as it was.
    """

    def __init__(
        self, path: Path, params: Mapping[str, dict[str, Any]], *, answer: str = "text", dry: bool = False
    ) -> None:
        self._params = params
        self._answer, self._dry = answer, dry
        self._records: list[_Record] = []
        self._unsynced = 0
        self._synced_at = time.monotonic()
        try:
            self.path = path.resolve()
            self._file = (Path(os.devnull) if dry and not self.path.exists() else self.path).open(
                "rb" if dry else "a+b"
            )
        except OSError as error:
            raise click.UsageError(f"--output: {path}: {error.strerror}.") from None
        try:
            if not dry:
                _lock(self._file)
            self._load()
            self._end = self._file.seek(0, os.SEEK_END)
        except BaseException:
            self._file.close()
            raise

    def add(self, task: Task, record: dict[str, Any]) -> None:
        """Append what came of a prompt; now and then, wait until the disk has it."""
        at = self._end
        self._end += self._file.write(dump(_whole(task, record, self._params)))
        self._file.flush()
        line = None if task.is_request else task.line
        self._records.append(_Record(at, line, task.mark, task.is_request or "error" not in record))
        self._unsynced += 1
        if self._unsynced >= SYNC_ANSWERS or time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        if self._unsynced:
            os.fsync(self._file.fileno())
        self._unsynced, self._synced_at = 0, time.monotonic()

    def put_in_order(self, tasks: Iterable[Task]) -> set[int]:
        """Leave one record per prompt, in order, and behind them the records of prompts not asked any more.

        Every record gets the number of the line that its prompt has now; None if it has none.
        The file is complete at any moment.

        Returns:
            The lines of the prompts without an answer.
        """
        free: dict[bytes, list[_Record]] = {}
        for record in sorted(self._records, key=_Record.better):
            free.setdefault(record.mark, []).append(record)
        wanted: list[tuple[_Record, int | None]] = []
        todo: set[int] = set()
        asked: set[bytes] = set()
        for task in tasks:
            asked.add(task.mark)
            found = free[task.mark].pop() if free.get(task.mark) else None
            if found is not None:
                wanted.append((found, None if task.is_request else task.line))
            if found is None or not found.answered:
                todo.add(task.line)
        rest = (record for records in free.values() for record in records)
        # A failure that is left over, of a prompt that is asked, was followed by a better record.
        kept = [record for record in rest if record.answered or record.mark not in asked]
        wanted += [(record, None) for record in sorted(kept)]
        if not self._dry and wanted != [(record, record.line) for record in self._records]:
            self._rewrite(wanted)
        return todo

    def _rewrite(self, wanted: list[tuple[_Record, int | None]]) -> None:
        beside = self.path.with_name(self.path.name + ".sorting")
        records = []
        try:
            with beside.open("wb") as ordered:
                for record, line in wanted:
                    self._file.seek(record.at)
                    data = self._file.readline()
                    if line != record.line:
                        data = dump({**json.loads(data), "line": line})
                    records.append(record._replace(at=ordered.tell(), line=line))
                    ordered.write(data)
                ordered.flush()
                os.fsync(ordered.fileno())
            shutil.copymode(self.path, beside)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        self._file.close()
        beside.replace(self.path)
        self._file = self.path.open("a+b")
        _lock(self._file)
        self._end = self._file.seek(0, os.SEEK_END)
        self._records = records

    def _load(self) -> None:
        """Read the file; only when all of it is known to be ours, mend its last line."""
        self._file.seek(0)
        at, data = 0, b"\n"
        for number, data in enumerate(self._file, 1):
            record = self._read(data)
            if record is None:
                if _is_cut(data):
                    break
                command = click.get_current_context().info_name
                raise click.UsageError(
                    f"--output: {self.path}, line {number}, was not written by `xdm {command}`. Name a file of its "
                    f"answers, or one that doesn't exist yet. Nothing was changed."
                )
            self._records.append(record._replace(at=at))
            at += len(data)
        else:
            if not data.endswith(b"\n") and not self._dry:  # cut off right before its end
                self._file.write(b"\n")
                self._file.flush()
            return
        if not self._dry:
            self._file.truncate(at)

    def _read(self, data: bytes) -> _Record | None:
        """Return what matters of a line, or None if it isn't one of ours.

        Raises:
            click.UsageError: It was made with other parameters.
        """
        try:
            record = json.loads(data.decode())
        except (ValueError, RecursionError):
            return None
        match record:
            case {"id": str(own), "custom_id": str(), "response": dict()} if found := _OF_A_REQUEST.fullmatch(own):
                return _Record(0, None, bytes.fromhex(found[1]), answered=True)
            case {"line": None | int(), "params": dict()} if self._answer in record or "error" in record:
                for asked in self._params:
                    if isinstance(record.get(asked), (str, list)):
                        return self._own(record, asked)
        return None

    def _own(self, record: dict[str, Any], asked: str) -> _Record:
        was, now, own = record["params"], self._params[asked], record.get("line_params")
        answered = "error" not in record
        if answered and was != now:
            names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
            raise click.UsageError(
                f"--output: the answers in {self.path} were made with {_shown(was, names)}; now it is "
                f"{_shown(now, names)}. Give the same options to go on, or name another file."
            )
        mark = mark_of([record.get("id"), record[asked], *([own] if own else [])])
        return _Record(0, record["line"], mark, answered)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._sync()
        finally:
            self._file.close()


class PipedAnswers:
    """Answers that are written to standard output as they come; no other run can go on from there."""

    path = None

    def __init__(self, params: Mapping[str, dict[str, Any]]) -> None:
        self._params = params

    def add(self, task: Task, record: dict[str, Any]) -> None:
        """Write what came of a prompt."""
        click.echo(dump(_whole(task, record, self._params)), nl=False)

    def put_in_order(self, tasks: Iterable[Task]) -> set[int]:
        """Return the lines of all prompts."""
        return {task.line for task in tasks}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave standard output open: it isn't ours."""


def _whole(task: Task, record: dict[str, Any], params: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a record with what it belongs to."""
    if task.is_request:
        return {"id": _REQUEST_ID + task.mark.hex(), "custom_id": task.id, **record}
    about = {
        "line": task.line,
        "id": task.id,
        "metadata": task.metadata,
        task.endpoint.content: task.content,
        "params": params[task.endpoint.content],
        "line_params": task.own or None,
    }
    return {**given(about), **record}


def _lock(file: BinaryIO) -> None:
    """Keep other runs away from the file until it is closed, where the system can.

    Raises:
        click.UsageError: Another run has it, or has put it in order since it was opened: this isn't the file any more.
    """
    if sys.platform == "win32":
        return
    writing = click.UsageError(f"--output: another run is writing to {file.name}.")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_the_file = os.path.samestat(os.fstat(file.fileno()), Path(file.name).stat())
    except (BlockingIOError, FileNotFoundError):
        raise writing from None
    except OSError:  # some network disks have no locks
        return
    if not is_the_file:
        raise writing


def _is_cut(data: bytes) -> bool:
    """True for the beginning of one of our lines."""
    if data.endswith(b"\n") or not any(data.startswith(begin) or begin.startswith(data) for begin in _BEGINS):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return True
    return False  # whole, and so somebody else's


def dump(record: dict[str, Any]) -> bytes:
    """Return a line of JSON."""
    return as_json(record).encode() + b"\n"


def _shown(params: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name} {json.dumps(params[name])}" if name in params else f"no {name}" for name in names)

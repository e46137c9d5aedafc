"""The file of answers of `xdm batch` and of vectors of `xdm embed`, which survives whatever happens.

Every answer is one line, handed to the system as it arrives, so that a run that is interrupted or
killed loses nothing but what was still on its way. The disk is waited for every hundred answers, every
second in which one comes, and at every end: more often would make a run several times slower, and only
a failing machine can take what isn't on the disk yet. A line that was cut off (a full disk, a power
failure) is dropped when the file is opened again. A file that holds anything but answers is
refused untouched, and no answer that was paid is ever dropped.

An answer belongs to a prompt by the prompt's `id` and text, never by its place in the file, so
that lines may be inserted, removed and moved between runs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from .prompts import Task

SYNC_ANSWERS, SYNC_SECONDS = 100, 1.0
"""How many answers, and seconds between them, may pass before the disk is waited for."""
_BEGIN = b'{"line": '
"""How every record begins; a cut line is only dropped if it begins so too."""


def check_output(path: Path, prompts: Path) -> None:
    """Refuse a path that can't be the file of answers.

    Raises:
        click.UsageError: Its folder doesn't exist, it is no file, or it is the file of the prompts.
    """
    try:
        if not path.parent.is_dir():
            raise click.UsageError(f"--output: the folder {path.parent} doesn't exist.")
        if path.exists() and not path.is_file():
            raise click.UsageError(f"--output: {path} must be a file, because the next run reads it.")
        if str(path) == "-":
            raise click.UsageError("--output must be a file, because the next run reads it; standard output can't be.")
        if path.exists() and str(prompts) != "-" and path.samefile(prompts):
            raise click.UsageError("--output must not be the file of the prompts.")
    except OSError as error:
        raise click.UsageError(f"--output: {path}: {error.strerror}.") from None


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
        params: What the answers are made with: the model and the sampling parameters.
        asked: The name of the field with the prompt.
        answer: The name of the field that every answer has.

    Raises:
        click.UsageError: The file can't be opened, holds something else, or holds answers that
            were made with other parameters. It is as it was.
    """

    def __init__(self, path: Path, params: dict[str, Any], *, asked: str = "prompt", answer: str = "text") -> None:
        self._params = params
        self._asked, self._answer = asked, answer
        self._command = click.get_current_context().info_name
        self._records: list[_Record] = []
        self._unsynced = 0
        self._synced_at = time.monotonic()
        try:
            self._path = path.resolve()
            self._file = self._path.open("a+b")
        except OSError as error:
            raise click.UsageError(f"--output: {path}: {error.strerror}.") from None
        try:
            _lock(self._file)
            self._load()
        except BaseException:
            self._file.close()
            raise

    def add(self, task: Task, record: dict[str, Any]) -> None:
        """Append what came of a prompt; now and then, wait until the disk has it."""
        head = {"line": task.line, **({} if task.id is None else {"id": task.id}), self._asked: task.prompt}
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(_dump({**head, "params": self._params, **record}))
        self._file.flush()
        self._records.append(_Record(at, task.line, _mark(task.id, task.prompt), "error" not in record))
        self._unsynced += 1
        if self._unsynced >= SYNC_ANSWERS or time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        if self._unsynced:
            os.fsync(self._file.fileno())
        self._unsynced, self._synced_at = 0, time.monotonic()

    def put_in_order(self, tasks: list[Task]) -> list[Task]:
        """Leave one record per prompt, in order, and behind them the records of prompts not asked any more.

        Every record gets the number of the line that its prompt has now; None if it has none.
        The file is whole at any moment.

        Returns:
            The prompts without an answer, in order.
        """
        free: dict[bytes, list[_Record]] = {}
        for record in sorted(self._records, key=_Record.better):
            free.setdefault(record.mark, []).append(record)
        wanted: list[tuple[_Record, int | None]] = []
        todo: list[Task] = []
        asked: set[bytes] = set()
        for task in tasks:
            mark = _mark(task.id, task.prompt)
            asked.add(mark)
            found = free[mark].pop() if free.get(mark) else None
            if found is not None:
                wanted.append((found, task.line))
            if found is None or not found.answered:
                todo.append(task)
        rest = (record for records in free.values() for record in records)
        # A failure that is left over, of a prompt that is asked, was followed by a better record.
        kept = [record for record in rest if record.answered or record.mark not in asked]
        wanted += [(record, None) for record in sorted(kept)]
        if wanted != [(record, record.line) for record in self._records]:
            self._rewrite(wanted)
        return todo

    def _rewrite(self, wanted: list[tuple[_Record, int | None]]) -> None:
        beside = self._path.with_name(self._path.name + ".sorting")
        records = []
        try:
            with beside.open("wb") as ordered:
                for record, line in wanted:
                    self._file.seek(record.at)
                    data = self._file.readline()
                    if line != record.line:
                        data = _dump({**json.loads(data), "line": line})
                    records.append(record._replace(at=ordered.tell(), line=line))
                    ordered.write(data)
                ordered.flush()
                os.fsync(ordered.fileno())
            shutil.copymode(self._path, beside)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        self._file.close()
        beside.replace(self._path)
        self._file = self._path.open("a+b")
        _lock(self._file)
        self._records = records

    def _load(self) -> None:
        """Read the file; only when all of it is known to be ours, mend its last line."""
        self._file.seek(0)
        at, data = 0, b"\n"
        for number, data in enumerate(self._file, 1):
            record = self._parse(data)
            if record is None:
                if _is_cut(data):
                    break
                raise click.UsageError(
                    f"--output: {self._path}, line {number}, was not written by `xdm {self._command}`. Name a file of "
                    f"its answers, or one that doesn't exist yet. Nothing was changed."
                )
            answered = "error" not in record
            if answered and record["params"] != self._params:
                raise click.UsageError(self._made_otherwise(record["params"]))
            mark = _mark(record.get("id"), record[self._asked])
            self._records.append(_Record(at, record["line"], mark, answered))
            at += len(data)
        else:
            if not data.endswith(b"\n"):  # cut off right before its end
                self._file.write(b"\n")
                self._file.flush()
            return
        self._file.truncate(at)

    def _parse(self, data: bytes) -> dict[str, Any] | None:
        """Return a line of the file of answers, or None if it isn't one of ours."""
        try:
            record = json.loads(data.decode())
        except (ValueError, RecursionError):
            return None
        ours = (
            isinstance(record, dict)
            and isinstance(record.get("line", ""), (int, type(None)))
            and isinstance(record.get(self._asked), (str, list))
            and isinstance(record.get("params"), dict)
            and (self._answer in record or "error" in record)
        )
        return record if ours else None

    def _made_otherwise(self, params: dict[str, Any]) -> str:
        names = [name for name in {**params, **self._params} if params.get(name) != self._params.get(name)]
        return (
            f"--output: the answers in {self._path} were made with {_shown(params, names)}; now it is "
            f"{_shown(self._params, names)}. Give the same options to go on, or name another file."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._sync()
        finally:
            self._file.close()


def _lock(file: BinaryIO) -> None:
    """Keep other runs away from the file until it is closed, where the system can."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise click.UsageError(f"--output: another run is writing to {file.name}.") from None
    except OSError:  # some network disks have no locks
        return


def _is_cut(data: bytes) -> bool:
    """True for the beginning of one of our lines."""
    if data.endswith(b"\n") or not (data.startswith(_BEGIN) or _BEGIN.startswith(data)):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return True
    return False  # whole, and so somebody else's


def _dump(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate, which only an escape can say
        return json.dumps(record).encode() + b"\n"


def _shown(params: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name} {json.dumps(params[name])}" if name in params else f"no {name}" for name in names)


def _mark(own_id: object, prompt: object) -> bytes:
    """Return a short mark of a prompt, by which its answer is found again."""
    return blake2b(json.dumps([own_id, prompt]).encode(), digest_size=12).digest()

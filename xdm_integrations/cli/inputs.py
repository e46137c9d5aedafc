"""The input of `xdm batch` and `xdm embed`: JSON lines, an array, CSV or TSV, read line by line as often as needed.

All of it is known to be text before anything is sent; what a line holds is looked at when it is its turn.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .text import AUTO, decode, fits, found_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from typing_extensions import Self

FORMATS = ("jsonl", "json", "csv", "tsv")
LONGEST_CELL = 1 << 28
_IDS = ("custom_id", "id")


class Row(NamedTuple):
    """What a line holds."""

    line: int
    value: Any


class BadLine(NamedTuple):
    """A line that can't be read or asked."""

    line: int
    message: str
    id: Any = None


class Input:
    """The lines of a file or of standard input, which can be read again and again.

    Args:
        path: The file; `-` is standard input.
        encoding: What `--encoding` says.
        form: What `--format` says; None goes by the file's name.
        column: The column with the prompts, for tables; None is the one that is called "prompt".
        content: The field with what is asked, for errors.

    Raises:
        click.UsageError: It can't be read, is no text, or of another kind than it should be; nothing has been sent.
    """

    def __init__(
        self, path: Path, encoding: str | None, form: str | None, column: str | None = None, content: str = "prompt"
    ) -> None:
        self.name = "standard input" if str(path) == "-" else str(path)
        suffix = path.suffix.lower().removeprefix(".")
        self.form = form or (suffix if suffix in FORMATS else "csv" if column else "jsonl")
        self._is_guess = form is None
        self._column, self._content = column, content
        try:
            self._file = _opened(path)
        except OSError as error:
            raise click.UsageError(f"{path}: {error.strerror}.") from None
        try:
            self._encoding = self._checked_encoding(encoding)
            self._check_kind()
        except BaseException:
            self._file.close()
            raise

    def rows(self, only: set[int] | None = None) -> Iterator[Row | BadLine]:
        """Read from the beginning the lines with these numbers, or all of them."""
        if self.form == "json":
            yield from (Row(i, value) for i, value in enumerate(self._array(), 1) if only is None or i in only)
        elif self.form == "jsonl":
            for number, line in enumerate(self._lines(), 1):
                if (only is None or number in only) and line.strip():
                    yield self._parsed(number, line)
        else:
            yield from (row for row in self._table() if only is None or row.line in only)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _checked_encoding(self, encoding: str | None) -> str:
        if encoding == AUTO or (encoding is None and self.form in ("csv", "tsv")):
            encoding = found_encoding(self._file)
        if not fits(self._file, encoding or "utf-8"):
            self._file.seek(0)
            decode(self._file.read(), encoding, self.name)
        return "utf-8-sig" if encoding in (None, "utf-8") else encoding

    def _lines(self) -> Iterator[str]:
        # Only a line feed ends a line: JSON may hold the others that `splitlines` knows.
        with os.fdopen(self._file.fileno(), encoding=self._encoding, newline="\n", closefd=False) as lines:
            lines.seek(0)
            yield lines.readline().removeprefix("\ufeff")
            yield from lines

    def _check_kind(self) -> None:
        """Look at the beginning: who names a file of another kind hears it, instead of an error per line."""
        if self.form == "json":
            self._array()
        elif self.form == "jsonl":
            number, line = next(((i, line) for i, line in enumerate(self._lines(), 1) if line.strip()), (1, '""'))
            if isinstance(row := self._parsed(number, line), BadLine):
                raise click.UsageError(f"{self.name}, line {number}: {row.message}")
        else:
            next(self._table(), None)

    def _parsed(self, number: int, line: str) -> Row | BadLine:
        try:
            return Row(number, json.loads(line))
        except (ValueError, RecursionError) as error:
            like, options = _kind(line)
            advice = f" ({options})" if options and self._is_guess else ""
            shape = f'In JSON lines, a line is a JSON string or {{"{self._content}": "..."}}.'
            return BadLine(number, f"not JSON ({error}); it looks like {like}{advice}. {shape}")

    def _array(self) -> list[Any]:
        try:
            value = json.loads("".join(self._lines()))
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"{self.name}: not JSON ({error}).") from None
        if not isinstance(value, list):
            raise click.UsageError(f"{self.name}: expected a JSON array; a file with an object per line is JSON lines.")
        return value

    def _table(self) -> Iterator[Row | BadLine]:
        csv.field_size_limit(LONGEST_CELL)
        lines = self._lines()
        head = next(lines, "")
        delimiter = "\t" if self.form == "tsv" else max(",;\t", key=head.count)
        names = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
        wanted = self._column or "prompt"
        if wanted not in names:
            there = ", ".join(names) or "the file is empty"
            raise click.UsageError(f"{self.name}: no column {wanted!r}; name one with --column: {there}.")
        at = names.index(wanted)
        id_at = next((names.index(name) for name in _IDS if name in names and name != wanted), None)
        yield from _cells(csv.reader(lines, delimiter=delimiter, strict=True), at, id_at)


def _cells(reader: Any, at: int, id_at: int | None) -> Iterator[Row | BadLine]:  # noqa: ANN401 - `csv` names no type
    """Read the rows below the head; a row may have several lines, and has the number of its first one."""
    while True:
        number = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(number, f"no row of a table ({error}).")
            continue
        if cells and len(cells) <= max(at, id_at or 0):
            yield BadLine(number, f"only {len(cells)} of the columns.")
        elif cells:
            yield Row(number, {"prompt": cells[at], **({} if id_at is None else {"id": cells[id_at]})})


def _opened(path: Path) -> BinaryIO:
    """Open the input so that it can be read again: what comes through a pipe is kept in a file meanwhile."""
    if str(path) != "-" and path.is_file():
        return path.open("rb")
    kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed by its user
    with click.open_file(str(path), "rb") as pipe:
        shutil.copyfileobj(pipe, kept)
    return kept


def _kind(line: str) -> tuple[str, str]:
    """Return what a line that isn't JSON looks like, and the options for a file of such lines."""
    first = line.lstrip()
    if first.startswith("["):
        return "a JSON array over several lines", "--format json"
    if first.startswith("{"):
        return "an object over several lines, or a cut one", ""
    if "\t" in first:
        return "TSV", "--format tsv --column NAME"
    return ("CSV", "--format csv --column NAME") if "," in first else ("plain text", "")

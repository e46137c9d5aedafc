"""What came of the lines of a batch: written, counted and told at the end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from xdm_integrations.core.errors.tree import (
    AuthenticationError,
    InsufficientQuotaError,
    ModelUnavailableError,
    PermissionDeniedError,
    XDMError,
)
from xdm_integrations.core.protocol.results import Usage

from .answers import dump
from .endpoints import record_of, response_of
from .options import Options, error_as_dict
from .progress import Bar, cost, money
from .prompts import BadLine, Task
from .screens import fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from rich.console import Console
    from typing_extensions import Self

    from .answers import Answers, PipedAnswers

SHOWN = 10
"""Failures that are listed at the end; the file of errors has them all."""
LISTED = 1000
"""Failures that the output of `--json` has, at most."""
_FATAL = (AuthenticationError, InsufficientQuotaError)
"""Errors that every other line would meet too."""
_FATAL_FOR_A_MODEL = (ModelUnavailableError, PermissionDeniedError)
"""Errors that every other line would meet too, unless the line has a model of its own."""


class FatalError(Exception):
    """Carries an error that ends the run."""

    def __init__(self, why: XDMError) -> None:
        super().__init__(why.message)
        self.why = why


def is_fatal(error: XDMError, task: Task) -> bool:
    """Whether every other line would meet the same error."""
    return isinstance(error, _FATAL) or (isinstance(error, _FATAL_FOR_A_MODEL) and "model" not in task.own)


class Errors:
    """The file of errors: the failures of one run, none of an earlier one. It stays only if there are any.

    It is opened before anything is sent: when requests fail, there may be no file left that could be opened.

    Args:
        path: The file; None writes none.

    Raises:
        click.UsageError: It can't be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def add(self, record: dict[str, Any]) -> None:
        """Write a failure; the file is begun with the first one."""
        if self._file is not None:
            self._file.write(dump(record))
            self._file.flush()

    def __enter__(self) -> Self:
        if self.path is not None:
            try:
                self._file = self.path.open("wb")
            except OSError as error:
                raise click.UsageError(f"--errors: {self.path}: {error.strerror}.") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is None or self.path is None:
            return
        empty = self._file.tell() == 0
        self._file.close()
        if empty:
            self.path.unlink()


class Outcomes:
    """The outcomes of one run: its counts, its bar and its report.

    Attributes:
        bar: Its bar.
        usage: The tokens of all requests so far.
        tasks: How many lines can be asked.
        failed: How many lines have failed or can't be asked.
        stopped: The error that ended the run.
    """

    def __init__(self, answers: Answers | PipedAnswers, errors: Errors, bar: Bar) -> None:
        self.bar = bar
        self._answers, self._errors = answers, errors
        self._before = self._answered = self.tasks = self.failed = 0
        self._failures: list[tuple[int, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self.usage = Usage()
        self.stopped: XDMError | None = None

    def good(self, lines: Iterable[Task | BadLine]) -> Iterator[Task]:
        """Pass on the lines that can be asked, and note the others as failures."""
        for line in lines:
            if isinstance(line, Task):
                self.tasks += 1
                yield line
                continue
            error = {"type": "BadLine", "message": line.message}
            self._note(line.line, error)
            self._errors.add({"line": line.line, **({} if line.id is None else {"id": line.id}), "error": error})

    def begin(self, todo: int) -> None:
        """Start with what is left to do."""
        self._before = self.tasks - todo
        self._start = time.monotonic()
        self.bar.begin(self.tasks, self._before)

    def count(self, usage: Usage | None) -> None:
        """Add the tokens of a request; called by any thread."""
        if usage is not None:
            with self._lock:
                self.usage += usage

    def take(self, task: Task, outcome: Any) -> None:  # noqa: ANN401 - an answer of any endpoint, or an error
        """Write what came of a line; called by one thread at a time.

        Raises:
            FatalError: It is an error that every other line would meet too.
        """
        if isinstance(outcome, XDMError):
            self._fail(task, outcome)
        else:
            self._answered += 1
            answer = (
                {"response": response_of(outcome, task.params), "error": None}
                if task.is_request
                else record_of(outcome)
            )
            self._answers.add(task, answer)
        self.bar.advance(self.usage)

    def _fail(self, task: Task, error: XDMError) -> None:
        known = error_as_dict(error)
        self._note(task.line, known)
        if task.is_request:
            status = known.get("status_code")
            about = {"code": known.get("code") or known["type"], "message": error.message}
            response = status and {"status_code": status, "request_id": error.request_id, "body": {"error": about}}
            self._errors.add({"line": task.line, "custom_id": task.id, "response": response, "error": about})
        else:
            self._answers.add(task, {"error": known})
            self._errors.add({"line": task.line, **({} if task.id is None else {"id": task.id}), "error": known})
        if is_fatal(error, task):
            raise FatalError(error)

    def _note(self, line: int, error: dict[str, Any]) -> None:
        self.failed += 1
        if len(self._failures) < LISTED:
            self._failures.append((line, error))

    def report(
        self, options: Options, price: tuple[float, float] | None, *, piped: bool, interrupted: bool = False
    ) -> None:
        """Say what was done, and what wasn't."""
        left = self.tasks - self._before - self._answered
        seconds = time.monotonic() - self._start
        spent = {} if price is None else {"cost": round(cost(self.usage, price), 6)}
        if options.as_json:
            counts = {"prompts": self.tasks, "answered": self._answered, "answered_before": self._before}
            failures = [{"line": line, "error": error} for line, error in self._failures]
            usage = {**self.usage.as_dict(), "seconds": round(seconds, 3), **spent}
            whole = {**counts, "left": left, "failed": self.failed, "interrupted": interrupted, "usage": usage}
            options.write({**whole, "failures": failures}, err=piped)
            return
        err = options.notes
        facts = [
            f"{self._answered:,} answered in {seconds:.1f} s" + (f", {self._before:,} before" * bool(self._before))
        ]
        facts.append(f"{self.usage.prompt_tokens:,} + {self.usage.completion_tokens:,} tokens")
        facts += [f"cost {money(value)}" for value in spent.values()]
        err.print("; ".join(facts), highlight=False)
        if not self.stopped:
            self._list_failures(err)
        else:
            err.print(
                f"[bold red]Stopped[/]: every other prompt would fail too. {type(self.stopped).__name__}: "
                f"{escape(fitted(self.stopped.message, err))}",
                highlight=False,
            )
        if self.failed and self._errors.path is not None:
            err.print(f"The failures are in {escape(str(self._errors.path))}.", highlight=False)
        if left and not piped:
            err.print(f"{left:,} left; run the same command again to go on.", highlight=False)

    def _list_failures(self, err: Console) -> None:
        for line, error in self._failures[:SHOWN]:
            err.print(f"[red]line {line}[/]: {error['type']}: {escape(fitted(error['message'], err))}", highlight=False)
        if self.failed > SHOWN:
            err.print(f"... and {self.failed - SHOWN:,} more", highlight=False)

    def report_plan(self, options: Options, plan: dict[str, Any]) -> None:
        """Say what a run would do."""
        left = self.tasks - self._before
        failures = [{"line": line, "error": error} for line, error in self._failures]
        if options.as_json:
            counts = {"prompts": self.tasks, "answered_before": self._before, "left": left, "failed": self.failed}
            options.write({**counts, **plan, "failures": failures})
            return
        err = options.notes
        limit = plan["completion_tokens"]
        at_most = "no limit of tokens for the answers" if limit is None else f"at most {limit:,} of the answers"
        err.print(
            f"{left:,} of {self.tasks:,} to ask, in {plan['requests']:,} requests; about {plan['prompt_tokens']:,} "
            f"tokens of the prompts, {at_most}" + (f"; cost at most {money(plan['cost'])}" if plan.get("cost") else ""),
            highlight=False,
        )
        self._list_failures(err)

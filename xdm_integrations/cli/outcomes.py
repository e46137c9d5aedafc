"""What came of the lines of `xdm batch` and `xdm embed`: written, counted and told at the end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from xdm_integrations import ModelUnavailableError, Usage, XDMError
from xdm_integrations.client.batches import run_batch
from xdm_integrations.core.protocol.batching import IN_COMMON

from .answers import dump
from .endpoints import record_of, response_of
from .options import FAILED, MISUSED, Options, error_as_dict, given
from .progress import Bar, cost, money
from .prompts import Task
from .screens import fitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from xdm_integrations import Client
    from xdm_integrations.core.protocol.batching import Pack, PackResult

    from .answers import Answers, PipedAnswers
    from .inputs import BadLine

SHOWN = 10
"""Failures that are listed at the end; a file has them all."""
LISTED = 1000
"""Failures that the output of `--json` has, at most."""


class FatalError(Exception):
    """Carries an error that ends the run."""

    def __init__(self, why: XDMError) -> None:
        super().__init__(why.message)
        self.why = why


class Outcomes:
    """The outcomes of one run: its counts, its bar and its report.

    Args:
        answers: Where they are written.
        errors: A file for the failures alone.
        options: How the report is written.
        price: Of a million tokens of prompt and answer.
        asked: What the report calls the lines.
        done: What it says of those with an answer.
        err: Whether it goes to standard error, because standard output has the answers.

    Attributes:
        tasks: How many lines can be asked.
        stopped: The error that ended the run.
    """

    def __init__(  # noqa: PLR0913 - one argument per decision
        self,
        answers: Answers | PipedAnswers,
        errors: BinaryIO | None,
        options: Options,
        price: tuple[float, float] | None = None,
        *,
        asked: str = "prompts",
        done: str = "answered",
        err: bool = False,
    ) -> None:
        self._answers, self._errors, self._options, self._price = answers, errors, options, price
        self._asked, self._done, self._err = asked, done, err
        self._bar = Bar(options.notes, price)
        self._before = self._answered = self._failed = self.tasks = 0
        self._failures: list[tuple[int, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._usage = Usage()
        self.stopped: XDMError | None = None

    @property
    def left(self) -> int:
        """How many lines are still to be answered."""
        return self.tasks - self._before - self._answered

    @property
    def exit_code(self) -> int:
        """What the run ends with."""
        return MISUSED if self._failed and not self.tasks else FAILED if self._failed else 0

    def good(self, lines: Iterable[Task | BadLine]) -> Iterator[Task]:
        """Pass on the lines that can be asked, and note the others as failures."""
        for line in lines:
            if isinstance(line, Task):
                self.tasks += 1
                yield line
            else:
                error = {"type": "BadLine", "message": line.message}
                self._fail(line.line, error, given({"line": line.line, "id": line.id, "error": error}))

    def begin(self, todo: int) -> None:
        """Start with what is left to do."""
        self._before = self.tasks - todo
        self._start = time.monotonic()
        self._bar.begin(self.tasks, self._before)

    def work_off(
        self,
        client: Client,
        packs: Sequence[Pack] | Iterator[Pack],
        work: Callable[[Pack], PackResult],
        concurrency: int,
        on_result: Callable[[int, Any], None] | None = None,
    ) -> None:
        """Ask, so that a slow request holds up nothing but itself; see `run_batch`. Ctrl-C ends it with the report."""
        try:
            with self._bar.progress, client:  # whose idle connections would keep files that the answers may need
                run_batch(packs, work, max_concurrency=concurrency, on_result=on_result, abort=client.abort)
        except FatalError as error:
            self.stopped = error.why
        except KeyboardInterrupt:
            self.report(interrupted=True)
            raise

    def count(self, usage: Usage | None) -> None:
        """Add the tokens of a request; called by any thread."""
        if usage is not None:
            with self._lock:
                self._usage += usage

    def take(self, task: Task, outcome: Any) -> None:  # noqa: ANN401 - an answer of any endpoint, or an error
        """Write what came of a line; called by any thread.

        Raises:
            FatalError: It is an error that every other line would meet too.
        """
        with self._lock:
            self._bar.advance(self._usage)
            if isinstance(outcome, XDMError):
                self._take_error(task, outcome)
                return
            self._answered += 1
            response = {"response": response_of(outcome, task.params), "error": None} if task.is_request else None
            self._answers.add(task, response or record_of(outcome))

    def _take_error(self, task: Task, error: XDMError) -> None:
        known = error_as_dict(error)
        if task.is_request:
            status = known.get("status_code")
            about = {"code": known.get("code") or known["type"], "message": error.message}
            response = status and {"status_code": status, "request_id": error.request_id, "body": {"error": about}}
            record = {"line": task.line, "custom_id": task.id, "response": response, "error": about}
        else:
            self._answers.add(task, {"error": known})
            record = given({"line": task.line, "id": task.id, "error": known})
        self._fail(task.line, known, record)
        is_its_own = isinstance(error, ModelUnavailableError) and "model" in task.own
        if isinstance(error, IN_COMMON) and not is_its_own:
            raise FatalError(error)

    def _fail(self, line: int, error: dict[str, Any], record: dict[str, Any]) -> None:
        self._failed += 1
        if len(self._failures) < LISTED:
            self._failures.append((line, error))
        if self._errors is not None:
            self._errors.write(dump(record))
            self._errors.flush()

    def report(self, *, interrupted: bool = False) -> None:
        """Say what was done, and what wasn't."""
        seconds, usage, notes = time.monotonic() - self._start, self._usage, self._options.notes
        spent = {} if self._price is None else {"cost": round(cost(usage, self._price), 6)}
        if self._options.as_json:
            counts = {**usage.as_dict(), "seconds": round(seconds, 3), **spent}
            self._write({self._done: self._answered}, {"interrupted": interrupted, "usage": counts})
            return
        before = f", {self._before:,} before" if self._before else ""
        written = usage.completion_tokens
        tokens = f"{usage.prompt_tokens:,} + {written:,}" if written else f"{usage.total_tokens:,}"
        facts = [f"{self._answered:,} {self._done} in {seconds:.1f} s{before}", f"{tokens} tokens"]
        notes.print("; ".join([*facts, *(f"cost {money(value)}" for value in spent.values())]))
        if self.stopped is None:
            self._list_failures()
        else:
            why = f"{type(self.stopped).__name__}: {fitted(self.stopped.message, notes)}"
            notes.print(f"[bold red]Stopped[/]: every other line would fail too. {why}")
        file = self._answers.path if self._errors is None else self._errors.name
        if self._failed and file is not None:
            notes.print(f"The failures are in {escape(str(file))}.")
        if self.left and not self._err:
            notes.print(f"{self.left:,} left; run the same command again to go on.")

    def report_plan(self, plan: dict[str, Any]) -> None:
        """Say what a run would do; `plan` says what it would take."""
        if self._options.as_json:
            self._write({}, plan)
            return
        limit = plan["completion_tokens"]
        at_most = "no limit of tokens for the answers" if limit is None else f"at most {limit:,} of the answers"
        at_cost = f"; cost at most {money(plan['cost'])}" if plan.get("cost") else ""
        self._options.notes.print(
            f"{self.left:,} of {self.tasks:,} to ask, in {plan['requests']:,} requests; about "
            f"{plan['prompt_tokens']:,} tokens of the prompts, {at_most}{at_cost}"
        )
        self._list_failures()

    def _write(self, done: dict[str, Any], more: dict[str, Any]) -> None:
        """Write the report as JSON."""
        counts = {self._asked: self.tasks, **done, f"{self._done}_before": self._before, "left": self.left}
        failures = [{"line": line, "error": error} for line, error in self._failures]
        self._options.write({**counts, "failed": self._failed, **more, "failures": failures}, err=self._err)

    def _list_failures(self) -> None:
        notes = self._options.notes
        for line, error in self._failures[:SHOWN]:
            notes.print(f"[red]line {line}[/]: {error['type']}: {fitted(error['message'], notes)}")
        if self._failed > SHOWN:
            notes.print(f"... and {self._failed - SHOWN:,} more")

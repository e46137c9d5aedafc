"""`xdm batch`: from a file of prompts to a file of answers, in runs that go on where the last one stopped."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from xdm_integrations.core.completions.parameters import check_parameters
from xdm_integrations.core.errors.tree import (
    AuthenticationError,
    InsufficientQuotaError,
    ModelUnavailableError,
    PermissionDeniedError,
    XDMError,
)
from xdm_integrations.core.protocol.results import Usage

from .answers import Answers, check_output
from .complete import given, sampling
from .options import FAILED, Options, client_options, error_as_dict, fitted, screen
from .prompts import Task, read_tasks
from .text import encoding_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xdm_integrations.core.completions.packing import Outcome

SHOWN = 10
"""Failures that are listed at the end; the file has them all."""
FATAL = (AuthenticationError, PermissionDeniedError, InsufficientQuotaError, ModelUnavailableError)
"""Errors that every other prompt would meet too."""


@click.command(short_help="Answer a file of prompts.")
@click.argument("prompts", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Answers, JSON lines."
)
@click.option("--concurrency", "-c", type=click.IntRange(1), default=8, show_default=True, help="Requests in flight.")
@click.option("--batch-size", type=click.IntRange(1), default=20, show_default=True, help="Prompts per request.")
@encoding_option
@sampling
@client_options
def batch(  # noqa: PLR0913, PLR0917 - one argument per option
    prompts: Path,
    output: Path,
    concurrency: int,
    batch_size: int,
    encoding: str | None,
    options: Options,
    **params: Any,  # noqa: ANN401 - click's
) -> None:
    """Answer every prompt of the JSON-lines file PROMPTS; `-` is standard input.

    A line is a JSON string, or an object with `prompt` and perhaps `id`. Run the same command
    again to go on after an interruption, and to retry what failed: what has been answered is
    neither asked nor billed again.
    """
    tasks = list(read_tasks(prompts, encoding))
    check_output(output, prompts)
    with options.client() as client:
        defaults = {"model": client.config.model, "max_tokens": client.config.max_tokens}
        full = check_parameters({**defaults, **given(params)})
        with Answers(output, full) as answers:
            todo = answers.put_in_order(tasks)
            run = _Run(answers, len(tasks), len(tasks) - len(todo))
            stopped: XDMError | None = None
            try:
                with run.progress:
                    for alike in _by_kind(todo):
                        client.complete_batch(
                            [task.prompt for task in alike],
                            batch_size=batch_size,
                            max_concurrency=concurrency,
                            on_result=run.taker(alike),
                            **full,
                        )
            except _FatalError as error:
                stopped = error.why
            except KeyboardInterrupt:
                run.report(options, interrupted=True)
                raise
            if stopped is None:
                answers.put_in_order(tasks)
            run.report(options, stopped=stopped)
    sys.exit(FAILED if run.failures else 0)


def _by_kind(todo: list[Task]) -> Iterator[list[Task]]:
    """Share the prompts out: texts and token ids can't be in the same call.

    All of a kind are one call, so that a slow request holds up nothing but itself.
    """
    for kind in (str, list):
        yield [task for task in todo if isinstance(task.prompt, kind)]


class _FatalError(Exception):
    """Carries an error that ends the run."""

    def __init__(self, why: XDMError) -> None:
        super().__init__(why.message)
        self.why = why


class _Run:
    """One run: its counts, its progress bar and its report."""

    def __init__(self, answers: Answers, total: int, before: int) -> None:
        self.failures: list[tuple[Task, XDMError]] = []
        self._answers = answers
        self._total, self._before, self._answered = total, before, 0
        self._usage = Usage()
        self._counted: object = None
        self._start = time.monotonic()
        self.progress = Progress(
            TextColumn("answers"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[tokens]}"),
            TimeRemainingColumn(compact=True),
            console=screen(err=True),
            transient=True,
            disable=not screen(err=True).is_terminal,
        )
        self._bar = self.progress.add_task("", total=total, completed=before, tokens="")

    def taker(self, tasks: list[Task]) -> Callable[[int, Outcome], None]:
        """Return what takes the outcomes of a call; called by one thread at a time."""
        return lambda i, outcome: self._take(tasks[i], outcome)

    def _take(self, task: Task, outcome: Outcome) -> None:
        if isinstance(outcome, XDMError):
            self.failures.append((task, outcome))
            self._answers.add(task, {"error": error_as_dict(outcome)})
            if isinstance(outcome, FATAL):
                raise _FatalError(outcome)
        else:
            self._answered += 1
            first = outcome.choices[0]
            record: dict[str, Any] = {"text": first.text, "finish_reason": first.finish_reason}
            if len(outcome.choices) > 1:
                record["choices"] = [{"text": c.text, "finish_reason": c.finish_reason} for c in outcome.choices]
            if outcome.usage is not None:
                record["usage"] = outcome.usage.as_dict()
            self._answers.add(task, {**record, "model": outcome.model, "request_id": outcome.request_id})
            # Prompts that shared a request share its counts, and arrive one after the other.
            if outcome.raw is not self._counted:
                self._counted = outcome.raw
                self._usage += Usage.parse(outcome.raw.get("usage")) or Usage()
        rate = self._usage.completion_tokens / max(time.monotonic() - self._start, 0.001)
        tokens = f"{self._usage.total_tokens:,} tokens, {rate:,.0f}/s"
        self.progress.update(self._bar, advance=1, tokens=tokens)

    def report(self, options: Options, *, stopped: XDMError | None = None, interrupted: bool = False) -> None:
        """Say what was done, and what wasn't."""
        left = self._total - self._before - self._answered
        seconds = time.monotonic() - self._start
        if options.as_json:
            counts = {"prompts": self._total, "answered": self._answered, "answered_before": self._before}
            failures = [{"line": task.line, "error": error_as_dict(error)} for task, error in self.failures]
            usage = {**self._usage.as_dict(), "seconds": round(seconds, 3)}
            options.write({**counts, "left": left, "interrupted": interrupted, "usage": usage, "failures": failures})
            return
        err = screen(err=True)
        before = f", {self._before:,} before" if self._before else ""
        err.print(
            f"{self._answered:,} answered in {seconds:.1f} s{before}; {self._usage.prompt_tokens:,} + "
            f"{self._usage.completion_tokens:,} tokens",
            highlight=False,
        )
        for task, error in [] if stopped else self.failures[:SHOWN]:
            err.print(
                f"[red]line {task.line}[/]: {type(error).__name__}: {escape(fitted(error.message, err))}",
                highlight=False,
            )
        if len(self.failures) > SHOWN and not stopped:
            err.print(f"... and {len(self.failures) - SHOWN:,} more; the output has them all", highlight=False)
        if stopped:
            err.print(
                f"[bold red]Stopped[/]: every other prompt would fail too. {type(stopped).__name__}: "
                f"{escape(fitted(stopped.message, err))}",
                highlight=False,
            )
        if left:
            err.print(f"{left:,} left; run the same command again to go on.", highlight=False)

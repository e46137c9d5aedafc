"""`xdm embed`: from a file of texts to a file of vectors, in runs that go on where the last one stopped."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from xdm_integrations.client.batches import run_batch
from xdm_integrations.core.embeddings.parameters import DEFAULT_MODEL, check_parameters
from xdm_integrations.core.errors.tree import ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import PackResult, packs_of
from xdm_integrations.core.protocol.results import Usage

from .answers import Answers, check_output
from .arrays import check_numpy, write_array
from .endpoints import EMBEDDINGS
from .options import FAILED, Options, client_options, error_as_dict
from .outcomes import SHOWN, FatalError, is_fatal
from .progress import APART_SECONDS, Bar, Waits
from .prompts import Task
from .screens import fitted
from .text import decode, encoding_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdm_integrations.client import Client
    from xdm_integrations.core.protocol.batching import Pack

_FIELDS = ("id", "text", "input")


@click.command(short_help="Write the vectors of a file of texts.")
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Vectors, JSON lines; .npy: a numpy array as well.",
)
@click.option("--dimensions", type=click.IntRange(1), metavar="N", help="Numbers per vector, where the model can.")
@click.option(
    "--concurrency", "-c", type=click.IntRange(1), default=8, metavar="N", help="Requests in flight. Default: 8."
)
@click.option("--batch-size", type=click.IntRange(1), default=128, metavar="N", help="Texts per request. Default: 128.")
@encoding_option
@client_options
def embed(  # noqa: PLR0913, PLR0917 - one argument per option
    texts: Path,
    output: Path,
    dimensions: int | None,
    concurrency: int,
    batch_size: int,
    encoding: str | None,
    options: Options,
) -> None:
    """Write the vector of every text of the JSON-lines file TEXTS; `-` is standard input.

    A line is a JSON string, or an object with `text` (or `input`) and perhaps `id`. Run the same
    command again to go on after an interruption, and to retry what failed: a text that has its vector
    is neither sent nor billed again. With an output such as `vectors.npy`, the vectors are collected in
    `vectors.npy.jsonl`, and written as one array of float32, a row per text, when all are there. Without
    `--model`, the model is text-embedding-3-small.
    """
    if str(output) == "-":
        raise click.UsageError("--output: vectors need a file, which the next run goes on with.")
    as_array = output.suffix == ".npy"
    if as_array:
        check_numpy()
    lines = output.with_name(output.name + ".jsonl") if as_array else output
    tasks = list(_read(texts, encoding))
    for path in {output, lines}:
        check_output(path, {"texts": texts})
    retries = Waits(options.notes, APART_SECONDS).say
    with options.client(on_retry=retries) as client:
        params = check_parameters({"model": options.model or DEFAULT_MODEL, "dimensions": dimensions})
        with Answers(lines, {EMBEDDINGS.content: params}, answer="vector") as answers:
            missing = answers.put_in_order(tasks)
            todo = [task for task in tasks if task.line in missing]
            run = _Run(client, answers, todo, len(tasks), params, Bar(options.notes, None))
            stopped: XDMError | None = None
            try:
                with run.bar.progress, client:  # whose idle connections would keep files that the vectors may need
                    run.work_off(batch_size, concurrency)
            except FatalError as error:
                stopped = error.why
            except KeyboardInterrupt:
                run.report(options, interrupted=True)
                raise
            if stopped is None:
                answers.put_in_order(tasks)
            if as_array and not run.left:
                write_array(lines, output, len(tasks))
            run.report(options, stopped=stopped)
    sys.exit(FAILED if run.failures else 0)


def _read(path: Path, encoding: str | None) -> Iterator[Task]:
    """Read the texts.

    Raises:
        click.UsageError: A line is no text, or the file can't be read; nothing has been sent.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
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
        shape = 'A line is a JSON string such as "Tea grows on hills.", or {"text": "..."}.'
        raise click.UsageError(f"{where}: not JSON ({error}). {shape}") from None
    fields = value if isinstance(value, dict) else {"text": value}
    if strange := [name for name in fields if name not in _FIELDS]:
        raise click.UsageError(f"{where}: {', '.join(strange)}: a line has only `text` (or `input`) and `id`.")
    given = [fields[name] for name in ("text", "input") if name in fields]
    if len(given) != 1 or not isinstance(given[0], str):
        raise click.UsageError(f'{where}: expected a JSON string or {{"text": "...", "id": ...}}.')
    return Task(number, fields.get("id"), EMBEDDINGS, given[0], {}, {})


class _Run:
    """One run: what it asks for, its counts, its progress bar and its report."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that a run needs
        self, client: Client, answers: Answers, todo: list[Task], total: int, params: dict[str, Any], bar: Bar
    ) -> None:
        self.failures: list[tuple[Task, XDMError]] = []
        self.left = len(todo)
        self._client, self._answers, self._todo, self._params = client, answers, todo, params
        self._total = total
        self._before = total - len(todo)
        self._usage = Usage()
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self.bar = bar
        bar.begin(total, self._before)

    @property
    def _done(self) -> int:
        return self._total - self._before - self.left

    def work_off(self, batch_size: int, concurrency: int) -> None:
        """Ask for all vectors; a slow request holds up nothing but itself."""
        packs = packs_of(len(self._todo), batch_size)
        run_batch(packs, self._ask, max_concurrency=concurrency, abort=self._client.abort)

    def _ask(self, pack: Pack) -> PackResult:
        """Ask for the vectors of texts that share a request, or of some of them if the server wants fewer."""
        tasks = [self._todo[i] for i in pack.positions]
        taken = 0

        def take(i: int, outcome: list[float] | XDMError) -> None:
            nonlocal taken
            taken += 1
            with self._lock:
                self._take(tasks[i], outcome)

        usage: Usage | None = None
        try:
            usage = self._client.embed(
                [task.content for task in tasks],
                batch_size=len(tasks),
                max_concurrency=1,
                stop_on_error=False,
                on_result=take,
                **self._params,
            ).usage
        except ConfigurationError:
            raise
        except XDMError as error:
            if taken < len(tasks):
                raise
            usage = error.usage
        with self._lock:
            self._usage += usage or Usage()
        return PackResult([])  # they are written, and needn't be kept

    def _take(self, task: Task, outcome: list[float] | XDMError) -> None:
        self.bar.advance(self._usage)
        if not isinstance(outcome, XDMError):
            self.left -= 1
            self._answers.add(task, {"vector": outcome})
            return
        self.failures.append((task, outcome))
        self._answers.add(task, {"error": error_as_dict(outcome)})
        if is_fatal(outcome, task):
            raise FatalError(outcome)

    def report(self, options: Options, *, stopped: XDMError | None = None, interrupted: bool = False) -> None:
        """Say what was done, and what wasn't."""
        seconds = time.monotonic() - self._start
        if options.as_json:
            counts = {"texts": self._total, "embedded": self._done, "embedded_before": self._before, "left": self.left}
            failures = [{"line": task.line, "error": error_as_dict(error)} for task, error in self.failures]
            usage = {"total_tokens": self._usage.total_tokens, "seconds": round(seconds, 3)}
            options.write({**counts, "interrupted": interrupted, "usage": usage, "failures": failures})
            return
        err = options.notes
        say = [f"{self._done:,} embedded in {seconds:.1f} s", f", {self._before:,} before" if self._before else ""]
        say += [f"; {self._usage.total_tokens:,} tokens"]
        err.print("".join(say), highlight=False)
        for task, error in [] if stopped else self.failures[:SHOWN]:
            told = f"{type(error).__name__}: {escape(fitted(error.message, err))}"
            err.print(f"[red]line {task.line}[/]: {told}", highlight=False)
        if len(self.failures) > SHOWN and not stopped:
            err.print(f"... and {len(self.failures) - SHOWN:,} more; the output has them all", highlight=False)
        if stopped:
            told = f"{type(stopped).__name__}: {escape(fitted(stopped.message, err))}"
            err.print(f"[bold red]Stopped[/]: every other text would fail too. {told}", highlight=False)
        if self.left:
            err.print(f"{self.left:,} left; run the same command again to go on.", highlight=False)

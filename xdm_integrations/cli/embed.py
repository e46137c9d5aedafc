"""`xdm embed`: from a file of texts to a file of vectors, in runs that go on where the last one stopped."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xdm_integrations import APIResponseError, ConfigurationError, UnsupportedParameterError, XDMError
from xdm_integrations.core.embeddings.parameters import DEFAULT_MODEL, check_parameters
from xdm_integrations.core.protocol.batching import PackResult, packs_of

from .answers import Answers, check_output
from .endpoints import EMBEDDINGS
from .inputs import BadLine, Input
from .options import Options, client_options
from .outcomes import FatalError, Outcomes
from .progress import APART_SECONDS
from .prompts import Task
from .text import encoding_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdm_integrations import Client
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
    if as_array and importlib.util.find_spec("numpy") is None:
        raise click.UsageError("--output: .npy needs numpy: pip install numpy")
    lines = output.with_name(output.name + ".jsonl") if as_array else output
    with Input(texts, encoding, "jsonl", content="text") as source:
        tasks = list(_tasks(source))
    for path in {output, lines}:
        check_output(path, {"texts": texts})
    with options.client(APART_SECONDS) as client:
        params = check_parameters({"model": options.model or DEFAULT_MODEL, "dimensions": dimensions})
        with Answers(lines, {EMBEDDINGS.content: params}, answer="vector") as answers:
            run = Outcomes(answers, None, options, asked="texts", done="embedded")
            missing = answers.put_in_order(run.good(tasks))
            run.begin(len(missing))
            todo = [task for task in tasks if task.line in missing]
            _work_off(client, run, todo, params, batch_size, concurrency, _length_in(lines))
            if run.stopped is None:
                answers.put_in_order(tasks)
            if as_array and not run.left:
                _write_array(lines, output, len(tasks))
            run.report()
    sys.exit(run.exit_code)


def _work_off(  # noqa: PLR0913, PLR0917 - what is asked, and how
    client: Client,
    run: Outcomes,
    tasks: list[Task],
    params: dict[str, Any],
    batch_size: int,
    concurrency: int,
    length: int | None,
) -> None:
    """Ask; each vector is written as it comes, also where the server wants fewer texts in a request.

    All are of the length of those that the file has, or of the first one.
    """
    known = {} if length is None else {"length": length}

    def take(task: Task, outcome: list[float] | XDMError, number: str) -> None:
        if isinstance(outcome, XDMError):
            outcome.message = outcome.message.removeprefix(number)  # in its request; what is told has that of the line
        elif len(outcome) != (length := known.setdefault("length", len(outcome))):
            outcome = APIResponseError(
                f"The server returned a vector of {len(outcome)} numbers, and the others have {length}: it serves "
                f"different models as {params['model']!r}. Name another file to begin anew."
            )
        run.take(task, outcome)

    def work(pack: Pack) -> PackResult:
        asked = [tasks[i] for i in pack.positions]
        try:
            usage = client.embed(
                [task.content for task in asked],
                batch_size=len(asked),
                max_concurrency=1,
                stop_on_error=False,
                on_result=lambda i, outcome: take(asked[i], outcome, f"input {i}: "),
                **params,
            ).usage
        except ConfigurationError:
            raise
        except XDMError as error:  # of a text: it has been taken, and so have the others
            run.count(error.usage)
            if isinstance(error, UnsupportedParameterError) or getattr(error, "scope", "") == "model":
                raise FatalError(error) from None  # the parameters are those of every line
        else:
            run.count(usage)
        return PackResult([])  # they are written, and needn't be kept

    run.work_off(client, packs_of(len(tasks), batch_size), work, concurrency)


def _length_in(lines: Path) -> int | None:
    """Return the length of the first vector that the file has."""
    with lines.open("rb") as file:
        return next((len(vector) for line in file if (vector := json.loads(line).get("vector"))), None)


def _tasks(source: Input) -> Iterator[Task]:
    """Read the texts.

    Raises:
        click.UsageError: A line is no text; nothing has been sent.
    """
    for row in source.rows():
        where = f"{source.name}, line {row.line}"
        if isinstance(row, BadLine):
            raise click.UsageError(f"{where}: {row.message}")
        fields = row.value if isinstance(row.value, dict) else {"text": row.value}
        if strange := [name for name in fields if name not in _FIELDS]:
            raise click.UsageError(f"{where}: {', '.join(strange)}: a line has only `text` (or `input`) and `id`.")
        given = [fields[name] for name in ("text", "input") if name in fields]
        if len(given) != 1 or not isinstance(given[0], str):
            raise click.UsageError(f'{where}: expected a JSON string or {{"text": "...", "id": ...}}.')
        yield Task(row.line, fields.get("id"), EMBEDDINGS, given[0], {}, {})


def _write_array(lines: Path, output: Path, count: int) -> None:
    """Write the vectors of the first `count` lines as an array of float32; the file is complete at any moment.

    The lines are in order. Behind those are vectors of texts that aren't asked for any more.

    Raises:
        click.UsageError: The vectors have different lengths.
    """
    beside = output.with_name(output.name + ".writing")
    try:
        _fill(lines, beside, count)
        beside.replace(output)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _fill(lines: Path, output: Path, count: int) -> None:
    from numpy import float32  # noqa: PLC0415 - optional, and slow to load
    from numpy.lib.format import open_memmap  # noqa: PLC0415 - the same

    rows = None
    with lines.open("rb") as file:
        for i, line in zip(range(count), file, strict=False):
            vector = json.loads(line)["vector"]
            if rows is None:
                rows = open_memmap(output, mode="w+", dtype=float32, shape=(count, len(vector)))
            if len(vector) != rows.shape[1]:
                raise click.UsageError(
                    f"--output: {lines} has vectors of {rows.shape[1]} and of {len(vector)} numbers: the server served "
                    f"different models. Name another file to begin anew."
                )
            rows[i] = vector
    if rows is None:
        rows = open_memmap(output, mode="w+", dtype=float32, shape=(0, 0))
    rows.flush()

"""`xdm batch`: from a file of questions to a file of answers, in runs that go on where the last one stopped."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xdm_integrations import ConfigurationError, Usage, XDMError
from xdm_integrations.core.chat.request import DEFAULT_MODEL as CHAT_MODEL
from xdm_integrations.core.protocol.batching import Pack, PackResult
from xdm_integrations.core.protocol.checks import OPTIONS
from xdm_integrations.core.protocol.config import DEFAULT_MODEL

from .answers import Answers, PipedAnswers, check_output
from .complete import sampling
from .endpoints import CHAT, COMPLETIONS, EMBEDDINGS
from .inputs import FORMATS, BadLine, Input
from .options import Options, client_options, given
from .outcomes import Outcomes
from .progress import APART_SECONDS, Price, cost
from .prompts import Task, read_tasks
from .text import encoding_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from xdm_integrations import Client

_CHARACTERS, _OTHERS = 4.0, 1.5
"""Characters per token: of ASCII text, and of other scripts. Rules of thumb: no tokenizer is at hand."""


@click.command(short_help="Answer a file of prompts or requests.")
@click.argument("prompts", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Answers, JSON lines; - is standard output.",
)
@click.option(
    "--errors",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Failures of this run, JSON lines. Default: beside the output, named .errors.jsonl.",
)
@click.option(
    "--concurrency", "-c", type=click.IntRange(1), default=8, metavar="N", help="Requests in flight. Default: 8."
)
@click.option("--batch-size", type=click.IntRange(1), default=20, metavar="N", help="Prompts per request. Default: 20.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    metavar="KIND",
    help=f"Of the input: {', '.join(FORMATS)}. Default: by its name, else jsonl.",
)
@click.option("--column", metavar="NAME", help="The column with the prompts, for CSV and TSV. Default: prompt.")
@click.option("--price", type=Price(), help="Of a million tokens of prompt and answer: the run's cost is shown.")
@click.option("--dry-run", is_flag=True, help="Count and estimate; nothing is sent or written.")
@encoding_option
@sampling
@client_options
def batch(  # noqa: PLR0913, PLR0917 - one argument per option
    prompts: Path,
    output: Path,
    errors: Path | None,
    concurrency: int,
    batch_size: int,
    form: str | None,
    column: str | None,
    price: tuple[float, float] | None,
    dry_run: bool,  # noqa: FBT001 - click's
    encoding: str | None,
    options: Options,
    **params: Any,
) -> None:
    """Answer every line of PROMPTS; `-` is standard input.

    A line is a JSON string, an object with `prompt` or `messages` (and perhaps `id`, `metadata` and parameters of
    its own), or a request of OpenAI's batch format: `custom_id`, `method`, `url` and `body`, for completions, chat
    or embeddings. A JSON array of such values, CSV and TSV are read too.

    Run the same command again to go on after an interruption, and to retry what failed: what has been answered is
    neither asked nor billed again.
    """
    piped = str(output) == "-"
    with Input(prompts, encoding, form, column) as source, options.client(APART_SECONDS) as client:
        if not piped:
            check_output(output, {"prompts": prompts})
            errors = errors or output.with_name(f"{output.stem}.errors.jsonl")
        if errors is not None:
            check_output(errors, {"prompts": prompts, "answers": output}, "--errors")
        asked = given({**params, "model": options.model})
        made_with = _made_with(client, asked)
        with (
            PipedAnswers(made_with) if piped else Answers(output, made_with, dry=dry_run) as answers,
            _opened(None if dry_run else errors) as errors_file,
        ):
            run = Outcomes(answers, errors_file, options, price, err=piped and not dry_run)
            todo = answers.put_in_order(run.good(read_tasks(source, asked)))
            packs = _packs(read_tasks(source, asked, todo), batch_size)
            run.begin(len(todo))
            if dry_run:
                run.report_plan(_estimate(packs, client.config.max_tokens, price))
            else:
                if piped:
                    click.echo("The answers go to standard output: a run that is interrupted begins anew.", err=True)
                _work_off(client, run, packs, concurrency)
                if not (run.stopped or piped):
                    answers.put_in_order(task for task in read_tasks(source, asked) if isinstance(task, Task))
                run.report()
    sys.exit(run.exit_code)


@contextmanager
def _opened(errors: Path | None) -> Iterator[BinaryIO | None]:
    """Open the file for the failures of this run, which stays only if there are any.

    Before anything is sent: when requests fail, there may be no file left that could be opened.
    """
    if errors is None:
        yield None
        return
    try:
        file = errors.open("wb")
    except OSError as error:
        raise click.UsageError(f"--errors: {errors}: {error.strerror}.") from None
    try:
        with file:
            yield file
    finally:
        if errors.stat().st_size == 0:
            errors.unlink()


def _made_with(client: Client, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what answers are made with where their lines don't say otherwise, by the field that is asked."""
    model, max_tokens = client.config.model, client.config.max_tokens
    completions = COMPLETIONS.check({"model": model, "max_tokens": max_tokens, **asked})
    chat = {"model": CHAT_MODEL if model == DEFAULT_MODEL else model, **asked}
    known = {name: value for name, value in chat.items() if name in CHAT.parameters}  # a line says what is wrong
    return {COMPLETIONS.content: completions, CHAT.content: CHAT.check(known)}


def _packs(lines: Iterable[Task | BadLine], batch_size: int) -> Iterator[list[Task]]:
    """Share tasks out into requests: neighbours that differ in nothing but their prompt share one."""
    pack: list[Task] = []
    for task in lines:
        if isinstance(task, Task):
            if pack and (len(pack) >= batch_size or not _alike(pack[0], task)):
                yield pack
                pack = []
            pack.append(task)
    if pack:
        yield pack


def _alike(one: Task, other: Task) -> bool:
    return (
        one.endpoint is other.endpoint is COMPLETIONS
        and not (one.is_request or other.is_request)
        and type(one.content) is type(other.content)
        and one.params == other.params
    )


def _work_off(client: Client, run: Outcomes, packs: Iterator[list[Task]], concurrency: int) -> None:
    """Ask; only what is being asked is held in memory."""
    under_way: dict[int, Task] = {}

    def numbered() -> Iterator[Pack]:
        begin = 0
        for pack in packs:
            positions = range(begin, begin + len(pack))
            under_way.update(zip(positions, pack, strict=True))
            begin += len(pack)
            yield Pack(positions)

    def work(pack: Pack) -> PackResult:
        result = _ask(client, [under_way[i] for i in pack.positions], pack)
        run.count(result.usage)
        return result

    run.work_off(client, numbered(), work, concurrency, lambda i, outcome: run.take(under_way.pop(i), outcome))


def _ask(client: Client, tasks: list[Task], pack: Pack) -> PackResult:
    first = tasks[0]
    try:
        if first.is_request or first.endpoint is not COMPLETIONS:
            answer = first.endpoint.ask(client, first.content, **first.params)
            return PackResult([answer], answer.usage)
        prompts = [task.content for task in tasks]
        result = client.complete_pack(prompts, previous_error=pack.previous_error, **first.params)
    except ConfigurationError as error:
        if not set(OPTIONS) & set(first.own):
            raise  # the same for all
        return PackResult([error] * len(tasks))
    except XDMError as error:
        return PackResult([error])
    again = [Pack([pack.positions[i] for i in one.positions], one.previous_error) for one in result.retry]
    return result._replace(retry=tuple(again))


def _estimate(packs: Iterable[list[Task]], max_tokens: int | None, price: tuple[float, float] | None) -> dict[str, Any]:
    """Estimate what the requests of these tasks would take and cost; nothing is sent.

    Returns:
        The requests, about how many tokens the prompts have, how many the answers have at most (`max_tokens` each,
        where a task doesn't say; None: no limit is set), and what that costs at most.
    """
    requests, prompt_tokens, answers = 0, 0, 0
    limited = True
    for pack in packs:
        requests += 1
        for task in pack:
            prompt_tokens += _tokens(task.content)
            if task.endpoint is not EMBEDDINGS:
                default = max_tokens if task.endpoint is COMPLETIONS else None
                limit = task.params.get("max_tokens", task.params.get("max_completion_tokens", default))
                limited = limited and limit is not None
                answers += (limit or 0) * (task.params.get("n") or 1)
    counts: dict[str, Any] = {
        "requests": requests,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": answers if limited else None,
    }
    if price is not None:
        counts["cost"] = round(cost(Usage(prompt_tokens, answers), price), 6) if limited else None
    return counts


def _tokens(content: object) -> int:
    if isinstance(content, list) and content and isinstance(content[0], int):
        return len(content)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    ascii_count = len(text.encode("ascii", "ignore"))
    return round(ascii_count / _CHARACTERS + (len(text) - ascii_count) / _OTHERS)

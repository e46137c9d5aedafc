"""`xdm complete`: one prompt, its answer or answers, streamed or not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .options import Options, client_options, given, several
from .progress import waiting
from .screens import echo
from .text import check_text, decode, encoding_option

if TYPE_CHECKING:
    from xdm_integrations import Choice, Client, Completion, CompletionChunk
    from xdm_integrations.core.protocol.results import Answer

sampling = several(
    click.option("-n", "n", type=int, metavar="N", help="Answers to the prompt. Each is billed."),
    click.option("--max-tokens", type=int, metavar="N", help="Tokens per answer. Default: 256."),
    click.option("--temperature", type=float, metavar="T", help="0 to 2."),
    click.option("--top-p", type=float, metavar="P", help="0 to 1."),
    click.option("--stop", multiple=True, metavar="TEXT", help="Ends the answer; up to four times."),
    click.option("--suffix", metavar="TEXT", help="Text that comes after the answer; few models can."),
    click.option("--seed", type=int, metavar="N", help="Makes sampling repeatable, as far as the backend can."),
    click.option("--frequency-penalty", type=float, metavar="X", help="-2 to 2."),
    click.option("--presence-penalty", type=float, metavar="X", help="-2 to 2."),
)
"""A decorator that gives a command the sampling parameters."""


@click.command(short_help="Write the answer to a prompt.")
@click.argument("prompt")
@click.option("--stream", "-s", is_flag=True, help="Write the answer as it comes.")
@encoding_option
@sampling
@client_options
def complete(
    prompt: str,
    stream: bool,  # noqa: FBT001 - click's
    encoding: str | None,
    options: Options,
    **params: Any,
) -> None:
    """Write the answer to PROMPT; `-` reads the prompt from standard input."""
    if prompt == "-":
        prompt = decode(sys.stdin.buffer.read(), encoding, "standard input")
    check_text(prompt, "PROMPT")
    for name in ("stop", "suffix"):
        check_text("".join(params.get(name) or ()), f"--{name}")
    if stream and (params.get("n") or 1) > 1 and not options.as_json:
        raise click.UsageError("--stream with -n mixes the answers as they come; add --json to tell them apart.")
    with options.client() as client:
        if stream:
            answer = _streamed(client, prompt, given(params), options)
        else:
            with waiting("the answer", options.notes):
                answer = client.complete(prompt, **given(params))
    if options.as_json:
        choices = {} if stream else {"choices": [_choice(choice) for choice in answer.choices]}
        options.write({**choices, **totals(answer)})
        return
    if not stream:
        for choice in answer.choices:
            if len(answer.choices) > 1:
                click.secho(f"[{choice.index + 1}]", dim=True)
            click.echo(choice.text)
    options.tell_if_cut(*(choice.finish_reason for choice in answer.choices))


def _streamed(client: Client, prompt: str, params: dict[str, Any], options: Options) -> Completion:
    """Return an answer whose pieces have been written."""
    with waiting("the first words", options.notes):
        opened = client.stream(prompt, **params)
    with opened as pieces:
        if options.as_json:
            for piece in pieces:
                options.write(_choice(piece))
        else:
            echo(piece.text for piece in pieces)
        return pieces.completion


def _choice(choice: Choice | CompletionChunk) -> dict[str, Any]:
    return {"index": choice.index, "text": choice.text, "finish_reason": choice.finish_reason}


def totals(answer: Answer) -> dict[str, Any]:
    """Return what JSON tells of an answer beside its choices."""
    usage = answer.usage.as_dict() if answer.usage else None
    return {"model": answer.model, "usage": usage, "request_id": answer.request_id}

"""The two screens, standard output and standard error, as a person or a program reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterable


def can_show(stream: Any, text: str) -> bool:  # noqa: ANN401 - any text stream
    """Whether the encoding of a stream has all the characters of a text."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def as_json(value: object, stream: Any = None) -> str:  # noqa: ANN401 - any text stream
    """Return JSON that reaches a reader of the stream whole: escaped where its encoding (UTF-8) falls short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if can_show(stream, text) else json.dumps(value, default=str)


def screen(*, err: bool = False) -> Console:
    """Return the screen to print on; made late, because tests and pipes exchange the streams.

    Where no person reads it (a pipe, a log), a message stays on one line, so that it can be searched for. Numbers and
    paths have no colours of their own.
    """
    console = Console(stderr=err, highlight=False)
    console.soft_wrap = not console.is_terminal
    return console


def echo(pieces: Iterable[str]) -> None:
    """Write an answer to standard output as it comes."""
    try:
        for piece in pieces:
            click.echo(piece, nl=False)
    finally:
        click.echo()  # also before an error: what came stays on a line of its own


def fitted(text: str, out: Console) -> str:
    """Return a message as rich's markup: as it is for a terminal, and on one line for anything else."""
    return escape(text if out.is_terminal else " ".join(text.split()))

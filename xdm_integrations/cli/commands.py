"""The commands of `xdm`, each thin: ask the client, show the answer."""

from __future__ import annotations

import io
import sys
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from xdm_integrations import __version__

from .batch import batch
from .chat import chat
from .complete import complete
from .doctor import doctor
from .embed import embed
from .options import FAILED, INTERRUPTED, Options, client_options
from .progress import waiting
from .screens import screen


class _Commands(click.Group):
    """The one place where what may happen to every command becomes an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - click's
        """Run all of it, `--help` too; a full disk ends it in words, and click knows what to do where a reader left."""
        try:
            return super().main(*args, **options)
        except OSError as error:
            click.echo(f"Error: {error}", err=True)
            sys.stdout = io.StringIO()  # or Python tries once more to write what is left, and complains
            sys.exit(FAILED)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        """Run a command; Ctrl-C ends it in words."""
        if hasattr(sys.stdout, "reconfigure"):  # a screen that lacks a character shows another
            sys.stdout.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="xdm")
def xdm() -> None:
    """Chat, text completions and embeddings of the XDM gateway, from the command line.

    The key comes from the environment variable XDM_API_KEY, and is never shown. Results go to standard
    output, everything else to standard error. Exit codes: 0 all is well, 1 a call failed, 2 wrong
    usage or configuration (nothing was sent), 130 interrupted.
    """


@xdm.command(short_help="List what the gateway offers to the key.")
@click.argument("part", default="", metavar="[PART]")
@client_options
def models(part: str, options: Options) -> None:
    """List the models that the gateway offers to the key; PART of a name selects."""
    with options.client() as client, waiting("the list", options.notes):
        offered = [model for model in client.models() if part.lower() in model.id.lower()]
    if options.as_json:
        options.write([{**model.raw, "id": model.id} for model in offered])
        return
    out = screen()
    if not out.is_terminal:
        for model in offered:
            click.echo("\t".join([model.id, model.owned_by, ",".join(model.endpoint_types)]).rstrip())
        return
    table = Table("model", "owned by", "endpoints", box=None, pad_edge=False, header_style="bold")
    table.columns[0].overflow = "fold"
    for model in offered:
        table.add_row(escape(model.id), escape(model.owned_by), escape(", ".join(model.endpoint_types)))
    out.print(table)
    out.print(f"[dim]{len(offered)} model{'s' * (len(offered) != 1)}[/]")


@xdm.command(short_help="Show what is left of the key's budget.")
@client_options
def quota(options: Options) -> None:
    """Show what is left of the key's budget, in the unit that the gateway counts."""
    with options.client() as client, waiting("the quota", options.notes):
        left = client.quota()
    if options.as_json:
        options.write({name: getattr(left, name) for name in left.__dataclass_fields__})
    else:
        screen().print(str(left), markup=False)


xdm.add_command(chat)
xdm.add_command(complete)
xdm.add_command(batch)
xdm.add_command(embed)
xdm.add_command(doctor)

"""What every command shares: the options for the client, and how errors end it."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import click

from xdm_integrations import Client, ConfigurationError, XDMError

from .progress import tells_waits
from .screens import as_json, fitted, screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: a call failed; wrong usage or configuration, nothing was sent; Ctrl-C."""


@dataclass
class Options:
    """The settings of one run of the command line.

    Attributes:
        settings: What was given for the client.
        as_json: Whether standard output is for programs.
        model: The model to use instead of the default one.
        notes: The screen for everything but the answers: one for all, or its lines and what moves there (a bar, a
            wait) would be written over each other.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    as_json: bool = False
    model: str | None = None
    notes: Console = field(default_factory=lambda: screen(err=True))

    @contextmanager
    def client(self, apart: float = 0.0) -> Iterator[Client]:
        """Yield a client, whose waits are told `apart` seconds from each other.

        Its errors end the program, with a message on standard error.
        """
        try:
            with Client(model=self.model, on_retry=tells_waits(self.notes, apart), **self.settings) as client:
                yield client
        except XDMError as error:
            self.fail(error)

    def fail(self, error: XDMError) -> NoReturn:
        """Say what went wrong on standard error, and exit."""
        self.tell(error)
        sys.exit(MISUSED if isinstance(error, ConfigurationError) else FAILED)

    def tell(self, error: XDMError) -> None:
        """Say what went wrong on standard error."""
        if self.as_json:
            self.write({"error": error_as_dict(error)}, err=True)
        else:
            self.notes.print(f"[bold red]{type(error).__name__}[/]: {fitted(error.message, self.notes)}")

    def tell_if_cut(self, *finish_reasons: str | None) -> None:
        """Say on standard error that an answer isn't complete."""
        if "length" in finish_reasons:
            self.notes.print("[yellow]Cut off at max_tokens; ask for more with --max-tokens.[/]")

    def write(self, value: object, *, err: bool = False) -> None:
        """Write one line of JSON to standard output, or to standard error."""
        click.echo(as_json(value, sys.stderr if err else sys.stdout), err=err)


def error_as_dict(error: XDMError) -> dict[str, Any]:
    """Return what a program needs to know of an error; never holds a key."""
    known = {
        "type": type(error).__name__,
        "message": error.message,
        "status_code": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "request_id": error.request_id,
        "retryable": error.retryable,
    }
    return {name: value for name, value in known.items() if value is not None}


def given(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given."""
    return {name: value for name, value in params.items() if value is not None and value != ()}


def several(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command several options, which its help shows in this order."""

    def decorate(command: Any) -> Any:  # noqa: ANN401 - click's
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_of_the_client = several(
    click.option("--base-url", metavar="URL", help="Root of the API. Default: $XDM_BASE_URL, else the gateway's."),
    click.option("--model", "-m", metavar="NAME", help="Default: one that the endpoint knows."),
    click.option("--timeout", type=float, metavar="SECONDS", help="For connecting and for each wait."),
    click.option("--max-retries", type=int, metavar="N", help="Requests after the first, at most. Default: 2."),
    click.option("--allow-http", is_flag=True, help="Accept plain http to a public host; the key travels unencrypted."),
    click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output, for programs."),
    click.option(
        "--verbose", "-v", is_flag=True, help="Log each request to standard error. Never shows a prompt or key."
    ),
)


def client_options(command: Callable[..., Any]) -> Any:  # noqa: ANN401 - click's decorators give anything
    """Decorate a command with the options for the client; it gets them as `options`."""

    @_of_the_client
    @wraps(command)
    def with_options(model: str | None, *, as_json: bool, verbose: bool, **params: Any) -> Any:  # noqa: ANN401 - click's
        if verbose:
            logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
            logging.getLogger("xdm_integrations").setLevel(logging.DEBUG)
        settings = given({name: params.pop(name) for name in ("base_url", "timeout", "max_retries", "allow_http")})
        return command(options=Options(settings, as_json, model), **params)

    return with_options

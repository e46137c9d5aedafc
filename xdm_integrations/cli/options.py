"""What every command shares: the options for the client, and how errors end it."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.markup import escape

from xdm_integrations.client import Client
from xdm_integrations.core.errors.tree import ConfigurationError, XDMError

from .progress import Waits
from .screens import can_show, fitted, screen

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
    def client(self, **more: Any) -> Iterator[Client]:  # noqa: ANN401 - any setting
        """Yield a client; its errors end the program, with a message on standard error."""
        more.setdefault("on_retry", Waits(self.notes).say)
        try:
            with Client(model=self.model, **self.settings, **more) as client:
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
            click.echo(_json({"error": error_as_dict(error)}, sys.stderr), err=True)
        else:
            told = escape(fitted(error.message, self.notes))
            self.notes.print(f"[bold red]{type(error).__name__}[/]: {told}", highlight=False)

    def write(self, value: object, *, err: bool = False) -> None:
        """Write one line of JSON to standard output, or to standard error."""
        click.echo(_json(value, sys.stderr if err else sys.stdout), err=err)


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


def _json(value: object, stream: Any) -> str:  # noqa: ANN401 - any text stream
    """Return JSON that reaches a reader of the stream whole: escaped where its encoding falls short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if can_show(stream, text) else json.dumps(value, default=str)


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command with the options for the client; it gets them as `options`."""

    def with_options(  # noqa: PLR0913 - one argument per option
        *args: Any,  # noqa: ANN401 - passed on
        base_url: str | None,
        model: str | None,
        timeout: float | None,
        max_retries: int | None,
        allow_http: bool,
        as_json: bool,
        verbose: bool,
        **kwargs: Any,  # noqa: ANN401 - passed on
    ) -> Any:  # noqa: ANN401 - passed on
        given = {"base_url": base_url, "timeout": timeout, "max_retries": max_retries}
        settings = {name: value for name, value in given.items() if value is not None}
        if allow_http:
            settings["allow_http"] = True
        if verbose:
            logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
            logging.getLogger("xdm_integrations").setLevel(logging.DEBUG)
        return command(*args, options=Options(settings, as_json, model), **kwargs)

    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    with_options.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined] # click's own
    for decorate in reversed(_OPTIONS):
        with_options = decorate(with_options)
    return with_options


_OPTIONS = (
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

"""`xdm doctor`: what works, line by line, and what to do about what doesn't."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import click
from rich.table import Table
from rich.text import Text

from xdm_integrations import APIConnectionError, Client, ConfigurationError, ModelUnavailableError, XDMError
from xdm_integrations.core.gateway.models import nearest
from xdm_integrations.core.protocol.config import (
    DEFAULT_BASE_URL,
    KEY_VARIABLE,
    URL_VARIABLE,
    is_private_host,
    normalize_base_url,
    normalize_key,
    url_in,
)
from xdm_integrations.transports.environment import proxy_for

from .options import FAILED, Options, client_options
from .progress import waiting
from .screens import can_show, screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from xdm_integrations import Timeout, Usage
    from xdm_integrations.core.protocol.results import Answer

PROMPT = "Say this is a test"
MAX_TOKENS = 8
MORE_TOKENS = 200
"""For calls whose answer must not be cut."""
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "time_in",
        "description": "Tell the time in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PATIENCE = 30.0
"""Seconds for each wait, unless `--timeout` says otherwise."""


class Finding(NamedTuple):
    """One line of the report; `ok` is None for what is neither good nor bad."""

    check: str
    ok: bool | None
    said: str


@click.command(short_help="Check every link to the gateway.")
@client_options
def doctor(options: Options) -> None:
    """Check key, URL, proxy, limits, network, model, tiny calls of every kind, and the quota.

    The calls are a completion, a stream, a conversation, a tool call and an answer in JSON. A model of one kind may
    fail at the others: that is said, and no failure as long as it answers at all. Spends some hundred tokens. Exit
    code 0 if everything that matters works.
    """
    findings: list[Finding] = []
    crosses: dict[str, str] = {}
    out = screen()
    examination = _examine(options)
    while True:
        with waiting("an answer", options.notes):
            finding = next(examination, None)
        if finding is None:
            break
        findings.append(finding)
        if not options.as_json:
            same = crosses.get(finding.said)
            _show(out, finding._replace(said=f"the same as for {same}") if same else finding)
        if finding.ok is False:
            crosses.setdefault(finding.said, finding.check)
    well = all(finding.ok is not False for finding in findings)
    if options.as_json:
        options.write({"ok": well, "checks": [finding._asdict() for finding in findings]})
    sys.exit(0 if well else FAILED)


def _show(out: Console, finding: Finding) -> None:
    good, bad = "✓✗" if can_show(out.file, "✓✗") else "+x"
    mark, style = {True: (good, "green"), False: (bad, "bold red"), None: ("-", "dim")}[finding.ok]
    if not out.is_terminal:
        click.echo(f"{mark} {finding.check:11} {' '.join(finding.said.split())}")
        return
    line = Table.grid(padding=(0, 1))
    line.add_column(width=1, style=style)
    line.add_column(width=11)
    line.add_column(overflow="fold")
    line.add_row(mark, finding.check, Text(finding.said))
    out.print(line)


def _examine(options: Options) -> Iterator[Finding]:
    base_url = options.settings.get("base_url") or url_in(os.environ)
    key = _key(base_url or DEFAULT_BASE_URL)
    yield key
    if key.ok is False:
        return
    try:
        with Client(model=options.model, **{"max_retries": 0, "timeout": PATIENCE, **options.settings}) as client:
            source = "--base-url" if "base_url" in options.settings else URL_VARIABLE if base_url else "the default"
            repaired = ", repaired" if base_url and base_url != client.config.base_url else ""
            yield Finding("base URL", ok=True, said=f"{client.config.base_url} ({source}{repaired})")
            yield _tried("proxy", lambda: _proxy(client), well=None)
            yield _limits(client.config.timeout)
            yield from _calls(client)
    except ConfigurationError as error:
        yield Finding("settings", ok=False, said=error.message)


def _key(base_url: str) -> Finding:
    found = os.environ.get(KEY_VARIABLE)
    if found is None:
        return _no_key(base_url)
    try:
        key = normalize_key(found)
    except ConfigurationError as error:
        return Finding("key", ok=False, said=f"{KEY_VARIABLE}: {error.message.removeprefix('api_key: ')}")
    if key is None:
        return Finding("key", ok=False, said=f"{KEY_VARIABLE} is empty; set it to the key from the site.")
    said = f"found in {KEY_VARIABLE} ({len(key)} characters)"
    if key != found:
        said += " (space, quotes or `Bearer` around it are ignored)"
    if "-" in key.removeprefix("sk-"):
        said += "; it holds a `-`, which gateways of this family read as the wish for a fixed channel"
    return Finding("key", ok=True, said=said + ".")


def _no_key(base_url: str) -> Finding:
    try:
        url = normalize_base_url(base_url)
    except ConfigurationError:  # told by the line about the settings
        return Finding("key", None, f"{KEY_VARIABLE} is not set.")
    if is_private_host(urlsplit(url).hostname or ""):
        return Finding("key", None, f"{KEY_VARIABLE} is not set; a private host may answer without.")
    said = (
        f"{KEY_VARIABLE} is not set, and {url} is a public host, which answers nobody without a key. Set it to the "
        f"key from the site, or name a private host with --base-url."
    )
    return Finding("key", ok=False, said=said)


def _proxy(client: Client) -> str:
    proxy = proxy_for(client.config.base_url)
    return f"through {proxy}" if proxy else "none for this URL"


def _limits(timeout: Timeout) -> Finding:
    limits = {"connecting": timeout.connect, "bytes": timeout.read, "events of a stream": timeout.event}
    waits = ", ".join(f"{what} {_limit(seconds)}" for what, seconds in limits.items())
    return Finding("limits", None, f"waits at most for {waits}; in total {_limit(timeout.total)}")


def _limit(seconds: float | None) -> str:
    return "no limit" if seconds is None else f"{seconds:,.0f} s"


def _calls(client: Client) -> Iterator[Finding]:
    start = time.monotonic()
    offered: list[str] = []
    failure: XDMError | None = None
    try:
        offered = [model.id for model in client.models()]
    except ConfigurationError:
        raise
    except XDMError as error:
        failure = error
    if isinstance(failure, APIConnectionError):
        yield Finding("reachable", ok=False, said=failure.message)
        return
    yield Finding("reachable", ok=True, said=f"an answer in {_since(start)}")
    if client.config.base_url.startswith("https:"):
        yield Finding("TLS", ok=True, said="the certificate is valid")
    else:
        yield Finding("TLS", None, "plain http: nothing is encrypted on the way to this host")
    yield Finding("models", ok=False, said=failure.message) if failure else _model(client.config.model, offered)
    completes = _tried("completion", lambda: _complete(client))
    chats = _tried("chat", lambda: _chat(client))
    # Models are of one kind: that the other one fails is no failure.
    yield completes._replace(ok=completes.ok or (None if chats.ok else False))
    if completes.ok:
        yield _tried("stream", lambda: _stream(client))
    yield chats._replace(ok=chats.ok or (None if completes.ok else False))
    if chats.ok:
        yield _tried("tool call", lambda: _call_tool(client), ill=None)
        yield _tried("JSON", lambda: _json(client), ill=None)
    yield _tried("quota", lambda: str(client.quota()), ill=None)


def _tried(check: str, call: Callable[[], str], *, well: bool | None = True, ill: bool | None = False) -> Finding:
    """Return what comes of a check: `ok` is `well`, or `ill` where it fails."""
    try:
        return Finding(check, well, call())
    except ModelUnavailableError as error:
        return Finding(check, ill, f"{error.message} Name another model with --model.")
    except XDMError as error:
        return Finding(check, ill, error.message)


def _model(model: str, offered: list[str]) -> Finding:
    if model in offered:
        return Finding("model", ok=True, said=f"{model} is on the list of {len(offered)}")
    near = nearest(model, offered)
    hint = f"near to it: {', '.join(near)}" if near else "see `xdm models`"
    # Not a failure by itself: some servers answer to any name, and the completion will tell.
    return Finding("model", None, f"{model} is not on the list of {len(offered)}; {hint}")


def _chat(client: Client) -> str:
    start = time.monotonic()
    return _answered(client.chat(PROMPT, max_tokens=MAX_TOKENS), start)


def _complete(client: Client) -> str:
    start = time.monotonic()
    answer = client.complete(PROMPT, max_tokens=MAX_TOKENS)
    return _answered(answer, start) + (f", request id {answer.request_id}" if answer.request_id else "")


def _stream(client: Client) -> str:
    start = time.monotonic()
    with client.stream(PROMPT, max_tokens=MAX_TOKENS) as stream:
        first = _since(start)
        count = sum(1 for _ in stream)
        return f"{count} pieces, the first after {first}, {_counted(stream.completion.usage)}"


def _call_tool(client: Client) -> str:
    start = time.monotonic()
    choice = {"type": "function", "function": {"name": _TOOL["function"]["name"]}}
    answer = client.chat("What time is it in Paris?", tools=[_TOOL], tool_choice=choice, max_tokens=MORE_TOKENS)
    if not answer.tool_calls:
        raise XDMError("no call came, although one was demanded; this model or channel can't call tools.")
    call = answer.tool_calls[0]
    return f"{call.name}({call.arguments}) in {_since(start)}"


def _json(client: Client) -> str:
    start = time.monotonic()
    asked = 'Return a JSON object with the key "city" and a city of France.'
    answer = client.chat(asked, response_format={"type": "json_object"}, max_tokens=MORE_TOKENS)
    try:
        found = json.loads(answer.text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise XDMError("the answer is no JSON object, although one was demanded; this model or channel ignores it.")
    return f"an object in {_since(start)}"


def _answered(answer: Answer, start: float) -> str:
    return f"{_counted(answer.usage)} in {_since(start)} from {answer.model or 'an unnamed model'}"


def _counted(usage: Usage | None) -> str:
    return f"{usage.prompt_tokens} + {usage.completion_tokens} tokens" if usage else "no token counts"


def _since(start: float) -> str:
    seconds = time.monotonic() - start
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"

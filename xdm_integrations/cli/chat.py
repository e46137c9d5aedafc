"""`xdm chat`: a conversation in the terminal, or one question from a script."""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from xdm_integrations import XDMError
from xdm_integrations.client import attachments
from xdm_integrations.core.chat.messages import assistant
from xdm_integrations.core.chat.parameters import check_parameters
from xdm_integrations.core.chat.request import DEFAULT_MODEL
from xdm_integrations.core.protocol.config import KEY_VARIABLE, require_key

from .complete import totals
from .conversation import Conversation
from .images import saved
from .markdown import MarkdownScreen
from .options import Options, client_options, given
from .progress import waiting
from .screens import echo, screen
from .text import check_text, decode, encoding_option

if TYPE_CHECKING:
    from xdm_integrations import ChatCompletion, ChatStream, Client

PROMPT = "> "
HELP = """\
/system TEXT             set the system message; alone, take it away
/image PATH [QUESTION]   ask about an image, now or with the next line
/model NAME              go on with another model; alone, show which it is
/save FILE               write the conversation to a file
/load FILE               go on with the conversation of a file
/help                    show this
/exit                    end, as Ctrl-D does
Ctrl-C stops an answer, and at an empty prompt it ends the program.
A line that begins with a space is never a command."""
_PATH = re.compile(r'(?:"([^"]+)"|(\S+))\s*(.*)')


@click.command(short_help="Talk with a model.")
@click.option("--once", metavar="QUESTION", help="Ask one question, write the answer, and end.")
@click.option("--system", metavar="TEXT", help="The system message.")
@click.option(
    "--image", "images", multiple=True, metavar="PATH", help="A file or URL for the first question; may be repeated."
)
@click.option("--max-tokens", type=int, metavar="N", help="Tokens per answer, at most.")
@click.option("--temperature", type=float, metavar="T", help="0 to 2.")
@encoding_option
@client_options
def chat(
    once: str | None,
    system: str | None,
    images: tuple[str, ...],
    encoding: str | None,
    options: Options,
    **params: Any,
) -> None:
    """Talk with a model; /help lists what can be typed besides questions.

    With --once, or where standard input is no terminal (it is the question then), one question is
    answered and nothing else is written.
    """
    if once is None and not sys.stdin.isatty():
        once = decode(sys.stdin.buffer.read(), encoding, "standard input")
    if once is None and options.as_json:
        raise click.UsageError("--json is for one question: add --once, or pipe it in.")
    if once is not None and not once.strip():
        raise click.UsageError("The question is empty.")
    check_text(once or "", "--once")
    check_text(system or "", "--system")
    with options.client() as client:
        conversation = Conversation(images=[_image(path) for path in images])
        conversation.set_system(system or "")
        asked = {"model": options.model or DEFAULT_MODEL, **given(params)}
        check_parameters(asked)  # now, and not at the first question
        if not os.environ.get(KEY_VARIABLE):
            require_key(client.config.base_url, {})
        talk = _Talk(client, options, conversation, asked)
        if once is None:
            talk.run()
        elif options.as_json:
            talk.write_json(once)
        else:
            talk.ask(once)


class _Talk:
    """A conversation with what it runs on."""

    def __init__(self, client: Client, options: Options, conversation: Conversation, params: dict[str, Any]) -> None:
        self._client = client
        self._options = options
        self._conversation = conversation
        self._params = params
        self._out = screen()
        self._notes = options.notes

    def run(self) -> None:
        """Read and answer lines until the user ends it."""
        with suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - gives `input` its keys; not on every platform
        self._note("/help lists the commands, /exit ends.")
        while (line := self._read()) is not None:
            try:
                check_text(line, "The line")
                if line.startswith("/"):
                    name, _, rest = line[1:].strip().partition(" ")
                    self._command(name, rest.strip())
                elif line.strip():
                    self._turn(line.strip())
            except XDMError as error:
                self._options.tell(error)
            except click.UsageError as error:
                self._note(error.message)
            except OSError as error:
                self._note(str(error))
            except KeyboardInterrupt:
                self._note("Stopped.")

    def ask(self, text: str, *images: dict[str, Any]) -> ChatCompletion:
        """Ask, and show the answer as it comes; Ctrl-C keeps in the conversation what came until then."""
        question = self._conversation.question(text, *images)
        with waiting("the answer", self._notes):
            opened = self._client.stream_chat([*self._conversation.messages, question], **self._params)
        with opened as stream:
            try:
                self._show(stream)
            except KeyboardInterrupt:
                if stream.completion.text:
                    self._conversation.add(question, assistant(stream.completion.text))
                raise
            answer = stream.completion
        self._conversation.add(question, answer.message)
        self._options.tell_if_cut(answer.finish_reason)
        for told in saved(answer.images):
            self._note(told)
        if answer.audio:
            self._note("The answer has sound too, which --once with --json writes.")
        return answer

    def write_json(self, text: str) -> None:
        """Ask, and write one line of JSON."""
        question = self._conversation.question(text)
        with waiting("the answer", self._notes):
            answer = self._client.chat([*self._conversation.messages, question], **self._params)
        told = {"text": answer.text, "message": answer.message, "finish_reason": answer.finish_reason}
        media = given({"images": answer.images or None, "audio": answer.audio or None})
        self._options.write({**told, **media, **totals(answer)})

    def _turn(self, text: str, *images: dict[str, Any]) -> None:
        began = time.monotonic()
        answer = self.ask(text, *images)
        counted = (
            f"{answer.usage.prompt_tokens:,} + {answer.usage.completion_tokens:,} tokens, " if answer.usage else ""
        )
        self._note(f"{counted}{time.monotonic() - began:.1f} s")

    def _show(self, stream: ChatStream) -> None:
        if not self._out.is_terminal:
            echo(chunk.text + chunk.refusal for chunk in stream)
            return
        with MarkdownScreen(self._out) as shown:
            for chunk in stream:
                if chunk.reasoning:
                    shown.think()
                shown.write(chunk.text + chunk.refusal)

    def _read(self) -> str | None:
        """Return the next line, or None at the end."""
        while True:
            try:
                if self._out.is_terminal:
                    return input(PROMPT)
                click.echo(PROMPT, nl=False, err=True)  # `input` would write it among the answers
                return input()
            except EOFError:
                click.echo(err=True)
                return None
            except KeyboardInterrupt:
                click.echo(err=True)
                readline = sys.modules.get("readline")
                if readline is None or not readline.get_line_buffer():
                    raise

    def _command(self, name: str, rest: str) -> None:
        match name:
            case "exit" | "quit":
                raise click.exceptions.Exit(0)
            case "help":
                self._notes.print(HELP, markup=False)
            case "system":
                self._conversation.set_system(rest)
            case "model":
                self._params["model"] = rest or self._params["model"]
                self._note(f"Model: {self._params['model']}")
            case "image" | "save" | "load" if not rest:
                self._note(f"/{name} needs the name of a file.")
            case "image":
                quoted, plain, question = _PATH.findall(rest)[0]
                image = _image(quoted or plain)
                if question:
                    self._turn(question, image)
                else:
                    self._conversation.images.append(image)
                    self._note("The image goes with the next question.")
            case "save" | "load":
                path = Path(rest.strip('"')).expanduser()
                getattr(self._conversation, name)(path)
                self._note(f"{len(self._conversation.messages)} messages: {path}")
            case _:
                self._note(f"There is no /{name}; /help lists the commands.")

    def _note(self, text: str) -> None:
        self._notes.print(f"[dim]{escape(text)}[/]")


def _image(source: str) -> dict[str, Any]:
    """Return the image of a path or URL as a part of a message."""
    return attachments.image(os.path.expanduser(source))  # noqa: PTH111 - a Path would break a URL

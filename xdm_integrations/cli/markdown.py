"""Markdown on a terminal while it is still being written: each block as it looks once it is complete."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.live import Live
from rich.markdown import Markdown
from rich.segment import SegmentLines
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console
    from typing_extensions import Self

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def finished(text: str) -> int:
    """Return how many characters of a growing text are its first block, if nothing to come can change that; else 0.

    A block ends at a blank line that is followed by a line that isn't indented (an indented one may belong to
    the item of a list), outside of fenced code.
    """
    at = 0
    fence, blank = "", False
    for line in text.splitlines(keepends=True):
        if not fence and blank and line.strip() and not line[0].isspace():
            return at
        blank = not line.strip()
        if found := _FENCE.match(line):
            mark = found[1]
            if not fence:
                fence = mark
            elif mark.startswith(fence) and not line.strip().strip(mark[0]):
                fence = ""
        at += len(line)
    return 0


class MarkdownScreen:
    """Shows an answer: its complete blocks for good, and below them, as it comes, the one that is being written.

    Only that one is ever drawn anew, no higher than the terminal, so that long answers scroll like any text.
    """

    def __init__(self, out: Console) -> None:
        self._out = out
        self._rest = ""
        self._first = True
        self._thinks = False
        self._live = Live(console=out, transient=True, refresh_per_second=8, get_renderable=self._unfinished)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        rest, self._rest, self._thinks = self._rest, "", False
        self._live.stop()
        self._print(rest)

    def think(self) -> None:
        """Show that the model is reasoning."""
        self._thinks = True

    def write(self, text: str) -> None:
        """Take more of the answer."""
        self._rest += text.replace("\x1b", "\N{SYMBOL FOR ESCAPE}")  # an answer has no say over the terminal
        while end := finished(self._rest):
            block, self._rest = self._rest[:end], self._rest[end:]
            self._print(block)

    def _print(self, block: str) -> None:
        lines = self._out.render_lines(Markdown(block)) if block.strip() else []
        shown = [bool("".join(part.text for part in line).strip()) for line in lines]
        if any(shown):  # rich puts empty lines around some blocks and not around others
            if not self._first:
                self._out.print()
            self._first = False
            last = len(shown) - shown[::-1].index(True)
            self._out.print(SegmentLines(lines[shown.index(True) : last], new_lines=True), end="")

    def _unfinished(self) -> Text:
        if not self._rest:
            return Text("thinking" if self._thinks and self._first else "", style="dim")
        lines = Text(self._rest.rstrip("\n")).wrap(self._out, self._out.width)
        gap = "" if self._first else "\n"
        return Text(gap + "\n".join(line.plain for line in lines[-max(1, self._out.height - 3) :]))

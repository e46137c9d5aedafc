"""Reading Markdown: the code in a page, and the tables of parameters.

A block of Python is run, one page in one go, in order. `<!-- not run: why -->` above a block leaves it out;
`<!-- output -->` above a block that isn't Python says what the block before it prints ("..." stands for anything).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")})

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n+)?"
    r"(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
_ROW = re.compile(r"^\|(.+)\|\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: What is named behind the fence; "" if nothing is.
        code: The text in the fence.
        line: The number of its first line.
        mark: The text of the comment right above it; "" if there is none.
    """

    language: str
    code: str
    line: int
    mark: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        code = (
            re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE) if match["indent"] else match["code"]
        )
        found.append(Block(match["language"], code, line, match["mark"] or ""))
    return found


def command(page: Path, mark: str) -> str:
    """Return the block below `<!-- mark -->`; "" if there is none."""
    return next((block.code for block in blocks(page) if block.mark == mark), "")


def tables(page: Path) -> list[list[list[str]]]:
    """Return the tables of a page: rows of cells, without the heads."""
    found: list[list[list[str]]] = [[]]
    for line in page.read_text("utf-8").splitlines():
        row = _ROW.match(line.strip())
        if row:
            found[-1].append([cell.strip() for cell in row[1].split("|")])
        elif found[-1]:
            found.append([])
    return [table[2:] for table in found if len(table) > 2]


def names_in(cell: str) -> list[str]:
    """Return the names in backticks that a cell holds."""
    return re.findall(r"`(\w+)`", cell)


RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:to|\.\.|…|–|—|~|～|至|到|-)\s*(-?\d+(?:\.\d+)?)")  # noqa: RUF001 - dashes and tildes of prose


def range_in(text: str) -> tuple[float, float] | None:
    """Return the first range of numbers in a text, such as "-2 to 2"."""
    found = RANGE.search(text.replace("\u2212", "-"))
    return (float(found[1]), float(found[2])) if found else None

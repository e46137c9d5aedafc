"""For the pages: join the lines of Chinese paragraphs, where a browser would show a space at each line's end."""

# ruff: noqa: INP001 - a file for mkdocs, not a package

from __future__ import annotations

import re

_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n *(?=[\u4e00-\u9fff\uff00-\uffef])")
_CODE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return the page with lines joined where a Chinese character ends one and begins the next; code stays."""
    parts = _CODE.split(markdown)
    return "".join(part if part.startswith("```") else _BREAK.sub("", part) for part in parts)

"""For the pages: put the `>>>` lines of docstrings into code blocks, where Markdown would make quotes of them."""

# ruff: noqa: INP001 - a file for mkdocs, not a package

from __future__ import annotations

import re

from griffe import Extension, Object

_LINES = re.compile(r"(?:^[ ]*(?:>>>|\.\.\.)(?: .*)?\n?(?:^(?![ ]*(?:>>>|```))[ ]*\S.*\n?)*)+", re.MULTILINE)


class Doctests(Extension):
    """Rewrites each docstring once, before it is rendered."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Fence the examples of one object's docstring."""
        if obj.docstring is not None and ">>>" in obj.docstring.value:
            obj.docstring.value = _LINES.sub(_fenced, obj.docstring.value)


def _fenced(found: re.Match[str]) -> str:
    indent = re.match(" *", found[0])[0]
    return f"{indent}```pycon\n{found[0].rstrip()}\n{indent}```\n"

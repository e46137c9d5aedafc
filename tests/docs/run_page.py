"""Runs the Python blocks of a page, given as JSON in an argument; prints what each printed, as JSON.

A program of its own, so that a page starts from nothing and changes nothing here. `await` may stand at the
top level, as in a notebook.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import sys
from typing import Any


async def run(page: str, code: str, line: int, namespace: dict[str, Any]) -> str:
    """Run one block and return what it printed."""
    source = "\n" * (line - 1) + code  # so that tracebacks name the line of the page
    compiled = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        outcome = eval(compiled, namespace)  # noqa: S307 - the documentation is ours
        if inspect.iscoroutine(outcome):
            await outcome
    return printed.getvalue()


def main() -> None:
    """Run all blocks in one namespace; those without `await` outside of any event loop."""
    page, given = json.loads(sys.argv[1])
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    with asyncio.Runner() if sys.version_info >= (3, 11) else contextlib.nullcontext() as runner:
        for code, line in given:
            compiled = compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if compiled.co_flags & inspect.CO_COROUTINE:
                awaited = run(page, code, line, namespace)
                printed.append(runner.run(awaited) if runner else asyncio.run(awaited))
            else:
                step = run(page, code, line, namespace)
                try:
                    step.send(None)
                except StopIteration as stop:
                    printed.append(stop.value)
    json.dump(printed, sys.stdout)


if __name__ == "__main__":
    main()

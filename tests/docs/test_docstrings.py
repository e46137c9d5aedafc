"""Every `>>>` in the package is run against the engine, and gives what it says."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "xdm_integrations"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(
    name: str, engine: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.endswith(".embeddings"):
        engine = request.getfixturevalue("chat_engine")  # the one that has vectors
    monkeypatch.setenv("XDM_BASE_URL", engine.base_url)
    monkeypatch.setenv("XDM_API_KEY", "local")
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]
    assert tests
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_what_users_meet_first_opens_with_an_example() -> None:
    doors = {"xdm_integrations", "xdm_integrations.langchain", "xdm_integrations.llama_index"}
    rooms = {"xdm_integrations.client", "xdm_integrations.langchain.llms", "xdm_integrations.llama_index.llms"}
    for name in doors | {"xdm_integrations.client"}:
        assert ">>> " in (importlib.import_module(name).__doc__ or ""), name
    assert doors | rooms <= set(MODULES)


def unrun(docstring: str) -> Iterator[str]:
    """Find programs in a docstring, indented or not, that stand there without `>>>`, and so are never run."""
    for part in re.split(r"\n\s*\n", docstring):
        try:
            program = ast.parse(inspect.cleandoc(part))
        except SyntaxError:
            continue  # prose, a drawing, or what follows a `>>>`
        if any(isinstance(step, (ast.Import, ast.ImportFrom, ast.Assign)) for step in ast.walk(program)):
            yield part


def test_a_program_without_its_prompt_would_be_seen() -> None:
    assert list(unrun("What it is.\n\n    a = A()\n    a.b()\n"))
    assert list(unrun("What it is.\n\nfrom a import b\n\nb()"))
    assert not list(unrun("What it is.\n\n    >>> a = A()\n    >>> a.b()\n    1\n"))
    assert not list(unrun("What it is.\n\n    f(a)  -> b\n\nAnd more of it."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_program_in_a_docstring_is_left_unrun(path: Path) -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, documented):
            assert list(unrun(ast.get_docstring(node) or "")) == []

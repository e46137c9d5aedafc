"""Every `>>>` in the package is run against the engine, and gives what it says."""

from __future__ import annotations

import doctest
import importlib
from typing import Any

import pytest

from tests.docs.pages import ROOT

PACKAGE = ROOT / "xdm_integrations"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_classes_that_users_meet_first_open_with_an_example() -> None:
    assert {"xdm_integrations.client", "xdm_integrations.langchain.llms"} <= set(MODULES)

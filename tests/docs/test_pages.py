"""The documentation tells the truth: its code runs, and its tables agree with the code."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, command, tables
from xdm_integrations.core.chat.parameters import PARAMETERS as CHAT
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.programs import Programs
    from xdm_integrations.core.protocol.checks import Parameter

SECONDS = 280
RUN_PAGE = ROOT / "tests" / "docs" / "run_page.py"
TRANSLATION = re.compile(r"\.zh(-CN)?\.md$")
"""Their code is the English pages', which `test_translations` and `tests/readme` prove: it is run once."""
WITH_PYTHON = [
    page
    for page in PAGES
    if not TRANSLATION.search(page.name) and any(block.language in ("python", "py") for block in blocks(page))
]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_the_python_of_a_page_runs(
    page: Path, engine: Any, programs_of_users: Programs, request: pytest.FixtureRequest
) -> None:
    if any("embed" in block.code.lower() for block in blocks(page) if block.language == "python"):
        engine = request.getfixturevalue("engine_with_vectors")
    given: list[tuple[str, int]] = []
    outputs: dict[int, str] = {}
    for block in blocks(page):
        if block.mark.startswith("not run"):
            assert re.fullmatch(r"not run: \S.*", block.mark), f"{name(page)}:{block.line} doesn't say why it isn't run"
        elif block.language in ("python", "py"):
            given.append((block.code, block.line))
        elif block.mark == "output":
            outputs[len(given) - 1] = block.code
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDM_")}
    environment |= {"XDM_BASE_URL": engine.base_url, "XDM_API_KEY": "local"}
    environment["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "examples")))
    ran = programs_of_users.run_file(
        RUN_PAGE, json.dumps([name(page), given]), timeout=SECONDS, environment=environment
    )
    assert ran.status == 0, ran.stderr[-3000:]
    printed = json.loads(ran.stdout)
    for number, expected in outputs.items():
        assert agrees(printed[number], expected), f"{name(page)}:{given[number][1]} printed {printed[number]!r}"


def imported(block: str) -> set[str]:
    tree = compile(block, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    # LangChain's store in memory imports numpy when it compares vectors, and doesn't ask for it.
    return modules | ({"numpy"} if "InMemoryVectorStore" in block else set())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_says_what_else_to_install(page: Path) -> None:
    brought = {*sys.stdlib_module_names, "xdm_integrations", "langchain_core", "llama_index", "pydantic"}
    for block in blocks(page):
        if block.language == "python" and not block.mark.startswith("not run"):
            for module in {module.partition(".")[0] for module in imported(block.code)} - brought:
                assert f"pip install {module}" in page.read_text("utf-8"), block.line


def agrees(printed: str, expected: str) -> bool:
    """Compare line by line; "..." stands for any part of a line."""
    pairs = [text.rstrip().splitlines() for text in (printed, expected)]
    return len(pairs[0]) == len(pairs[1]) and all(
        fnmatchcase(said.rstrip(), re.sub(r"([*?[])", r"[\1]", line.rstrip()).replace("...", "*"))
        for said, line in zip(*pairs, strict=True)
    )


def test_what_is_compared_can_differ() -> None:
    assert agrees("a [1] b\nc\n", "a [1] ...\nc\n")
    assert not agrees("a\n", "b\n")
    assert not agrees("a\nb\n", "a\n")


@pytest.mark.parametrize("parameters", [COMPLETIONS, CHAT], ids=["completions", "chat"])
def test_the_ranges_that_are_stated_are_the_ranges_that_are_checked(parameters: Mapping[str, Parameter]) -> None:
    stated = 0
    for name, parameter in parameters.items():
        found = re.match(r"(-?\d+) to (-?\d+)", parameter.doc)
        if found:
            stated += 1
            assert (float(found[1]), float(found[2])) == (parameter.low, parameter.high), name
    assert stated >= 5


def test_contributors_are_told_of_every_folder_of_tests() -> None:
    named = [
        folder
        for table in tables(ROOT / "CONTRIBUTING.md")
        for row in table
        for folder in re.findall(r"`tests/(\w+)`", row[0])
    ]
    assert sorted(named) == sorted({path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")})


def test_the_reading_list_is_as_long_as_it_says() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## An hour")[2].partition("\n## ")[0]
    (said,) = re.findall(r"some ([\d,]+) lines", text)
    folder, lines = "", 0
    for name in re.findall(r"`([\w/]+\.py)`", text):
        folder = name.rpartition("/")[0] or folder  # the first of a line names it for the next ones
        path = ROOT / "xdm_integrations" / folder / name.rpartition("/")[2]
        lines += len(path.read_text("utf-8").splitlines())
    assert abs(lines - int(said.replace(",", ""))) < 200, lines


README = ROOT / "README.md"


@pytest.mark.parametrize("mark", ["quickstart command", "test command"])
def test_the_readme_has_the_commands_that_are_run_from_it(mark: str) -> None:
    """`.ci/run` takes the test command from there, word for word."""
    text = command(README, mark)
    assert "python3 -m venv" in text
    for translation in ROOT.glob("README.*.md"):
        assert command(translation, mark) == text

"""The two READMEs say the same, and every link in them and in the docs leads somewhere."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, tables
from xdm_integrations.core import errors

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def links(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [target for target in LINK.findall(text) if not target.startswith(("README", "http", "#"))]


def headings(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]


def names(page):
    """Return what stands in backticks, table by table, row by row."""
    return [[sorted(re.findall(r"`([^`]+)`", " ".join(row))) for row in table] for table in tables(page)]


@pytest.mark.parametrize("part", [headings, blocks, links, names], ids=lambda part: part.__name__)
def test_the_translation_is_in_step(part):
    if part is blocks:
        one, other = ([(b.language, b.code, b.mark) for b in blocks(page)] for page in (ENGLISH, CHINESE))
        assert one == other
    else:
        assert part(ENGLISH) == part(CHINESE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in links(page):
        assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_each_thing_that_others_lack_is_proved_by_a_test(page):
    rows = next(table for table in tables(page) if len(table[0]) == 3 and "tests/" in table[0][2])
    assert len(rows) > 10
    for row in rows:
        proofs = LINK.findall(row[2])
        assert proofs
        for proof in proofs:
            assert re.search(r"^def test_", (ROOT / proof).read_text("utf-8"), re.MULTILINE), proof


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_each_thing_that_others_lack_was_looked_for_elsewhere(page):
    rows = next(table for table in tables(page) if len(table[0]) == 3 and "tests/" in table[0][2])
    (seen,) = tables(ROOT / "benchmarks" / "elsewhere.md")
    assert len(rows) == len([row for row in seen if row[0].strip()])
    assert all(elsewhere.strip() and here.strip() for _, _, elsewhere, here in seen)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_every_error_is_in_the_table_of_errors(page):
    (table,) = (table for table in tables(page) if "`ConfigurationError`" in table[0][0])
    named = [re.findall(r"`(\w+)`", row[0])[0] for row in table]
    tree = {
        name for name in vars(errors) if name.endswith("Error") and issubclass(getattr(errors, name), errors.XDMError)
    }
    assert sorted(named) == sorted(tree - {"XDMError", "APIStatusError"})


# The examples


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_teaches(path):
    text = path.read_text("utf-8")
    assert text.startswith('"""')
    if path.stem not in {"quickstart", "served"}:  # a tour of everything, and what the examples stand on
        assert len(text.splitlines()) <= 40
        assert "\n# Output:\n# " in text
        code = text.partition("# Output:")[0]
        assert "served()" in code or "served(ANSWERS)" in code

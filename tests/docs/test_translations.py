"""Every page but the reference is there in Chinese too, and says the same: headings, code, links and names."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT, blocks
from tests.readme.test_readme import headings, links, names

PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if not path.name.endswith(".zh.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_and_its_translation_are_in_step(page):
    translation = page.with_suffix(".zh.md")
    assert headings(page) == headings(translation)
    assert [(b.language, b.code, b.mark) for b in blocks(page)] == [
        (b.language, b.code, b.mark) for b in blocks(translation)
    ]
    assert links(page) == links(translation)
    assert names(page) == names(translation)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in translation.read_text("utf-8"))


def test_no_translation_is_without_its_page():
    assert sorted(path.name.removesuffix(".zh.md") for path in (ROOT / "docs").glob("*.zh.md")) == sorted(
        page.stem for page in PAGES
    )

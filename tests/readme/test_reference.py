"""The API reference: every public name is documented, and the pages build without a warning."""

from __future__ import annotations

import html
import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT
from xdm_integrations.core.chat.parameters import PARAMETERS as CHAT
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETIONS
from xdm_integrations.core.embeddings.parameters import PARAMETERS as EMBEDDINGS

DOORS = (
    "xdm_integrations",
    "xdm_integrations.langchain",
    "xdm_integrations.llama_index",
    "xdm_integrations.client.attachments",
)
NAMES = [(door, name) for door in DOORS for name in importlib.import_module(door).__all__ if name != "__version__"]


def members(cls):
    """Return the public methods and properties that this package defines for a class."""
    for base in cls.__mro__ if inspect.isclass(cls) else ():
        if base.__module__.startswith("xdm_integrations"):
            for name, member in vars(base).items():
                if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
                    yield base, name, member


@pytest.mark.parametrize(("door", "name"), NAMES)
def test_a_public_name_has_a_docstring_and_so_have_its_members(door, name):
    public = getattr(importlib.import_module(door), name)
    assert (public.__doc__ or "").strip()
    for base, member_name, member in members(public):
        function = inspect.unwrap(getattr(member, "__func__", member))
        inherited = inspect.getdoc(getattr(base, member_name))  # a validator of pydantic is wrapped
        assert (function.__doc__ or inherited or "").strip(), f"{base.__name__}.{member_name}"


SHOWN = re.findall(
    r"^::: ([\w.]+)",
    "\n".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")),
    re.MULTILINE,
)
CLASSES = {
    name: path
    for path in sorted((ROOT / "xdm_integrations").rglob("*.py"))
    for name in re.findall(r"^class ([A-Z]\w+)", path.read_text("utf-8"), re.MULTILINE)
}


def is_shown(module, name):
    return module in SHOWN or f"{module}.{name}" in SHOWN


@pytest.mark.parametrize(("door", "name"), NAMES)
def test_every_public_name_is_in_the_reference(door, name):
    assert is_shown(getattr(importlib.import_module(door), name).__module__, name)


@pytest.mark.parametrize(("door", "name"), NAMES)
def test_every_class_that_a_signature_names_is_in_the_reference(door, name):
    """`Unpack[TurnParams]` tells a reader nothing unless the page says what that holds."""
    public = getattr(importlib.import_module(door), name)
    fields = [public] if not inspect.isclass(public) or issubclass(public, tuple) else []
    for signature in [*fields, *(getattr(member, "__func__", member) for _, _, member in members(public))]:
        annotations = getattr(signature, "__annotations__", {}).values()
        for named in re.findall(r"\b[A-Z]\w+", " ".join(map(str, annotations))):
            if named in CLASSES:
                module = ".".join(CLASSES[named].relative_to(ROOT).with_suffix("").parts)
                assert is_shown(module, named), named


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as they are published."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(  # noqa: S603 - our own pages
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "WARNING" not in built.stdout + built.stderr
    return folder


def test_the_pages_build_without_a_warning(site):
    assert "complete_batch" in (site / "reference" / "client" / "index.html").read_text("utf-8")


@pytest.mark.parametrize("table", [CHAT, COMPLETIONS, EMBEDDINGS], ids=["chat", "completions", "embeddings"])
def test_every_parameter_is_described_in_the_reference(site, table):
    text = re.sub(r"<[^>]+>", "", (site / "reference" / "client" / "index.html").read_text("utf-8"))
    for parameter in table.values():
        assert parameter.doc.replace("`", "") in html.unescape(text)


def test_no_space_stands_between_chinese_characters_where_a_line_of_the_source_ends(site):
    pages = [page.read_text("utf-8") for page in (site / "zh").glob("*/index.html")]
    paragraphs = [text for page in pages for text in re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", page, re.DOTALL)]
    assert any(re.search("[\u4e00-\u9fff]", text) for text in paragraphs)
    assert not [text for text in paragraphs if re.search("[\u3001-\u9fff\uff0c]\n[\u4e00-\u9fff]", text)]

"""The API reference: every public name is documented, and the pages build without a warning."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

DOORS = ("xdm_integrations", "xdm_integrations.langchain", "xdm_integrations.llama_index")
NAMES = [(door, name) for door in DOORS for name in importlib.import_module(door).__all__ if name != "__version__"]


def members(cls):
    """Return the public methods and properties that this package defines for a class."""
    for base in cls.__mro__:
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


def test_every_public_name_is_in_the_reference():
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    shown = re.findall(r"^::: ([\w.]+)", pages, re.MULTILINE)
    for door, name in NAMES:
        public = getattr(importlib.import_module(door), name)
        module = public.__module__
        assert module in shown or f"{module}.{name}" in shown, f"{door}.{name}"


def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("material")
    built = subprocess.run(  # noqa: S603 - our own pages
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "WARNING" not in built.stdout + built.stderr
    assert "complete_batch" in (tmp_path / "reference" / "client" / "index.html").read_text("utf-8")

"""The notebooks: executed before they were committed, and still true."""

from __future__ import annotations

import json
import os
import re

import nbformat
import pytest

from tests.docs.pages import ROOT
from tests.docs.test_pages import RUN_PAGE

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_executed_and_names_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(cell.outputs for cell in code)
    assert all(output.output_type != "error" for cell in code for output in cell.outputs)
    assert not re.search(r"/(home|root|work|tmp|Users)/|\d\d\d\d-\d\d-\d\dT", path.read_text("utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_still_prints_what_it_shows(path, engine, programs_of_users):
    """Run the cells in order, in a process of their own, `await` and all."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDM_")}
    environment = {**kept, "XDM_BASE_URL": engine.base_url}
    given = json.dumps([path.name, [[cell.source, 1] for cell in cells]])
    ran = programs_of_users.run_file(RUN_PAGE, given, timeout=280, environment=environment)
    assert ran.status == 0, ran.stderr[-3000:]
    for cell, printed in zip(cells, json.loads(ran.stdout), strict=True):
        shown = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        if "cached_tokens" not in shown:  # these depend on what was asked before
            assert printed == shown

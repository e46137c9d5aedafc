"""Every file of `examples/` is run as a user runs it, without a key, and prints what it says it prints."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from local_engine import what_is_missing

from tests.docs.pages import ROOT
from tests.docs.test_pages import agrees

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Programs

SECONDS = 280
APP = ROOT / "examples" / "documents_app.py"  # runs in a browser: tests/examples/test_app.py
EXAMPLES = sorted({*(ROOT / "examples").glob("*.py")} - {APP})
STATED = re.compile(r"^# Output:\n((?:#.*\n?)+)", re.MULTILINE)


def stated_output(path: Path) -> str | None:
    """Return what stands in the comments below `# Output:`."""
    found = STATED.search(path.read_text("utf-8"))
    return re.sub(r"^# ?", "", found[1], flags=re.MULTILINE) if found else None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_what_it_says(path: Path, programs_of_users: Programs) -> None:
    missing = what_is_missing()
    if missing and (path.stem == "quickstart" or "vectors=True" in path.read_text("utf-8")):
        pytest.skip(missing)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDM_")}
    # Dask's workers report, with a traceback, that their scheduler is gone, where it happens to close first.
    environment["DASK_LOGGING__DISTRIBUTED"] = "critical"
    ran = programs_of_users.run_file(path, timeout=SECONDS, environment=environment)
    assert ran.status == 0, ran.stderr[-3000:]
    assert "Traceback" not in ran.stderr
    expected = stated_output(path)
    if expected is not None:
        assert agrees(ran.stdout, expected), ran.stdout

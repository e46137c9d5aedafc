"""What is counted comes after a collection of garbage, which is cheap: it looks at nothing older than the file."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def nothing_left_by_others() -> None:
    """Collect what earlier tests have left, and look no more at what lasts: some hundred thousand objects."""
    gc.collect()
    gc.freeze()

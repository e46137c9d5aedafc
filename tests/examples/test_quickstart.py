"""What a person sees who runs the quickstart with a key but without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ports import where_nobody_listens

ROOT = Path(__file__).parents[2]


def test_with_a_key_and_no_network_it_ends_in_one_sentence() -> None:
    with where_nobody_listens() as url:
        ran = subprocess.run(
            [sys.executable, "examples/quickstart.py"],
            cwd=ROOT,
            env={**os.environ, "XDM_API_KEY": "a-key-that-nobody-has", "XDM_BASE_URL": f"{url}/v1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=200,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr.startswith("APIConnectionError: ")
    assert ran.stderr.count("\n") == 1
    assert "Traceback" not in ran.stdout
    assert "a-key-that-nobody-has" not in ran.stdout + ran.stderr

"""How the tests of the command line run it: inside this process, or as a user does."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from xdm_integrations.cli.commands import xdm

ROOT = Path(__file__).resolve().parents[2]
KEPT = {"PATH", "HOME", "LANG", "SYSTEMROOT"}


@pytest.fixture(autouse=True)
def quiet_afterwards():
    """`--verbose` turns the package's log on, for the length of a program; here others would run with it."""
    log = logging.getLogger("xdm_integrations")
    level = log.level
    yield
    log.setLevel(level)


@pytest.fixture
def run(server, monkeypatch):
    """Run a command against `server` inside this process."""
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    monkeypatch.setenv("COLUMNS", "80")

    def invoke(*args, **kwargs):
        return CliRunner().invoke(xdm, [str(arg) for arg in args], **kwargs)

    return invoke


def command(*args, **environment):
    """Return the arguments of a process that runs a command as a user does."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("COVERAGE_")}
    return {
        "args": [sys.executable, "-m", "xdm_integrations", *map(str, args)],
        "env": {**kept, "PYTHONUTF8": "1", **environment},
        "cwd": ROOT,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "encoding": "utf-8",
    }


def interrupted(running, how=signal.SIGINT):
    """Interrupt a command until it ends, and return what it wrote.

    Python doesn't notice a signal that comes after its last look for one and before it begins to wait, a moment
    which a test hits on a busy machine.
    """
    for _ in range(5):
        running.send_signal(how)
        try:
            return running.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            continue
    running.kill()
    raise AssertionError("the command goes on")


@pytest.fixture
def process():
    """Run a command in a process of its own, and return what it wrote."""
    return lambda *args, **environment: subprocess.run(**command(*args, **environment), timeout=60, check=False)

"""The files of users beside this one type-check: what is right passes, and every mistake in them is found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = sorted(HERE.glob("*_users.py"))
MISTAKE = re.compile(r"  # type: ignore\[[a-z-]+\] # .*$", re.MULTILINE)
UNEXCUSED = "unexcused_"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, and beside each the same with its mistakes no longer excused: checkers take seconds to start."""
    folder = tmp_path_factory.mktemp("users")
    for path in FILES:
        text = path.read_text("utf-8")
        (folder / path.name).write_text(text, "utf-8")
        (folder / (UNEXCUSED + path.name)).write_text(MISTAKE.sub("", text), "utf-8")
    config = json.loads((HERE / "pyrightconfig.json").read_text("utf-8"))
    config["extraPaths"] = [str(ROOT)]  # this checkout, wherever else the package may be installed from
    (folder / "pyrightconfig.json").write_text(json.dumps(config), "utf-8")
    return folder


def mistakes() -> set[str]:
    """Return `file:line` of every mistake, where it isn't excused."""
    return {
        f"{UNEXCUSED}{path.name}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if MISTAKE.search(line)
    }


def run(*command: str) -> str:
    ran = subprocess.run(  # noqa: S603 - the commands are ours
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.timeout(900)  # without a cache it takes 20 s, and on a busy machine ten times as long
def test_mypy_accepts_what_users_write_and_finds_each_mistake(folder: Path) -> None:
    # Without the project's own configuration, as at a user's.
    cache = str(ROOT / ".mypy_cache" / "users")
    said = run("mypy", "--config-file=", "--strict", "--cache-dir", cache, *map(str, sorted(folder.glob("*.py"))))
    found = re.findall(r"^(.+?):(\d+): error: (.*)$", said, re.MULTILINE)
    assert [error for error in found if UNEXCUSED not in error[0]] == []
    assert {f"{Path(name).name}:{line}" for name, line, _ in found} == mistakes()


def test_pyright_accepts_what_users_write_and_finds_each_mistake(folder: Path) -> None:
    report = json.loads(run("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)))
    assert report["summary"]["filesAnalyzed"] == 2 * len(FILES)
    found = [
        (Path(error["file"]).name, error["range"]["start"]["line"] + 1, error["message"])
        for error in report["generalDiagnostics"]
    ]
    assert [error for error in found if UNEXCUSED not in error[0]] == []
    assert {f"{name}:{line}" for name, line, _ in found} == mistakes()


def test_every_room_that_users_enter_is_checked() -> None:
    assert [path.name for path in FILES] == [
        "client_users.py",
        "embeddings_users.py",
        "langchain_chat_users.py",
        "langchain_users.py",
        "llama_index_users.py",
    ]
    assert len(mistakes()) > 20

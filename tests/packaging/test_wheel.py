"""What is published: built from the sdist, installed alone, imported and called without anything undeclared."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.scripted import ScriptedServer, Seen, echoing, http
from tests.wire import embeddings
from tests.wire.chat import answer

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "xdm_integrations"
# 363 kB on 2026-11-29. Some mends before, of 359, code was 218, docstrings 84, comments 15, metadata and tables 42.
# Each file has a dictionary of its own: in one archive for each folder, the same files would have 70 kB less.
MAX_SIZE = 366_000


def run(*command: str | Path, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the commands are ours
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False, **more
    )


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    made = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, cwd=ROOT)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> importlib.metadata.PackageMetadata:
    (found,) = importlib.metadata.distributions(path=[str(wheel)])
    return found.metadata


@pytest.fixture(scope="module")
def python(wheel: Path, metadata: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and what it declares, and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    assert run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=ROOT).returncode == 0
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet")
    installed = run(*pip, "--disable-pip-version-check", wheel, cwd=ROOT)
    assert installed.returncode == 0, installed.stderr
    (site,) = folder.glob("lib/python*/site-packages")
    link(declared(metadata.get_all("Requires-Dist")), site)
    return python


def link(distributions: dict[str, importlib.metadata.Distribution], folder: Path) -> None:
    """Let a folder hold what is installed here of these."""
    for distribution in distributions.values():
        for name in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(Path(str(distribution.locate_file(""))) / name)


def declared(requirements: list[str], extra: str = "") -> dict[str, importlib.metadata.Distribution]:
    """Return the required distributions, and theirs, by their names, as they are installed here."""
    todo, seen, found = [(Requirement(r), {"", extra}) for r in requirements], set(), {}
    while todo:
        requirement, extras = todo.pop()
        wanted = not requirement.marker or any(requirement.marker.evaluate({"extra": asked}) for asked in extras)
        if not wanted or str(requirement) in seen:
            continue
        seen.add(str(requirement))
        distribution = found[canonicalize_name(requirement.name)] = importlib.metadata.distribution(requirement.name)
        assert requirement.specifier.contains(distribution.version, prereleases=True)
        todo += [(Requirement(r), {"", *requirement.extras}) for r in distribution.requires or []]
    return found


def test_both_pass_twines_strict_check(dist: Path) -> None:
    checked = run(sys.executable, "-m", "twine", "check", "--strict", *sorted(dist.iterdir()), cwd=ROOT)
    assert checked.returncode == 0, checked.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert "xdm_integrations/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < MAX_SIZE
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_sdist_holds_neither_tests_nor_recordings(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2].partition("/")[0] for name in archive.getnames()}
    assert {"xdm_integrations", "pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= names
    assert not names & {"tests", "cassettes", "examples", "benchmarks", "constraints"}
    assert path.stat().st_size < MAX_SIZE


def test_the_metadata_says_what_is_needed(metadata: Any) -> None:
    requirements = [Requirement(r) for r in metadata.get_all("Requires-Dist")]
    needed = {r.name for r in requirements if r.marker is None or "extra" not in str(r.marker)}
    assert needed == {"aiohttp", "requests", "urllib3"}
    assert {"langchain", "llama-index", "local", "all"} <= set(metadata.get_all("Provides-Extra"))
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"


CALL = """
import asyncio, json, sys
import xdm_integrations
from xdm_integrations import AsyncClient, Client
after_import = sorted(sys.modules)
with Client(base_url=sys.argv[1], api_key="any") as client:
    texts = [client.complete("a").text, "".join(chunk.text for chunk in client.stream("b"))]
async def main():
    async with AsyncClient(base_url=sys.argv[1], api_key="any") as client:
        return [(await client.complete("c")).text, "".join([x.text async for x in await client.stream("d")])]
texts += asyncio.run(main())
print(json.dumps([texts, after_import, xdm_integrations.__file__, xdm_integrations.__version__]))
"""


def test_the_wheel_alone_is_imported_and_called(python: Path, metadata: Any, tmp_path: Path) -> None:
    with ScriptedServer(echoing) as server:
        ran = run(python, "-I", "-W", "error", "-c", CALL, server.url, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    texts, modules, file, version = json.loads(ran.stdout)
    assert texts == ["<a>", "<b>", "<c>", "<d>"]
    assert Path(file).is_relative_to(python.parents[1])
    assert version == metadata["Version"]
    heavy = {"requests", "urllib3", "aiohttp", "pydantic", "langchain_core", "llama_index"}
    assert not heavy & {name.partition(".")[0] for name in modules}


LANGCHAIN = """
import sys
sys.path.append(sys.argv[2])
from xdm_integrations.langchain import ChatXDM, XDMEmbeddings, XDMLLM
given = {"base_url": sys.argv[1], "api_key": "any"}
print(XDMLLM(**given).invoke("a"), ChatXDM(**given).invoke("b").content, XDMEmbeddings(**given).embed_query("c"))
print(*{name.partition(".")[0] for name in sys.modules})
"""


def anything(seen: Seen) -> list[Any]:
    """Answer any endpoint."""
    if "messages" in seen.json:
        return http(answer("hi"))
    return http(embeddings.GOOD) if "input" in seen.json else echoing(seen)


def test_langchains_extra_brings_what_its_users_need_and_nothing_else(
    python: Path, metadata: Any, tmp_path: Path
) -> None:
    requirements = metadata.get_all("Requires-Dist")
    brought = declared(requirements, "langchain")
    assert brought.keys() == {*declared(requirements), *declared(["langchain-core"])}
    link(brought, tmp_path)
    with ScriptedServer(anything) as server:
        ran = run(python, "-I", "-W", "error", "-c", LANGCHAIN, server.url, tmp_path, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    answers, modules = ran.stdout.splitlines()
    assert answers == "<a> hi [0.5, -0.5]"
    assert not {"langchain", "langgraph", "llama_index", "openai", "numpy"} & set(modules.split())


@pytest.mark.parametrize(
    ("module", "extra"),
    [("xdm_integrations.langchain", "langchain"), ("xdm_integrations.llama_index", "llama-index")],
)
def test_a_missing_extra_is_named_with_its_pip_line(python: Path, module: str, extra: str, tmp_path: Path) -> None:
    ran = run(python, "-I", "-c", f"import {module}", cwd=tmp_path)
    assert ran.returncode == 1
    last = ran.stderr.strip().splitlines()[-1]
    assert re.match(r"(ImportError|ModuleNotFoundError): ", last)
    assert f'pip install "xdm-integrations[{extra}]"' in last


def test_the_command_names_its_extra_where_it_is_missing(python: Path, metadata: Any, tmp_path: Path) -> None:
    ran = run(python.with_name("xdm"), "--help", cwd=tmp_path)
    assert ran.returncode != 0
    assert 'pip install "xdm-integrations[cli]"' in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("folder", ["tests", "cassettes", "examples"])
def test_nothing_but_the_package_can_be_imported_by_accident(python: Path, folder: str, tmp_path: Path) -> None:
    assert run(python, "-I", "-c", f"import {folder}", cwd=tmp_path).returncode == 1

"""The walls of the house, and the habits of its files."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, BaseLLM
from llama_index.core import Settings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from xdm_integrations.core.protocol.wire import Reply

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "xdm_integrations"

LONG = {
    # Files of more than 250 lines, each with the reason why it is one idea.
    "client/blocking.py": "the client, with the docstrings of every method",
    "core/errors/catalogue_rows.py": "a table: one row for each kind of failure",
    "core/errors/tree.py": "the error tree: one documented class after the other",
    "client/annotations.py": "one correspondence, in both directions: annotations to schemas, and JSON to their values",
    "client/tools.py": "one loop: what the model is told of a function, and what becomes of its calls",
    "client/streams.py": "one stream, sync and async: reading on, its end, giving the connection back",
    "client/batches.py": "the same concurrency twice, with threads and with tasks",
    "core/protocol/decoder.py": "one decoder, and what its accumulators owe",
    "core/errors/catalogue.py": "one decision, with the shapes of message that it makes",
    "core/protocol/config.py": "one value of settings, and how each of them is brought into its normal form",
    "core/protocol/results.py": "values with their documentation, and how each is read",
    "core/chat/calls_so_far.py": "one assembly: which piece belongs to which call, and what the end makes of it",
    "cli/answers.py": "one file format: how it is written, read again and resumed",
    "cli/doctor.py": "one report: a small function for each of its lines",
    "transports/blocking/transport.py": "one transport: what is sent, and the body that comes back",
    "langchain/chat_models.py": "one class: what its base class has, sync and async, and the documentation of it",
    "langchain/convert/answers.py": "one translation: chat answers as LangChain's messages, complete and in pieces",
    "langchain/llms.py": "one class: what its base class demands and what it breaks, sync and async",
    "langchain/settings.py": "one class: settings with their documentation, their checks, and what a call sends",
    "llama_index/chat.py": "one class: what its base class has, sync and async, and the documentation of it",
    "llama_index/objects.py": "one call for an object: of text and of chat, complete and streamed, sync and async",
    "llama_index/llms.py": "one class: what its base class has, sync and async, and the documentation of it",
}
PRIVATE = re.compile(r"_(?!_)\w")
PRIVATE_IN_TEXT = re.compile(r"(?:(?<!\bself)(?<!\bcls)(?<!\bsuper\(\))\.|\bimport )(_(?!_)\w+)")
FORBIDDEN_NAMES = ("utils", "util", "helpers", "helper", "common", "manager", "misc")


def tracked():
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout  # noqa: S603 - git, found above
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def texts():
    for path in tracked():
        try:
            yield path.relative_to(ROOT), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # the model


def test_the_layers_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter isn't installed")
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)  # noqa: S603 - found above
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_are_short_or_say_why_not():
    long = {
        path.relative_to(PACKAGE).as_posix(): count
        for path in PACKAGE.rglob("*.py")
        if (count := len(path.read_text("utf-8").splitlines())) > 250
    }
    assert set(long) <= set(LONG), long
    assert all(LONG.values())


def test_no_file_is_a_drawer():
    drawers = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py" and path.stem.strip("_") in FORBIDDEN_NAMES
    ]
    assert drawers == []


PATTERNS = {
    "secrets": re.compile(r"\bsk-[A-Za-z0-9]{20,}\b|\bghp_[A-Za-z0-9]{20,}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "paths of a machine": re.compile(r"(?<![\w./*-])/(?:home|Users|root|work|tmp|mnt)/[\w.-]+"),
    "registry hosts": re.compile(
        r"\b(?:[\w-]+\.)*(?:artifactory|nexus|jfrog|devpi|pypiserver)[\w-]*\.[\w.-]+", re.IGNORECASE
    ),
}
EXCUSED = {
    # What a file may hold all the same, and why.
    "tests/gateway_errors.py": ("secrets", "messages of the catalogue, whose made-up keys must be masked"),
    "tests/unit/test_catalogue.py": ("secrets", "made-up keys that must be masked"),
    "tests/client/test_observability.py": ("secrets", "a made-up key that must never be logged"),
    "tests/cli/test_commands.py": ("secrets", "a made-up key that must never be shown"),
    "tests/architecture/test_walls.py": ("secrets", "the patterns themselves"),
}


@pytest.mark.parametrize("what", PATTERNS)
def test_no_tracked_file_holds(what):
    found = [
        f"{path}: {match[0][:12]}..."
        for path, text in texts()
        if EXCUSED.get(path.as_posix(), ("",))[0] != what
        for match in PATTERNS[what].finditer(text)
    ]
    assert found == []


def test_core_reads_no_environment_clock_or_dice():
    """What import-linter can't see: builtins that do I/O."""
    calls = re.compile(r"\b(?:open|input|print|__import__|exec|eval)\(")
    found = [
        f"{path.name}: {line.strip()}"
        for path in (PACKAGE / "core").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if calls.search(line) and "re.compile" not in line and not line.strip().startswith(("#", '"'))
    ]
    assert found == []


def test_every_exception_to_a_rule_carries_its_reason():
    bare = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[^\]]*\])?)\s*$")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def of_its_own(node):
    """True for what stands before the dot in `self._x`, `cls._x` and `super()._x`."""
    return ast.unparse(node) in ("self", "cls", "super()")


def private_names_made(tree):
    """The private names that a file gives to its functions, classes, variables and the attributes of its objects."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                name = node.name
            case ast.Name(ctx=ast.Store()):
                name = node.id
            case ast.Attribute(ctx=ast.Store()) if of_its_own(node.value):
                name = node.attr
            case _:
                continue
        if PRIVATE.match(name):
            yield name


def private_names_used(tree):
    """The private names that a file asks other objects for, and its own for what it hasn't made itself.

    Also where it imports them or gives them to `getattr` and its like, and in the programs that it holds as strings.
    """
    made = set(private_names_made(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Attribute() if not (of_its_own(node.value) and node.attr in made):
                yield node.attr
            case ast.ImportFrom():
                yield from (alias.name for alias in node.names)
            case ast.Call(args=[_, ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Constant(value=str(text)):
                yield from PRIVATE_IN_TEXT.findall(text)


def test_no_test_names_a_private_attribute_of_the_package():
    """Tests see what users see, and reach transports, luck and clock by fixtures, so that the inside can be changed."""
    bases = (BaseLLM, BaseChatModel, Embeddings, FunctionCallingLLM, CustomLLM, BaseEmbedding, type(Settings), Reply)
    theirs = {name for base in bases for name in dir(base)}  # what the frameworks call, and what named tuples have
    own = {
        name for path in PACKAGE.rglob("*.py") for name in private_names_made(ast.parse(path.read_text("utf-8")))
    } - theirs
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("*.py")
        for name in own.intersection(private_names_used(ast.parse(path.read_text("utf-8"))))
    }
    assert found == set()


def test_no_class_variable_is_annotated_without_its_type():
    """Python 3.10 can't evaluate that, which Pydantic does for its models: they couldn't be imported there."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r":\s*ClassVar\s*(?:=|$)", line)
    ]
    assert found == []

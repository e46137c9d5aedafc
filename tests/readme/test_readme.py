"""The two READMEs say the same, and every link in them and in the docs leads somewhere."""

from __future__ import annotations

import inspect
import re

import pytest
from langchain_core.language_models import BaseLLM
from llama_index.core.llms import CustomLLM

from benchmarks import readme
from tests.docs.pages import PAGES, ROOT, blocks, names_in, tables
from xdm_integrations import Client, Timeout
from xdm_integrations.core.completions.parameters import PARAMETERS
from xdm_integrations.core.errors import tree as errors
from xdm_integrations.core.protocol.config import KEY_VARIABLE, URL_VARIABLE
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def links(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [target for target in LINK.findall(text) if not target.startswith(("README", "http", "#"))]


def headings(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]


def names(page):
    """Return what stands in backticks, table by table, row by row."""
    return [[sorted(re.findall(r"`([^`]+)`", " ".join(row))) for row in table] for table in tables(page)]


@pytest.mark.parametrize("part", [headings, blocks, links, names], ids=lambda part: part.__name__)
def test_the_translation_is_in_step(part):
    if part is blocks:
        one, other = ([(b.language, b.code, b.mark) for b in blocks(page)] for page in (ENGLISH, CHINESE))
        assert one == other
    else:
        assert part(ENGLISH) == part(CHINESE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in links(page):
        assert (page.parent / target.partition("#")[0]).exists(), target


def tables_of_proofs(page):
    """Return the tables of what others lack: chat and embeddings, and text completions."""
    section = next(part for part in page.read_text("utf-8").split("\n## ") if "benchmarks/elsewhere.md" in part)
    marked = [[row for row in table if row[-1] in section] for table in tables(page)]
    return [rows for rows in marked if rows and len(rows[0]) == 3 and "tests/" in rows[0][2]]


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_each_thing_that_others_lack_is_proved_by_a_test(page):
    chat, completions = tables_of_proofs(page)
    assert len(chat) > 5
    assert len(completions) > 10
    for row in chat + completions:
        proofs = LINK.findall(row[2])
        assert proofs
        for proof in proofs:
            assert re.search(r"^def test_", (ROOT / proof).read_text("utf-8"), re.MULTILINE), proof


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_each_thing_that_others_lack_was_looked_for_elsewhere(page):
    _, rows = tables_of_proofs(page)
    (seen,) = tables(ROOT / "benchmarks" / "elsewhere.md")
    assert len(rows) == len([row for row in seen if row[0].strip()])
    assert all(elsewhere.strip() and here.strip() for _, _, elsewhere, here in seen)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_every_error_is_in_the_table_of_errors(page):
    (table,) = (table for table in tables(page) if "`ConfigurationError`" in table[0][0])
    named = [re.findall(r"`(\w+)`", row[0])[0] for row in table]
    tree = {
        name for name in vars(errors) if name.endswith("Error") and issubclass(getattr(errors, name), errors.XDMError)
    }
    assert sorted(named) == sorted(tree - {"XDMError", "APIStatusError"})


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_the_figures_are_those_that_were_measured(page):
    assert readme.table(page.name) in page.read_text("utf-8").partition(readme.MARK)[2]


# The table of settings

OWNERS = (XDMLLM, XDM, Client)
FRAMEWORKS = {XDMLLM: BaseLLM, XDM: CustomLLM}
HOOKS = ("on_request", "on_response", "on_retry")
"""Settings that have a section of their own."""
FROM_ELSEWHERE = {
    "api_key": KEY_VARIABLE,
    "base_url": URL_VARIABLE,
    "api_base": URL_VARIABLE,
    "timeout": (Timeout().connect, Timeout().read),
}
"""What stands for a setting whose default is None."""
WORDS = {"": None, "yes": True, "是": True, "no": False, "否": False, "two": 2, "两次": 2}


def settings_of(cls):
    """Return the names that a class can be set to, with their defaults."""
    if cls is Client:
        of_init = inspect.signature(Client).parameters
        return {name: one.default for name, one in of_init.items() if name != "self"}
    fields = cls.model_fields.items()
    return {field.alias or name: field.get_default(call_default_factory=True) for name, field in fields}


def defaults_in(cell, cls):
    """Return the settings that a cell names, with their defaults: "`name`" or "`method(argument=)`"."""
    settings = settings_of(cls)
    found = {}
    for method, name in re.findall(r"`(?:(\w+)\()?(\w+)(?:=\))?`", cell):
        default = inspect.signature(getattr(cls, method)).parameters[name].default if method else settings[name]
        found[name] = FROM_ELSEWHERE.get(name) if default in (None, {}) else default
    return found


def stated(cell):
    """Return the default that a cell states: a value, the name of a variable, or a text that is only for people."""
    if cell in WORDS:
        return WORDS[cell]
    numbers = tuple(map(int, re.findall(r"\d+", cell)))
    return next(iter(names_in(cell) or (numbers if len(numbers) < 2 else (numbers,))), cell)


def table_of_settings(page):
    (table,) = (table for table in tables(page) if any("`api_base`" in row[2] for row in table if len(row) == 5))
    return table


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_the_table_of_settings_has_the_names_and_defaults_of_the_code(page, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    compared = 0
    for _, *cells, default in table_of_settings(page):
        for cls, cell in zip(OWNERS, cells, strict=True):
            assert bool(cell) == bool(defaults_in(cell, cls)), cell
            for name, value in defaults_in(cell, cls).items():
                if name != "limits":  # "far more than answers need"
                    compared += 1
                    assert stated(default) == value, (cls, name)
    assert compared > 30


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_the_table_of_parameters_has_the_defaults_of_the_code(page):
    (table,) = (table for table in tables(page) if any(row[0] == "`best_of`" for row in table))
    sent = {names_in(row[0])[0]: re.match(r"[`\w.-]*", row[2])[0].strip("`") for row in table}
    for cls in (XDMLLM, XDM):
        for name in PARAMETERS:
            default = settings_of(cls)[name]
            assert default is None or sent[name] == str(default), (cls, name)
    assert (sent["model"], sent["max_tokens"]) == (Client("key").config.model, str(Client("key").config.max_tokens))


@pytest.mark.parametrize("cls", OWNERS)
def test_every_setting_is_in_the_table(cls):
    column = 1 + OWNERS.index(cls)
    listed = {name for row in table_of_settings(ENGLISH) for name in defaults_in(row[column], cls)}
    inherited = set() if cls is Client else set(FRAMEWORKS[cls].model_fields)
    assert set(settings_of(cls)) - inherited - {*PARAMETERS, *HOOKS} <= listed


# The examples


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_teaches(path):
    text = path.read_text("utf-8")
    assert text.startswith('"""')
    # a tour of everything, what the examples stand on, and what runs in a browser
    if path.stem not in {"quickstart", "served", "documents_app"}:
        assert len(text.splitlines()) <= 40
        assert "\n# Output:\n# " in text
        code = text.partition("# Output:")[0]
        assert "with served(" in code

"""The two READMEs say the same, and every link in them and in the docs leads somewhere."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import pytest

from benchmarks import readme
from tests.docs.pages import PAGES, ROOT, blocks, names_in, range_in, tables
from xdm_integrations import Client, Timeout
from xdm_integrations.core.chat.parameters import PARAMETERS as CHAT
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETIONS
from xdm_integrations.core.embeddings.parameters import PARAMETERS as EMBEDDINGS
from xdm_integrations.core.errors import tree as errors
from xdm_integrations.core.protocol.config import KEY_VARIABLE, URL_VARIABLE
from xdm_integrations.langchain import XDMLLM, ChatXDM, XDMEmbeddings
from xdm_integrations.llama_index import XDM, XDMChat, XDMEmbedding

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


def seen_elsewhere():
    """Return what was seen with chat, embeddings and text completions: the cells of all situations, by their row."""
    found = []
    for table in tables(ROOT / "benchmarks" / "elsewhere.md"):
        seen, name = {}, ""
        for row, *cells in table:
            name = row.strip() or name
            seen.setdefault(name, []).extend(cells)
        found.append(seen)
    return found


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_each_thing_that_others_lack_was_looked_for_elsewhere(page):
    own_rows, rows = tables_of_proofs(page)
    chat, embeddings, completions = seen_elsewhere()
    own = [name for name in {**chat, **embeddings} if name not in completions]
    assert len(own_rows) == len(own)
    assert len(rows) == len(completions)
    assert all(cell.strip() for table in (chat, embeddings, completions) for cells in table.values() for cell in cells)
    for name, (_, elsewhere, _) in zip(own, own_rows, strict=True):
        seen = " ".join(chat.get(name, []) + embeddings.get(name, []))
        said = LINK.sub("", elsewhere)
        for quoted in re.findall(r"`([^`]+)`", said):
            assert quoted in seen, (name, quoted)
        for number in re.findall(r"\d+", said):
            assert re.search(rf"\b{number}\b", seen), (name, number)


def registered():
    """Return the endpoint, row and words of every situation, without the packages that they are put before."""
    program = """if True:
        import json, sys
        from unittest.mock import MagicMock

        for name in ("chat", "completions", "embeddings"):
            sys.modules[f"benchmarks.contenders.{name}"] = MagicMock()
        from benchmarks.situations import CONTENDERS, SITUATIONS

        print(json.dumps([*CONTENDERS]))
        print(json.dumps([(situation.endpoint, situation.row, situation.what) for situation in SITUATIONS]))
    """
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - it is ours
    endpoints, situations = map(json.loads, done.stdout.splitlines())
    return endpoints, [tuple(situation) for situation in situations]


def without_count(situation):
    """Leave out how many shapes there are: what was seen of fewer stays true while tests get more."""
    endpoint, row, what = situation
    return endpoint, row, re.sub(r"^\d+ ", "", what) if row == "Shapes of answers" else what


def test_the_tables_of_make_compare_have_each_situation_in_its_place():
    endpoints, situations = registered()
    written = []
    for endpoint, table in zip(endpoints, tables(ROOT / "benchmarks" / "elsewhere.md"), strict=True):
        row = ""
        for name, what, *_ in table:
            row = name or row
            written.append((endpoint, row, what))
    assert [*map(without_count, written)] == [*map(without_count, situations)]


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


# The table of parameters

EMBEDDINGS_FOR, CHAT_FOR, TEXT_FOR = {"embeddings", "向量"}, {"chat", "对话"}, {"text", "补全"}
ENDPOINTS = (
    (CHAT_FOR, CHAT, {"messages", "stream"}, (ChatXDM, XDMChat)),
    (EMBEDDINGS_FOR, EMBEDDINGS, {"input"}, (XDMEmbeddings, XDMEmbedding)),
    (TEXT_FOR, COMPLETIONS, {"prompt", "stream"}, (XDMLLM, XDM)),
)


def table_of_parameters(page):
    (table,) = (table for table in tables(page) if any(row[0] == "`best_of`" for row in table))
    return table


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["chat", "embeddings", "text"])
def test_the_table_of_parameters_has_the_names_and_ranges_of_the_code(page, endpoint):
    words, parameters, content, _ = endpoint
    rows = [row for row in table_of_parameters(page) if words & set(re.split("[, 、]+", row[2]))]
    assert {name for row in rows for name in names_in(row[0])} == set(parameters) | content
    for names, values, *_ in rows:
        stated = range_in(values)
        for name in names_in(names):
            known = parameters.get(name)
            if stated is not None and known is not None:
                assert stated == (known.low, known.high), name


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["chat", "embeddings", "text"])
def test_the_table_of_parameters_has_the_defaults_of_the_code(page, endpoint):
    _, parameters, _, classes = endpoint
    defaults = {name: row[3] for row in table_of_parameters(page) for name in names_in(row[0])}
    for cls in classes:
        settings = settings_of(cls)
        for name in parameters:
            default = settings.get("model_name" if (cls, name) == (XDMEmbedding, "model") else name)
            assert default is None or re.search(rf"(?<![\w.-]){re.escape(str(default))}(?![\w.-])", defaults[name]), (
                name
            )


# The table of settings

OWNERS = ((XDMLLM, ChatXDM, XDMEmbeddings), (XDM, XDMChat, XDMEmbedding), (Client,))
KINDS = {XDMLLM: TEXT_FOR, ChatXDM: CHAT_FOR, XDMEmbeddings: EMBEDDINGS_FOR}
KINDS |= dict(zip((XDM, XDMChat, XDMEmbedding), KINDS.values(), strict=True))
HOOKS = ("on_request", "on_response", "on_retry")
"""Settings that have a section of their own."""
FROM_ELSEWHERE = {
    "api_key": KEY_VARIABLE,
    "base_url": URL_VARIABLE,
    "api_base": URL_VARIABLE,
    "timeout": f"{Timeout().connect:.0f} {Timeout().read:.0f}",
}
"""What stands for a setting whose default is None."""
WORDS = {True: ("yes", "是"), False: ("no", "否"), 2: ("two", "两次")}
CELL = re.compile(r"((?:`[^`]+`(?:, |、)?)+)(?: ?[(（]([^)）]*)[)）])?")  # noqa: RUF001 - Chinese brackets
"""Names, and the kinds of classes that alone have them: "`a`, `b` (chat, text)"."""


def settings_of(cls):
    """Return the names that a class can be set to, with their defaults."""
    if cls is Client:
        of_init = inspect.signature(Client).parameters
        return {name: one.default for name, one in of_init.items() if name != "self"}
    fields = cls.model_fields.items()
    return {field.alias or name: field.get_default(call_default_factory=True) for name, field in fields}


def named_in(cell, cls):
    """Return the settings of a class that a cell names, with their defaults: "`name`" or "`method(argument=)`"."""
    found = {}
    for names, kinds in CELL.findall(cell):
        if kinds and not KINDS[cls] & set(re.split("[, 、]+", kinds)):
            continue
        for method, name in re.findall(r"`(?:(\w+)\()?(\w+)(?:=\))?`", names):
            of = inspect.signature(getattr(cls, method)).parameters[name].default if method else settings_of(cls)[name]
            found[f"{method}({name})" if method else name] = FROM_ELSEWHERE.get(name) if of in (None, {}) else of
    return found


def states(cell, default):
    """Whether a cell states a default; what is none by itself may be described in words."""
    if default in (None, ""):
        return not re.fullmatch(r"[\d ]+", cell)
    words = WORDS.get(default, ()) if isinstance(default, (bool, int)) else ()
    numbers = " ".join(re.findall(r"\d+", cell))
    return cell in words or str(default) in numbers.split() or str(default) == numbers or f"`{default}`" in cell


def table_of_settings(page):
    (table,) = (table for table in tables(page) if any("`api_base`" in row[2] for row in table if len(row) == 5))
    return table


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_the_table_of_settings_has_the_names_and_defaults_of_the_code(page, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    compared = 0
    for _, *cells, default in table_of_settings(page):
        for classes, cell in zip(OWNERS, cells, strict=True):
            assert bool(cell) == any(named_in(cell, cls) for cls in classes), cell
            for cls in classes:
                for name, value in named_in(cell, cls).items():
                    if name != "limits":  # "far more than answers need"
                        compared += 1
                        assert states(default, value), (cls, name)
    assert compared > 80


@pytest.mark.parametrize(
    ("column", "cls"), [(column, cls) for column, classes in enumerate(OWNERS, 1) for cls in classes]
)
def test_every_setting_of_a_class_is_in_the_tables(column, cls):
    listed = {name for row in table_of_settings(ENGLISH) for name in named_in(row[column], cls)}
    package = cls.__module__.partition(".")[0]
    inherited = {
        name
        for base in cls.__mro__
        if base is not cls and not base.__module__.startswith(package)
        for name in getattr(base, "model_fields", {})
    }
    parameters = {name for _, known, _, _ in ENDPOINTS for name in known}
    assert set(settings_of(cls)) - inherited - {*parameters, *HOOKS} <= listed


def test_what_is_compared_with_the_defaults_can_differ():
    assert states("8; in chat no limit", 8)
    assert states("10 to connect, 300 of silence", "10 300")
    assert not states("8", None)
    assert not states("no", True)
    assert not states("20 prompts", 2)


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_package_is_installed_from_where_it_is(page):
    """It is on no index yet: it comes from a checkout or a wheel, with extras that there are."""
    text, project = page.read_text("utf-8"), (ROOT / "pyproject.toml").read_text("utf-8")
    extras = re.findall(r"^([\w-]+) = \[", project.partition("[project.optional-dependencies]")[2], re.MULTILINE)
    assert set(re.findall(r"pip install [^\n`]*\.\[([\w-]+)\]", text)) <= set(extras)
    assert not re.search(r"pip install (-q )?['\"]?xdm.integrations", text)
    if page in (ENGLISH, CHINESE):
        assert 'pip install ".[langchain]"' in text
        assert "python -m build" in text

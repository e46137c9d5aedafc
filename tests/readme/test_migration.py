"""The page about migration: before and after run side by side, and the tables of arguments are true."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from tests.docs.pages import ROOT, blocks, tables
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM

PAGE = ROOT / "docs" / "migration.md"
PAIRS = {"langchain": ("langchain_openai", XDMLLM), "llama_index": ("llama_index.llms.openai_like", XDM)}
CODE = [block.code for block in blocks(PAGE) if block.language == "python"]
TABLES = [table for table in tables(PAGE) if len(table[0]) == 2]


def pair(framework):
    """Return the two blocks of a framework, and run neither where the old package isn't installed."""
    pytest.importorskip(PAIRS[framework][0])
    at = 0 if framework == "langchain" else 2
    return CODE[at], CODE[at + 1]


def run(code):
    namespace = {}
    exec(compile(code, str(PAGE), "exec"), namespace)  # noqa: S102 - our own page
    return namespace


@pytest.mark.parametrize("framework", PAIRS)
@pytest.mark.filterwarnings("ignore")  # the other packages' own
def test_before_and_after_give_the_same_answer(framework, engine, monkeypatch):
    before, after = pair(framework)
    monkeypatch.setenv("XDM_BASE_URL", engine.base_url)
    monkeypatch.setenv("XDM_API_KEY", "local")
    assert run(before)["answer"] == run(after)["answer"] == " Paris."


@pytest.mark.parametrize("framework", PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_before_and_after_ask_the_same_question(framework, server, monkeypatch):
    before, after = pair(framework)
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    monkeypatch.setenv("XDM_API_KEY", "local")
    for code in (before, after):
        run(code)
    old, new = (json.loads(seen.body) for seen in server.requests)
    first = old["prompt"][0] if isinstance(old["prompt"], list) else old["prompt"]
    assert (first, old["model"], old["temperature"]) == (new["prompt"], new["model"], new["temperature"])
    assert {seen.path for seen in server.requests} == {"/v1/completions"}
    assert set(new) == {"prompt", "model", "temperature", "max_tokens"}
    assert new["max_tokens"] == 256


@pytest.mark.parametrize("framework", PAIRS)
def test_no_more_than_the_import_and_the_name_change(framework):
    at = 0 if framework == "langchain" else 2
    changed = [
        (old, new) for old, new in zip(CODE[at].splitlines(), CODE[at + 1].splitlines(), strict=True) if old != new
    ]
    assert len(changed) == 2
    assert changed[0][0].startswith("from ")
    assert re.sub(r"\w+\(", "(", changed[1][0], count=1) == re.sub(r"\w+\(", "(", changed[1][1], count=1)


def rows(framework):
    table = TABLES[0] if framework == "langchain" else TABLES[1]
    return [(re.findall(r"`(\w+)`", old), re.findall(r"`(\w+)`", new), new) for old, new in table]


def known(cls):
    fields = cls.model_fields
    return {*fields, *(field.alias for field in fields.values() if field.alias)}


@pytest.mark.parametrize("framework", PAIRS)
def test_the_arguments_that_are_the_same_exist(framework):
    cls = PAIRS[framework][1]
    same = {name for old, _, new in rows(framework) if "the same" in new for name in old} - {"model_name"}
    assert len(same) > 10
    assert same <= known(cls)


@pytest.mark.parametrize("framework", PAIRS)
def test_the_arguments_that_are_new_exist_and_the_old_ones_are_refused(framework):
    cls = PAIRS[framework][1]
    for old, new, text in rows(framework):
        if "the same" in text or not old:
            continue
        assert {name for name in new if not name.startswith(("XDM", "HTTPS"))} <= known(cls)
        for name in set(old) - known(cls):
            with pytest.raises(ValueError, match=name):
                cls(**{name: "x"})


@pytest.mark.parametrize("framework", PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_the_old_arguments_were_arguments(framework):
    module = pytest.importorskip(PAIRS[framework][0])
    cls = module.OpenAI if framework == "langchain" else module.OpenAILike
    accepted = known(cls) | set(inspect.signature(cls.__init__).parameters) | {"max_tokens"}
    for old, _, _ in rows(framework):
        assert set(old) <= accepted

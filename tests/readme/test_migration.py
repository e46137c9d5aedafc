"""The page about migration: before and after run side by side, and the tables of arguments are true."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from typing import Any, NamedTuple

import pytest

from tests.docs.pages import ROOT, blocks, tables
from tests.scripted import USAGE, http
from tests.vectors import embedding, vector_of
from xdm_integrations.langchain import XDMLLM, ChatXDM, XDMEmbeddings
from xdm_integrations.llama_index import XDMChat

PAGE = ROOT / "docs" / "migration.md"
CODE = [block.code for block in blocks(PAGE) if block.language == "python"]
TABLES = [table for table in tables(PAGE) if len(table[0]) == 2]
CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


class Move(NamedTuple):
    """One section: the class before and after, its number on the page, the endpoint, and what is answered."""

    module: str
    before: str
    after: type[Any]
    number: int
    path: str
    answer: Any


VECTOR = vector_of("What is the capital of France?")
MOVES = [
    Move("langchain_openai", "ChatOpenAI", ChatXDM, 0, CHAT, "The capital of France is Paris."),
    Move("langchain_deepseek", "ChatDeepSeek", ChatXDM, 1, CHAT, "The capital of France is Paris."),
    Move("langchain_openai", "OpenAIEmbeddings", XDMEmbeddings, 2, EMBEDDINGS, VECTOR),
    Move("llama_index.llms.openai_like", "OpenAILike", XDMChat, 3, CHAT, "The capital of France is Paris."),
    Move("langchain_openai", "OpenAI", XDMLLM, 4, COMPLETIONS, " Paris."),
]
NO_LONGER = re.compile(", (is_chat_model=True|check_embedding_ctx_length=False)")
"""Arguments that the class itself answers now."""
each_move = pytest.mark.parametrize("move", MOVES, ids=lambda move: move.before)
pytestmark = pytest.mark.filterwarnings("ignore")  # the other packages' own


def pair(move):
    """Return the two blocks of a section, and run neither where the old package isn't installed."""
    pytest.importorskip(move.module)
    return CODE[2 * move.number], CODE[2 * move.number + 1]


def run(code):
    namespace = {}
    exec(compile(code, str(PAGE), "exec"), namespace)  # noqa: S102 - our own page
    return namespace


@each_move
def test_before_and_after_give_the_same_answer(move, engine, server, monkeypatch):
    before, after = pair(move)
    server.script = embedding
    monkeypatch.setenv("XDM_BASE_URL", server.url if move.answer is VECTOR else engine.base_url)
    monkeypatch.setenv("XDM_API_KEY", "local")
    assert run(before)["answer"] == run(after)["answer"] == move.answer


@each_move
def test_before_and_after_ask_the_same_question(move, server, monkeypatch):
    choice = {"index": 0, "text": "yes", "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
    answer = {"id": "1", "object": "any", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
    server.script = lambda seen: embedding(seen) if move.path == EMBEDDINGS else http(answer)
    before, after = pair(move)
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    monkeypatch.setenv("XDM_API_KEY", "local")
    for code in (before, after):
        run(code)
    old, new = (json.loads(seen.body) for seen in server.requests)
    for body in (old, new):
        text = body.pop("prompt", body.pop("input", None))
        body["asked"] = body.pop("messages", text[0] if isinstance(text, list) else text)
    same = {"asked", "model", "temperature"} & set(new)
    assert {name: old[name] for name in same} == {name: new[name] for name in same}
    assert {seen.path for seen in server.requests} == {move.path}
    assert set(new) - {"max_tokens", "encoding_format"} == same


@each_move
def test_no_more_than_the_import_and_the_name_change(move):
    before, after = CODE[2 * move.number], CODE[2 * move.number + 1]
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert len(changed) == 2
    assert changed[0][0].startswith("from ")
    old, new = (re.sub(r"\w+\(", "(", NO_LONGER.sub("", line), count=1) for line in changed[1])
    assert old == new


def rows(move):
    return [(re.findall(r"`(\w+)", old), re.findall(r"`(\w+)", new), new) for old, new in TABLES[move.number]]


def known(cls):
    fields = cls.model_fields
    return {*fields, *(field.alias for field in fields.values() if field.alias)}


@each_move
def test_the_arguments_that_are_the_same_exist(move):
    same = {name for old, _, new in rows(move) if "the same" in new for name in old} - {"model_name"}
    assert len(same) >= 5
    assert same <= known(move.after)


@each_move
def test_the_arguments_that_are_new_exist_and_the_old_ones_are_refused(move):
    for old, new, text in rows(move):
        if "the same" in text:
            continue
        named = {name for name in new if not name.startswith("XDM") and name != "HTTPS_PROXY"}
        assert named <= known(move.after)
        for name in set(old) - known(move.after):
            with pytest.raises(ValueError, match=name):
                move.after(**{name: "x"})


@each_move
def test_the_old_arguments_were_arguments(move):
    cls = getattr(pytest.importorskip(move.module), move.before)
    accepted = known(cls) | set(inspect.signature(cls.__init__).parameters) | {"max_tokens"}
    for old, _, _ in rows(move):
        assert set(old) <= accepted


def test_the_classes_that_are_named_exist():
    (table,) = (table for table in tables(PAGE) if len(table[0]) == 3)
    named = {name for row in table for name in re.findall(r"\w*XDM\w*", row[1])}
    doors = [importlib.import_module(f"xdm_integrations.{door}") for door in ("langchain", "llama_index")]
    assert len(named) >= 3
    assert all(any(hasattr(door, name) for door in doors) for name in named)

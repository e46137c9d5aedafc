"""Calls of tools: how they are assembled out of deltas of every kind, and how tools are bound."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableBinding
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tests.langchain.test_chat_answers import summed
from tests.scripted import DONE, stream
from tests.wire.chat import HEAD, delta, talking, tool_call, tool_delta
from xdm_integrations import ConfigurationError


def call(index=0, call_id=None, name=None, arguments=None, **more):
    """Return an entry of `tool_calls` with what is given; ... leaves the index out."""
    entry = {"index": index} if index is not ... else {}
    if call_id is not None:
        entry["id"] = call_id
    function = {} if name is None else {"name": name}
    if arguments is not None:
        function["arguments"] = arguments
    return {**entry, "function": function, **more}


F, G = ("f", {"a": 1}), ("g", {"b": 2})
END = delta(finish="tool_calls")


def frames(*entries, finish=END):
    return [delta(tool_calls=[entry]) for entry in entries] + [finish]


SHAPES: list[tuple[str, list[Any], list[Any]]] = [
    ("as documented", frames(call(0, "1", "f", ""), call(0, None, None, '{"a"'), call(0, None, None, ": 1}")), [F]),
    (
        "two",
        frames(
            call(0, "1", "f", '{"a"'),
            call(0, None, None, ": 1}"),
            call(1, "2", "g", '{"b"'),
            call(1, None, None, ": 2}"),
        ),
        [F, G],
    ),
    ("no index", frames(call(..., "1", "f", '{"a"'), call(..., None, None, ": 1}")), [F]),
    ("index null", frames(call(None, "1", "f", '{"a"'), call(None, None, None, ": 1}")), [F]),
    ("index as text", frames(call("0", "1", "f", '{"a"'), call("0", None, None, ": 1}")), [F]),
    ("id and name each time", frames(call(0, "1", "f", '{"a"'), call(0, "1", "f", ": 1"), call(0, "1", "f", "}")), [F]),
    ("id and name empty later", frames(call(0, "1", "f", '{"a"'), call(0, "", "", ": 1}")), [F]),
    ("the name in pieces", frames(call(0, "1", "get_", ""), call(0, None, "it", '{"a": 1}')), [("get_it", {"a": 1})]),
    ("arguments as an object", frames(call(0, "1", "f", {"a": 1})), [F]),
    ("all numbered 0", frames(call(0, "1", "f", '{"a": 1}'), call(0, "2", "g", '{"b": 2}')), [F, G]),
    (
        "all numbered 0, in pieces",
        frames(
            call(0, "1", "f", '{"a"'),
            call(0, None, None, ": 1}"),
            call(0, "2", "g", '{"b"'),
            call(0, None, None, ": 2}"),
        ),
        [F, G],
    ),
    (
        "interleaved",
        frames(
            call(0, "1", "f", '{"a"'),
            call(1, "2", "g", '{"b"'),
            call(0, None, None, ": 1}"),
            call(1, None, None, ": 2}"),
        ),
        [F, G],
    ),
    (
        "several at once",
        [delta(tool_calls=[call(0, "1", "f", '{"a": 1}'), call(1, "2", "g", '{"b": 2}')]), END],
        [F, G],
    ),
    ("gaps", frames(call(3, "1", "f", '{"a": 1}'), call(7, "2", "g", '{"b": 2}')), [F, G]),
    ("beside text", [delta("x", tool_calls=[call(0, "1", "f", '{"a": 1}')]), END], [F]),
    ("on the finish", [delta(tool_calls=[call(0, "1", "f", '{"a": 1}')], finish="tool_calls")], [F]),
    (
        "as a message",
        [{**HEAD, "choices": [{"message": {"tool_calls": [tool_call("f", {"a": 1})]}, "finish_reason": "tool_calls"}]}],
        [F],
    ),
    ("no id", frames(call(0, None, "f", '{"a"'), call(0, None, None, ": 1}")), [F]),
    ("a late id", frames(call(0, None, "f", '{"a"'), call(0, "1", None, ": 1}")), [F]),
    ("a late name", frames(call(0, "1", None, ""), call(0, None, "f", '{"a": 1}')), [F]),
    (
        "a name at the end",
        frames(
            call(0, "1", None, '{"a"'), call(0, None, None, ": 1}"), call(0, None, "f"), call(1, "2", "g", '{"b": 2}')
        ),
        [F, G],
    ),
    ("function null", frames(call(0, "1", "f", '{"a": 1}'), {"index": 0, "function": None}), [F]),
    ("no arguments", frames(call(0, "1", "f", "")), [("f", {})]),
    ("arguments null, in pieces", frames(call(0, "1", "f", "nu"), call(0, None, None, "ll")), [("f", {})]),
    ("arguments missing", frames(call(0, "1", "f")), [("f", {})]),
    (
        "of the old kind",
        [delta(function_call={"name": "f", "arguments": '{"a": 1}'}), delta(finish="function_call")],
        [F],
    ),
    ("ending with stop", frames(call(0, "1", "f", '{"a": 1}'), finish=delta(finish="stop")), [F]),
]


@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize(("events", "expected"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_deltas_of_every_shape_become_calls(world, server, events, expected, version):
    server.script = [stream(*events, DONE)]
    chunks = world.stream(world.chat(server, output_version=version), "x")
    total = summed(chunks)
    assert [(one["name"], one["args"]) for one in total.tool_calls] == expected
    assert total.invalid_tool_calls == []
    ids = [one["id"] for one in total.tool_calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    deltas = [one for chunk in chunks for one in chunk.tool_call_chunks]
    assert [one["id"] for one in deltas if one["id"]] == ids
    assert {one["index"] for one in deltas} == set(range(len(ids)))
    assert all(not chunk.tool_call_chunks or not chunk.text for chunk in chunks)
    blocks = [block for block in total.content_blocks if block["type"] == "tool_call"]
    assert [(block["name"], block["args"], block["id"]) for block in blocks] == [
        (*pair, call_id) for pair, call_id in zip(expected, ids, strict=True)
    ]


@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize(
    "arguments", ["", '{"a', '{"amount": 1', '{"a": {"b": "c', '{"a": [1, 2', '{"a": "x"', '{"a": tr']
)
def test_half_a_call_is_never_a_call(world, server, arguments, version):
    events = [tool_delta("", name="pay", call_id="1"), tool_delta(arguments), delta(finish="length"), DONE]
    server.script = [stream(*events)]
    total = summed(world.stream(world.chat(server, output_version=version), "x"))
    assert total.tool_calls == []
    (broken,) = total.invalid_tool_calls
    assert (broken["name"], broken["id"]) == ("pay", "1")
    assert broken["args"].startswith(arguments)
    assert [block for block in total.content_blocks if block["type"] == "tool_call"] == []


# Binding


@tool
def add(a: int, b: int) -> int:
    """Add numbers."""
    return a + b


def plain(a: int, b: int = 2) -> int:
    """Add numbers.

    Args:
        a: The first.
        b: The second.
    """
    return a + b


class Add(BaseModel):
    """Add numbers."""

    a: int = Field(description="The first")


class AddDict(TypedDict):
    """Add numbers."""

    a: int


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (add, "add"),
        (plain, "plain"),
        (Add, "Add"),
        (AddDict, "AddDict"),
        ({"type": "function", "function": {"name": "add", "parameters": SCHEMA}}, "add"),
        ({"name": "add", "description": "Add.", "parameters": SCHEMA}, "add"),
        ({"name": "add", "description": "Add.", "input_schema": SCHEMA}, "add"),
        ({"title": "add", "description": "Add.", **SCHEMA}, "add"),
    ],
)
def test_tools_of_every_form_are_described(world, server, given, name):
    server.script = talking("hi")
    bound = world.chat(server).bind_tools([given])
    assert isinstance(bound, RunnableBinding)
    world.invoke(bound, "x")
    (sent,) = server.requests[0].json["tools"]
    assert sent["type"] == "function"
    assert sent["function"]["name"] == name
    assert "a" in sent["function"]["parameters"]["properties"]
    assert "tool_choice" not in server.requests[0].json


@pytest.mark.parametrize(
    "own", [{"type": "web_search", "web_search": {"enable": True}}, {"type": "custom", "custom": {"name": "sql"}}]
)
def test_tools_of_a_providers_own_kind_are_passed_on(world, server, own):
    server.script = talking("hi")
    world.invoke(world.chat(server).bind_tools([own, add], tool_choice="add"), "x")
    body = server.requests[0].json
    assert body["tools"][0] == own
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}


class Nameless:
    def __call__(self, a):
        return a


@pytest.mark.parametrize("thing", [{"a": 1}, "add", 5, None, Nameless()])
def test_what_can_not_be_described_is_refused(world, server, thing):
    with pytest.raises(ConfigurationError, match="can't be described"):
        world.chat(server).bind_tools([thing])


NAMED = {"type": "function", "function": {"name": "add"}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("any", "required"),
        ("required", "required"),
        (True, "required"),
        ("add", NAMED),
        (NAMED, NAMED),
        ({"type": "tool", "name": "add"}, NAMED),
        ({"type": "any"}, "required"),
        (None, None),
        (False, None),
    ],
)
def test_tool_choice_comes_in_every_form(world, server, choice, sent):
    server.script = talking("hi")
    world.invoke(world.chat(server).bind_tools([add], tool_choice=choice), "x")
    assert server.requests[0].json.get("tool_choice") == sent


def test_a_choice_that_names_no_tool_is_refused_here(world, server):
    with pytest.raises(ConfigurationError, match="there is no tool 'sub'; the tools are add"):
        world.chat(server).bind_tools([add], tool_choice="sub")


def test_strict_and_every_other_keyword_are_bound(world, server):
    server.script = talking("hi")
    more = {"parallel_tool_calls": False, "response_format": {"type": "json_object"}, "temperature": 0.5}
    world.invoke(world.chat(server).bind_tools([add], strict=True, **more), "x")
    body = server.requests[0].json
    assert {name: body[name] for name in more} == more
    assert body["tools"][0]["function"]["strict"] is True
    assert body["tools"][0]["function"]["parameters"]["additionalProperties"] is False

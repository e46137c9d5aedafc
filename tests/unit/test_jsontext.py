"""JSON with orjson and without it: the same values, the same refusals."""

from __future__ import annotations

import importlib
import json
import math
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from uuid import UUID

import pytest

import xdm_integrations.core.jsontext as module


@pytest.fixture(params=["orjson", "json"])
def text(request, monkeypatch):
    if request.param == "json":
        monkeypatch.setitem(sys.modules, "orjson", None)  # an import of it fails
    fresh = importlib.util.module_from_spec(module.__spec__)
    module.__spec__.loader.exec_module(fresh)
    assert isinstance(fresh.loads(b"1" * 30), int) == (request.param == "json")  # what they differ in
    return fresh


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        (b"  1  ", 1),
        ("\ufeff{}".encode(), {}),
        ('"你好🦉"'.encode(), "你好🦉"),
        (b'"a\xffb"', "a\ufffdb"),
        (b'"\\ud83e\\udd89"', "🦉"),
        (b'"\\ud83e"', "\ud83e"),
        (b"[-Infinity]", [-math.inf]),
        (b"1e999", math.inf),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"9223372036854775807", 2**63 - 1),
    ],
)
def test_loads(text, data, value):
    assert text.loads(data) == value


def test_loads_nan(text):
    assert math.isnan(text.loads(b"NaN"))


@pytest.mark.parametrize(
    "data", [b"", b" ", b"{", b"[1,]", b"{'a': 1}", b"nope", b'"a', b"\xff", b"1" * 5000 + b"x", b"1" * 5000]
)
def test_loads_refuses(text, data):
    with pytest.raises(ValueError, match=r".*"):
        text.loads(data)


def test_loads_of_what_is_nested_too_deep(text):
    with pytest.raises((ValueError, RecursionError)):
        text.loads(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "你好,", "n": 1, "temperature": 0.5, "stop": ["\n"], "null": None},
        {"prompt": "null null", "x": None},
        {"prompt": "\ud83e", "x": None},
        {"seed": 2**70},
        [],
        "text",
    ],
)
def test_dumps(text, value):
    data = text.dumps(value)
    assert json.loads(data) == value


def test_dumps_is_utf8(text):
    assert "你好".encode() in text.dumps({"prompt": "你好"})


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}, {"s": "null", "a": math.nan}])
def test_dumps_refuses_what_is_no_number(text, value):
    with pytest.raises(ValueError, match="JSON"):
        text.dumps(value)


@dataclass
class Point:
    x: int = 1


@pytest.mark.parametrize(
    "value", [object(), {"a": {1, 2}}, b"bytes", Point(), {"at": datetime(2026, 1, 1, tzinfo=timezone.utc), "a": None}]
)
def test_dumps_refuses_other_types(text, value):
    with pytest.raises(TypeError):
        text.dumps(value)


def test_a_null_in_the_text_changes_nothing(text):
    """Where a type is only known to orjson, it is taken with the word and without it."""

    def outcome(value):
        try:
            return text.dumps(value)
        except TypeError:
            return None

    known = outcome({"id": UUID(int=1)}) is not None
    assert (outcome({"id": UUID(int=1), "a": None, "b": "null"}) is not None) == known

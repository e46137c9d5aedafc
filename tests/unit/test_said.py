"""What can't be written down as JSON says nothing, and never raises."""

from __future__ import annotations

import math

import pytest

from xdm_integrations.core.said import dump, read_payload


def test_dump():
    assert dump({"a": "你好"}) == '{"a":"你好"}'.encode() or dump({"a": "你好"}) == '{"a": "你好"}'.encode()
    assert dump("text \ud83e") == b"text ?"


@pytest.mark.parametrize("payload", [math.nan, {"a": [math.inf]}, object(), {1, 2}])
def test_what_json_cannot_express(payload):
    assert dump(payload) == b""


def test_what_is_nested_too_deep():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert dump(deep) == b""
    while deep:
        deep = deep.pop()  # freed level by level


@pytest.mark.parametrize(("depth", "words"), [(1, "innermost"), (4, "innermost"), (5, ""), (50, "")])
def test_errors_are_read_to_the_depth_that_anybody_wraps_them(depth, words):
    payload = {"message": "innermost"}
    for _ in range(depth):
        payload = {"error": payload}
    assert read_payload(payload, b"").words == words

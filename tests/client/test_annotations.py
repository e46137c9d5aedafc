"""Annotations as JSON schemas, and values made from JSON by them: a table."""

# ruff: noqa: UP007, UP045 - both spellings of a union are known

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Dict, List, Literal, Optional, Union  # noqa: UP035 - users still write them

import pytest
from pydantic import BaseModel, Field

from xdm_integrations import ConfigurationError
from xdm_integrations.client.annotations import schema_of, value_of


class Size(Enum):
    SMALL = 1
    LARGE = 2


@dataclass
class Corner:
    x: int
    y: int


class Item(BaseModel):
    name: str


class Box(BaseModel):
    items: list[Item]


@dataclass
class Loop:
    inner: Loop | None = None


STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}

ROWS = [
    (str, STRING, "a", "a"),
    (int, INTEGER, 2.0, 2),
    (float, NUMBER, 2, 2.0),
    (bool, {"type": "boolean"}, True, True),
    (None, {"type": "null"}, None, None),
    (Any, {}, [1], [1]),
    (Optional[int], {"anyOf": [INTEGER, {"type": "null"}]}, None, None),
    (Union[int, str], {"anyOf": [INTEGER, STRING]}, "1", "1"),
    (int | float, {"anyOf": [INTEGER, NUMBER]}, 1.0, 1.0),
    (float | str, {"anyOf": [NUMBER, STRING]}, 2, 2.0),  # no option has a 2 as it is: the first that takes it
    (list[int], {"type": "array", "items": INTEGER}, [1.0], [1]),
    (list, {"type": "array"}, ["a"], ["a"]),
    (List[int], {"type": "array", "items": INTEGER}, [1.0], [1]),  # noqa: UP006 - as above
    (Dict[str, int], {"type": "object", "additionalProperties": INTEGER}, {"a": 1.0}, {"a": 1}),  # noqa: UP006 - as above
    (Sequence[str], {"type": "array", "items": STRING}, ["a"], ["a"]),
    (set[int], {"type": "array", "items": INTEGER, "uniqueItems": True}, [1, 1], {1}),
    (tuple[int, ...], {"type": "array", "items": INTEGER}, [1], (1,)),
    (tuple[int, int], {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 2}, [1, 2], (1, 2)),
    (tuple, {"type": "array"}, [1, "a"], (1, "a")),
    (
        tuple[int, str],
        {"type": "array", "items": {"anyOf": [INTEGER, STRING]}, "minItems": 2, "maxItems": 2},
        [1.0, "a"],
        (1, "a"),
    ),
    (frozenset[int], {"type": "array", "items": INTEGER, "uniqueItems": True}, [1, 1], frozenset({1})),
    (AbstractSet[int], {"type": "array", "items": INTEGER, "uniqueItems": True}, [1, 1], {1}),
    (dict[str, int], {"type": "object", "additionalProperties": INTEGER}, {"a": 1.0}, {"a": 1}),
    (Mapping, {"type": "object"}, {"a": 1}, {"a": 1}),
    (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}, "b", "b"),
    (Size, {"enum": [1, 2], "type": "integer"}, 2, Size.LARGE),
    (Annotated[int, "how many"], {"type": "integer", "description": "how many"}, 1, 1),
    (Annotated[int, Field(description="how many")], {"type": "integer", "description": "how many"}, 1, 1),
]


@pytest.mark.parametrize(("annotation", "schema", "value", "made"), ROWS, ids=lambda value: str(value)[:30])
def test_an_annotation_has_a_schema_and_makes_a_value(annotation, schema, value, made):
    assert schema_of(annotation, "x") == schema
    got = value_of(annotation, value, "x")
    assert (got, type(got)) == (made, type(made))


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (int, True, "expected integer"),
        (int, 1.5, "expected integer"),
        (float, "1", "expected number"),
        (str, None, "expected string"),
        (list[int], [1, "b"], r"x\[1\]"),
        (list[int], "ab", "expected a list"),
        (tuple[int, int], [1], "expected 2 items"),
        (dict[str, int], {"a": "b"}, r"x\.a"),
        (Literal[1], True, "none of"),
        (Size, 3, "none of"),
        (Union[int, bool], "a", "expected integer.*expected boolean"),
        (Item, {}, "name"),
        (Corner, {"x": 1}, "'y' is missing"),
        (Loop, [], "expected an object"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_place(annotation, value, said):
    with pytest.raises(ValueError, match=f"(?s){said}"):
        value_of(annotation, value, "x")


def test_definitions_stand_where_references_look_for_them():
    schema = schema_of(list[Box], "x")
    assert schema["items"]["properties"]["items"]["items"] == {"$ref": "#/$defs/Item"}
    assert set(schema["$defs"]) == {"Item"}
    assert value_of(list[Box], [{"items": [{"name": "a"}]}], "x") == [Box(items=[Item(name="a")])]


@pytest.mark.parametrize(
    ("annotation", "said"), [(complex, "no JSON schema"), ("a text", "no JSON schema"), (Loop, "holds itself")]
)
def test_what_has_no_schema_is_named(annotation, said):
    with pytest.raises(ConfigurationError, match=f"^x.*{said}"):
        schema_of(annotation, "x")

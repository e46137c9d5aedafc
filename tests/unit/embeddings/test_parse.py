"""Replies to vectors: how they travel, whose they are, and what is none."""

from __future__ import annotations

import json
import math
import struct
import sys
from array import array

import pytest

from tests.unit.embeddings.working_off import Worked, error, healthy, ok
from tests.vectors import USAGE, answer, base64_of, inputs_of, vector_of
from xdm_integrations.core.embeddings import parse
from xdm_integrations.core.embeddings.parse import BadVectorError, WrongVectorsError, parse_vectors
from xdm_integrations.core.errors.tree import (
    APIResponseError,
    APIStatusError,
    BadRequestError,
    RateLimitError,
    ServerError,
    XDMError,
)
from xdm_integrations.core.protocol.results import Usage
from xdm_integrations.core.protocol.wire import Reply

A, B, C = (vector_of(text) for text in "abc")


def parsed(items, count=None, **params):
    data = [item if isinstance(item, dict) else {"index": i, "embedding": item} for i, item in enumerate(items)]
    vectors = parse_vectors(ok({"data": data}), len(data) if count is None else count, **params)
    return [row if isinstance(row, XDMError) else row.tolist() for row in vectors.rows]


def test_base64_is_decoded_bit_for_bit():
    every = range(0, 2**32, 214_013)
    numbers = [n for (n,) in (struct.unpack("<f", struct.pack("<I", bits)) for bits in every) if math.isfinite(n)]
    small = [n for n in numbers if abs(n) < 1e30] + [0.0, -0.0, 1e-45, 1.17549435e-38]
    (row,) = parse_vectors(ok({"data": [{"embedding": base64_of(small)}]}), 1).rows
    assert struct.pack(f"<{len(row)}f", *row) == struct.pack(f"<{len(small)}f", *small)
    assert {type(number) for number in row.tolist()} == {float}


def test_base64_is_little_endian_on_a_machine_that_is_not(monkeypatch):
    monkeypatch.setattr(parse.sys, "byteorder", "big" if sys.byteorder == "little" else sys.byteorder)
    (row,) = parse_vectors(ok({"data": [{"embedding": base64_of([1.5, 2.0])}]}), 1).rows
    swapped = array("f", [1.5, 2.0])
    swapped.byteswap()
    assert row == swapped


def test_json_numbers_stay_as_exact_as_they_were_sent_and_integers_become_floats():
    (vector,) = parsed([[0.1, 1, -2, 1e-7, 3.0000000000000004]])
    assert vector == [0.1, 1.0, -2.0, 1e-7, 3.0000000000000004]
    assert {type(number) for number in vector} == {float}


def test_both_ways_may_travel_in_one_answer():
    assert parsed([A, base64_of(B), C]) == [A, B, C]


@pytest.mark.parametrize(
    ("indices", "order"),
    [
        ([0, 1, 2], [0, 1, 2]),
        ([2, 0, 1], [1, 2, 0]),
        ([None, None, None], [0, 1, 2]),
        ([0, 0, 0], [0, 1, 2]),
        ([None, 1, 2], [0, 1, 2]),
        ([2, None, 1], [1, 2, 0]),
        ([1, 2, None], [2, 0, 1]),
        ([0, None, 2], [0, 1, 2]),
    ],
)
def test_vectors_are_paired_by_index_or_in_order_where_the_indices_say_nothing(indices, order):
    items = [{"index": i, "embedding": v} for i, v in zip(indices, [A, B, C], strict=True)]
    assert parsed(items) == [[A, B, C][place] for place in order]
    bare = [{k: v for k, v in item.items() if v is not None} for item in items]
    assert parsed(bare) == parsed(items)


@pytest.mark.parametrize("index", [0, 1, -1, "0", None, 7, 1.0, True, [], {}])
def test_a_single_vector_is_the_single_texts_whatever_its_index(index):
    assert parsed([{"index": index, "embedding": A}]) == [A]


@pytest.mark.parametrize(
    "indices",
    [[0, 0, 1], [1, 2, 3], [0, 1, 9], [0, 1, -1], ["0", "1", "2"], [0, 1, "2"], [0.0, 1.0, 2.0], [False, True, 2],
     [None, None, 2], [None, 1, 1], [None, 1, 3], [1, 1, 1], [0, 1, []], [0, 1, {}]],
)  # fmt: skip
def test_indices_that_pair_nothing_are_refused(indices):
    with pytest.raises(WrongVectorsError, match="3 vectors with the indices"):
        parsed([{"index": i, "embedding": v} for i, v in zip(indices, [A, B, C], strict=True)])


@pytest.mark.parametrize(("items", "count"), [([A], 3), ([A, B], 3), ([A, B, C], 2), ([A, B], 1), ([A * 3], 3)])
def test_too_few_and_too_many_are_refused(items, count):
    with pytest.raises(WrongVectorsError) as caught:
        parsed(items, count)
    assert caught.value.scope == "request"


def test_items_that_are_no_objects_count_for_nothing():
    with pytest.raises(WrongVectorsError, match="returned 1 vectors"):
        parse_vectors(ok({"data": [{"embedding": A}, "no object"]}), 2)


@pytest.mark.parametrize(
    "bad",
    [None, [], "", [None], [0.1, None], ["0.1"], [[0.1, 0.2]], [{}], {}, {"a": 1}, 5, True, "!!!!", "AAA", "AAAA",
     base64_of(A) + "!",
     base64_of([math.nan, 1.0]), base64_of([math.inf]), [0.1, math.nan], [-math.inf], [10**400], "[0.1, 0.2]", "图"],
    ids=repr,
)  # fmt: skip
def test_what_is_no_vector_is_an_error_in_its_place(bad):
    first, second = parsed([A, bad])
    assert first == A
    assert isinstance(second, BadVectorError)
    assert (second.status_code, second.scope, second.retry) == (200, "request", "never")


@pytest.mark.parametrize("place", [0, 2])
def test_a_bad_vector_is_named_and_the_others_are_not_asked_for_again(place):
    def respond(body):
        value = answer(body)
        for item, text in zip(value["data"], inputs_of(body), strict=True):
            item["embedding"] = item["embedding"] if text != "nan" else [None]
        return ok(value)

    worked = Worked(respond)
    texts = list("abc")
    texts.insert(place, "nan")
    with pytest.raises(APIResponseError, match=f"^input {place}: ") as caught:
        worked.embed(texts)
    assert caught.value.position == place
    assert worked.sizes == [4]


def test_dimensions_that_were_asked_for_are_the_length_of_every_vector():
    assert parsed([A, B], dimensions=4) == [A, B]
    with pytest.raises(APIResponseError, match="vectors of 4 numbers, not of 8: it ignores `dimensions`"):
        parsed([A, B], dimensions=8)
    with pytest.raises(APIResponseError, match="vectors of 3 numbers, not of 4"):
        parsed([A, B[:3]], dimensions=4)
    worked = Worked(lambda body: healthy({**body, "dimensions": 8}))
    with pytest.raises(APIResponseError, match="not of 4"):
        worked.embed(["a"] * 300, dimensions=4)
    assert worked.sizes == [128]
    assert worked.embed("a", extra_body={"dimensions": 8}, dimensions=4).dimensions == 8


def test_all_vectors_of_an_answer_are_of_one_length():
    with pytest.raises(APIResponseError, match=r"different lengths in one answer: \[4, 5\]"):
        parsed([A, [1.0] * 5, C])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", APIResponseError),
        (b"  \n", APIResponseError),
        (b"<html>hello</html>", APIResponseError),
        (b"{", APIResponseError),
        (b"[" * 100_000, APIResponseError),
        (b"null", APIResponseError),
        (b"[]", APIResponseError),
        (b"{}", APIResponseError),
        (b'{"data": null}', APIResponseError),
        (b'{"data": []}', APIResponseError),
        (b'{"data": {}}', APIResponseError),
        (b'{"data": "x"}', APIResponseError),
        (b'{"data": [1, null, "x"]}', APIResponseError),
        (b'{"error": {"message": "boom", "code": 429}}', RateLimitError),
        (b'data: {"error": {"message": "boom", "code": 429}}\n\n', RateLimitError),
        (b'{"error": {"message": "boom"}, "data": [{"embedding": [1.0]}]}', APIStatusError),
        (b'{"success": false, "message": "no"}', APIStatusError),
        (b'{"code": 20015, "message": "bad input", "data": null}', APIStatusError),
    ],
)
def test_a_reply_without_vectors_is_a_typed_error(body, kind):
    with pytest.raises(kind):
        parse_vectors(Reply(200, {}, body), 1)


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        (b"", [4, 4, 4]),
        (b"5", [4, 4]),
        (b'["data"]', [4, 4]),
        (b'{"answer": 1}', [4, 4]),
        (b'{"data": []}', [4, 2, 1, 1]),
        (b'{"data": 5}', [4, 2, 1, 1]),
        (b'{"data": "x"}', [4, 2, 1, 1]),
    ],
)
def test_only_an_answer_that_has_data_is_asked_for_in_parts_and_none_of_these_teaches_a_limit(body, sizes):
    worked = Worked(lambda _: Reply(200, {}, body))
    with pytest.raises(APIResponseError):
        worked.embed(list("abcd"))
    assert worked.sizes == sizes
    assert worked.setup.facts.texts_per_request == {}


def test_an_error_shows_twenty_indices_and_not_a_thousand():
    with pytest.raises(WrongVectorsError, match=r"indices \[0, .*, 19\] for"):
        parsed([A] * 30, 31)


def test_no_vectors_for_many_texts_is_searched_for_the_text_at_fault():
    worked = Worked(lambda body: ok({"object": "list", "data": None}) if "" in inputs_of(body) else healthy(body))
    with pytest.raises(APIResponseError, match=r"^input 3: "):
        worked.embed(["a", "b", "c", "", "d"])


def test_space_around_the_body_and_what_else_it_says_is_no_matter():
    body = b"\n\n " + json.dumps({"data": [{"embedding": A, "extra": 1}], "model": None, "usage": []}).encode()
    rows, usage, model, request_id = parse_vectors(Reply(200, {"x-oneapi-request-id": "r-1"}, body), 1)
    assert (rows[0].tolist(), usage, model, request_id) == (A, None, "", "r-1")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE, Usage(6, 0, 6)),
        ({"total_tokens": 3}, Usage(0, 0, 6)),
        ({"prompt_tokens": 0, "total_tokens": 0}, Usage(0, 0, 0)),
        ({}, None),
        (None, None),
        ([1], None),
        ("x", None),
    ],
)
def test_usage_is_summed_over_requests(usage, expected):
    worked = Worked(lambda body: ok(answer(body, usage=usage)))
    result = worked.embed(["a", "b"], 1)
    assert result.usage == expected
    assert result.model == "served"
    assert result.request_ids == ()  # a server that isn't a gateway gives none


USELESS = {
    "no vectors": lambda data, i: [],
    "one too many": lambda data, i: [*data, data[0]],
    "no vector": lambda data, i: [{**data[0], "embedding": None}],
    "other dimensions": lambda data, i: [{**data[0], "embedding": [0.5] * 5}],
    "other lengths": lambda data, i: [{**data[0], "embedding": [0.5] * (4 + i)}],
}


@pytest.mark.parametrize("data", USELESS.values(), ids=USELESS)
def test_the_tokens_of_an_answer_that_is_of_no_use_are_counted(data):
    """The first text is answered well, or both are of no use by their length."""
    replies = iter(range(9))

    def respond(body):
        i, value = next(replies), answer(body)
        return ok({**value, "data": data(value["data"], i) if i else value["data"]})

    worked = Worked(respond, max_retries=0)
    with pytest.raises(APIResponseError) as caught:
        worked.embed(["a", "b"], 1, stop_on_error=False, dimensions=4 if data is USELESS["other dimensions"] else None)
    assert caught.value.usage == Usage(6, 0, 6)


ENCODINGS = [
    (400, "litellm.UnsupportedParamsError: gemini does not support parameters: {'encoding_format': 'base64'}", {}),
    (422, "encoding_format: Input should be 'float'", {}),
    (500, "json: cannot unmarshal string into Go struct field Embedding.data.embedding of type []float64", {}),
    (400, 'Invalid JSON payload received. Unknown name "encoding_format": Cannot find field.', {}),
    (400, "'encoding_format' only support with [float]", {}),
    (400, "base64 is not supported", {"code": "unsupported_value"}),
]


@pytest.mark.parametrize(("status", "words", "more"), ENCODINGS)
def test_a_server_that_refuses_base64_is_asked_without_the_field_from_then_on(status, words, more):
    worked = Worked(lambda body: error(status, words, **more) if "encoding_format" in body else healthy(body))
    result = worked.embed(["a", "b", "c"], 2)
    assert result.vectors == [A, B, C]
    assert [body.get("encoding_format") for body in worked.requests] == ["base64", None, None]
    assert all("encoding_format" not in body for body in worked.requests[1:])
    assert worked.embed("a", encoding_format="float").vectors == [A]
    assert [body.get("encoding_format") for body in worked.requests[3:]] == [None]


def test_a_server_that_refuses_without_the_field_too_is_not_asked_for_ever():
    worked = Worked(lambda body: error(400, "base64, and anything else, is beyond me"))
    with pytest.raises(BadRequestError):
        worked.embed("a")
    assert len(worked.requests) == 2


def test_a_500_for_another_reason_is_retried_as_ever():
    worked = Worked(lambda body: Reply(500, {}, b"boom"))
    with pytest.raises(ServerError):
        worked.embed(["a", "b"])
    assert worked.sizes == [2, 2, 2]

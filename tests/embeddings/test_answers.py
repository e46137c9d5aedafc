"""What comes back, whichever way a program comes in: the vector of each text, or an error, never another's."""

from __future__ import annotations

import gzip
import json
import math
import struct

import pytest

from tests.scripted import http
from tests.vectors import answer, base64_of, inputs_of, numbered, vector_of, vectors_of
from xdm_integrations import APIResponseError, XDMError

ODD = [1 / 3, -0.0, 1e-45, 1.17549435e-38, 3.4028234e38, -2.5e-41]
"""Numbers that a detour by text would change."""


def items(body):
    return answer(body)["data"]


def without(item, name):
    return {key: value for key, value in item.items() if key != name}


def indexed(body, index):
    """Return a good answer with other indices."""
    return [{**item, "index": index(item["index"], len(items(body)))} for item in items(body)]


PAIRED = {
    "reversed": lambda body: items(body)[::-1],
    "rotated": lambda body: items(body)[3:] + items(body)[:3],
    "no index": lambda body: [without(item, "index") for item in items(body)],
    "null": lambda body: indexed(body, lambda i, n: None),
    "no zero": lambda body: [without(item, "index") if item["index"] == 0 else item for item in items(body)],
    "no zero, reversed": lambda body: [without(i, "index") if i["index"] == 0 else i for i in items(body)[::-1]],
    "all zero": lambda body: indexed(body, lambda i, n: 0),
}


@pytest.mark.parametrize("shape", PAIRED.values(), ids=PAIRED)
def test_vectors_are_paired_by_index_or_else_by_position(door, server, made, shape):
    server.script = lambda seen: http({**answer(seen.json), "data": shape(seen.json)})
    embedder = made()
    assert door.documents(embedder, numbered(9)) == vectors_of(numbered(9))
    assert len(server.requests) == 1
    assert door.query(embedder, "q") == vector_of("q")


UNPAIRED = {
    "duplicate": lambda body: indexed(body, lambda i, n: i // 2),
    "far": lambda body: indexed(body, lambda i, n: i + 1_000),
    "negative": lambda body: indexed(body, lambda i, n: -i),
    "one-based": lambda body: indexed(body, lambda i, n: i + 1),
    "text": lambda body: indexed(body, lambda i, n: str(i)),
    "too few": lambda body: items(body)[1:] or items(body),
    "too many": lambda body: items(body) * 2 if len(items(body)) > 1 else items(body),
    "fused": lambda body: items(body)[:1],
    "flattened": lambda body: [{"index": 0, "embedding": [n for item in vectors_of(inputs_of(body)) for n in item]}],
}


@pytest.mark.parametrize("shape", UNPAIRED.values(), ids=UNPAIRED)
def test_vectors_that_cannot_be_paired_are_asked_for_one_by_one_from_then_on(door, server, made, shape):
    server.script = lambda seen: http({**answer(seen.json), "data": shape(seen.json)})
    embedder = made()
    assert door.documents(embedder, numbered(5)) == vectors_of(numbered(5))
    assert sorted(len(inputs_of(seen.json)) for seen in server.requests) == [1] * 5 + [5]
    server.requests.clear()
    assert door.documents(embedder, numbered(3)) == vectors_of(numbered(3))
    assert [len(inputs_of(seen.json)) for seen in server.requests] == [1] * 3


def test_a_large_answer_that_cannot_be_paired_is_asked_for_one_by_one_too(door, server, made):
    """It is read beside the loop, and what is wrong with it must come back to where it is dealt with."""
    server.script = lambda seen: http(
        {**answer(seen.json), "data": UNPAIRED["too few"](seen.json), "padding": "x" * 2**17}
    )
    assert door.documents(made(), numbered(5)) == vectors_of(numbered(5))
    assert sorted(len(inputs_of(seen.json)) for seen in server.requests) == [1] * 5 + [5]


@pytest.mark.parametrize("count", [0, 2])
def test_one_text_with_another_number_of_vectors_is_an_error(door, server, made, waits, count):
    server.script = lambda seen: http({"data": [{"index": i, "embedding": [0.5]} for i in range(count)]})
    with pytest.raises(APIResponseError):
        door.query(made(), "q")
    with pytest.raises(APIResponseError):
        door.documents(made(), numbered(3))


BAD = {
    "null": None,
    "null inside": [0.1, None],
    "nested": [[0.1, 0.2], [0.3, 0.4]],
    "empty": [],
    "empty text": "",
    "numbers as text": ["0.1"],
    "broken base64": "!!!!",
    "half a number": "AAA=",
    "base64 NaN": base64_of([math.nan, 1.0]),
    "infinite": base64_of([math.inf]),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_no_vector_is_an_error_that_names_its_text(door, server, made, waits, bad):
    def script(seen):
        value = answer(seen.json)
        for item, text in zip(value["data"], inputs_of(seen.json), strict=True):
            item["embedding"] = bad if text == "text 2" else item["embedding"]
        return http(value)

    server.script = script
    with pytest.raises(APIResponseError, match=r"^input 2: ") as caught:
        door.documents(made(), numbered(4))
    assert caught.value.position == 2
    with pytest.raises(APIResponseError):
        door.query(made(), "text 2")


def test_nan_in_json_is_an_error(door, server, made, waits):
    server.script = lambda seen: http('{"data": [{"index": 0, "embedding": [0.5, NaN]}]}')
    with pytest.raises(APIResponseError):
        door.query(made(), "q")


@pytest.mark.parametrize("size", [128, 1])
def test_all_vectors_of_a_call_have_one_length(door, server, made, size):
    def script(seen):
        value = answer(seen.json)
        for item, text in zip(value["data"], inputs_of(seen.json), strict=True):
            item["embedding"] = vector_of(text, 8 if text == "text 1" else 4)
        return http(value)

    server.script = script
    with pytest.raises(APIResponseError, match="numbers"):
        door.documents(made(batch_size=size), numbered(3))


def test_dimensions_that_are_ignored_are_an_error(door, server, made):
    server.script = lambda seen: http(answer({**seen.json, "dimensions": 8}))
    with pytest.raises(APIResponseError, match="ignores `dimensions`"):
        door.query(made(dimensions=4), "q")
    with pytest.raises(APIResponseError, match="ignores `dimensions`"):
        door.documents(made(dimensions=4), numbered(300))


def test_base64_comes_back_bit_for_bit_as_plain_floats(door, server, made):
    server.script = lambda seen: http({"data": [{"index": 0, "embedding": base64_of(ODD)}]})
    vector = door.query(made(), "q")
    assert struct.pack("<6f", *vector) == struct.pack("<6f", *ODD)
    assert (type(vector), {type(number) for number in vector}) == (list, {float})


def test_what_comes_decides_how_it_is_read(door, server, made):
    texts = numbered(3)
    server.script = lambda seen: http(answer({**seen.json, "encoding_format": "float"}))
    assert door.documents(made(), texts) == vectors_of(texts)
    server.script = lambda seen: http(answer({**seen.json, "encoding_format": "base64"}))
    assert door.documents(made(encoding_format="float"), texts) == vectors_of(texts)


def test_integers_become_floats_and_lists_are_lists(door, server, made):
    server.script = lambda seen: http({"data": [{"index": i, "embedding": [1, 0]} for i in range(2)]})
    vectors = door.documents(made(), ["a", "b"])
    assert vectors == [[1.0, 0.0]] * 2
    assert {type(vectors)} | {type(vector) for vector in vectors} == {list}
    assert {type(number) for vector in vectors for number in vector} == {float}


@pytest.mark.parametrize(
    "usage", [None, {}, [], "x", {"prompt_tokens": 0, "total_tokens": 0}, {"total_tokens": 3}, {"prompt_tokens": "3"}]
)
def test_odd_usage_is_no_matter(door, server, made, usage):
    server.script = lambda seen: http(answer(seen.json, usage=usage))
    assert door.documents(made(), numbered(3)) == vectors_of(numbered(3))


NO_ANSWER = {
    "error object": http({"error": {"message": "upstream failed", "type": "upstream_error"}}),
    "success false": http({"success": False, "message": "无效的令牌"}),
    "code and message": http({"code": 20015, "message": "bad input", "data": None}),
    "no data": http({"object": "list"}),
    "empty data": http({"object": "list", "data": []}),
    "null data": http({"object": "list", "data": None}),
    "html": http("<html><title>Login</title></html>", headers={"Content-Type": "text/html"}),
    "nothing": http(b""),
    "204": http(b"", 204),
    "broken": http('{"data": [{"index": 0, "emb'),
    "deep": http("[" * 100_000),
}


@pytest.mark.parametrize("reply", NO_ANSWER.values(), ids=NO_ANSWER)
def test_a_2xx_that_is_no_answer_is_a_typed_error(door, server, made, waits, reply):
    server.script = [reply]
    with pytest.raises(XDMError):
        door.query(made(), "q")
    server.requests.clear()
    with pytest.raises(XDMError):
        door.documents(made(), numbered(8))
    assert len(server.requests) <= 8


def test_bodies_of_every_dress(door, server, made):
    embedder = made()
    plain = json.dumps(answer({"input": "q"})).encode()
    for reply in (
        http(b"\n\n" + plain),
        http(plain, headers={"Content-Type": "text/plain"}),
        http(b"\xef\xbb\xbf" + plain),
        http(gzip.compress(plain), headers={"Content-Encoding": "gzip"}),
    ):
        server.script = [reply]
        assert door.query(embedder, "q") == vector_of("q")


def test_a_large_answer_of_numbers(door, server, made):
    large = http(answer({"input": ["x"] * 256, "dimensions": 3_072}))
    server.script = [large]
    assert door.documents(made(batch_size=256), ["x"] * 256) == [vector_of("x", 3_072)] * 256

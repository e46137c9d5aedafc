"""What is read out of a reply of any form; and what can't be written down as JSON says nothing, and never raises."""

from __future__ import annotations

import math

import pytest

from xdm_integrations.core.errors.catalogue_rows import EMPTY, HTML, PLAIN
from xdm_integrations.core.errors.reply_text import (
    ErrorBody,
    error_excerpt,
    excerpt,
    parsed,
    read,
    read_payload,
    request_id_of,
    sanitize,
    to_json,
)

WEB = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({}, b"", ErrorBody(format=EMPTY)),
        ({}, b"\xef\xbb\xbf \r\n", ErrorBody(format=EMPTY)),
        ({}, b"X-ray  failed", ErrorBody("X-ray failed", format=PLAIN)),
        ({}, b"\xef\xbb\xbfoops (request id: r-9)", ErrorBody("oops", format=PLAIN, request_id="r-9")),
        ({}, b"no html here", ErrorBody("no html here", format=PLAIN)),
        (WEB, b"no page", ErrorBody("no page", format=PLAIN)),
        ({}, b"<b>Down</b>", ErrorBody("<b>Down</b>", format=PLAIN)),
        ({"content-type": "text/xml"}, b"<b>Down</b>", ErrorBody("<b>Down</b>", format=PLAIN)),
        (WEB, b"<b>Down</b><i>for now</i>", ErrorBody("Down for now", format=HTML)),
        ({}, b"<HTML><TITLE lang=en> Down </TITLE><p>more", ErrorBody("Down", format=HTML)),
        ({}, b'{"error": {"message": "m", "type": "t", "code": 5}}', ErrorBody("m", "t", "5")),
        (WEB, b'data: {"error": "m"}\n\n', ErrorBody("m")),
    ],
)
def test_bodies_of_every_form(headers, body, said):
    assert read(headers, body) == said


def test_json_has_no_form_that_would_be_a_sign():
    assert read(WEB, b"{}").format == ""


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": 1} ', {"a": 1}),
        (b'data:{"a": 1}', {"a": 1}),
        (b'\n data: {"a": 1}\nmore\n', {"a": 1}),
        (b"event: x", None),
        (b"[" * 100_000, None),
    ],
)
def test_parsed(body, value):
    assert parsed(body) == value


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("m (request id: r-9)", ErrorBody("m", request_id="r-9")),
        (5, ErrorBody("5")),
        (["text"], ErrorBody('["text"]')),
        ([{"error": {"message": "m"}}, {"error": {"message": "n"}}], ErrorBody("m")),
        ([{"error": {"message": "m"}}, 5], ErrorBody("m")),
        ({"error": "boom", "message": "more"}, ErrorBody("boom | more")),
        ({"message": " m", "detail": "m "}, ErrorBody("m")),
        ({"message": "  ", "detail": "m"}, ErrorBody("m")),
        ({"message_zh": "z", "localized_message": "l"}, ErrorBody("l | z")),
        ({"msg": "m"}, ErrorBody("m")),
        ({"error": {"error_description": "m"}}, ErrorBody("m")),
        ({"detail": {"message": "m", "code": "c"}}, ErrorBody("m", code="c")),
        ({"detail": [], "message": "m"}, ErrorBody("m")),
        ({"detail": {}, "message": "m"}, ErrorBody("m")),
        ({"detail": 5, "message": "m"}, ErrorBody("m")),
        ({"message": "m", "status_code": 429}, ErrorBody("m", status=429)),
        ({"message": "m", "status": 404, "code": "c"}, ErrorBody("m", code="c", status=404)),
        ({"error": {"message": "m", "status": "NOT_FOUND"}}, ErrorBody("m", type="NOT_FOUND")),
        ({"type": "t"}, ErrorBody(type="t")),
        ({"code": "c"}, ErrorBody(code="c")),
        ({"message": ""}, ErrorBody()),
        ({"success": False}, ErrorBody()),
        ({"detail": [{"msg": "a"}, "x", {"msg": 5}, {"loc": ["q"]}, {"msg": "b"}]}, ErrorBody("a; b")),
        ({"detail": [{"loc": ["body", "prompt", 0], "msg": "m"}]}, ErrorBody("prompt: m", param="prompt")),
        ({"detail": [{"loc": ["body", "a", "b"], "msg": "m"}]}, ErrorBody("b: m", param="b")),
        ({"detail": [{"loc": ["body"], "msg": "m"}]}, ErrorBody("m")),
        ({"message": "m", "code": True, "type": {"a": 1}, "param": [1]}, ErrorBody("m")),
        ({"message": "m", "code": "nil", "type": "NULL", "param": "<nil>"}, ErrorBody("m")),
        ({"message": "m", "code": 10**18 - 1, "param": 10**18}, ErrorBody("m", code=str(10**18 - 1))),
        ({"message": "m", "code": "c" * 120, "type": "t" * 121}, ErrorBody("m", "t" * 119 + "…", "c" * 120)),
    ],
    ids=repr,
)
def test_payloads_of_every_shape(payload, said):
    assert read_payload(payload, b"") == said


def test_an_empty_wrapper_doesnt_hide_the_words_beside_it():
    for wrapper in ("error", "detail"):
        assert read_payload({wrapper: {}, "message": "m"}, b"").message.startswith("m")


def test_json_of_no_known_shape_is_shown_as_it_was_sent():
    for payload, body in (({"other": 1}, b'{"other":  1 }'), ([1, 2], b"[1,   2 ]")):
        assert read_payload(payload, body).message == body.decode().replace("  ", " ").replace("  ", " ")
        assert read_payload(payload, b"").message == to_json(payload).decode()


def test_the_request_id_of_a_chain_is_the_nearest_gateways():
    assert request_id_of({"x-request-id": "a, b"}) == "a"
    assert request_id_of({"x-oneapi-request-id": "o", "x-request-id": "a"}) == "o"
    assert request_id_of({}) is None


def test_words_are_one_printable_line():
    assert sanitize("a\x00b\x7fc\x9fd\n\te\ud83e") == "a b c d e?"


def test_how_much_is_read_and_kept():
    assert len(excerpt(b"x" * 20_000)) == 16_384
    assert len(error_excerpt(b"x" * 20_000)) == 4_096


def test_to_json():
    assert to_json({"a": "你好"}) == '{"a":"你好"}'.encode() or to_json({"a": "你好"}) == '{"a": "你好"}'.encode()
    assert to_json("text \ud83e") == b"text ?"


@pytest.mark.parametrize("payload", [math.nan, {"a": [math.inf]}, object(), {1, 2}])
def test_what_json_cannot_express(payload):
    assert to_json(payload) == b""


def test_what_is_nested_too_deep():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert to_json(deep) == b""
    while deep:
        deep = deep.pop()  # freed level by level


@pytest.mark.parametrize(("depth", "words"), [(1, "innermost"), (4, "innermost"), (5, ""), (50, "")])
def test_errors_are_read_to_the_depth_that_anybody_wraps_them(depth, words):
    payload = {"message": "innermost"}
    for _ in range(depth):
        payload = {"error": payload}
    assert read_payload(payload, b"").message == words

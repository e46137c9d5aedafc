"""The rules of server-sent events (WHATWG HTML, section 9.2), each in every slicing of the bytes."""

from __future__ import annotations

import tracemalloc

import pytest

from xdm_integrations.core.protocol.sse import BARE, SSEDecoder
from xdm_integrations.core.protocol.wire import Limits

A = ("", b"a")
B = ("", b"b")

TORTURE: dict[str, tuple[bytes, list[tuple[str, bytes]]]] = {
    "one event": (b"data: a\n\n", [A]),
    "two events": (b"data: a\n\ndata: b\n\n", [A, B]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [A, B]),
    "CR alone": (b"data: a\r\rdata: b\r\r", [A, B]),
    "mixed line ends": (b"data: a\r\n\ndata: b\r\r\ndata: a\n\r", [A, B, A]),
    "CR then LF is one line end": (b"data: a\r\ndata: b\r\n\r\n", [("", b"a\nb")]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [A]),
    "byte order mark before a comment": (b"\xef\xbb\xbf: hi\n\ndata: a\n\n", [A]),
    "byte order mark only at the start": (b"data: a\n\ndata: \xef\xbb\xbfb\n\n", [A, ("", b"\xef\xbb\xbfb")]),
    "a byte order mark on a later line is part of it": (
        b"data: a\n\n\xef\xbb\xbfdata: b\n\n",
        [A, (BARE, b"\xef\xbb\xbfdata: b")],
    ),
    "a byte order mark behind a blank line is part of its line": (
        b"\n\xef\xbb\xbfdata: a\n\n",
        [(BARE, b"\xef\xbb\xbfdata: a")],
    ),
    "no space after the colon": (b"data:a\n\n", [A]),
    "one leading space goes": (b"data:  a\n\n", [("", b" a")]),
    "a trailing space stays": (b"data: a \n\n", [("", b"a ")]),
    "a tab stays": (b"data:\ta\n\n", [("", b"\ta")]),
    "the first colon splits": (b"data: a: b:c\n\n", [("", b"a: b:c")]),
    "several data lines": (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
    "data without colon is an empty line": (b"data\ndata: a\n\n", [("", b"\na")]),
    "an empty data line between": (b"data: a\ndata:\ndata: b\n\n", [("", b"a\n\nb")]),
    "blank data is no event": (b"data:\n\ndata: a\n\n", [A]),
    "data of spaces is no event": (b"data:    \n\ndata\n\ndata: a\n\n", [A]),
    "comments": (b": PING\n\n::PING\n\n:\n\ndata: a\n:in between\ndata: b\n\n", [("", b"a\nb")]),
    "event type": (b"event: error\ndata: a\n\n", [("error", b"a")]),
    "event type after the data": (b"data: a\nevent: error\n\n", [("error", b"a")]),
    "the last event type counts": (b"event: x\nevent: y\ndata: a\n\n", [("y", b"a")]),
    "the event type is reset": (b"event: x\ndata: a\n\ndata: b\n\n", [("x", b"a"), B]),
    "the event type is reset without data": (b"event: x\n\ndata: a\n\n", [A]),
    "event, id and retry alone are no event": (b"event: x\n\nid: 1\n\nretry: 10\n\ndata: a\n\n", [A]),
    "id and retry are ignored": (b"id: 1\nretry: 10\nid: \x00\nretry: x\ndata: a\n\n", [A]),
    "unusual line separators don't split": (
        "data: a\u2028b\u0085c\x0bd\x0ce\x1cf\n\n".encode(),
        [("", "a\u2028b\u0085c\x0bd\x0ce\x1cf".encode())],
    ),
    "characters of many bytes": ("data: 你好, 🦉\n\n".encode(), [("", "你好, 🦉".encode())]),
    "invalid UTF-8 passes": (b"data: \xff\xfe\n\n", [("", b"\xff\xfe")]),
    "blank lines alone": (b"\n\r\n\r\n\n", []),
    "a bare line": (b'{"error": 1}\ndata: a\n\n', [(BARE, b'{"error": 1}'), A]),
    "an unknown field is a bare line": (b"x: y\ndata: a\n\n", [(BARE, b"x: y"), A]),
    "names are exact": (
        b"Data: a\n data: b\ndatax: c\n\n",
        [(BARE, x) for x in (b"Data: a", b" data: b", b"datax: c")],
    ),
    "an event type that isn't UTF-8": (b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")]),
}

CUT_SHORT: dict[str, tuple[bytes, list[tuple[str, bytes]]]] = {
    "nothing": (b"", []),
    "only a mark": (b"\xef\xbb\xbf", []),
    "no blank line": (b"data: a\n", [A]),
    "no line end": (b"data: a", [A]),
    "a mark and no line end": (b"\xef\xbb\xbfdata: a", [A]),
    "CR at the end": (b"data: a\r", [A]),
    "two data lines": (b"data: a\ndata: b", [("", b"a\nb")]),
    "event type": (b"event: error\ndata: a", [("error", b"a")]),
    "blank data": (b"data: ", []),
    "a comment": (b": PING", []),
    "a bare line": (b'{"error"', [(BARE, b'{"error"')]),
    "an event type alone": (b"event: x", []),
}


def slicings(data: bytes):
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for at in range(len(data) + 1):
        yield [data[:at], b"", data[at:]]


def decode(blocks, limits=Limits()):
    decoder = SSEDecoder(limits)
    events = [event for block in blocks for event in decoder.feed(block)]
    return events, decoder.close(), decoder


@pytest.mark.parametrize("case", TORTURE)
def test_torture(case):
    data, expected = TORTURE[case]
    for blocks in slicings(data):
        events, rest, _ = decode(blocks)
        assert events == expected, blocks
        assert rest == []


@pytest.mark.parametrize("case", CUT_SHORT)
def test_what_the_end_cuts_short_is_handed_out_for_the_caller_to_judge(case):
    data, expected = CUT_SHORT[case]
    for blocks in slicings(data):
        events, rest, decoder = decode(blocks)
        assert [event for event in events if event[0] != BARE] == []
        assert events + rest == expected, blocks
        assert decoder.close() == []


@pytest.mark.parametrize(
    ("what", "data", "whole"),
    [
        ("line", b"data: a\n\ndata: 345678901\ndata: b\n\n", 1),
        ("line", b"data: a\n\ndata: 3456789012345", 1),
        ("line", b"data: 3456789012345\n\n", 0),
        ("line", b"data: 345678901", 0),
        ("line", b"data: a\n\ndata: 345678901", 1),
        ("event", b"data: 34567890\ndata: 345678\n\n", 0),
        ("event", b"data: a\n\ndata: 34567890\ndata: 345678\n\n", 1),
        ("event", b"data: a\n\n" + b"data: 3456\n" * 3 + b"x" * 20, 1),
        ("event", b"data: a\n\n" + b"data: 3456\n" * 3 + b"\ndata: b\n\n", 1),
        ("event", b"data: a\n\n" + b"data:23456\n" * 3 + b"\n", 1),
    ],
)
def test_limits_name_what_was_too_large_and_lose_nothing_before_it(what, data, whole):
    for blocks in slicings(data):
        events, rest, decoder = decode(blocks, Limits(line=14, event=13))
        assert events == [("", b"a")] * whole, blocks
        assert rest == []
        assert decoder.feed(b"data: more\n\n") == []
        assert f"limits.{what}" in decoder.failure.message


def test_a_line_and_an_event_of_just_the_limit_pass():
    spaced = b"data: 34567890\ndata: 3456\n\ndata: 34567890\ndata: 3456\n\n"
    bare = b"data:34567890\ndata:3456\n\ndata:34567890\ndata:3456\n\n"
    for data in (spaced, bare):
        for blocks in slicings(data):
            events, _, decoder = decode(blocks, Limits(line=14, event=13))
            assert len(events) == 2
            assert events[0] == events[1]
            assert decoder.failure is None


def test_many_small_events_never_add_up_to_a_limit():
    decoder = SSEDecoder(Limits(line=16, event=16))
    assert sum(len(decoder.feed(b"data: 1234\n\n: c\n")) for _ in range(1000)) == 1000


def test_a_long_line_in_many_pieces_is_one_event():
    decoder = SSEDecoder()
    decoder.feed(b"data: ")
    pieces = [b"x" * 100] * 1000
    assert [event for piece in pieces for event in decoder.feed(piece)] == []
    assert decoder.feed(b"\n\n") == [("", b"".join(pieces))]
    assert decoder.feed(b"data: y\n\n") == [("", b"y")]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_event_of_many_short_lines_is_the_same_in_any_slicing(size):
    lines = [b"%d" % number for number in range(1000)]
    wire = b"".join(b"data: " + line + b"\n" for line in lines) + b"\ndata\ndata:\ndata: y\n\ndata: z\n\n"
    decoder = SSEDecoder()
    events = [event for at in range(0, len(wire), size) for event in decoder.feed(wire[at : at + size])]
    assert [data for _, data in events] == [b"\n".join(lines), b"\n\ny", b"z"]


def test_short_lines_of_an_event_cost_little_more_memory_than_their_bytes():
    decoder = SSEDecoder()
    tracemalloc.start()
    try:
        for _ in range(100):
            decoder.feed(b"data:x\n" * 1000)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000  # as an object, each of them would take 42 bytes
    finally:
        tracemalloc.stop()

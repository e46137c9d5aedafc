"""The unpacking of chunks: any slicing gives the same body, broken framing is always noticed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdm_integrations.transports.blocking.chunked import LONGEST_LINE, BadChunkError, Dechunker

BODY = "data: grüße\n\ndata: [DONE]\n\n".encode()
WIRE = b"".join(b"%X;ext=1\r\n%s\r\n" % (len(p), p) for p in (BODY[:7], BODY[7:8], BODY[8:])) + b"0\r\nX: y\r\n\r\n"


def unpack(*blocks: bytes) -> tuple[bytes, Dechunker]:
    chunks = Dechunker()
    return b"".join(chunks.feed(block) for block in blocks), chunks


@pytest.mark.parametrize("size", range(1, len(WIRE) + 1))
def test_every_slicing_gives_the_same_body(size):
    body, chunks = unpack(*(WIRE[i : i + size] for i in range(0, len(WIRE), size)))
    assert body == BODY
    assert chunks.ended
    assert chunks.trailing == b""


@pytest.mark.parametrize("cut", range(len(WIRE)))
def test_an_end_too_early_is_never_taken_for_the_end(cut):
    body, chunks = unpack(WIRE[:cut])
    assert BODY.startswith(body)
    assert not chunks.ended


def test_what_follows_is_kept_apart():
    body, chunks = unpack(WIRE + b"HTTP/1.1 200")
    assert body == BODY
    assert chunks.trailing == b"HTTP/1.1 200"


def test_bare_line_feeds_are_taken_too():
    assert unpack(b"3\nabc\n0\n\n")[0] == b"abc"


@pytest.mark.parametrize(
    "wire", [b"\r\n", b"x\r\n", b"-1\r\n", b"+1\r\na", b"1_0\r\n", b" \r\n", b"1\r\nab", b"1\r\na\rb", b"1 1\r\n"]
)
def test_broken_framing_is_an_error(wire):
    with pytest.raises(BadChunkError):
        unpack(wire)


@pytest.mark.parametrize("wire", [b"1" * (LONGEST_LINE + 1), b"0\r\n" + b"X: y\r\n" * LONGEST_LINE])
def test_lines_between_chunks_are_bounded(wire):
    with pytest.raises(BadChunkError, match="too long"):
        unpack(wire)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_a_body_or_an_error(blocks):
    with contextlib.suppress(BadChunkError):
        unpack(*blocks)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.lists(st.integers(1, 30), min_size=1, max_size=50))
def test_any_body_survives_any_slicing(parts, sizes):
    wire = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    blocks, at = [], 0
    while at < len(wire):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(wire[at : at + size])
        at += size
    body, chunks = unpack(*blocks)
    assert body == b"".join(parts)
    assert chunks.ended

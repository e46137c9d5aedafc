"""However the network slices a stream, and however its lines end: the same chunks, result and failure."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.streams import cut, line_ends, outcome, places, recorded, streams, texts
from xdm_integrations.core.completions.text_so_far import TextSoFar
from xdm_integrations.core.protocol.decoder import StreamDecoder
from xdm_integrations.core.protocol.sse import SSEDecoder
from xdm_integrations.core.protocol.wire import Limits

RECORDED = recorded()


def shown(data: bytes) -> str:
    return f"{len(data)} bytes"


def test_there_are_recordings():
    assert RECORDED


@pytest.mark.parametrize("data", RECORDED[:12], ids=shown)
def test_recordings_byte_by_byte(data):
    assert outcome([data[i : i + 1] for i in range(len(data))]) == outcome([data])


@pytest.mark.parametrize("data", [d for d in RECORDED if len(d) < 6000][:3], ids=shown)
def test_recordings_cut_at_every_byte(data):
    whole = outcome([data])
    for at in range(len(data) + 1):
        assert outcome([data[:at], data[at:]]) == whole


@given(st.sampled_from(RECORDED), places, st.sampled_from([1, 2, 3]))
def test_recordings_in_any_slicing(data, at, expected):
    assert outcome(cut(data, at), expected) == outcome([data], expected)


@given(st.sampled_from([d for d in RECORDED if len(d) < 20_000]), line_ends, places)
def test_recordings_with_any_line_end(data, end, at):
    other = data.replace(b"\r\n", b"\n").replace(b"\n", end)
    assert outcome(cut(other, at)) == outcome([data])


@given(streams(), places, st.sampled_from([1, 2, 3]), st.booleans())
def test_invented_streams(pair, at, expected, require):
    data, plain = pair
    whole = outcome([plain], expected, require=require)
    assert outcome([data], expected, require=require) == whole
    assert outcome(cut(data, at), expected, require=require) == whole
    assert outcome([data[i : i + 1] for i in range(len(data))], expected, require=require) == whole


@given(streams(), places, st.integers(1, 200), st.integers(1, 200), st.integers(1, 200))
def test_limits_don_t_depend_on_the_slicing(pair, at, line, event, body):
    data, _ = pair
    limits = Limits(line, event, body)
    assert outcome(cut(data, at), limits=limits) == outcome([data], limits=limits)


@given(streams(), st.integers(0, 10**6))
def test_what_was_handed_out_stays_true_whatever_follows(pair, at):
    data, _ = pair
    decoder = StreamDecoder(TextSoFar(1, 1), {}, Limits())
    before = decoder.feed(data[: at % (len(data) + 1)])
    assert outcome([data])[0][: len(before)] == before


@given(st.lists(texts, max_size=10), line_ends, places, st.booleans())
def test_any_text_comes_through_whole(pieces, end, at, ascii_only):
    events = [{"choices": [{"text": piece, "finish_reason": None}]} for piece in pieces]
    events.append({"choices": [{"text": "", "finish_reason": "stop"}]})
    data = b"".join(b"data: " + json.dumps(e, ensure_ascii=ascii_only).encode() + end + end for e in events)
    chunks, result, failure, *_ = outcome(cut(data, at))
    assert failure is type(None)
    assert result.text == "".join(pieces)
    assert [c.text for c in chunks] == [*filter(None, pieces), ""]


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"data", b":", b" ", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"event", b"x", b"{"]),
        max_size=30,
    ).map(b"".join),
    places,
)
def test_events_of_any_bytes_in_any_slicing(data, at):
    def events(blocks):
        decoder = SSEDecoder()
        return [event for block in blocks for event in decoder.feed(block)], decoder.close()

    whole = events([data])
    assert events(cut(data, at)) == whole
    assert events([data[i : i + 1] for i in range(len(data))]) == whole

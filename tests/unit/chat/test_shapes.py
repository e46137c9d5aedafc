"""Every recorded shape of an answer, complete and streamed, at any slicing of the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xdm_integrations.core.chat.message_so_far import ChatSoFar
from xdm_integrations.core.chat.parse import parse_chat
from xdm_integrations.core.errors.tree import APIResponseError, XDMError
from xdm_integrations.core.protocol.decoder import StreamDecoder
from xdm_integrations.core.protocol.wire import Limits, Reply

from .shapes import COMPLETE, STREAMS, Row, body, stream

if TYPE_CHECKING:
    from xdm_integrations.core.chat.results import ChatCompletion

complete = pytest.mark.parametrize("row", COMPLETE, ids=[row.name for row in COMPLETE])
streamed = pytest.mark.parametrize("row", STREAMS, ids=[row.name for row in STREAMS])


def reply(data: bytes) -> Reply:
    return Reply(200, {"x-oneapi-request-id": "r1"}, data)


def decoded(data: bytes, size: int):
    decoder = StreamDecoder(ChatSoFar(1), {}, Limits())
    chunks = [chunk for start in range(0, len(data), size) for chunk in decoder.feed(data[start : start + size])]
    chunks += decoder.close()
    assert decoder.ended
    return decoder, chunks


def check(answer: ChatCompletion, row: Row) -> None:
    assert (answer.text, answer.reasoning, answer.refusal) == (row.text, row.reasoning, row.refusal)
    assert [(call.name, call.parsed()) for call in answer.tool_calls] == row.calls
    assert [(call.name, call.arguments) for call in answer.invalid_tool_calls] == row.invalid
    assert all(call.id for call in answer.tool_calls)
    if row.ids:
        assert [call.id for call in answer.tool_calls] == row.ids
    assert (answer.finish_reason or "") == row.finish
    if row.usage:
        assert answer.usage is not None
        usage = answer.usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == row.usage


@complete
def test_a_complete_answer_is_read_right_or_is_a_typed_error(row):
    if row.error:
        with pytest.raises(XDMError):
            parse_chat(reply(body(row)), 1, Limits())
        return
    check(parse_chat(reply(body(row)), 1, Limits()), row)


@complete
def test_a_complete_answer_to_a_stream_request_is_read_alike(row):
    decoder, _ = decoded(body(row), 1 << 20)
    if row.error or not row.finish:  # without a finish reason, a stream isn't complete
        assert decoder.failure is not None
        return
    assert decoder.failure is None
    check(decoder.result(), row)


@streamed
def test_a_stream_in_answer_to_a_plain_request_is_read_alike(row):
    if row.error:
        with pytest.raises(XDMError) as caught:
            parse_chat(reply(stream(row)), 1, Limits())
        assert caught.value.text == row.text
        return
    check(parse_chat(reply(stream(row)), 1, Limits()), row)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@streamed
def test_a_stream_is_read_right_at_any_slicing(row, size):
    decoder, chunks = decoded(stream(row), size)
    answer = decoder.result()
    assert "".join(chunk.text for chunk in chunks) == answer.text
    if row.error:
        assert decoder.failure is not None
        assert decoder.failure.text == answer.text == row.text
        assert not answer.tool_calls
        assert not any(chunk.finish_reason for chunk in chunks)
        return
    assert decoder.failure is None
    check(answer, row)
    assert "".join(chunk.reasoning for chunk in chunks) == answer.reasoning
    assert "".join(chunk.refusal for chunk in chunks) == answer.refusal
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [row.finish]
    assert chunks[-1].finish_reason == row.finish


@streamed
def test_the_pieces_of_a_tool_call_add_up_with_one_number_one_id_and_one_name(row):
    decoder, chunks = decoded(stream(row), 50)
    answer = decoder.result()
    deltas = [piece for chunk in chunks for piece in chunk.tool_calls]
    calls = answer.tool_calls or answer.invalid_tool_calls
    assert sorted({piece.index for piece in deltas}) == list(range(len(calls))) or decoder.failure is not None
    for number, call in enumerate(calls):
        mine = [piece for piece in deltas if piece.index == number]
        assert "".join(piece.arguments for piece in mine) == call.arguments
        if decoder.failure is None:
            assert [piece.id for piece in mine if piece.id is not None] == [call.id]
            assert [piece.name for piece in mine if piece.name is not None] == [call.name]


@streamed
def test_a_stream_that_is_cut_anywhere_before_its_end_delivers_no_tool_call(row):
    data = stream(row)
    first_finish = min(at for at in (data.find(b'"finish_reason": "'), len(data)) if at >= 0)
    for at in range(0, first_finish, 37):
        decoder, _ = decoded(data[:at], 1 << 20)
        assert decoder.failure is not None
        assert not decoder.result().tool_calls


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@streamed
def test_line_ends_make_no_difference(row, end):
    decoder, chunks = decoded(stream(row, end), 11)
    plain, plain_chunks = decoded(stream(row), 1 << 20)
    assert (chunks, type(decoder.failure)) == (plain_chunks, type(plain.failure))


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n\n", b": PING\n\n: PING\n\n"], ids=["bom", "blanks", "pings"])
def test_heartbeats_in_front_of_a_complete_answer_are_skipped(before):
    row = COMPLETE[1]
    check(parse_chat(reply(before + body(row)), 1, Limits()), row)


@pytest.mark.parametrize("blanks", [b"", b"\n\n", b" \r\n"])
def test_heartbeats_without_an_answer_are_an_empty_body(blanks):
    with pytest.raises(APIResponseError, match="empty body"):
        parse_chat(reply(blanks), 1, Limits())


@pytest.mark.parametrize(
    "before",
    [b"retry: 3000\n\n", b"retry: 3000\r\r", b"id: 1\n", b"event: message\n", b": PING\n\n", b"\n\n" * 9999],
)
def test_a_stream_in_answer_to_a_plain_request_may_begin_with_any_field(before):
    row = STREAMS[0]
    check(parse_chat(reply(before + stream(row)), 1, Limits()), row)

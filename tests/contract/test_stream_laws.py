"""What every endpoint that streams promises, sync and async: see `endpoints` for the rows."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.contract.endpoints import STREAMING
from tests.scripted import CLOSE, DONE, HANG, RESET, http, stream
from xdm_integrations import APIResponseError, StreamInterruptedError, XDMError


@pytest.fixture(params=STREAMING, ids=lambda row: row.name)
def row(request):
    return request.param


@pytest.fixture
def client(surface, server):
    return surface.client(base_url=server.url)


def streamed(surface, client, row, **params):
    return surface.streamed(client, row.streams, row.given, **params)


def failing(surface, client, row, kind=XDMError, **params):
    with pytest.raises(kind) as caught:
        streamed(surface, client, row, **params)
    return caught.value


def test_a_stream_brings_what_a_complete_reply_brings(surface, server, client, row):
    server.script = [stream(*row.beginning, *row.rest), http(row.good)]
    chunks, complete = streamed(surface, client, row)
    whole = surface.call(client, row.ask, row.given)
    assert "".join(chunk.text for chunk in chunks) == row.seen(complete) == row.seen(whole)
    assert (complete.usage, complete.model, complete.finish_reason) == (whole.usage, whole.model, "stop")
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert server.requests[0].json["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("end", [[], [DONE], [CLOSE], [RESET]], ids=["end", "done", "closed", "reset"])
def test_a_stream_that_is_cut_raises_with_what_came_and_is_not_repeated(surface, server, client, row, end):
    server.script = [stream(*row.beginning, *end, end=not end or end == [DONE])]
    error = failing(surface, client, row, StreamInterruptedError)
    assert error.text == error.partial.text == "alpha"
    assert not error.retryable
    assert len(server.requests) == 1


def test_done_is_the_end_where_no_finish_reason_is_required(surface, server, row):
    server.script = [stream(*row.beginning, DONE)]
    client = surface.client(base_url=server.url, require_finish_reason=False)
    assert streamed(surface, client, row)[1].text == "alpha"


def test_a_stream_that_is_refused_before_its_first_chunk_is_asked_for_again(surface, server, client, row, waits):
    server.script = [http({"error": {"message": "busy"}}, 503), stream(*row.beginning, *row.rest)]
    assert streamed(surface, client, row)[1].text == "alpha beta"
    assert len(server.requests) == 2


def test_an_error_event_is_a_typed_error_with_what_came(surface, server, client, row):
    server.script = [stream(*row.beginning, {"error": {"message": "用户额度不足", "code": "insufficient_user_quota"}})]
    error = failing(surface, client, row)
    assert error.partial.text == "alpha"
    assert len(server.requests) == 1


def without_empty_lines(*events, rest=""):
    """Return a stream whose events are only lines, as some relays and engines write them."""
    lines = [f"data: {event if isinstance(event, str) else json.dumps(event)}\n" for event in events]
    return stream("".join(lines) + rest)


@pytest.mark.parametrize("rest", ["", "\n"], ids=["at the end", "before the end"])
@pytest.mark.parametrize("done", [[], ["[DONE]"], ["[DONE]", "[DONE]"]], ids=["no [DONE]", "[DONE]", "[DONE] twice"])
def test_events_without_an_empty_line_between_them_are_the_answer(surface, server, client, row, rest, done):  # noqa: PLR0913, PLR0917 - each is varied
    events = [event for event in (*row.beginning, *row.rest) if event != DONE]
    server.script = [without_empty_lines(*events, *done, rest=rest)]
    chunks, complete = streamed(surface, client, row)
    assert "".join(chunk.text for chunk in chunks) == complete.text == "alpha beta"
    assert complete.usage.total_tokens
    assert len(server.requests) == 1


@pytest.mark.parametrize("rest", ["", 'data: {"choices": [{"ind', "data: [DONE]", "data: [DONE]\n\n"])
def test_such_a_stream_that_is_cut_raises_with_what_came(surface, server, client, row, rest):
    server.script = [without_empty_lines(*row.beginning, rest=rest)]
    assert failing(surface, client, row, StreamInterruptedError).text == "alpha"
    assert len(server.requests) == 1


def test_a_stream_of_nothing_is_an_error(surface, server, row):
    server.script = [stream(DONE)]
    failing(surface, surface.client(base_url=server.url, max_retries=0), row, APIResponseError)


def test_json_in_the_place_of_a_stream_is_the_answer(surface, server, client, row):
    server.script = [http(row.good)]
    assert streamed(surface, client, row)[1].text == "alpha beta"


def test_leaving_a_stream_closes_its_connection(surface, server, client, row):
    server.script = [stream(*row.beginning, HANG, end=False)]
    if surface.is_async:

        async def leave():
            async with await getattr(client, row.streams)(row.given) as opened:
                await opened.__anext__()
            return await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)

        assert surface.run(leave())
    else:
        with getattr(client, row.streams)(row.given) as opened:
            next(opened)
        assert server.wait_until(lambda: server.open_connections == 0)


def test_a_stream_that_has_ended_goes_on_ending(surface, server, client, row):
    server.script = [stream(*row.beginning, *row.rest)]
    if surface.is_async:

        async def read_twice():
            opened = await getattr(client, row.streams)(row.given)
            return [chunk async for chunk in opened], [chunk async for chunk in opened]

        first, again = surface.run(read_twice())
    else:
        opened = getattr(client, row.streams)(row.given)
        first, again = list(opened), list(opened)
    assert first
    assert again == []


def test_the_connection_of_a_stream_that_was_read_is_used_again(surface, server, client, row):
    server.script = [stream(*row.beginning, *row.rest)]
    streamed(surface, client, row)
    streamed(surface, client, row)
    assert server.connections == 1

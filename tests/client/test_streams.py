"""Streams as users hold them: iterators that know the answer so far and give the connection back."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import traceback

import pytest

from tests.scripted import CLOSE, DONE, HANG, RESET, USAGE, chunk, completion, http, stream, tokens, usage_chunk
from xdm_integrations import AsyncClient, Client, CompletionChunk, StreamInterruptedError, XDMError


class Reader:
    """Reads one stream by hand, in either world."""

    def __init__(self, surface, client, prompt="x", **params):
        self._surface = surface
        self.stream = surface.run(client.stream(prompt, **params))

    def next(self):
        if self._surface.is_async:
            return self._surface.run(anext(self.stream))
        return next(self.stream)

    def rest(self):
        if not self._surface.is_async:
            return list(self.stream)

        async def read():
            return [c async for c in self.stream]

        return self._surface.run(read())

    def close(self):
        self._surface.run(self.stream.aclose()) if self._surface.is_async else self.stream.close()


def gone(server):
    """Whether the server has lost its only connection, soon."""
    return server.wait_until(lambda: server.open_connections == 0)


def together(*events):
    """Events that arrive in one piece."""
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def held(*events):
    """A stream that sends these and then keeps the connection open."""
    return stream(*events, HANG)


def test_the_answer_grows_and_is_whole_at_the_end(surface, server):
    more = threading.Event()
    server.script = [stream(chunk("Hel"), more, chunk("lo"), chunk("", finish="stop"), usage_chunk(), DONE)]
    reader = Reader(surface, surface.client(base_url=server.url))
    assert reader.next().text == "Hel"
    so_far = reader.stream.completion
    assert (so_far.text, so_far.finish_reason, so_far.usage) == ("Hel", None, None)
    assert (so_far.model, so_far.id) == ("served-model", "cmpl-1")
    more.set()
    assert [c.text for c in reader.rest()] == ["lo", ""]
    whole = reader.stream.completion
    assert (whole.text, whole.finish_reason, whole.usage.as_dict()) == ("Hello", "stop", USAGE)
    assert reader.rest() == []


def test_the_first_piece_has_arrived_when_the_call_returns(surface, server):
    """So that everything that can be retried has been; the second piece isn't waited for."""
    server.script = [held(chunk("first"))]
    reader = Reader(surface, surface.client(base_url=server.url))
    assert reader.stream.completion.text == "first"
    assert reader.next().text == "first"
    reader.close()
    assert gone(server)


def test_each_piece_is_handed_out_when_it_comes(surface, server):
    gates = [threading.Event() for _ in range(3)]
    steps = [x for i, gate in enumerate(gates) for x in (gate, chunk(f"{i}"))]
    server.script = [stream(chunk("a"), *steps, chunk("", finish="stop"), DONE)]
    reader = Reader(surface, surface.client(base_url=server.url))
    assert reader.next().text == "a"
    for i, gate in enumerate(gates):
        gate.set()
        assert reader.next().text == f"{i}"
    assert [c.finish_reason for c in reader.rest()] == ["stop"]


def test_what_nobody_reads_is_not_fetched(surface, server):
    """A stream takes no more memory than its buffers, however much the server has to send."""
    all_sent = threading.Event()
    server.script = [
        stream(chunk("first"), *[chunk("x" * 60_000)] * 1_000, all_sent.set, chunk("", finish="stop"), DONE)
    ]
    reader = Reader(surface, surface.client(base_url=server.url))
    assert reader.next().text == "first"
    if surface.is_async:
        assert not surface.run(asyncio.to_thread(all_sent.wait, 1))
    else:
        assert not all_sent.wait(1)
    assert sum(len(piece.text) for piece in reader.rest()) == 60_000_000
    assert all_sent.is_set()


def test_after_the_end_the_connection_is_used_again(surface, server):
    client = surface.client(base_url=server.url)
    for _ in range(5):
        surface.stream(client, "x")
    assert surface.complete(client, "y").text == "<y>"
    assert server.connections == 1


def test_a_server_that_never_ends_the_body_costs_only_its_connection(surface, server):
    server.script = [held(chunk("a", finish="stop"), DONE), tokens("b")]
    client = surface.client(base_url=server.url)
    assert surface.stream(client, "x")[1].text == "a"
    assert surface.stream(client, "x")[1].text == "b"
    assert server.connections == 2


@pytest.mark.parametrize("times", [1, 2])
def test_closing_early_ends_the_connection_and_the_stream(surface, server, times):
    server.script = [held(chunk("a"), chunk("b"))]
    reader = Reader(surface, surface.client(base_url=server.url))
    for _ in range(times):
        reader.close()
    assert gone(server)
    assert reader.rest() == []
    assert reader.stream.completion.text.startswith("a")


def test_leaving_the_block_ends_the_connection(server):
    server.script = [held(chunk("a"))]
    with Client(base_url=server.url) as client, client.stream("x") as stream:
        for _ in stream:
            break
    assert gone(server)


def test_leaving_the_block_by_an_exception_ends_the_connection(server):
    server.script = [held(chunk("a"))]

    async def main():
        async with AsyncClient(base_url=server.url) as client, await client.stream("x") as stream:
            async for _ in stream:
                raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(main())
    assert gone(server)


def test_dropping_it_ends_the_connection_without_the_garbage_collector(surface, server):
    server.script = [held(chunk("a"))]
    gc.disable()
    try:
        reader = Reader(surface, surface.client(base_url=server.url))
        reader.next()
        del reader
        if surface.is_async:
            surface.run(asyncio.sleep(0))  # the loop closes sockets in its next round
        assert gone(server)
    finally:
        gc.enable()


def test_cancelling_the_reader_ends_the_connection(server):
    server.script = [held(chunk("a"))]

    async def main():
        async with AsyncClient(base_url=server.url) as client:
            stream = await client.stream("x")
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await asyncio.to_thread(gone, server)
            with pytest.raises(StreamInterruptedError) as caught:
                await anext(stream)
            assert caught.value.text == "a"

    asyncio.run(main())


def test_a_reader_that_is_cancelled_when_the_stream_was_closed_already_leaves_it_closed(server):
    server.script = [held(chunk("a"))]

    async def main():
        async with AsyncClient(base_url=server.url) as client:
            stream = await client.stream("x")
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            await stream.aclose()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert [piece async for piece in stream] == []
            assert stream.completion.text == "a"

    asyncio.run(main())


BREAKS = {
    "reset": [chunk("so "), chunk("far"), RESET],
    "closed": [chunk("so "), chunk("far"), CLOSE],
    "ended": [chunk("so "), chunk("far")],
    "[DONE] alone": [chunk("so "), chunk("far"), DONE],
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_stream_raises_with_the_text_so_far_and_then_is_over(surface, server, how):
    server.script = [stream(*BREAKS[how], headers={"X-Oneapi-Request-Id": "r-3"})]
    reader = Reader(surface, surface.client(base_url=server.url))
    pieces = [reader.next(), reader.next()]
    with pytest.raises(StreamInterruptedError) as caught:
        reader.next()
    assert "".join(c.text for c in pieces) == caught.value.text == "so far"
    assert caught.value.request_id == "r-3"
    assert caught.value.partial == reader.stream.completion
    assert reader.rest() == []
    assert len(server.requests) == 1


def test_what_broke_a_stream_is_shown_without_the_readers_own_turns(surface, server):
    server.script = [stream(*BREAKS["closed"])]
    with pytest.raises(StreamInterruptedError) as caught:
        Reader(surface, surface.client(base_url=server.url)).rest()
    assert "IndexError" not in "".join(traceback.format_exception(caught.value))


def test_pieces_in_the_same_packet_as_an_error_come_first(surface, server):
    both = b"".join(
        f"data: {e}\n\n".encode() for e in ('{"choices": [{"text": "so far"}]}', '{"error": {"message": "boom"}}')
    )
    server.script = [stream(both)]
    reader = Reader(surface, surface.client(base_url=server.url))
    assert reader.next().text == "so far"
    with pytest.raises(XDMError, match="boom") as caught:
        reader.next()
    assert caught.value.text == "so far"


def test_an_interruption_after_the_last_finish_reason_is_none(surface, server):
    server.script = [stream(chunk("a", finish="stop"), RESET)]
    assert surface.stream(surface.client(base_url=server.url), "x")[1].text == "a"


def test_done_is_enough_where_the_user_says_so(surface, server):
    server.script = [stream(chunk("a"), DONE)]
    client = surface.client(base_url=server.url, require_finish_reason=False)
    chunks, whole = surface.stream(client, "x")
    assert ([c.text for c in chunks], whole.text, whole.finish_reason) == (["a"], "a", None)


def test_a_json_body_is_a_stream_of_one_piece(surface, server):
    server.script = [http(completion("whole"))]
    chunks, whole = surface.stream(surface.client(base_url=server.url), "x")
    assert [(c.text, c.finish_reason) for c in chunks] == [("whole", "stop")]
    assert whole.usage.as_dict() == USAGE


def test_gateway_noise_changes_nothing(surface, server):
    server.script = [
        stream(": PING\n\n", "::PING\n\n", chunk("a"), ": PING\n\n", b"\n\n", chunk("b", finish="stop"), DONE)
    ]
    assert surface.stream(surface.client(base_url=server.url), "x")[1].text == "ab"


def test_finish_reason_is_on_exactly_one_piece(surface, server):
    chunks, _ = surface.stream(surface.client(base_url=server.url), "x", n=2)
    assert sorted((c.index, c.finish_reason) for c in chunks if c.finish_reason) == [(0, "stop"), (1, "stop")]


def test_streams_side_by_side_keep_apart(surface, server):
    client = surface.client(base_url=server.url)
    readers = [Reader(surface, client, f"p{i}") for i in range(4)]
    texts = ["" for _ in readers]
    for _ in range(3):
        for i, reader in enumerate(readers):
            texts[i] += reader.next().text
    assert texts == [f"<p{i}>" for i in range(4)]
    for reader in readers:
        reader.close()


def interrupted(error=KeyboardInterrupt):
    raise error


def test_an_interrupt_while_reading_closes_the_connection(server, bodies):
    server.script = [held(chunk("a"))]
    with Client(base_url=server.url) as client:
        stream = client.stream("x")
        next(stream)
        (body,) = bodies
        body.on_read = interrupted
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        assert gone(server)
        with pytest.raises(StreamInterruptedError):
            next(stream)


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interrupt_after_the_end_closes_the_connection_too(surface, server, bodies, error):
    server.script = [held(chunk("a", finish="stop"), DONE)]
    reader = Reader(surface, surface.client(base_url=server.url))
    (body,) = bodies
    body.on_drain = lambda: interrupted(error)
    with pytest.raises(error):
        reader.rest()
    assert body.closed
    if surface.is_async:
        surface.run(asyncio.sleep(0))
    assert gone(server)


def test_closing_from_another_thread_ends_the_reading_with_the_text_so_far(server, bodies):
    server.script = [held(chunk("so far"))]
    raised = []
    with Client(base_url=server.url) as client:
        stream = client.stream("x")
        assert next(stream).text == "so far"
        reading = threading.Event()
        (body,) = bodies
        body.on_read = reading.set

        def read():
            try:
                next(stream)
            except XDMError as error:
                raised.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        assert reading.wait(10)
        stream.close()
        reader.join(10)
    assert [error.text for error in raised] == ["so far"]
    assert list(stream) == []
    assert gone(server)


def test_what_is_at_hand_can_be_taken_at_once(surface, server):
    more = threading.Event()
    server.script = [stream(together(chunk("a"), chunk("b")), more, chunk("c", finish="stop"), DONE)]
    reader = Reader(surface, surface.client(base_url=server.url))
    assert reader.next().text == "a"
    at_hand = surface.run(reader.stream.next_chunks())
    assert [at_hand.popleft().text for _ in range(len(at_hand))] == ["b"]
    more.set()
    assert [c.text for c in surface.run(reader.stream.next_chunks())] == ["c"]
    assert [c.text for c in reader.rest()] == ["c"]
    assert not surface.run(reader.stream.next_chunks())
    assert reader.stream.completion is reader.stream.completion, "an answer that has ended is made once"


def test_a_chunk_that_was_taken_is_let_go(surface, server):
    def alive():
        return sum(type(found) is CompletionChunk for found in gc.get_objects())

    gc.collect()
    before = alive()
    server.script = [stream(together(*[chunk("word")] * 200), chunk("", finish="stop"), DONE)]
    reader = Reader(surface, surface.client(base_url=server.url))
    for _ in range(200):
        reader.next()
    assert alive() - before < 10
    reader.close()

"""Reading: every token as it arrives, whatever the framing; compressed or not; never without bound."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import zlib

import aiohttp
import pytest

from tests.bombs import bomb
from tests.scripted import CLOSE, HANG, RESET, http, piece
from tests.transports.conftest import ask, head
from xdm_integrations.core.errors.tree import APIConnectionError, APIResponseError
from xdm_integrations.core.protocol.wire import Limits

TOKENS = [f"data: {word}\n\n".encode() for word in ("one", "twö", "three", "four")]
WHOLE = b"".join(TOKENS)


class Paced:
    """A body whose next part is sent only after the test has received the one before."""

    def __init__(self, parts: list[bytes]) -> None:
        self.received = [threading.Event() for _ in parts]
        self.steps = [step for part, event in zip(parts, self.received, strict=True) for step in (part, event)]


def flushed(compress) -> list[bytes]:
    """Compress each token so that it can be decoded alone; the last one ends the data."""
    parts = [compress.compress(token) + compress.flush(zlib.Z_SYNC_FLUSH) for token in TOKENS]
    parts[-1] += compress.flush()
    return parts


def framings() -> dict[str, tuple[bytes, list[bytes], list]]:
    """Head, the part with each token, and what ends the body."""
    gzipped = flushed(zlib.compressobj(wbits=31))
    sse = {"Content_Type": "text/event-stream"}
    big = [b"%x\r\n" % len(WHOLE) + TOKENS[0], *TOKENS[1:-1], TOKENS[-1] + b"\r\n"]
    last_with_end = [*map(piece, TOKENS[:-1]), piece(TOKENS[-1]) + b"0\r\n\r\n"]
    return {
        "chunked": (head(**sse, Transfer_Encoding="chunked"), list(map(piece, TOKENS)), [b"0\r\n\r\n"]),
        "end in the last packet": (head(**sse, Transfer_Encoding="chunked"), last_with_end, []),
        "one big chunk": (head(**sse, Transfer_Encoding="chunked"), big, [b"0\r\n\r\n"]),
        "content-length": (head(**sse, Content_Length=str(len(WHOLE))), TOKENS, []),
        "close-delimited": (head(**sse), TOKENS, [CLOSE]),
        "connection: close": (head(**sse, Connection="close"), TOKENS, [CLOSE]),
        "chunked, connection: close": (
            head(**sse, Connection="close", Transfer_Encoding="chunked"),
            list(map(piece, TOKENS)),
            [b"0\r\n\r\n", CLOSE],
        ),
        "chunked gzip": (
            head(**sse, Transfer_Encoding="chunked", Content_Encoding="gzip"),
            list(map(piece, gzipped)),
            [b"0\r\n\r\n"],
        ),
        "close-delimited gzip": (head(**sse, Content_Encoding="gzip"), gzipped, [CLOSE]),
    }


@pytest.mark.parametrize("framing", framings())
def test_a_token_is_delivered_before_the_next_is_sent(world, server, framing):
    start, parts, end = framings()[framing]
    paced = Paced(parts)
    server.script = [[start, *paced.steps, *end]]
    reply = world.send(ask(server, streaming=True))
    for token, received in zip(TOKENS, paced.received, strict=True):
        got = b""
        while len(got) < len(token):
            got += world.read(reply)
        assert got == token
        received.set()
    assert world.read(reply) == b""
    assert world.read(reply) == b""  # and so it stays
    world.close_reply(reply)
    if "gzip" in framing and not world.is_async:
        return  # http.client would forget what came after it; we ask for no compression
    keeps = "close" not in framing
    assert server.wait_until(lambda: server.open_connections == int(keeps))


@pytest.mark.parametrize("framing", framings())
def test_a_body_that_comes_at_once_is_the_same(world, server, framing):
    start, parts, end = framings()[framing]
    wire = start + b"".join(parts) + b"".join(step for step in end if step != CLOSE)
    server.script = [[wire, *[step for step in end if step == CLOSE]]]
    reply = world.send(ask(server, streaming=True))
    assert world.read_all(reply) == WHOLE
    assert world.send(ask(server)).body == WHOLE


@pytest.mark.parametrize("framing", framings())
def test_a_body_byte_by_byte_is_the_same(world, server, framing):
    start, parts, end = framings()[framing]
    wire = start + b"".join(parts) + b"".join(step for step in end if step != CLOSE)
    server.script = [[*(wire[i : i + 1] for i in range(len(wire))), CLOSE]]
    reply = world.send(ask(server, streaming=True))
    assert world.read_all(reply) == WHOLE


def test_chunk_extensions_and_trailers_are_passed_over(world, server):
    wire = b"3;x=y\r\nabc\r\n2\r\nde\r\n0;z\r\nX-Trailer: 1\r\nX-More: 2\r\n\r\n"
    server.script = [[head(Transfer_Encoding="chunked") + wire]]
    for _ in range(3):
        assert world.read_all(world.send(ask(server, streaming=True))) == b"abcde"
    assert server.connections == 1


@pytest.mark.parametrize("coding", ["chunked ", "identity, chunked", "gzip, Chunked"])
def test_chunks_are_unpacked_wherever_their_name_stands(world, server, coding):
    server.script = [[head(Transfer_Encoding=coding) + b"5\r\nabcde\r\n0\r\n\r\n"]]
    assert world.send(ask(server)).body == b"abcde"
    reply = world.send(ask(server, streaming=True))
    assert world.read_all(reply) == b"abcde"
    world.close_reply(reply)


@pytest.mark.parametrize(
    "wire",
    [
        b"nonsense\r\n",
        b"-5\r\nabcde",
        b"3\r\nabcXX\r\n",
        b"5\r\nab",
        b"5\r\nabcde",
        b"5\r\nabcde\r\n",
        b"3\r\nabc\r\n2",
    ],
)
def test_broken_framing_is_an_error_and_closes(world, server, wire):
    server.script = [[head(Transfer_Encoding="chunked") + wire, CLOSE]]
    with pytest.raises(APIConnectionError, match=r"nswer from 127[^\n]*$"):
        world.read_all(world.send(ask(server, streaming=True)))
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_an_interim_reply_never_passes_for_an_answer(world, server):
    """http.client takes 103 for the final reply, so that world has to send again; aiohttp reads on."""
    server.script = [[b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", *http({"ok": 1})]]
    if world.is_async:
        assert world.send(ask(server)).body == b'{"ok": 1}'
        return
    with pytest.raises(APIConnectionError, match=r"interim reply \(103\)") as caught:
        world.send(ask(server))
    assert caught.value.retryable
    assert server.wait_until(lambda: server.open_connections == 0)


BOMB = bomb(bytes(2**20), 200)


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_is_bounded(world, server, packed):
    world.close_transport()
    world.new_transport(Limits(body=100_000))
    if packed:
        server.script = [http(BOMB, headers={"Content-Encoding": "gzip"})]
    else:
        server.script = [[head(Transfer_Encoding="chunked"), *[piece(b"x" * 10_000)] * 50, HANG]]
    with pytest.raises(APIResponseError, match=r"more than 100,000 bytes.*limits\.body"):
        world.send(ask(server))
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_a_bomb_is_unpacked_in_pieces(world, server):
    """A stream of 200 MB in 200 kB comes in blocks that a decoder with limits can refuse."""
    server.script = [http(BOMB, headers={"Content-Encoding": "gzip"})]
    reply = world.send(ask(server, streaming=True))
    assert max(len(world.read(reply)) for _ in range(5)) <= 2**24
    world.close_reply(reply)


def test_a_compressed_body_cut_short_is_an_error(world, server):
    whole = gzip.compress(b"x" * 1000 + WHOLE)
    server.script = [[head(Content_Encoding="gzip", Content_Length=str(len(whole))) + whole[:-20], CLOSE]]
    with pytest.raises(APIConnectionError, match="broke off"):
        world.send(ask(server))


def test_a_body_that_is_not_gzip_is_an_error(world, server):
    server.script = [http("not compressed at all", headers={"Content-Encoding": "gzip"})]
    with pytest.raises(APIConnectionError, match="broke off"):
        world.send(ask(server))


@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_what_arrived_before_a_break_is_handed_out_first(world, server, how):
    """aiohttp forgets what it holds as soon as it learns of the break; then a whole answer would be lost."""
    gone = threading.Event()
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), gone, piece(b"whole answer"), how]]
    reply = world.send(ask(server, streaming=True))
    assert world.read(reply) == b"a"
    gone.set()
    assert server.wait_until(lambda: server.open_connections == 0)
    if world.is_async:
        world.run(asyncio.sleep(0.02))  # the loop meets data and break before anybody reads
    if how == CLOSE:
        assert world.read(reply) == b"whole answer"
    with pytest.raises(APIConnectionError, match="broke off"):
        world.read_all(reply)


BROKEN_LATER = [b"xyz\r\n", b"-5\r\nabcde", b"3\r\nabcXX\r\n"]


@pytest.mark.parametrize("end", [CLOSE, HANG])
@pytest.mark.parametrize("wire", BROKEN_LATER)
@pytest.mark.parametrize("streaming", [False, True])
def test_framing_that_breaks_while_somebody_waits_is_an_error(world, server, wire, end, streaming):
    """aiohttp's parser in C tells nobody who waits already, and stops the limit for the wait."""
    waits = threading.Event()
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), waits, wire, end]]
    if world.is_async:
        world.loop.call_later(0.1, waits.set)
    else:
        threading.Timer(0.1, waits.set).start()
    with pytest.raises(APIConnectionError, match=r"nswer from 127[^\n]*$"):
        world.run(everything_async(world, server, streaming)) if world.is_async else everything(
            world, server, streaming
        )
    assert server.wait_until(lambda: server.open_connections == 0)


def everything(world, server, streaming):
    reply = world.transport.send(ask(server, streaming=streaming))
    while reply.stream.read():
        pass


async def everything_async(world, server, streaming):
    """Read to the end, and fail rather than hang."""

    async def read():
        reply = await world.transport.send(ask(server, streaming=streaming))
        while await reply.stream.read():
            pass

    done, _ = await asyncio.wait([asyncio.ensure_future(read())], timeout=8)
    assert done, "it hangs"
    try:
        await done.pop()
    finally:
        await asyncio.sleep(0)  # the loop closes what it has been told to close


def test_many_bodies_over_one_connection_leave_nothing_on_it(server):
    """Each body watches the connection for its end, and only as long as it is read."""
    from xdm_integrations.transports.aio.transport import AiohttpTransport

    opened = threading.Event()
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), opened, b"0\r\n\r\n"]]

    async def main():
        transport = AiohttpTransport(Limits())
        alive = []
        for number in range(20):
            opened.clear()
            reply = await transport.send(ask(server, streaming=True))
            opened.set()  # its end comes only now: what has arrived with the headers isn't watched
            while await reply.stream.read():
                pass
            if number in (1, 19):
                gc.collect()
                alive.append(sum(type(found) is aiohttp.StreamReader for found in gc.get_objects()))
        await transport.close()
        return alive

    alive = asyncio.run(main())
    assert alive[0] == alive[1], "what watches for the end of a body holds it"
    assert server.connections == 1

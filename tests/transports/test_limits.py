"""Time: every wait ends, and the error names the limit that passed."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
import weakref

import pytest

from tests.scripted import CLOSE, HANG, http, piece, slowly
from tests.transports.conftest import ask, head
from xdm_integrations.core.errors.tree import APIConnectionError, APITimeoutError
from xdm_integrations.core.protocol.wire import Limits, Timeout
from xdm_integrations.transports.aio.transport import AiohttpTransport
from xdm_integrations.transports.blocking.header_deadline import DEADLINES, Deadlines, HeaderDeadline

SOON = Timeout(0.2, 0.2)
LONG = 5
"""Seconds; no limit here comes near it, and whatever never ends by itself goes on for ten."""


def within(seconds: float = 0.2, *, total: bool = False, **more):
    """Return the settings of a request whose deadline, or else whose read limit, is near."""
    if total:
        return {"timeout": Timeout(5, 5, seconds), "deadline": time.monotonic() + seconds, **more}
    return {"timeout": Timeout(5, seconds), **more}


class Timed:
    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.start


@pytest.mark.parametrize("total", [False, True])
def test_silence_before_the_headers_ends(world, server, total):
    server.script = [[HANG]]
    with Timed() as timed, pytest.raises(APITimeoutError, match="total limit of 0.2" if total else "read limit of 0.2"):
        world.send(ask(server, **within(total=total)))
    assert 0.15 < timed.seconds < LONG
    assert server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("total", [False, True])
def test_headers_that_drip_end(world, server, total):
    """Each byte comes in time, so that no limit for one read ever passes."""
    server.script = [slowly(head(X="y" * 200))]
    limits = within(total=total)
    if not total:
        limits["timeout"] = Timeout(0.5, 0.2)
    with Timed() as timed, pytest.raises(APITimeoutError, match="total limit" if total else "read limit of 0.2"):
        world.send(ask(server, **limits))
    assert 0.15 < timed.seconds < LONG
    assert server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_silence_in_the_body_ends(world, server, framing, total):
    start = {
        "chunked": head(Transfer_Encoding="chunked") + piece(b"a"),
        "length": head(Content_Length="9") + b"a",
        "close": head(Connection="close") + b"a",
    }[framing]
    server.script = [[start, HANG]]
    reply = world.send(ask(server, streaming=True, **within(0.6, total=total)))
    assert world.read(reply) == b"a"
    with Timed() as timed, pytest.raises(APITimeoutError, match="total limit" if total else "read limit"):
        world.read(reply)
    assert timed.seconds < LONG
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_body_that_drips_ends_with_the_deadline(world, server, framing):
    text = b"x" * 200
    wire = {
        "chunked": [head(Transfer_Encoding="chunked"), *slowly(piece(text))],
        "length": [head(Content_Length="200"), *slowly(text)],
        "close": [head(Connection="close"), *slowly(text)],
    }[framing]
    server.script = [wire]
    with Timed() as timed, pytest.raises(APITimeoutError, match=r"total limit of 0\.3"):
        world.send(ask(server, **within(0.3, total=True)))
    assert timed.seconds < LONG


def test_chunk_sizes_that_drip_end(world, server):
    """No byte of the body ever comes, only its framing."""
    server.script = [[head(Transfer_Encoding="chunked"), *slowly(b"1;" + b"x" * 200 + b"\r\na\r\n")]]
    # aiohttp's limit for one read starts anew at such a byte too; there only the deadline ends it.
    reply = world.send(ask(server, streaming=True, **within(0.5, total=world.is_async)))
    with Timed() as timed, pytest.raises(APITimeoutError):
        world.read(reply)
    assert timed.seconds < LONG


def test_one_read_can_be_given_less_time(world, server):
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), HANG]]
    reply = world.send(ask(server, streaming=True))
    assert world.read(reply, 3.0) == b"a"
    with Timed() as timed, pytest.raises(APITimeoutError):
        world.read(reply, 0.1)
    assert timed.seconds < LONG


def test_a_deadline_that_has_passed_sends_nothing(world, server):
    with pytest.raises(APITimeoutError, match="total limit"):
        world.send(ask(server, timeout=Timeout(5, 5, 1), deadline=time.monotonic() - 1))
    assert server.requests == []


def test_a_deadline_that_passes_between_two_reads_ends_the_body(world, server):
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), HANG]]
    reply = world.send(ask(server, streaming=True, **within(1, total=True)))
    assert world.read(reply) == b"a"
    time.sleep(1.1)
    with pytest.raises(APITimeoutError, match="total limit"):
        world.read(reply)
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_no_limit_at_all_is_possible(world, server):
    endless = ask(server, timeout=Timeout(None, None))
    assert world.send(endless).status == 200
    server.script = [[head(Content_Length="10") + b"cut", CLOSE]]
    with pytest.raises(APIConnectionError, match="broke off"):
        world.send(endless)
    server.script = [[CLOSE]]
    with pytest.raises(APIConnectionError, match="No answer"):
        world.send(endless)


def test_an_absurdly_long_limit_is_possible(world, server):
    assert world.send(ask(server, timeout=Timeout(1e6, 1e6))).status == 200


@pytest.mark.parametrize("total", [False, True])
def test_a_host_that_does_not_accept_ends(world, total):
    """A listener whose queue is full lets connections hang."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        limits = {"timeout": Timeout(0.2, 5)}
        if total:
            limits = within(total=True)
        expected = "total limit of 0.2" if total else rf"Could not connect to 127\.0\.0\.1:{port} within 0\.2 s"
        with Timed() as timed, pytest.raises(APITimeoutError, match=expected):
            world.send(ask(f"http://127.0.0.1:{port}/v1/completions", **limits))
        assert timed.seconds < LONG
        for one in waiting:
            one.close()


def test_a_tls_handshake_that_hangs_is_a_failure_to_connect(world):
    """Nothing was sent, so that the error must not speak of a bill."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Timed() as timed, pytest.raises(APIConnectionError) as caught:
            world.send(ask(f"https://127.0.0.1:{port}/v1/completions", timeout=SOON))
    assert timed.seconds < LONG
    if not world.is_async:  # aiohttp's limit for connecting ends before TLS
        assert "Could not connect" in str(caught.value)


def test_a_limit_that_passes_is_no_cancellation(server):
    """The task goes on, other tasks keep their own limits, and a real cancellation stays one."""
    server.script = lambda seen: [HANG] if seen.json["prompt"] == "x" else http({"ok": 1})
    patient = {"body": b'{"prompt": "y"}', "timeout": Timeout(5, 5)}

    async def one(transport, seconds):
        with pytest.raises(APITimeoutError):
            await transport.send(ask(server, timeout=Timeout(seconds / 2, seconds / 2)))
        await asyncio.sleep(0)
        return (await transport.send(ask(server, **patient))).status

    async def main():
        transport = AiohttpTransport(Limits())
        statuses = await asyncio.gather(*(one(transport, seconds) for seconds in (0.3, 0.1, 0.2)))
        before = len(server.requests)  # on a busy machine, a limit passes before its request was sent
        cancelled = asyncio.create_task(transport.send(ask(server, **within(LONG, total=True))))
        assert await asyncio.to_thread(server.wait_until, lambda: len(server.requests) > before)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        gone = weakref.ref(cancelled)
        del cancelled
        await asyncio.sleep(0)  # this step of the loop holds it too
        gc.collect()
        assert gone() is None, "its limit is left behind, and holds it"
        await transport.close()
        return statuses

    assert asyncio.run(main()) == [200, 200, 200]


def test_a_limit_of_one_request_is_not_left_on_the_connection(world, server):
    """The next request on the same connection has its own."""
    gate = threading.Event()
    server.script = [http({"n": 1}), [head(Content_Length="2") + b"{", gate, b"}"]]
    world.send(ask(server, timeout=Timeout(0.5, 0.5)))
    reply = world.send(ask(server, streaming=True, timeout=Timeout(None, None)))
    assert world.read(reply) == b"{"
    timer = threading.Timer(0.7, gate.set)
    timer.start()
    assert world.read(reply) == b"}"
    timer.join()
    assert server.connections == 1


def test_a_cancelled_deadline_is_forgotten(server):
    def alive():
        return sum(type(found) is HeaderDeadline for found in gc.get_objects())

    before = alive()
    for _ in range(1000):
        DEADLINES.cancel(DEADLINES.set(300))
    assert server.wait_until(lambda: alive() - before < 10)


class Connection:
    def __init__(self):
        self.shut = threading.Event()
        self.sock = self

    def shutdown(self, how):
        self.shut.set()


def test_the_nearest_deadline_expires_first_and_only_what_is_due():
    deadlines = Deadlines()
    late, soon, off = deadlines.set(60), deadlines.set(0.05), deadlines.set(0.05)
    late.connection, soon.connection, off.connection = Connection(), Connection(), Connection()
    deadlines.cancel(off)
    assert soon.connection.shut.wait(5)
    assert soon.expired
    assert not late.expired
    assert not off.expired


def test_a_deadline_expires_again_where_there_was_no_connection_yet(monkeypatch):
    monkeypatch.setattr("xdm_integrations.transports.blocking.header_deadline.REPEAT", 0.05)
    deadlines = Deadlines()
    deadline = deadlines.set(0.01)
    while not deadline.expired:
        time.sleep(0.001)
    deadline.connection = Connection()
    assert deadline.connection.shut.wait(5)


@pytest.mark.parametrize("total", [False, True])
def test_a_chunk_extension_that_drips_ends(world, server, total):
    """Each byte comes in time, and none is of the body."""
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a") + b"1;", *slowly(b"x" * 200)]]
    reply = world.send(ask(server, streaming=True, **within(0.6, total=total)))
    assert world.read(reply) == b"a"
    with Timed() as timed, pytest.raises(APITimeoutError, match="total limit" if total else "read limit of 0.6"):
        world.read(reply)
    assert 0.1 < timed.seconds < LONG
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_framing_that_stalls_at_the_end_of_the_limit_does_not_double_it(world, server):
    """What comes just before the limit passes mustn't start it anew."""
    late = lambda: time.sleep(1.2)  # noqa: E731 - a step of the script
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), late, b"1;x", HANG]]
    reply = world.send(ask(server, streaming=True, timeout=Timeout(5, 1.5)))
    assert world.read(reply) == b"a"
    with Timed() as timed, pytest.raises(APITimeoutError, match="read limit"):
        world.read(reply)
    assert 1 < timed.seconds < 2.6  # twice would be 2.7


def test_the_limit_for_a_wait_runs_only_while_somebody_waits(world, server):
    """A reader that is busy with the last token isn't a server that is silent."""
    go = threading.Event()
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), go, piece(b"b"), HANG]]
    reply = world.send(ask(server, streaming=True, timeout=Timeout(5, 0.5)))
    assert world.read(reply) == b"a"
    if world.is_async:
        world.run(asyncio.sleep(0.7))  # longer than the limit
    go.set()
    assert world.read(reply) == b"b"
    with pytest.raises(APITimeoutError, match="read limit"):
        world.read(reply)


def test_one_thread_watches_all_deadlines():
    def watching():
        return sum(thread.name == "xdm-deadlines" for thread in threading.enumerate())

    deadlines, before = Deadlines(), watching()
    for seconds in (60, 50, 40, 30):
        deadlines.set(seconds)
    assert watching() == before + 1


def test_where_no_thread_can_be_started_requests_go_on_unwatched(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    deadlines = Deadlines()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not deadlines.set(0.01).expired
    deadline = deadlines.set(0.01)  # a thread can be had again
    deadline.connection = Connection()
    assert deadline.connection.shut.wait(5)

"""The end of a stream: the connection is kept where that costs nothing, else closed at once."""

from __future__ import annotations

import gc
import threading
import time
from collections import UserDict
from dataclasses import replace

import pytest
import urllib3.connection

from tests.scripted import CLOSE, DONE, HANG, chunk, echoing, piece, stream
from tests.transports.conftest import ask, head
from xdm_integrations.core.errors.tree import APIConnectionError, APITimeoutError
from xdm_integrations.core.protocol.wire import Limits
from xdm_integrations.transports.aio import body as aiohttp_body
from xdm_integrations.transports.blocking import transport as _requests
from xdm_integrations.transports.blocking.transport import RequestsTransport
from xdm_integrations.transports.failures import Aborted


def read_to_done(world, reply) -> None:
    text = b""
    while b"[DONE]" not in text:
        text += world.read(reply)


def test_the_rest_after_done_is_drained_and_the_connection_kept(world, server, monkeypatch):
    for transport in (_requests, aiohttp_body):  # patience, so that a slow machine keeps the connection too
        monkeypatch.setattr(transport, "DRAIN_SECONDS", 9.0)
    gate = threading.Event()
    server.script = [[*stream(chunk("a", finish="stop"), DONE, end=False), gate, b"0\r\n\r\n"]]
    for _ in range(3):
        gate.clear()
        reply = world.send(ask(server, streaming=True))
        read_to_done(world, reply)
        timer = threading.Timer(0.01, gate.set)
        timer.start()
        world.drain(reply)
        timer.join()
    assert server.connections == 1


@pytest.mark.parametrize("rest", [[HANG], [piece(b": PING\n\n")] * 1000])
def test_a_server_that_never_ends_costs_a_moment_and_the_connection(world, server, rest):
    server.script = [stream(chunk("a", finish="stop"), DONE, *[r for r in rest if r == HANG], end=False)]
    if rest != [HANG]:
        pings = [step for p in rest for step in (p, lambda: time.sleep(0.02))]
        server.script = [[*stream(chunk("a", finish="stop"), DONE, end=False), *pings]]
    reply = world.send(ask(server, streaming=True))
    read_to_done(world, reply)
    start = time.monotonic()
    world.drain(reply)
    assert time.monotonic() - start < 5  # the server is silent for ten seconds, or says nothing for twenty
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_a_connection_that_breaks_while_drained_is_no_error(world, server):
    server.script = [[*stream(chunk("a", finish="stop"), DONE, end=False), CLOSE]]
    reply = world.send(ask(server, streaming=True))
    read_to_done(world, reply)
    world.drain(reply)
    world.settle()
    assert server.wait_until(lambda: server.open_connections == 0)


def test_close_ends_a_body_at_once_and_may_be_called_twice(world, server):
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), HANG]]
    reply = world.send(ask(server, streaming=True))
    world.read(reply)
    world.close_reply(reply)
    world.close_reply(reply)
    assert server.wait_until(lambda: server.open_connections == 0)  # the server itself would hold on for longer
    assert server.disconnects


def test_closing_the_transport_while_a_body_is_open_is_safe(world, server):
    server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), HANG]]
    reply = world.send(ask(server, streaming=True))
    world.close_transport()
    world.close_reply(reply)
    assert server.wait_until(lambda: server.open_connections == 0)


def test_a_reader_in_another_thread_is_woken_by_close(server):
    """A stop button lives in another thread than the stream that it stops."""
    for start in (head(Transfer_Encoding="chunked") + piece(b"a"), head(Connection="close") + b"a"):
        server.script = [[start, HANG]]
        transport = RequestsTransport(Limits())
        reply = transport.send(ask(server, streaming=True))
        assert reply.stream.read() == b"a"
        outcome: list[object] = []

        def read(reply=reply, outcome=outcome):
            try:
                outcome.append(reply.stream.read())
            except APIConnectionError as error:
                outcome.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        reply.stream.close()
        reader.join(5)
        assert not reader.is_alive()
        assert isinstance(outcome[0], APIConnectionError)
        transport.close()


class AbortsAsItIsRead(UserDict):
    """Headers that end their thread's work while it prepares to send them."""

    def __init__(self, transport, headers):
        super().__init__(headers)
        self.transport = transport

    def keys(self):
        self.transport.abort([threading.current_thread()])
        return super().keys()


def test_a_thread_that_is_aborted_while_it_prepares_sends_nothing(server):
    transport = RequestsTransport(Limits())
    request = ask(server)
    request = replace(request, headers=AbortsAsItIsRead(transport, request.headers))
    outcome: list[object] = []

    def send():
        try:
            outcome.append(transport.send(request))
        except Aborted as error:
            outcome.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(10)
    assert isinstance(outcome[0], Aborted)
    assert server.requests == []
    transport.close()


def test_a_thread_that_is_aborted_while_its_connection_is_made_sends_nothing(server, monkeypatch):
    making, abort = threading.Event(), threading.Event()
    make = urllib3.connection.connection.create_connection

    def late(*args, **kwargs):
        making.set()
        abort.wait(10)
        return make(*args, **kwargs)

    monkeypatch.setattr(urllib3.connection.connection, "create_connection", late)
    transport = RequestsTransport(Limits())
    outcome: list[object] = []

    def send():
        for _ in range(2):  # the second time it doesn't even connect
            try:
                outcome.append(transport.send(ask(server)))
            except (Aborted, APITimeoutError) as error:
                outcome.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    assert making.wait(10)
    transport.abort([thread])
    abort.set()
    thread.join(10)
    assert [type(each) for each in outcome] == [APITimeoutError, Aborted]
    assert "Could not connect" in str(outcome[0])
    assert server.requests == []
    assert server.wait_until(lambda: server.connections == 1)
    monkeypatch.undo()
    assert transport.send(ask(server)).status == 200
    transport.close()


def test_aborting_a_thread_that_has_ended_leaves_the_one_with_its_identifier_alone(server):
    arrived, hold = threading.Event(), threading.Event()

    def script(seen):
        arrived.set()
        hold.wait(10)
        return echoing(seen)

    server.script = script
    transport = RequestsTransport(Limits())
    outcome: list[object] = []
    ended = threading.Thread()
    ended.start()
    ended.join()
    sender = threading.Thread(target=lambda: outcome.append(transport.send(ask(server))))
    sender.start()
    assert arrived.wait(10)
    ended._ident = sender.ident  # as the system gives identifiers again
    transport.abort([ended])
    hold.set()
    sender.join(10)
    assert outcome[0].status == 200
    transport.close()


def test_nothing_is_left_for_the_garbage_collector(world, server):
    """Whoever drops a reply must not have to wait for a collection."""
    server.script = [stream(chunk("a", finish="stop"), DONE)]
    world.read_all(world.send(ask(server, streaming=True)))
    gc.collect()
    gc.disable()
    try:
        server.script = [[head(Transfer_Encoding="chunked") + piece(b"a"), HANG]]
        reply = world.send(ask(server, streaming=True))
        world.read(reply)
        reply.stream.close()
        del reply
        world.settle()
        assert server.wait_until(lambda: server.open_connections == 0)
    finally:
        gc.enable()

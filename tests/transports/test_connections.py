"""Connections: one session per client and process, shared, reused, and never mixed up."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.ports import where_nobody_listens
from tests.scripted import CLOSE, DONE, RESET, chunk, completion, http, stream, tokens
from tests.socks import socks_proxy
from tests.transports.conftest import ask
from xdm_integrations.core.errors.tree import APIConnectionError
from xdm_integrations.core.protocol.wire import Limits
from xdm_integrations.transports.blocking.transport import RequestsTransport


def test_calls_one_after_the_other_share_a_connection(world, server):
    for _ in range(5):
        assert world.send(ask(server)).status == 200
    assert server.connections == 1
    world.close_transport()
    assert server.wait_until(lambda: server.open_connections == 0)
    assert world.send(ask(server)).status == 200  # usable after close
    assert server.connections == 2


def test_the_request_arrives_as_it_was_made(world, server):
    body = '{"prompt": "你好", "model": "m"}'.encode()
    world.send(ask(server, body=body, headers={"X-Mine": "ü"}))
    (seen,) = server.requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/completions", body)
    assert seen.headers["authorization"] == "Bearer the-key"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["content-length"] == str(len(body))
    assert seen.headers["x-mine"].encode("latin-1") in (b"\xfc", b"\xc3\xbc")
    assert "transfer-encoding" not in seen.headers


def test_a_get_has_no_body(world, server):
    server.script = [http({"data": []})]
    assert world.send(ask(server, method="GET", body=None)).status == 200
    assert server.requests[0].method == "GET"
    assert server.requests[0].body == b""


def test_a_body_of_several_megabytes_is_sent_without_a_warning(world, server):
    server.script = lambda seen: http({"size": len(seen.body)})
    reply = world.send(ask(server, body=b"x" * 3_000_000))
    assert json.loads(reply.body) == {"size": 3_000_000}
    assert server.requests[0].headers["content-length"] == "3000000"


def test_repeated_headers_are_joined_and_names_are_in_lower_case(world, server):
    server.script = [[b"HTTP/1.1 200 OK\r\nX-Id: one\r\nx-ID: two\r\nContent-Length: 2\r\n\r\n{}"]]
    assert world.send(ask(server)).headers["x-id"] == "one, two"


def test_a_header_of_30_kb_is_taken(world, server):
    """Some gateways send whole policies and traces along; aiohttp's own limit is 8190 bytes."""
    server.script = [http({}, headers={"X-Long": "y" * 30_000})]
    assert world.send(ask(server)).headers["x-long"] == "y" * 30_000


def test_threads_share_64_connections_without_a_warning(server, caplog):
    everyone_is_here = threading.Barrier(64)
    server.script = lambda seen: [lambda: everyone_is_here.wait(60), *http({"path": seen.json["prompt"]})]
    transport = RequestsTransport(Limits())

    def call(number: int) -> str:
        return transport.send(ask(server, body=json.dumps({"prompt": f"p{number}"}).encode())).body.decode()

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(64) as pool:
        for _ in range(3):
            assert list(pool.map(call, range(64))) == [f'{{"path": "p{i}"}}' for i in range(64)]
    assert server.connections == 64
    assert caplog.records == []
    transport.close()


@pytest.mark.parametrize("by", [None, "SOCKS"])
def test_tasks_at_once_wait_for_no_connection(server, monkeypatch, by):
    import asyncio

    from xdm_integrations.transports.aio.transport import AiohttpTransport

    everyone_is_here = threading.Barrier(150)
    server.script = lambda seen: [lambda: everyone_is_here.wait(60), *http(completion("x"))]

    async def main():
        transport = AiohttpTransport(Limits())
        replies = await asyncio.gather(*(transport.send(ask(server)) for _ in range(150)))
        await transport.close()
        return [reply.status for reply in replies]

    host, _, port = server.origin.rpartition("/")[2].partition(":")
    with socks_proxy((host, int(port))) as proxy:
        if by is not None:
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        assert asyncio.run(main()) == [200] * 150
    assert len(proxy.greetings) == (0 if by is None else 150)


@pytest.mark.parametrize(("seconds", "connections"), [(50, 1), (70, 2)])
def test_an_idle_connection_is_kept_longer_than_a_person_reads_and_shorter_than_servers_wait(
    server, monkeypatch, seconds, connections
):
    import asyncio

    from xdm_integrations.transports.aio.transport import AiohttpTransport

    async def main():
        transport = AiohttpTransport(Limits())
        await transport.send(ask(server))
        monkeypatch.setattr("aiohttp.connector.monotonic", lambda: time.monotonic() + seconds)
        await transport.send(ask(server))
        await transport.close()

    asyncio.run(main())
    assert server.connections == connections


def test_a_connection_that_the_server_closed_while_idle_is_noticed(world, server):
    server.script = lambda seen: [*http(completion("x")), CLOSE]
    for _ in range(3):
        assert world.send(ask(server)).status == 200
        assert server.wait_until(lambda: server.open_connections == 0)
        world.settle()
    assert server.connections == 3


@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_a_connection_closed_just_as_it_is_used_again_counts_as_stale(world, server, how):
    server.script = [http(completion("x")), [how]]
    world.send(ask(server))
    with pytest.raises(APIConnectionError) as caught:
        world.send(ask(server))
    assert caught.value.stale
    assert server.connections == 1
    assert len(server.requests) == 2


def test_a_new_connection_that_is_closed_is_not_stale(world, server):
    server.script = [[CLOSE]]
    with pytest.raises(APIConnectionError) as caught:
        world.send(ask(server))
    assert not caught.value.stale
    assert caught.value.retry == "backoff"


def test_a_refused_connection_is_never_stale(world, server):
    world.send(ask(server))
    refused = pytest.raises(APIConnectionError, match=r"No answer from 127\.0\.0\.1:\d+: connection refused\. ")
    with where_nobody_listens() as url, refused as caught:
        world.send(ask(url + "/v1/completions"))
    assert not caught.value.stale
    assert not isinstance(caught.value, TimeoutError)


def test_an_unknown_host_is_named(world, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # a machine without a network may take its time to say so
    with pytest.raises(APIConnectionError, match=r"from no-such-host\.invalid: Name or service not known\. ") as caught:
        world.send(ask("http://no-such-host.invalid/v1/completions"))
    assert caught.value.retryable


def test_five_streams_in_a_row_use_one_connection(world, server):
    server.script = [tokens("a", "b")]
    for _ in range(5):
        reply = world.send(ask(server, streaming=True))
        text = b""
        while b"[DONE]" not in text:
            text += world.read(reply)
        world.drain(reply)
        world.close_reply(reply)
    assert server.connections == 1


def test_a_drain_never_touches_a_connection_that_serves_another_request(world, server):
    """The body is whole, so that its connection may serve the next request before anybody drains."""
    server.script = lambda seen: stream(chunk("a", finish="stop"), DONE)
    first = world.send(ask(server, streaming=True))
    world.read_all(first)
    second = world.send(ask(server, streaming=True))
    world.drain(first)
    world.close_reply(first)
    assert b"[DONE]" in world.read_all(second)
    assert server.connections == 1


def test_a_forked_child_gets_connections_of_its_own(server, programs):
    server.script = lambda seen: http({"who": seen.json["prompt"]})
    code = """
import os, sys, json
from tests.socks import socks_proxy
from tests.transports.conftest import ask
from xdm_integrations.core.protocol.wire import Limits
from xdm_integrations.transports.blocking.transport import RequestsTransport
transport = RequestsTransport(Limits())
def who(name):
    body = json.dumps({"prompt": name}).encode()
    return json.loads(transport.send(ask(sys.argv[1], body=body)).body)["who"]
assert who("parent") == "parent"
child = os.fork()
name = "child" if child == 0 else "parent"
ok = all(who(name) == name for _ in range(50))
if child == 0:
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
assert ok and status == 0
assert who("parent") == "parent"
transport.close()
"""
    done = programs.run(code, server.url + "/completions")
    assert (done.status, done.stderr) == (0, "")
    assert server.connections == 2


def test_a_child_of_a_running_loop_leaves_the_parents_connections_alone(server, programs):
    code = """
import asyncio, os, sys
from tests.socks import socks_proxy
from tests.transports.conftest import ask
from xdm_integrations.core.protocol.wire import Limits
from xdm_integrations.transports.aio.transport import AiohttpTransport
transport = AiohttpTransport(Limits())
def in_child():
    global transport
    del transport
    return 0
async def main():
    assert (await transport.send(ask(sys.argv[1]))).status == 200
    child = os.fork()
    if child == 0:
        os._exit(in_child())
    os.waitpid(child, 0)
    assert (await transport.send(ask(sys.argv[1]))).status == 200
asyncio.run(main())
"""
    done = programs.run(code, server.url + "/completions")
    assert (done.status, done.stderr) == (0, "")
    assert server.connections == 1


def test_a_route_that_another_thread_forgets_is_found_again(server, monkeypatch):
    """The routes are cleared when they are many, maybe between the two questions about one request."""
    from xdm_integrations.transports.blocking.connections import ROUTES, Adapter

    find = Adapter.get_connection_with_tls_context

    def find_and_forget(adapter, request, *args, **kwargs):
        pool = find(adapter, request, *args, **kwargs)
        for number in range(ROUTES):  # what another thread asks for meanwhile
            find(adapter, requests.Request("POST", f"{server.url}/{number}").prepare())
        return pool

    monkeypatch.setattr(Adapter, "get_connection_with_tls_context", find_and_forget)
    transport = RequestsTransport(Limits())
    assert transport.send(ask(server)).status == 200
    transport.close()

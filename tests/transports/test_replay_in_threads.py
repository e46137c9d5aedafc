"""Recordings replayed from threads never reach the network: vcrpy alone lets most of them through."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import vcr

from tests.scripted import ScriptedServer, echoing
from tests.transports.conftest import ask
from xdm_integrations.core.errors.tree import APIConnectionError
from xdm_integrations.core.protocol.wire import Limits
from xdm_integrations.transports.aio.transport import AiohttpTransport
from xdm_integrations.transports.blocking.transport import RequestsTransport

PROMPTS = [f"prompt {i}" for i in range(20)]
TIMES = 10


def cassette(path, **more):
    recorder = vcr.VCR(decode_compressed_response=True, match_on=["method", "scheme", "host", "port", "path", "body"])
    return recorder.use_cassette(str(path), filter_headers=["authorization"], **more)


def body(prompt: str) -> bytes:
    return json.dumps({"model": "m", "prompt": prompt}).encode()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A cassette with an answer to each prompt, and the URL of the server, which is gone now."""
    path = tmp_path_factory.mktemp("cassettes") / "threads.yaml"
    transport = RequestsTransport(Limits())
    with ScriptedServer(echoing) as server:
        with cassette(path, record_mode="once"):
            for prompt in PROMPTS:
                transport.send(ask(server, body=body(prompt)))
        url = server.url + "/completions"
    transport.close()
    return path, url


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionRefusedError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def text(reply) -> str:
    return json.loads(reply.body)["choices"][0]["text"]


@pytest.mark.parametrize("before", [False, True], ids=["made inside", "made before"])
def test_a_thread_pool_replays_without_the_network(recorded, no_network, before):
    path, url = recorded
    transport = RequestsTransport(Limits())
    if before:
        with pytest.raises(APIConnectionError):
            transport.send(ask("http://127.0.0.1:9/v1/completions"))
    with cassette(path, record_mode="none", allow_playback_repeats=True) as played, ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(lambda p: text(transport.send(ask(url, body=body(p)))), PROMPTS * TIMES))
    assert texts == [f"<{prompt}>" for prompt in PROMPTS * TIMES]
    assert played.play_count == len(PROMPTS) * TIMES
    transport.close()


def test_tasks_replay_what_the_blocking_transport_recorded(recorded):
    path, url = recorded

    async def main():
        transport = AiohttpTransport(Limits())
        replies = await asyncio.gather(*(transport.send(ask(url, body=body(p))) for p in PROMPTS))
        await transport.close()
        return [text(reply) for reply in replies]

    with cassette(path, record_mode="none") as played:
        assert asyncio.run(main()) == [f"<{prompt}>" for prompt in PROMPTS]
    assert played.play_count == len(PROMPTS)


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_stream_is_replayed_to_its_end(world, server, tmp_path, framing):
    from tests.scripted import http, tokens

    whole = b"".join(tokens("a", "b")[1:-1])
    server.script = [tokens("a", "b") if framing == "chunked" else http(whole)]
    bodies = []
    for mode in ("once", "none"):
        with cassette(tmp_path / "stream.yaml", record_mode=mode):
            reply = world.send(ask(server, streaming=True))
            bodies.append(world.read_all(reply))
            world.drain(reply)
            world.close_reply(reply)
    assert bodies[0] == bodies[1] != b""
    assert len(server.requests) == 1

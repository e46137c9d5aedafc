"""TLS: verified always, with one context, and the bundle of the environment."""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.transports.conftest import ask
from xdm_integrations.core.errors.tree import APIConnectionError, ConfigurationError
from xdm_integrations.core.protocol.wire import Limits, Timeout
from xdm_integrations.transports import environment
from xdm_integrations.transports.aio.transport import AiohttpTransport
from xdm_integrations.transports.blocking.transport import RequestsTransport


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch):
    for name in environment.BUNDLE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", environment.BUNDLE_VARIABLES)
def test_the_bundle_of_the_environment_is_trusted(world, secure, bundle, monkeypatch, variable):
    monkeypatch.setenv(variable, bundle)
    server = secure()
    for _ in range(3):
        assert world.send(ask(server)).status == 200
    assert server.connections == 1


def test_an_unknown_authority_is_refused_and_not_retried(world, secure):
    server = secure()
    with pytest.raises(APIConnectionError, match=r"TLS to localhost:\d+ failed.*REQUESTS_CA_BUNDLE") as caught:
        world.send(ask(server))
    assert caught.value.retry == "never"
    assert server.requests == []


def test_a_certificate_for_another_host_is_refused_and_not_retried(world, secure, bundle, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    server = secure("somewhere.example")
    with pytest.raises(APIConnectionError, match=r"TLS to localhost:\d+ failed") as caught:
        world.send(ask(server))
    assert caught.value.retry == "never"
    assert server.requests == []


def test_a_plain_server_behind_an_https_url_is_a_connection_error(world, server):
    with pytest.raises(APIConnectionError, match=r"127\.0\.0\.1") as caught:
        world.send(ask(server.url.replace("http:", "https:") + "/completions", timeout=Timeout(0.3, 0.3)))
    assert not any("authorization" in seen.headers for seen in server.requests)
    assert not caught.value.stale


@pytest.mark.parametrize("kind", ["missing", "nonsense"])
def test_a_bundle_that_cannot_be_read_is_named(world, secure, tmp_path, monkeypatch, kind):
    path = tmp_path / "bundle.pem"
    if kind == "nonsense":
        path.write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with pytest.raises(ConfigurationError, match=r"REQUESTS_CA_BUNDLE.*bundle\.pem") as caught:
        world.send(ask(secure()))
    assert isinstance(caught.value.__cause__, OSError)


@pytest.fixture
def loads(monkeypatch):
    """Count how often certificates are loaded."""
    seen: list[str | None] = []
    load = ssl.SSLContext.load_verify_locations

    def counting(self, cafile=None, capath=None, cadata=None):
        seen.append(cafile)
        return load(self, cafile, capath, cadata)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counting)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: seen.append("default"))
    return seen


def test_parallel_connections_load_the_bundle_once(secure, bundle, monkeypatch, loads):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    server = secure()
    transports = [RequestsTransport(Limits()) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda i: transports[i % 4].send(ask(server)).status, range(16)))
    for transport in transports:
        transport.close()
    assert replies == [200] * 16
    assert server.connections > 1
    assert loads == [bundle]


def test_tasks_and_loops_share_the_context_too(secure, bundle, monkeypatch, loads):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    server = secure()
    transport = AiohttpTransport(Limits())

    async def main():
        return [reply.status for reply in await asyncio.gather(*(transport.send(ask(server)) for _ in range(16)))]

    assert asyncio.run(main()) == asyncio.run(main()) == [200] * 16
    assert server.connections == 32
    assert loads == [bundle]


def test_plain_http_loads_no_certificates(world, server, bundle, monkeypatch, loads):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)  # a path that no test before has named
    world.send(ask(server))
    assert loads == []

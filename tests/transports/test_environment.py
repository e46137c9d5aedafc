"""What the machine may do to a request: send it through a proxy, and nothing else."""

from __future__ import annotations

import base64

import pytest

from tests.ports import where_nobody_listens
from tests.scripted import ScriptedServer, completion, http
from tests.transports.conftest import ask
from xdm_integrations.core.errors.tree import APIConnectionError, ConfigurationError
from xdm_integrations.transports import environment

ANSWER = [http(completion("by proxy"))]


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that answers itself, named in the environment for http."""
    with ScriptedServer(ANSWER) as running:
        monkeypatch.setenv("http_proxy", running.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield running


def test_netrc_does_not_replace_the_key(world, server, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password something\ndefault login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    world.send(ask(server))
    assert server.requests[0].headers["authorization"] == "Bearer the-key"


def test_cookies_are_neither_kept_nor_sent(world, server):
    server.script = [http(completion("x"), headers={"Set-Cookie": "session=abc; Path=/"})]
    local = server.url.replace("127.0.0.1", "localhost") + "/completions"  # aiohttp keeps none for addresses
    for _ in range(2):
        world.send(ask(local))
        world.send(ask(server))
    assert [seen.headers.get("cookie") for seen in server.requests] == [None] * 4


def test_an_http_proxy_gets_the_whole_url_and_the_key(world, proxy):
    for _ in range(2):
        assert b"by proxy" in world.send(ask("http://gateway.example/v1/completions?a=1")).body
    assert [seen.path for seen in proxy.requests] == ["http://gateway.example/v1/completions?a=1"] * 2
    assert proxy.requests[0].headers["host"] == "gateway.example"
    assert proxy.requests[0].headers["authorization"] == "Bearer the-key"
    assert proxy.connections == 1


def test_a_proxys_own_credentials_go_to_the_proxy(world, proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", proxy.origin.replace("http://", "http://me:secret@"))
    world.send(ask("http://gateway.example/v1/completions"))
    expected = "Basic " + base64.b64encode(b"me:secret").decode()
    assert proxy.requests[0].headers["proxy-authorization"] == expected
    assert proxy.requests[0].headers["authorization"] == "Bearer the-key"


def test_an_https_proxy_is_asked_for_a_tunnel_without_the_key(world, monkeypatch):
    with ScriptedServer([http("no", status=403)]) as tunnel:
        monkeypatch.setenv("https_proxy", tunnel.origin)
        with pytest.raises(APIConnectionError, match=r"No answer from gateway\.example through the proxy .*403"):
            world.send(ask("https://gateway.example/v1/completions"))
    (seen,) = tunnel.requests
    assert (seen.method, seen.path) == ("CONNECT", "gateway.example:443")
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("name", ["all_proxy", "ALL_PROXY"])
def test_all_proxy_is_honoured(world, proxy, monkeypatch, name):
    monkeypatch.delenv("http_proxy")
    monkeypatch.setenv(name, proxy.origin)
    assert b"by proxy" in world.send(ask("http://gateway.example/v1/completions")).body


@pytest.mark.parametrize("entry", ["127.0.0.1", "example.com, 127.0.0.0/8", "*", "127.0.0.1:{port}"])
def test_no_proxy_is_honoured(world, server, proxy, monkeypatch, entry):
    monkeypatch.setenv("no_proxy", entry.format(port=server.origin.rpartition(":")[2]))
    assert world.send(ask(server)).status == 200
    assert len(server.requests) == 1
    assert proxy.requests == []


def test_no_proxy_for_others_changes_nothing(world, server, proxy, monkeypatch):
    monkeypatch.setenv("no_proxy", "10.0.0.0/8, example.com, 192.168.1.1")
    world.send(ask(server))
    assert server.requests == []
    assert len(proxy.requests) == 1


def test_a_proxy_without_a_scheme_is_an_http_proxy(proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    assert environment.proxy_for("http://gateway.example/").url == "http://proxy.example:3128"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "Http_Proxy"])
def test_a_proxy_that_is_none_is_named_by_its_variable_as_it_is_written(monkeypatch, name):
    monkeypatch.setenv(name, "ftp://proxy.example")
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        environment.proxy_for("http://gateway.example/")


def test_a_proxy_without_a_port_is_at_the_port_of_its_scheme(proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example")
    assert environment.proxy_for("http://gateway.example/").url == "http://proxy.example"


def test_a_proxy_that_is_down_is_a_connection_error(world, monkeypatch):
    with where_nobody_listens() as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        with pytest.raises(APIConnectionError, match="proxy settings"):
            world.send(ask("http://gateway.example/v1/completions"))


def test_the_environment_is_read_once_per_url(world, server, monkeypatch):
    asked: list[str] = []
    real = environment.getproxies
    monkeypatch.setattr(environment, "getproxies", lambda: asked.append("") or real())
    for _ in range(3):
        world.send(ask(server))
    assert len(asked) == 1

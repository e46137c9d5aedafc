"""Proxies of the environment: SOCKS ones, broken ones, and ones that stand where they shouldn't."""

from __future__ import annotations

import errno
import socket
import traceback
from importlib import util

import pytest

from tests.ports import where_nobody_listens
from tests.scripted import completion, http
from tests.socks import socks_proxy
from xdm_integrations import APIConnectionError, ConfigurationError, XDMError
from xdm_integrations.transports.aio import sessions
from xdm_integrations.transports.blocking import connections

FAR = "http://api.example.test/v1"
"""A host that only the proxy knows."""


@pytest.fixture(autouse=True)
def no_bypass(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def address(server) -> tuple[str, int]:
    host, _, port = server.origin.rpartition("/")[2].partition(":")
    return host, int(port)


@pytest.mark.parametrize("variable", ["ALL_PROXY", "http_proxy"])
@pytest.mark.parametrize("scheme", ["socks5h", "socks"])
def test_a_socks_proxy_is_spoken_to_in_socks(surface, server, monkeypatch, variable, scheme):
    with socks_proxy(address(server)) as proxy:
        monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{proxy.port}")
        client = surface.client(base_url=FAR, api_key="the-key", allow_http=True, timeout=5, max_retries=0)
        assert surface.complete(client, "x").text == "<x>"
        assert surface.stream(client, "y")[1].text == "<y>"
        surface.close_kept()
    assert proxy.greetings == [b"\x05"]  # and its connection is kept
    assert proxy.destinations == [b"api.example.test"]  # the proxy looks the name up


def test_a_socks5_proxy_gets_addresses(surface, server, monkeypatch):
    with socks_proxy(address(server)) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        client = surface.client(base_url="http://127.0.0.2:9/v1", timeout=5, max_retries=0)
        assert surface.complete(client, "x").text == "<x>"
        surface.close_kept()
    assert proxy.destinations == [bytes([127, 0, 0, 2])]


def test_https_goes_through_a_socks_proxy_encrypted(surface, secure_server, monkeypatch):
    secure_server.script = [http(completion("a"))]
    with socks_proxy(address(secure_server)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        client = surface.client(base_url="https://localhost:9/v1", api_key="the-key", timeout=5, max_retries=0)
        assert surface.complete(client, "x").text == "a"
        surface.close_kept()


@pytest.fixture
def secure_server(tmp_path, monkeypatch):
    import ssl

    import trustme

    from tests.scripted import ScriptedServer

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ScriptedServer([], tls=context) as running:
        yield running


def test_a_socks_proxy_that_fails_is_an_error_of_ours(surface, monkeypatch):
    with socks_proxy(None) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://user:secret@127.0.0.1:{proxy.port}")
        client = surface.client(base_url=FAR, allow_http=True, api_key="the-key", timeout=5, max_retries=0)
        with pytest.raises(APIConnectionError, match="ALL_PROXY") as caught:
            surface.complete(client, "x")
    assert "secret" not in caught.value.message


def test_without_its_packages_a_socks_proxy_is_a_configuration_error(surface, monkeypatch):
    def found(name):
        return None if name in ("socks", "aiohttp_socks") else util.find_spec(name)

    monkeypatch.setattr(connections, "find_spec", found)
    monkeypatch.setattr(sessions, "find_spec", found)
    with socks_proxy(None) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        client = surface.client(base_url=FAR, allow_http=True, api_key="the-key", timeout=5)
        with pytest.raises(ConfigurationError, match=r'pip install "xdm-integrations\[socks\]"'):
            surface.complete(client, "x")
    assert proxy.greetings == []


def test_an_error_names_the_proxy_and_its_variable_but_no_password(surface, monkeypatch):
    with where_nobody_listens() as url:
        monkeypatch.setenv("http_proxy", url.replace("http://", "http://user:secret@"))
        client = surface.client(base_url=FAR, allow_http=True, api_key="the-key", timeout=5, max_retries=0)
        with pytest.raises(XDMError) as caught:
            surface.complete(client, "x")
    assert f"through the proxy {url} (from http_proxy)" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_local_server_behind_a_proxy_is_told_from_one_that_is_down(surface, monkeypatch):
    with where_nobody_listens() as url:
        monkeypatch.setenv("HTTP_PROXY", url)
        with pytest.raises(XDMError, match="NO_PROXY=localhost,127") as caught:
            surface.complete(surface.client(base_url="http://localhost:9/v1", timeout=5, max_retries=0), "x")
    assert "HTTP_PROXY" in caught.value.message


@pytest.mark.parametrize(
    "value", ["http://:8080", "http://host:port", "ftp://host:1", "socks6://host:1", "a b:80", "http://"]
)
def test_a_broken_value_is_a_configuration_error_that_names_the_variable(surface, monkeypatch, value):
    monkeypatch.setenv("HTTP_PROXY", value)
    client = surface.client(base_url=FAR, allow_http=True, api_key="the-key")
    with pytest.raises(ConfigurationError, match=r"^HTTP_PROXY: "):
        surface.complete(client, "x")


def test_too_many_open_files_are_named(surface, server, monkeypatch):
    def exhausted(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    client = surface.client(base_url=server.url, timeout=5, max_retries=0)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", exhausted)
        with pytest.raises(APIConnectionError, match=r"ulimit -n"):
            surface.complete(client, "x")


def test_a_proxy_that_refuses_is_named_without_its_password(surface, server, monkeypatch):
    server.script = [http("no", status=403)]
    monkeypatch.setenv("HTTPS_PROXY", server.origin.replace("http://", "http://user:secret@"))
    client = surface.client(base_url="https://api.example.test/v1", api_key="the-key", timeout=5, max_retries=0)
    with pytest.raises(APIConnectionError, match="HTTPS_PROXY") as caught:
        surface.complete(client, "x")
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("base_url", "advice"), [(FAR, ""), ("http://localhost:9/v1", "set NO_PROXY=localhost,127.0.0.1")]
)
def test_an_error_that_a_proxy_answers_names_the_proxy(surface, server, monkeypatch, base_url, advice):
    server.script = [http("<html>Bad Gateway</html>", status=502, headers={"Content-Type": "text/html"})]
    monkeypatch.setenv("HTTP_PROXY", server.origin.replace("http://", "http://user:secret@"))
    client = surface.client(base_url=base_url, allow_http=True, api_key="the-key", timeout=5, max_retries=0)
    with pytest.raises(XDMError) as caught:
        surface.complete(client, "x")
    assert f"It came through the proxy {server.origin} (from HTTP_PROXY)" in caught.value.message
    assert advice in str(caught.value)
    assert "secret" not in str(caught.value)

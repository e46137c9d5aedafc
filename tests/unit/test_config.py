"""What people paste as base URL, key, headers and timeouts: repaired, or refused by name."""

# ruff: noqa: E501 - tables are read by row

from __future__ import annotations

import dataclasses
import math

import pytest

from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.config import (
    DEFAULT_BASE_URL,
    Config,
    check_headers,
    is_private_host,
    merge_headers,
    normalize_base_url,
    normalize_key,
    normalize_timeout,
    require_key,
)
from xdm_integrations.core.protocol.wire import Limits, Timeout

ROOT = "https://xuedingmao.online/v1"


@pytest.mark.parametrize(
    ("pasted", "root"),
    [
        (ROOT, ROOT),
        ("https://xuedingmao.online", ROOT),
        ("https://xuedingmao.online/", ROOT),
        ("https://xuedingmao.online/v1/", ROOT),
        ("https://xuedingmao.online/v1//", ROOT),
        ("https://xuedingmao.online//v1", ROOT),
        ("https://xuedingmao.online/v1/v1", ROOT),
        ("https://xuedingmao.online/v1/completions", ROOT),
        ("https://xuedingmao.online/v1/completions/", ROOT),
        ("https://xuedingmao.online/v1/chat/completions", ROOT),
        ("https://xuedingmao.online/v1/embeddings", ROOT),
        ("https://xuedingmao.online/v1/models", ROOT),
        ("https://xuedingmao.online/completions", ROOT),
        ("xuedingmao.online", ROOT),
        ("xuedingmao.online/v1", ROOT),
        ("  'https://xuedingmao.online/v1' ", ROOT),
        ('"https://xuedingmao.online/v1"\n', ROOT),
        ("HTTPS://XueDingMao.Online/v1", ROOT),
        ("' https://xuedingmao.online/v1 '", ROOT),
        ("https://host.example/X", "https://host.example/X"),
        ("https://host.example/X/", "https://host.example/X"),
        ("https://xuedingmao.online:8443", "https://xuedingmao.online:8443/v1"),
        ("https://host.example/openai/v1", "https://host.example/openai/v1"),
        ("https://host.example/openai/v1/completions", "https://host.example/openai/v1"),
        ("https://host.example/api/v3", "https://host.example/api/v3"),
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("localhost:8000/v1", "http://localhost:8000/v1"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("192.168.1.5:8000", "http://192.168.1.5:8000/v1"),
        ("gpu:8000", "http://gpu:8000/v1"),
        ("https://gpu.internal", "https://gpu.internal/v1"),
    ],
)
def test_base_urls(pasted, root):
    assert normalize_base_url(pasted) == root
    assert normalize_base_url(root) == root


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("ftp://host.example/v1", "https://"),
        ("file:///etc", "isn't a URL"),
        ("https://", "isn't a URL"),
        (" ", "isn't a URL"),
        ("https:host.example", "isn't a URL"),
        ("https://host .example/v1", "isn't a URL"),
        ("https://host.example/a b", "isn't a URL"),
        ("https://host.example\\v1", "isn't a URL"),
        ("https://host.example:99999/v1", "isn't a URL"),
        ("https://host.example:x/v1", "isn't a URL"),
        ("https://[::1/v1", "isn't a URL"),
        ("https://host.example/v1?key=sesame", "query"),
        ("https://host.example/v1?", "query"),
        ("https://host.example/v1#sesame", "query"),
        ("https://host.example/v1#", "query"),
        ("https://me:sesame@host.example/v1", "user name"),
        ("https://sesame@host.example/v1", "user name"),
        ("me:sesame@host.example", "user name"),
        ("http://host.example/v1", "allow_http"),
        ("http://me:sesame@host.example:x/v1", "isn't a URL"),
    ],
)
def test_base_urls_that_are_refused_by_name_without_showing_secrets(pasted, says):
    with pytest.raises(ConfigurationError, match=r"^base_url: ") as caught:
        normalize_base_url(pasted)
    assert says in caught.value.message
    assert "sesame" not in caught.value.message


@pytest.mark.parametrize(
    ("pasted", "shown"),
    [
        ("ftp://host.example/v1", "ftp://host.example/v1"),
        ("https://host.example/v1?key=sesame#sesame", "https://host.example/v1"),
        ("https://host.example/v1#sesame?", "https://host.example/v1"),
        ("http://me:sesame@host.example:x/v1", "http://host.example:x/v1"),
    ],
)
def test_the_message_shows_what_of_a_base_url_is_no_secret(pasted, shown):
    with pytest.raises(ConfigurationError) as caught:
        normalize_base_url(pasted)
    assert caught.value.message.startswith(f"base_url: {shown!r} ")


def test_plain_http_to_a_public_host_if_it_is_meant():
    assert normalize_base_url("http://host.example", allow_http=True) == "http://host.example/v1"
    assert Config.build(base_url="http://host.example", allow_http=True).base_url == "http://host.example/v1"
    with pytest.raises(ConfigurationError, match="allow_http"):
        Config.build(base_url="http://host.example")


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", True),
        ("172.16.0.1", True),
        ("192.168.0.1", True),
        ("169.254.1.1", True),
        ("fd00::1", True),
        ("fe80::1", True),
        ("gpu", True),
        ("gpu.local", True),
        ("GPU.LOCAL", True),
        ("gpu.local.", True),
        ("a.internal", True),
        ("x.localhost", True),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("2606:4700::1", False),
        ("example.com", False),
        ("local.example", False),
    ],
)
def test_private_hosts(host, private):
    assert is_private_host(host) == private


@pytest.mark.parametrize(
    ("pasted", "key"),
    [
        ("  ' abc ' ", "abc"), ("XabcX", "XabcX"), ("Bearer ' abc '", "abc"), ("Bearer  'abc'", "abc"), ("Bearer XabcX", "XabcX"),
        ("abc", "abc"), ("  abc\n", "abc"), ("'abc'", "abc"), ('"abc"', "abc"), ("Bearer abc", "abc"), ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"), ("Bearer Bearer abc", "abc"), ("'Bearer abc'", "abc"), ('Bearer "abc"', "abc"), ("a-b_c.d~e", "a-b_c.d~e"),
        ("bearerabc", "bearerabc"), ("", None), ("   ", None), ("Bearer", None), ("bearer ", None), ("''", None), (None, None),
    ],
)  # fmt: skip
def test_keys(pasted, key):
    assert normalize_key(pasted) == key


@pytest.mark.parametrize(
    "pasted",
    ["se same", "se\nsame", "se\tsame", "sésame", "se\u200bsame", "sesame extra", "se\x7fsame", "Bearer se same"],
)
def test_keys_that_cannot_be_sent_are_never_shown(pasted):
    with pytest.raises(ConfigurationError, match=r"^api_key: ") as caught:
        normalize_key(pasted)
    assert "same" not in caught.value.message
    assert "sesame" not in repr(caught.value)


def test_a_key_of_another_type_is_never_shown():
    with pytest.raises(ConfigurationError, match="expected a string, got bytes"):
        normalize_key(b"sesame")


@pytest.mark.parametrize(
    ("given", "timeout"),
    [
        (None, Timeout(10.0, 300.0, None)),
        (5, Timeout(5, 5, None)),
        (0.5, Timeout(0.5, 0.5, None)),
        ((1, 2), Timeout(1, 2, None)),
        ((1, None), Timeout(1, None, None)),
        ((1, 2, 3), Timeout(1, 2, 3)),
        ((1,), Timeout(1)),
        (Timeout(total=3), Timeout(10.0, 300.0, 3)),
        (math.inf, Timeout(None, None, None)),
        ((1, 10**12, math.inf), Timeout(1, None, None)),
        ((1_999_999.5, 2_000_000), Timeout(1_999_999.5, None, None)),
    ],
)
def test_timeouts(given, timeout):
    assert normalize_timeout(given) == timeout


@pytest.mark.parametrize(
    "given", [0, -1, "5", True, math.nan, (), (1, 2, 3, 4, 5), (1, "2"), [1, 2], (1, 0), Timeout(read=-1), {}]
)
def test_timeouts_that_are_none(given):
    with pytest.raises(ConfigurationError, match=r"^timeout: ") as caught:
        normalize_timeout(given)
    assert repr(given) in caught.value.message


def test_headers_are_copied_and_trimmed():
    given = {"X-A": " 1 ", "X-B": 2, "X-É".replace("É", "E"): "é"}
    assert check_headers(given) == {"X-A": "1", "X-B": "2", "X-E": "é"}
    assert given["X-A"] == " 1 "


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"X A": "1"}, "'X A' isn't a header name"),
        ({"": "1"}, "isn't a header name"),
        ({5: "1"}, "5 isn't a header name"),
        ({"X-A:": "1"}, "isn't a header name"),
        ({"X-A\r\nX-B": "1"}, "isn't a header name"),
        ({"X-A": "sesame\r\nX-B: 1"}, "the value of 'X-A' holds a line break"),
        ({"X-A": "sesame\n"}, "line break"),
        ({"X-A": "sesame\x00"}, "line break"),
        ({"X-A": "sesame 你好"}, "isn't Latin-1"),
    ],
)
def test_headers_that_cannot_be_sent(headers, says):
    with pytest.raises(ConfigurationError, match=r"^headers: ") as caught:
        check_headers(headers)
    assert says in caught.value.message
    assert "sesame" not in caught.value.message


def test_headers_merge_whatever_their_case():
    assert merge_headers({"Authorization": "a", "X": "1"}, {"authorization": "b"}) == {"X": "1", "authorization": "b"}
    assert merge_headers({"authorization": "a", "X": "1"}, {"Authorization": "b"}) == {"X": "1", "Authorization": "b"}


@pytest.mark.parametrize("value", [-1, 1.5, True, "2", None])
def test_max_retries_that_are_none(value):
    with pytest.raises(ConfigurationError, match=r"^max_retries: "):
        Config.build(max_retries=value)


def test_defaults():
    config = Config.build()
    assert config.base_url == DEFAULT_BASE_URL == ROOT
    assert (config.model, config.max_tokens, config.api_key) == ("gpt-3.5-turbo-instruct", 256, None)
    assert (config.timeout, config.limits, config.retry.max_retries) == (Timeout(), Limits(), 2)
    assert (config.stream_usage, config.require_finish_reason) == (True, True)
    assert Config() == config


def test_settings_are_kept():
    config = Config.build(stream_usage=False, require_finish_reason=False, limits=Limits(line=5))
    assert (config.stream_usage, config.require_finish_reason, config.limits) == (False, False, Limits(line=5))


def test_the_environment_fills_in_what_is_not_given():
    environment = {"XDM_API_KEY": " abc ", "XDM_BASE_URL": "xuedingmao.top"}
    config = Config.build(environment)
    assert (config.api_key, config.base_url) == ("abc", "https://xuedingmao.top/v1")
    config = Config.build(environment, api_key="x", base_url="localhost", model="m")
    assert (config.api_key, config.base_url, config.model) == ("x", "http://localhost/v1", "m")
    assert Config.build({}).api_key is None
    for blank in ("", " ", '""', "'' \n"):
        assert Config.build({"XDM_BASE_URL": blank, "XDM_API_KEY": blank}) == Config.build({})


def test_a_config_is_frozen_shows_no_secret_and_keeps_its_own_copies():
    headers, extra = {"X-Secret": "sesame"}, {"secret": "sesame"}
    config = Config.build(api_key="sesame", headers=headers, extra_body=extra)
    assert "sesame" not in repr(config)
    headers.clear()
    extra.clear()
    assert (config.headers, config.extra_body) == ({"X-Secret": "sesame"}, {"secret": "sesame"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.api_key = "x"


def test_a_public_host_needs_a_key():
    with pytest.raises(ConfigurationError, match="XDM_API_KEY"):
        require_key(ROOT, {"X": "1"})
    require_key(ROOT, {"authorization": "Bearer x"})
    require_key(ROOT, {"X": "1", "Authorization": "Bearer x"})
    require_key("http://localhost/v1", {})


class Wrapped:
    def get_secret_value(self):
        return " Bearer abcdefgh "


def test_a_wrapped_key_is_unwrapped():
    assert normalize_key(Wrapped()) == "abcdefgh"


def test_headers_that_are_no_mapping():
    with pytest.raises(ConfigurationError, match="headers: expected a mapping"):
        check_headers("x")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https//api.example/v1", "https://api.example/v1"),
        ("https:/api.example/v1", "https://api.example/v1"),
        ("HTTPS:/api.example", "https://api.example/v1"),
        ("http//localhost:8000", "http://localhost:8000/v1"),
        ("https\uff1a//api\u3002example\uff0ecom\uff1a8443/v1", "https://api.example.com:8443/v1"),
        ("https://模型.example/v1", "https://xn--xgs754b.example/v1"),
        ("https://模型.example:8443", "https://xn--xgs754b.example:8443/v1"),
        ("https://api.example/代理/v1", "https://api.example/%E4%BB%A3%E7%90%86/v1"),
        ("https://api.example/%E4%BB%A3/v1", "https://api.example/%E4%BB%A3/v1"),
    ],
)
def test_pasted_addresses_are_repaired(given, meant):
    assert normalize_base_url(given) == meant


@pytest.mark.parametrize("given", ["http//api.example/v1", "http:/api.example/v1", "http\uff1a//api.example"])
def test_a_repaired_address_is_never_plain_http_to_a_public_host(given):
    with pytest.raises(ConfigurationError, match="XDM_ALLOW_HTTP=1"):
        normalize_base_url(given)


@pytest.mark.parametrize(
    "given", ["https:api.example", "http:8080/v1", "https", "https://http//api.example", "https://a..例"]
)
def test_what_cannot_be_repaired_is_refused(given):
    with pytest.raises(ConfigurationError, match="base_url"):
        normalize_base_url(given)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.0.9", "0.0.0.0", "169.254.1.1", "100.64.0.1", "100.127.255.1",  # noqa: S104 - an address that users write
        "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "vllm", "box.local", "llm.lan", "x.internal",
        "llm.home.arpa", "vllm.models.svc", "vllm.models.svc.cluster.local", "BOX.LAN.",
    ],
)  # fmt: skip
def test_hosts_that_only_local_networks_know_are_private(host):
    assert is_private_host(host)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "203.0.113.7", "100.128.0.1", "2001:4860::1", "::ffff:8.8.8.8", "a.example", "lan.example"]
)
def test_hosts_that_look_like_private_ones_are_not(host):
    assert not is_private_host(host)


@pytest.mark.parametrize(("value", "allowed"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_plain_http_can_be_allowed_by_the_environment(value, allowed):
    def build():
        return Config.build({"XDM_ALLOW_HTTP": value}, base_url="http://api.example/v1").base_url

    if allowed:
        assert build() == "http://api.example/v1"
    else:
        with pytest.raises(ConfigurationError):
            build()

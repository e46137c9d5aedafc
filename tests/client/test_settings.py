"""Keys, bad input, copies and logs: what a client is made of, and what never leaves it."""

# ruff: noqa: PLR0913, PLR0917 - a parametrised test takes an argument for each column

# ruff: noqa: S301 - only our own bytes are unpickled

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import threading

import pytest

from tests.scripted import completion, http
from xdm_integrations import AsyncClient, BadRequestError, Client, ConfigurationError, XDMError

KEY = "secret-of-the-test-1234567890"


def keys(server):
    return [seen.headers.get("authorization") for seen in server.requests]


# Keys


def test_the_key_comes_from_the_environment(surface, server, monkeypatch):
    monkeypatch.setenv("XDM_API_KEY", f" {KEY}\n")
    monkeypatch.setenv("XDM_BASE_URL", server.origin)
    surface.complete(surface.client(), "x")
    assert keys(server) == [f"Bearer {KEY}"]


def test_a_key_that_is_given_comes_first(surface, server, monkeypatch):
    monkeypatch.setenv("XDM_API_KEY", "other")
    surface.complete(surface.client(base_url=server.url, api_key=f"'Bearer {KEY}'"), "x")
    assert keys(server) == [f"Bearer {KEY}"]


def test_a_function_is_asked_before_each_call(surface, server):
    given = iter(["one", "Bearer two", "three", "four"])
    client = surface.client(base_url=server.url, api_key=lambda: next(given))
    surface.complete(client, "x")
    surface.stream(client, "x")
    surface.batch(client, ["x"])
    surface.complete(client, "x")
    assert keys(server) == ["Bearer one", "Bearer two", "Bearer three", "Bearer four"]


def test_a_function_whose_keys_are_used_up_is_an_error_and_no_answer(surface, server):
    client = surface.client(base_url=server.url, api_key=lambda: next(iter(())))
    with pytest.raises(RuntimeError, match="StopIteration"):
        surface.complete(client, "x")
    assert server.requests == []


def test_a_coroutine_function_is_asked_where_there_is_a_loop(surface, server):
    async def key():
        await asyncio.sleep(0)
        return KEY

    client = surface.client(base_url=server.url, api_key=key)
    if surface.is_async:
        surface.complete(client, "x")
        assert keys(server) == [f"Bearer {KEY}"]
    else:
        with pytest.raises(ConfigurationError, match="api_key"):
            surface.complete(client, "x")
        assert server.requests == []


@pytest.mark.parametrize("bad", [None, 5, b"key", "two words"])
def test_a_function_that_returns_no_key(surface, server, bad):
    client = surface.client(base_url="https://gateway.example/v1", api_key=lambda: bad)
    with pytest.raises(ConfigurationError, match="api_key"):
        surface.complete(client, "x")


@pytest.mark.parametrize("call", ["complete", "stream", "batch"])
def test_a_public_host_without_a_key_is_never_asked(surface, call):
    client = surface.client()
    with pytest.raises(ConfigurationError, match="XDM_API_KEY"):
        getattr(surface, call)(client, ["x"])


def test_a_private_host_needs_none(surface, server):
    surface.complete(surface.client(base_url=server.url), "x")
    assert keys(server) == [None]


# Bad input: the right thing, or a ConfigurationError before any byte was sent


REPAIRED = [
    ({"api_key": " Bearer abc "}, "Bearer abc"),
    ({"api_key": '"abc"'}, "Bearer abc"),
    ({"path": ""}, None),
    ({"path": "/"}, None),
    ({"path": "/v1/completions"}, None),
    ({"path": "/v1/chat/completions/"}, None),
    ({"scheme": ""}, None),
]


@pytest.mark.parametrize(("settings", "key"), REPAIRED, ids=repr)
def test_what_can_be_repaired_is_repaired(surface, server, settings, key):
    origin = server.origin.removeprefix("http://") if "scheme" in settings else server.origin
    own = {name: value for name, value in settings.items() if name == "api_key"}
    client = surface.client(base_url=origin + settings.get("path", "/v1"), **own)
    assert surface.complete(client, "x").text == "<x>"
    assert server.requests[0].path == "/v1/completions"
    assert keys(server) == [key]


BAD_CALLS = [
    ("", {}, "prompt"),
    ([], {}, "prompt"),
    (["a", ""], {}, "prompt"),
    (["a", [1]], {}, "prompt"),
    (["a", 1], {}, "prompt"),
    ([1, -1], {}, "prompt"),
    (None, {}, "prompt"),
    (b"bytes", {}, "prompt"),
    ("x", {"n": 3, "best_of": 2}, "best_of"),
    ("x", {"n": 0}, "n"),
    ("x", {"n": 129}, "n"),
    ("x", {"best_of": 21}, "best_of"),
    ("x", {"stop": list("abcde")}, "stop"),
    ("x", {"stop": ""}, "stop"),
    ("x", {"temperature": 3}, "temperature"),
    ("x", {"temperature": float("nan")}, "temperature"),
    ("x", {"top_p": 1.5}, "top_p"),
    ("x", {"logprobs": 6}, "logprobs"),
    ("x", {"max_tokens": 0}, "max_tokens"),
    ("x", {"max_tokens": -1}, "max_tokens"),
    ("x", {"max_tokens": True}, "max_tokens"),
    ("x", {"presence_penalty": 3}, "presence_penalty"),
    ("x", {"frequency_penalty": -3}, "frequency_penalty"),
    ("x", {"logit_bias": {"a": 1}}, "logit_bias"),
    ("x", {"seed": 2**63}, "seed"),
    ("x", {"suffix": 5}, "suffix"),
    ("x", {"user": 5}, "user"),
    ("x", {"echo": "yes"}, "echo"),
    ("x", {"model": ""}, "model"),
    ("x", {"temprature": 1}, "temperature"),
    ("x", {"extra_body": {"stream": True}}, "extra_body"),
    ("x", {"extra_body": {"n": 0}}, "extra_body"),
    ("x", {"extra_body": {"n": True}}, "extra_body"),
    ("x", {"extra_body": {"x": object()}}, "extra_body"),
    ("x", {"extra_body": "x"}, "extra_body"),
    ("x", {"extra_headers": {"X": "a\r\nY: b"}}, "headers"),
    ("x", {"timeout": 0}, "timeout"),
]


@pytest.mark.parametrize("call", ["complete", "stream", "batch"])
@pytest.mark.parametrize(("prompt", "params", "names"), BAD_CALLS, ids=lambda v: repr(v)[:30])
def test_bad_calls_send_nothing_and_say_what_is_wrong(surface, server, call, prompt, params, names):
    client = surface.client(base_url=server.url)
    if call == "batch" and prompt == []:  # a batch of nothing is no mistake
        assert surface.batch(client, prompt).outcomes == []
        assert server.connections == 0
        return
    with pytest.raises(ConfigurationError, match=names) as caught:
        getattr(surface, call)(client, prompt, **params)
    assert isinstance(caught.value, ValueError)
    assert not caught.value.retryable
    assert server.requests == []
    assert server.connections == 0


def test_best_of_and_streams_dont_mix(surface, server):
    client = surface.client(base_url=server.url)
    with pytest.raises(ConfigurationError, match="best_of: 2 can't be used in a stream"):
        surface.stream(client, "x", best_of=2)
    assert server.requests == []


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"base_url": "https://host.example/v1?key=x"}, "base_url"),
        ({"base_url": "http://host.example/v1"}, "base_url"),
        ({"base_url": "ftp://host.example"}, "base_url"),
        ({"base_url": "https://u:p@host.example"}, "base_url"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"default_headers": {"X": "a\nb"}}, "headers"),
        ({"default_headers": {"a b": "x"}}, "headers"),
        ({"default_headers": 5}, "headers"),
        ({"model": 5}, "model: expected a string, got int"),
        ({"extra_body": [1]}, "extra_body"),
        ({"limits": 5}, "limits"),
        ({"stream_usage": "no"}, "stream_usage"),
        ({"require_finish_reason": "no"}, "require_finish_reason"),
        ({"think_tags": "no"}, "think_tags"),
        ({"allow_http": "false"}, "allow_http: expected True or False, got str"),
        ({"rate_limiter": 5}, "rate_limiter: int has no method"),
        ({"on_request": 5}, "on_request"),
        ({"on_response": "log"}, "on_response"),
        ({"on_retry": True}, "on_retry"),
    ],
)
def test_bad_settings_are_refused_by_name(surface, settings, names):
    with pytest.raises(ConfigurationError, match=rf"^{names}"):
        surface.client(**settings)


def test_plain_http_to_a_public_host_if_it_is_meant(surface):
    client = surface.client(base_url="http://host.example", allow_http=True)
    assert client.config.base_url == "http://host.example/v1"


# Copies


@pytest.mark.parametrize(
    "again", [lambda c: pickle.loads(pickle.dumps(c)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_a_used_client_can_be_copied_and_the_copy_used(surface, server, again):
    client = surface.client(base_url=server.url, api_key=KEY, model="m", timeout=5, extra_body={"a": 1})
    surface.complete(client, "x")
    twin = again(client)
    surface.keep(twin)
    assert type(twin) is type(client)
    assert twin.config == client.config
    assert surface.complete(twin, "y").text == "<y>"
    assert surface.complete(client, "z").text == "<z>"
    assert keys(server) == [f"Bearer {KEY}"] * 3
    assert server.connections == 2
    assert {seen.json["a"] for seen in server.requests} == {1}


@pytest.mark.parametrize("call", ["complete", "stream"])
def test_an_error_can_be_pickled_and_holds_no_key(surface, server, call):
    server.script = [
        http({"error": {"message": f"bad key sk-{'a' * 40} in {KEY}"}}, 401, {"X-Oneapi-Request-Id": "r-1"})
    ]
    with pytest.raises(XDMError) as caught:
        getattr(surface, call)(surface.client(base_url=server.url, api_key="sk-" + "b" * 40), "x")
    data = pickle.dumps(caught.value)
    twin = pickle.loads(data)
    assert (type(twin), twin.message, twin.request_id) == (type(caught.value), caught.value.message, "r-1")
    assert b"sk-" + b"b" * 8 not in data
    assert b"sk-" + b"a" * 8 not in data


def test_a_client_shows_no_secret(surface, server):
    client = surface.client(base_url=server.url, api_key=KEY, default_headers={"X-Secret": KEY}, extra_body={"x": KEY})
    surface.complete(client, "x")
    for shown in (repr(client), str(client), repr(client.config)):
        assert KEY not in shown


def test_a_closed_client_may_be_used_again(surface, server):
    client = surface.client(base_url=server.url)
    surface.complete(client, "x")
    surface.run(client.aclose()) if surface.is_async else client.close()
    assert server.wait_until(lambda: server.open_connections == 0)
    assert surface.complete(client, "y").text == "<y>"
    unused = surface.client(base_url=server.url)
    surface.run(unused.aclose()) if surface.is_async else unused.close()


def test_context_managers_close(server):
    with Client(base_url=server.url) as client:
        client.complete("x")
    assert server.wait_until(lambda: server.open_connections == 0)

    async def main():
        async with AsyncClient(base_url=server.url) as client:
            await client.complete("x")

    asyncio.run(main())
    assert server.wait_until(lambda: server.open_connections == 0)


# Logs


@pytest.mark.parametrize("call", ["complete", "stream", "batch"])
def test_logs_tell_what_happened_and_neither_key_nor_prompt(surface, server, caplog, waits, call):
    healthy = server.script
    server.script = lambda seen: http("", 503) if len(server.requests) == 1 else healthy(seen)
    caplog.set_level(logging.DEBUG)
    client = surface.client(base_url=server.url, api_key=KEY, default_headers={"X-Other": KEY})
    getattr(surface, call)(client, ["words of the user"])
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("xdm"))
    assert "503" in said
    assert "200" in said
    assert "retry 1" in said
    everything = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert KEY not in everything
    assert "words of the user" not in everything


def test_logs_name_the_request_id(surface, server, caplog):
    server.script = [http(completion("a"), headers={"X-Oneapi-Request-Id": "r-77"})]
    caplog.set_level(logging.DEBUG, "xdm_integrations")
    surface.complete(surface.client(base_url=server.url), "x")
    assert "r-77" in caplog.text


def test_nothing_is_logged_by_default(surface, server, caplog):
    caplog.set_level(logging.INFO)
    surface.complete(surface.client(base_url=server.url), "x")
    assert [r for r in caplog.records if r.name.startswith("xdm")] == []


# Threads


def test_threads_share_a_client(server):
    answers, together = {}, threading.Barrier(16)
    with Client(base_url=server.url, api_key=KEY) as client:

        def work(i):
            together.wait(60)
            for j in range(5):
                answers[i, j] = client.complete(f"{i}-{j}").text
            with client.stream(f"s{i}") as stream:
                answers[i] = "".join(chunk.text for chunk in stream)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == {
        **{(i, j): f"<{i}-{j}>" for i in range(16) for j in range(5)},
        **{i: f"<s{i}>" for i in range(16)},
    }
    assert server.connections <= 16
    assert server.wait_until(lambda: server.open_connections == 0)


def test_threads_with_keys_of_their_own_never_swap_them(server):
    own = threading.local()
    together = threading.Barrier(8)
    with Client(base_url=server.url, api_key=lambda: own.key) as client:

        def work(i):
            own.key = f"key-{i}"
            together.wait(60)
            for _ in range(20):
                client.complete(f"key-{i}")

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(server.requests) == 160
    assert all(seen.headers["authorization"] == f"Bearer {seen.json['prompt']}" for seen in server.requests)


WIDER = {"temperature": 3, "stop": ["a", "b", "c", "d", "e"]}


@pytest.mark.parametrize(
    ("method", "wider"),
    [("complete", {**WIDER, "logprobs": 10}), ("chat", {**WIDER, "top_logprobs": 30}), ("embed", {"dimensions": 0})],
)
def test_what_other_servers_take_is_refused_with_the_way_to_pass_it_and_goes_out_that_way(
    surface, server, method, wider
):
    server.script = [http({"error": {"message": "enough"}}, 400)]
    client = surface.client(base_url=server.url)
    for name, value in wider.items():
        with pytest.raises(ConfigurationError, match=rf"^{name}: .*extra_body"):
            surface.call(client, method, "x", **{name: value})
    assert not server.requests
    with pytest.raises(BadRequestError):
        surface.call(client, method, "x", extra_body=wider)
    assert {name: server.requests[0].json[name] for name in wider} == wider


@pytest.mark.parametrize("method", ["complete", "chat", "embed"])
def test_a_path_of_other_letters_arrives_encoded(surface, server, method):
    server.script = [http({"error": {"message": "enough"}}, 400)]
    with pytest.raises(BadRequestError):
        surface.call(surface.client(base_url=server.origin + "/\u4ee3\u7406/v1"), method, "x")
    assert server.requests[0].path.startswith("/%E4%BB%A3%E7%90%86/v1/")

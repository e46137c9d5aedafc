"""One instance through threads, event loops, copies and its end."""

from __future__ import annotations

import asyncio
import copy
import gc
import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import warnings

import pytest
from langchain_core.load import dumpd, dumps, load
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr

from tests.scripted import DONE, HANG, ScriptedServer, chunk, completion, echoing, http, stream
from xdm_integrations import (
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    Limits,
    RateLimitError,
    Timeout,
    __version__,
)
from xdm_integrations.langchain import XDMLLM, ChatXDM, XDMEmbeddings


def test_one_instance_over_many_event_loops(server, caplog):
    llm = XDMLLM(base_url=server.url, max_retries=0)

    async def fan_out(tag):
        texts = await asyncio.gather(*(llm.ainvoke(f"{tag}-{i}") for i in range(20)))
        assert texts == [f"<{tag}-{i}>" for i in range(20)]
        await llm.aclose()

    def in_a_thread(tag):
        try:
            asyncio.run(fan_out(tag))
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    errors = []
    for i in range(3):
        asyncio.run(fan_out(f"loop{i}"))
    threads = [threading.Thread(target=in_a_thread, args=(f"thread{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not errors
    assert len(server.requests) == 7 * 20
    gc.collect()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_loops_that_end_without_closing_leave_no_trouble(server, caplog):
    llm = XDMLLM(base_url=server.url, max_retries=0)
    for i in range(3):
        assert asyncio.run(llm.ainvoke(f"{i}")) == f"<{i}>"
    asyncio.run(llm.aclose())
    gc.collect()
    assert len(server.requests) == 3
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_threads_share_one_instance(server):
    with XDMLLM(base_url=server.url) as llm:
        answers = {}
        threads = [threading.Thread(target=lambda i=i: answers.update({i: llm.invoke(str(i))})) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {i: f"<{i}>" for i in range(20)}


def test_closing_leaves_no_connection(world, server):
    llm = world.llm(server)
    world.invoke(llm, "a")
    world.stream(llm, "b")
    assert server.open_connections == 1
    world.call(llm, "close")
    assert server.wait_until(lambda: server.open_connections == 0)
    assert world.invoke(llm, "again") == "<again>"


def test_context_managers(server):
    with XDMLLM(base_url=server.url) as llm:
        llm.invoke("a")
    assert server.wait_until(lambda: server.open_connections == 0)

    kept = XDMLLM(base_url=server.url)

    async def main():
        async with kept as llm:
            await llm.ainvoke("a")
            llm.invoke("b")

    asyncio.run(main())
    assert server.wait_until(lambda: server.open_connections == 0)


def test_an_instance_that_is_dropped_warns_of_nothing(server):
    XDMLLM(base_url=server.url).invoke("a")
    gc.collect()
    assert server.wait_until(lambda: server.open_connections == 0)


COPIES = {
    "pickle": lambda llm: pickle.loads(pickle.dumps(llm)),  # noqa: S301 - our own bytes
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "model_copy": lambda llm: llm.model_copy(),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("used", [False, True])
def test_copies_work_before_and_after_use(world, server, how, used):
    llm = world.llm(server, api_key="k", temperature=0.5, extra_body={"x": 1}, default_headers={"X-A": "b"})
    if used:
        world.invoke(llm, "a")
    copied = COPIES[how](llm)
    try:
        assert copied == llm
        assert world.invoke(copied, "b") == "<b>"
        seen = server.requests[-1]
        assert (seen.json["temperature"], seen.json["x"]) == (0.5, 1)
        assert (seen.headers["x-a"], seen.headers["authorization"]) == ("b", "Bearer k")
        copied.temperature = 0.7
        assert llm.temperature == 0.5
    finally:
        world.call(copied, "close")


def test_a_copy_with_an_update_asks_elsewhere(world, server):
    llm = world.llm(server)
    world.invoke(llm, "a")
    with ScriptedServer(echoing) as other:
        copied = llm.model_copy(update={"xdm_api_base": other.url, "temperature": 0.1})
        world.invoke(copied, "b")
        world.call(copied, "close")
        assert other.requests[0].json["temperature"] == 0.1
    assert len(server.requests) == 1


def test_a_deep_copy_shares_the_rate_limiter():
    limiter = InMemoryRateLimiter(requests_per_second=1000)
    llm = XDMLLM(rate_limiter=limiter)
    assert copy.deepcopy(llm).rate_limiter is limiter


def test_timeouts_are_finite_and_can_be_given_per_call(world, server):
    server.script = [[HANG]]
    llm = world.llm(server, max_retries=0, timeout=(1, 0.2))
    with pytest.raises(APITimeoutError):
        world.invoke(llm, "x")
    patient = world.llm(server, max_retries=0)
    with pytest.raises(APITimeoutError):
        world.invoke(patient, "x", timeout=0.2)
    assert all(limit is not None for limit in Timeout()[:2])


def test_retries_and_what_is_not_retried(world, server):
    busy = http({"error": {"message": "busy", "type": "x"}}, 429, {"Retry-After": "0"})
    server.script = [busy, busy, busy]
    with pytest.raises(RateLimitError):
        world.invoke(world.llm(server, max_retries=1), "x")
    assert len(server.requests) == 2
    refused = http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)
    server.script = [refused]
    with pytest.raises(AuthenticationError):
        world.invoke(world.llm(server), "x")
    assert len(server.requests) == 3


SETTINGS = {
    "model": "m",
    "temperature": 0,
    "max_tokens": None,
    "timeout": Timeout(1, 2, 3),
    "limits": Limits(1, 2, 3),
    "stop": ["a"],
    "logit_bias": {"1": 2},
    "n": 2,
    "best_of": 2,
    "model_kwargs": {"top_k": 3},
    "max_retries": 0,
    "batch_size": 3,
    "streaming": True,
    "stream_usage": False,
    "require_finish_reason": False,
    "allow_http": True,
}


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_a_serialized_llm_comes_back(server):
    llm = XDMLLM(base_url=server.url, api_key="sk-1", **SETTINGS)
    dumped = dumpd(llm)
    assert dumped["type"] == "constructor"
    assert dumped["kwargs"]["xdm_api_key"] == {"lc": 1, "type": "secret", "id": ["XDM_API_KEY"]}
    assert "sk-1" not in dumps(llm)
    allowed = {"valid_namespaces": ["xdm_integrations"], "allowed_objects": [XDMLLM]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load(dumped, **allowed, secrets_map={"XDM_API_KEY": "sk-1"}) == llm
        assert load(dumped, **allowed).xdm_api_key is None


def test_a_saved_llm_can_be_made_again(tmp_path):
    llm = XDMLLM(**{**SETTINGS, "timeout": None, "limits": None}, xdm_api_base="http://localhost:1")
    llm.save(tmp_path / "llm.json")
    saved = json.loads((tmp_path / "llm.json").read_text())
    assert saved.pop("_type") == "xdm-llm"
    again = XDMLLM(**{name: value for name, value in saved.items() if name in {*XDMLLM.model_fields, "base_url"}})
    assert (again.model, again.xdm_api_base, again.temperature) == ("m", "http://localhost:1/v1", 0)


def test_tokens_are_counted_by_the_users_own_function():
    llm = XDMLLM(custom_get_token_ids=lambda text: list(range(len(text.split()))))
    assert llm.get_num_tokens("a b c") == 3


NO_NETWORK = """
import socket
def refuse(*args, **kwargs): raise AssertionError("the network was used")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from xdm_integrations import ConfigurationError
from xdm_integrations.langchain import XDMLLM
for model in ("gpt-3.5-turbo-instruct", "a-model-of-its-own"):
    try:
        print(XDMLLM(model=model).get_num_tokens("hello world"))
    except ConfigurationError as error:
        print(error)
"""


def test_counting_never_downloads_and_says_what_to_do(tmp_path):
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", NO_NETWORK], capture_output=True, text=True, check=True, env=environment
    )
    known, unknown = run.stdout.splitlines()
    assert "cl100k_base" in known
    assert "custom_get_token_ids" in known
    assert "custom_get_token_ids" in unknown


def test_without_a_tokenizer_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(ConfigurationError, match="pip install tiktoken"):
        XDMLLM().get_token_ids("abc")
    assert ChatXDM().get_num_tokens("abc") == 1


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", None])
def test_a_vocabulary_on_this_machine_is_used(tmp_path, monkeypatch, variable):
    tiktoken = pytest.importorskip("tiktoken")
    url = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    folder = tmp_path / "data-gym-cache"
    folder.mkdir()
    (folder / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()).write_bytes(b"")
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    if variable is None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    else:
        monkeypatch.setenv(variable, str(folder))

    class Encoding:
        def encode_ordinary(self, text):
            return [len(text)]

    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: Encoding())
    assert XDMLLM(model="gpt-3.5-turbo-instruct").get_token_ids("abc") == [3]


def test_importing_is_light():
    code = """
import sys
import langchain_core.language_models.llms
before = set(sys.modules)
import xdm_integrations.langchain
new = {name.partition(".")[0] for name in set(sys.modules) - before}
assert not new & {"openai", "tiktoken", "llama_index", "aiohttp", "transformers", "langchain_community"}, new
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own code


def test_without_langchain_the_extra_is_named():
    code = """
import sys
sys.modules["langchain_core"] = None
try:
    import xdm_integrations.langchain
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - as above
    assert 'pip install "xdm-integrations[langchain]"' in run.stdout


def test_the_user_agent_says_who_is_calling(world, server):
    from langchain_core import __version__ as core_version

    world.invoke(world.llm(server), "x")
    assert server.requests[0].headers["user-agent"] == f"xdm-integrations/{__version__} langchain-core/{core_version}"
    world.invoke(world.llm(server, default_headers={"user-agent": "mine"}), "x")
    assert server.requests[1].headers["user-agent"] == "mine"


def test_a_missing_key_names_the_variable(world):
    with pytest.raises(ConfigurationError, match="XDM_API_KEY"):
        world.invoke(world.llm(), "x")


@pytest.mark.parametrize("key", ["k", SecretStr("k"), lambda: "k", lambda: SecretStr("k")])
def test_keys_in_every_form(world, server, key):
    world.invoke(world.llm(server, api_key=key), "x")
    assert server.requests[0].headers["authorization"] == "Bearer k"


def test_an_async_key_serves_async_calls_and_explains_itself_to_others(server):
    async def key():
        return SecretStr("k")

    async def main():
        async with XDMLLM(base_url=server.url, api_key=key) as llm:
            await llm.ainvoke("x")

    asyncio.run(main())
    assert server.requests[0].headers["authorization"] == "Bearer k"
    with XDMLLM(base_url=server.url, api_key=key) as llm, pytest.raises(ConfigurationError, match="api_key"):
        llm.invoke("x")


def test_a_function_is_asked_for_the_key_before_each_call(world, server):
    keys = iter(["k1", "k2"])
    llm = world.llm(server, api_key=lambda: next(keys))
    world.invoke(llm, "x")
    world.invoke(llm, "x")
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer k1", "Bearer k2"]


def test_assigning_a_field_takes_effect(world, server):
    llm = world.llm(server, api_key="k1")
    world.invoke(llm, "x")
    llm.xdm_api_key = "k2"
    llm.model = "m2"
    llm.default_headers = {"X-A": "1"}
    world.invoke(llm, "x")
    seen = server.requests[-1]
    assert (seen.headers["authorization"], seen.json["model"], seen.headers["x-a"]) == ("Bearer k2", "m2", "1")
    with ScriptedServer(echoing) as other:
        llm.xdm_api_base = other.url
        world.invoke(llm, "x")
        assert len(other.requests) == 1


KEEPING = {
    "temperature": 0.5,
    "model": "m",
    "model_kwargs": {"top_k": 1},
    "extra_body": {"x": 1},
    "tags": ["t"],
    "metadata": {"a": "b"},
    "verbose": True,
    "cache": False,
    "callbacks": [],
    "streaming": False,
    "batch_size": 3,
}


@pytest.mark.parametrize("name", KEEPING)
def test_assigning_what_isnt_the_connections_keeps_them_and_the_facts_about_the_server(world, server, name):
    llm = world.llm(server)
    server.script = lambda seen: (
        http({"error": {"message": "unknown field stream_options", "type": "invalid_request_error"}}, 400)
        if "stream_options" in seen.json
        else echoing(seen)
    )
    model = KEEPING["model"]
    assert "".join(world.stream(llm, "x", model=model)) == "<x>"
    setattr(llm, name, KEEPING[name])
    assert "".join(world.stream(llm, "x", model=model)) == "<x>"
    assert server.connections == 1
    assert ["stream_options" in seen.json for seen in server.requests] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("xdm_api_key", "k"),
        ("timeout", 5),
        ("max_retries", 0),
        ("default_headers", {"X-A": "1"}),
        ("stream_usage", False),
        ("require_finish_reason", False),
        ("allow_http", True),
        ("limits", Limits(10_000, 10_000, 10_000)),
        ("rate_limiter", InMemoryRateLimiter(requests_per_second=1000)),
    ],
)
def test_assigning_what_a_client_is_made_of_makes_a_new_one(world, server, name, value):
    llm = world.llm(server)
    world.invoke(llm, "x")
    setattr(llm, name, value)
    assert world.invoke(llm, "x") == "<x>"
    assert server.connections == 2, "each client has its own"


@pytest.mark.parametrize("cls", [XDMLLM, ChatXDM, XDMEmbeddings])
def test_the_environment_can_allow_plain_http_to_a_public_host(cls, server, monkeypatch):
    url = "http://gateway.example/v1"
    with pytest.raises(ConfigurationError, match="XDM_ALLOW_HTTP=1"):
        cls(base_url=url)
    monkeypatch.setenv("XDM_ALLOW_HTTP", "1")
    monkeypatch.setenv("XDM_API_KEY", "k")
    monkeypatch.setenv("HTTP_PROXY", server.origin)
    server.script = [http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)]
    model = cls(base_url=url)
    with pytest.raises(AuthenticationError):
        (model.embed_query if cls is XDMEmbeddings else model.invoke)("x")
    assert server.requests[0].path.startswith(url)
    monkeypatch.setenv("XDM_BASE_URL", url)
    assert cls().base_url == url


def test_traces_show_what_was_assigned(world, server, recorder):
    llm = world.llm(server, temperature=0)
    world.invoke(llm, "x", {"callbacks": [recorder]})
    llm.temperature = 0.5
    world.invoke(llm, "x", {"callbacks": [recorder]})
    assert [run.serialized["kwargs"]["temperature"] for run in recorder.all] == [0, 0.5]


def test_a_field_can_be_configured_per_call(world, server):
    llm = world.llm(server, max_tokens=None, api_key="k")
    chain = llm.configurable_fields(temperature=ConfigurableField(id="t"))
    assert world.invoke(chain, "x", {"configurable": {"t": 0.5}}) == "<x>"
    seen = server.requests[-1]
    assert seen.json == {"model": "gpt-3.5-turbo-instruct", "prompt": "x", "temperature": 0.5}
    assert seen.headers["authorization"] == "Bearer k"
    with pytest.raises(ConfigurationError, match="temperature"):
        world.invoke(chain, "x", {"configurable": {"t": 5}})


def test_consecutive_calls_share_a_connection(world, server):
    llm = world.llm(server)
    for _ in range(3):
        world.invoke(llm, "x")
        world.stream(llm, "x")
    assert server.connections == 1


def test_a_slow_answer_doesnt_block_the_event_loop(server):
    release = threading.Event()
    server.script = lambda seen: (
        stream(chunk("a"), release, chunk("", finish="stop"), DONE)
        if seen.json.get("stream")
        else [release, *http(completion("a"))]
    )

    async def main():
        async with XDMLLM(base_url=server.url) as llm:

            async def read():
                return [text async for text in llm.astream("x")]

            tasks = [asyncio.ensure_future(read()), asyncio.ensure_future(llm.ainvoke("x"))]
            both = await asyncio.get_running_loop().run_in_executor(
                None, server.wait_until, lambda: len(server.requests) == 2
            )
            assert both  # the loop was free to send the second
            release.set()
            return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [["a"], "a"]

"""What is sent, and what is refused before it is sent."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
from pydantic import SecretStr

from tests.scripted import http
from xdm_integrations import ConfigurationError, Timeout
from xdm_integrations.core.completions.parameters import PARAMETERS
from xdm_integrations.core.protocol.config import normalize_timeout
from xdm_integrations.langchain import XDMLLM, ChatXDM, XDMEmbeddings

EVERY = {
    "best_of": 3,
    "echo": True,
    "frequency_penalty": -1.5,
    "logit_bias": {"50256": -100},
    "logprobs": 0,
    "max_tokens": 7,
    "model": "m",
    "n": 2,
    "presence_penalty": 2,
    "seed": -1,
    "stop": ["a", "b"],
    "suffix": "s",
    "temperature": 0,
    "top_p": 0,
    "user": "u",
}


def sent(server):
    return server.requests[-1].json


def test_only_what_was_set_is_sent(world, server):
    world.invoke(world.llm(server), "hi")
    assert sent(server) == {"model": "gpt-3.5-turbo-instruct", "prompt": "hi", "max_tokens": 256}


def test_none_means_not_given(world, server):
    names = {name for name, field in XDMLLM.model_fields.items() if field.alias is None} - {"name", "cache", "verbose"}
    llm = world.llm(server, **dict.fromkeys(names))
    world.invoke(llm, "hi", **dict.fromkeys(PARAMETERS), timeout=None, extra_body=None, extra_headers=None)
    assert sent(server) == {"model": "gpt-3.5-turbo-instruct", "prompt": "hi"}


def test_a_none_of_the_call_leaves_the_field_as_it_is(world, server):
    world.invoke(world.llm(server, temperature=0.5), "hi", temperature=None)
    assert sent(server)["temperature"] == 0.5


@pytest.mark.parametrize("how", ["field", "call", "bind", "model_kwargs", "assignment"])
def test_every_parameter_can_be_given_everywhere(world, server, how):
    assert set(EVERY) == set(PARAMETERS)
    if how == "field":
        world.invoke(world.llm(server, **EVERY), "hi")
    elif how == "call":
        world.invoke(world.llm(server), "hi", **EVERY)
    elif how == "bind":
        world.invoke(world.llm(server).bind(**EVERY), "hi")
    elif how == "model_kwargs":
        world.invoke(world.llm(server, model_kwargs=EVERY), "hi")
    else:
        llm = world.llm(server)
        world.invoke(llm, "before")
        for name, value in EVERY.items():
            if name != "best_of":
                setattr(llm, name, value)
        llm.best_of = 3
        world.invoke(llm, "hi")
    assert sent(server) == {**EVERY, "prompt": "hi"}


def test_every_parameter_is_a_field_with_a_text_that_says_its_range():
    described = {name: XDMLLM.model_fields[name].description or "" for name in PARAMETERS if name != "model"}
    assert all(described.values())
    assert "-2 to 2" in described["frequency_penalty"]
    assert "0 to 5" in described["logprobs"]


def test_precedence_is_call_then_bind_then_model_kwargs_then_field(world, server):
    llm = world.llm(
        server,
        seed=1,
        user="field",
        suffix="field",
        n=1,
        model_kwargs={"seed": 2, "user": "kwargs", "suffix": "kwargs"},
    )
    world.invoke(llm.bind(seed=3, user="bound"), "hi", seed=4)
    body = sent(server)
    assert (body["seed"], body["user"], body["suffix"], body["n"]) == (4, "bound", "kwargs", 1)


def test_a_misspelt_parameter_of_the_constructor_names_its_neighbour():
    with pytest.raises(ConfigurationError, match=r"temprature: unknown parameter\. Did you mean 'temperature'\?"):
        XDMLLM(temprature=1)


@pytest.mark.parametrize("made", [XDMLLM, ChatXDM, XDMEmbeddings])
def test_a_setting_without_its_name_is_an_error_that_asks_for_the_name(made):
    """And doesn't show it: it may be the key."""
    with pytest.raises(ConfigurationError, match=rf"{made.__name__} takes its settings by name") as caught:
        made("sk-unnamed")
    assert "unnamed" not in str(caught.value)


def test_a_misspelt_parameter_of_the_call_names_its_neighbour(world, server):
    llm = world.llm(server)
    for call in (
        world.invoke,
        world.stream,
        lambda *a, **k: world.batch(a[0], [a[1]], **k),
        lambda *a, **k: world.generate(a[0], [a[1]], **k),
    ):
        with pytest.raises(ConfigurationError, match=r"max_token: unknown parameter\. Did you mean 'max_tokens'\?"):
            call(llm, "hi", max_token=1)
    assert not server.requests


def test_an_assigned_value_is_checked_and_a_refused_one_leaves_the_old(world):
    llm = world.llm(temperature=1)
    with pytest.raises(ConfigurationError, match="temperature: 7 must be a number from 0 to 2"):
        llm.temperature = 7
    assert llm.temperature == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 2.1}, "temperature: 2.1 must be a number from 0 to 2"),
        ({"max_tokens": 0}, "max_tokens: 0 must be at least 1"),
        ({"max_tokens": -1}, "max_tokens: -1 must be an integer of at least 0"),
        ({"logprobs": 6}, "logprobs: 6 must be an integer from 0 to 5"),
        ({"model": " "}, "model: an empty string"),
        ({"logit_bias": {"a": 1}}, "logit_bias: the key 'a' isn't a token id"),
        ({"model_kwargs": {"top_p": 2}}, "top_p: 2 must be a number from 0 to 1"),
        ({"model_kwargs": {"timeout": 2}}, "model_kwargs: 'timeout' belongs beside it"),
        ({"model_kwargs": {"stream": True}}, "model_kwargs: must not hold 'stream'"),
        ({"base_url": "ftp://a"}, "base_url: .* must start with https"),
        ({"base_url": "http://gateway.example/v1"}, "unencrypted"),
        ({"default_headers": {"a b": "c"}}, "isn't a header name"),
        ({"max_retries": -1}, "max_retries"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"model": "a", "model_name": "b"}, "given twice"),
    ],
)
def test_a_wrong_value_is_named_at_construction(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        XDMLLM(**wrong)


@pytest.mark.parametrize(
    ("stop", "expected"), [("a", ["a"]), (("a", "b"), ["a", "b"]), (["a"], ["a"]), ([], None), (None, None)]
)
@pytest.mark.parametrize("how", ["field", "call"])
def test_stop_takes_every_form(world, server, stop, expected, how):
    if how == "field":
        world.invoke(world.llm(server, stop=stop), "hi")
    else:
        world.invoke(world.llm(server), "hi", stop=stop)
    assert sent(server).get("stop") == expected


def test_five_stops_are_refused_before_sending(world, server):
    with pytest.raises(ConfigurationError, match="stop: 5 sequences; the API takes at most 4"):
        world.invoke(world.llm(server), "hi", stop=list("abcde"))
    assert not server.requests


def test_the_stop_of_the_call_comes_first(world, server):
    llm = world.llm(server, stop=["field"])
    world.invoke(llm, "hi", stop=["call"])
    assert sent(server)["stop"] == ["call"]
    world.stream(llm, "hi", stop=["call"])
    assert sent(server)["stop"] == ["call"]
    world.invoke(llm, "hi", stop=[])
    assert "stop" not in sent(server)
    world.invoke(llm, "hi")
    assert sent(server)["stop"] == ["field"]


def test_contradictions_are_refused_locally(world, server):
    with pytest.raises(ConfigurationError, match="best_of: 2 must be at least n"):
        XDMLLM(n=3, best_of=2)
    with pytest.raises(ConfigurationError, match="best_of: 2 must be at least n"):
        world.invoke(world.llm(server), "hi", n=3, best_of=2)
    with pytest.raises(ConfigurationError, match="best_of: 2 can't be used in a stream"):
        world.stream(world.llm(server, best_of=2), "hi")
    assert not server.requests


@pytest.mark.parametrize("bias", [{50256: -100}, {"50256": -100}])
def test_logit_bias_takes_numbers_and_texts_as_keys(world, server, bias):
    world.invoke(world.llm(server, logit_bias=bias), "hi")
    assert sent(server)["logit_bias"] == {"50256": -100}


def test_token_ids_are_a_prompt_everywhere(world, server):
    llm = world.llm(server)
    assert world.invoke(llm, [1, 2, 3]) == "<[1, 2, 3]>"
    assert sent(server)["prompt"] == [1, 2, 3]
    assert "".join(world.stream(llm, [1, 2, 3])) == "<[1, 2, 3]>"
    assert sent(server)["prompt"] == [1, 2, 3]
    assert [g[0].text for g in world.generate(llm, [[1, 2], [3]]).generations] == ["<[1, 2]>", "<[3]>"]
    assert sent(server)["prompt"] == [[1, 2], [3]]
    assert world.batch(llm, [[1, 2], [3]]) == ["<[1, 2]>", "<[3]>"]


def test_token_ids_that_a_callback_was_told_of_can_be_copied_and_pickled(world, server, recorder):
    world.invoke(world.llm(server), [1, 2, 3], {"callbacks": [recorder]})
    for again in (copy.deepcopy(recorder.run.prompt), pickle.loads(pickle.dumps(recorder.run.prompt))):  # noqa: S301 - our own
        assert again == "[1, 2, 3]"
        assert world.generate(world.llm(server), [again]).generations[0][0].text == "<[1, 2, 3]>"
        assert sent(server)["prompt"] == [1, 2, 3]


def test_what_langchain_asks_of_every_llm_answers_all_prompts(world, server):
    """`_generate` and its async twin are for classes that are made of this one."""
    result = world.call(world.llm(server), "_generate", ["a", "b"])
    assert [found.text for (found,) in result.generations] == ["<a>", "<b>"]


def test_the_model_of_the_call_is_sent_and_reported(world, server, recorder):
    llm = world.llm(server, model="field")
    world.invoke(llm, "hi", {"callbacks": [recorder]}, model="call")
    assert sent(server)["model"] == "call"
    assert recorder.run.result.llm_output["model_name"] == "call"
    assert recorder.run.metadata["ls_model_name"] == "call"
    assert llm.model == llm.model_name == "field"


def test_model_and_model_name_are_one(server):
    assert XDMLLM(model_name="m").model == XDMLLM(model="m").model_name == "m"


def test_server_specific_fields(world, server):
    llm = world.llm(server, extra_body={"a": 1, "b": 1, "temperature": 1}, model_kwargs={"c": 1, "b": 9}, temperature=0)
    world.invoke(llm, "hi", extra_body={"b": 2})
    body = sent(server)
    assert (body["a"], body["b"], body["c"], body["temperature"]) == (1, 2, 1, 1)
    world.stream(llm, "hi")
    assert sent(server)["b"] == 1


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/completions"])
def test_the_base_url_is_forgiving(world, server, tail):
    world.invoke(world.llm(base_url=server.origin + tail), "hi")
    assert server.requests[-1].path == "/v1/completions"


def test_base_url_and_key_come_from_the_environment(world, server, monkeypatch):
    monkeypatch.setenv("XDM_BASE_URL", server.origin)
    monkeypatch.setenv("XDM_API_KEY", "k1")
    llm = world.llm()
    assert llm.xdm_api_base == server.url
    world.invoke(llm, "hi")
    assert server.requests[-1].headers["authorization"] == "Bearer k1"


def test_constructing_opens_nothing_and_is_fast():
    import subprocess
    import sys

    code = """
import socket, threading, time
from xdm_integrations.langchain import XDMLLM
XDMLLM()
def refuse(*args, **kwargs): raise AssertionError("a socket was opened")
socket.socket.__init__ = refuse
start = time.process_time()
for _ in range(100): XDMLLM(temperature=0)
assert (time.process_time() - start) / 100 < 0.005
assert threading.active_count() == 1
import sys
assert "aiohttp" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own code


@pytest.mark.parametrize("timeout", ["5", 0, -1, (1, 2, 3, 4, 5), (1, "2"), True])
def test_a_timeout_that_is_none_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="timeout"):
        XDMLLM(timeout=timeout)


def test_streaming_streams_behind_the_scenes(world, server, recorder):
    assert world.invoke(world.llm(server, streaming=True), "hello", {"callbacks": [recorder]}) == "<hello>"
    assert sent(server)["stream"] is True
    assert "".join(recorder.run.tokens) == "<hello>"


WRONG_CALLS = {
    "stream": ({"stream": True}, r"stream: .*`\.stream\(\)`.*`streaming=True`"),
    "stop": ({"stop": 5}, "stop: 5 must be a string or a sequence of up to 4 strings"),
    "extra_headers": ({"extra_headers": "x"}, "extra_headers: expected a mapping of names to values, got str"),
    "extra_body": ({"extra_body": "x"}, "extra_body: expected a mapping of fields, got str"),
    "prompt": ({"prompt": "x"}, "prompt: unknown parameter"),
    "on_retry": ({"on_retry": print}, "on_retry: unknown parameter"),
    "a setting": ({"api_key": "sk-x"}, "api_key: unknown parameter. It is a setting"),
    "on_result": ({"on_result": print}, "on_result: unknown parameter"),
    "batch_size": ({"batch_size": 3}, "batch_size: unknown parameter"),
    "unknown beside extra_body": ({"extra_body": {"a": 1, 2: 3}, "promt": 1}, "promt: unknown parameter"),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
@pytest.mark.parametrize("own", [{}, {"extra_body": {"b": 1}}], ids=["bare", "with a body of its own"])
def test_a_mistake_in_a_call_is_named_whatever_the_method(world, server, recorder, name, own):
    wrong, message = WRONG_CALLS[name]
    llm = world.llm(server, **own)
    config = {"callbacks": [recorder]}
    with pytest.raises(ConfigurationError, match=message):
        world.invoke(llm, "hi", config, **wrong)
    with pytest.raises(ConfigurationError, match=message):
        world.stream(llm, "hi", config, **wrong)
    with pytest.raises(ConfigurationError, match=message):
        world.batch(llm, ["a", "b"], config, **wrong)
    with pytest.raises(ConfigurationError, match=message):
        world.generate(llm, ["a", "b"], callbacks=[recorder], **wrong)
    answers = world.batch(llm, ["a", "b"], config, return_exceptions=True, **wrong)
    assert [type(answer) for answer in answers] == [ConfigurationError] * 2
    assert all(re.search(message, str(answer)) for answer in answers)
    assert len(recorder.all) == 8
    assert all(isinstance(run.error, ConfigurationError) for run in recorder.all)
    assert not server.requests


ONE_LINE = {
    "max_retries": -1,
    "batch_size": "many",
    "limits": "large",
    "default_headers": "X-A: b",
    "model_kwargs": 5,
    "temperature": "hot",
    "api_key": "two words",
    "xdm_api_key": 5,
    "timeout": (1, 2, 3, 4, 5),
    "tags": 5,
}


@pytest.mark.parametrize("name", ONE_LINE)
@pytest.mark.parametrize("how", ["constructor", "assignment"])
def test_a_wrong_setting_is_one_line_of_our_own(name, how):
    llm = XDMLLM()
    before = llm.model_dump()
    with pytest.raises(ConfigurationError) as caught:
        XDMLLM(**{name: ONE_LINE[name]}) if how == "constructor" else setattr(llm, name, ONE_LINE[name])
    assert "\n" not in str(caught.value)
    assert name.removeprefix("default_").removeprefix("xdm_") in str(caught.value)
    assert "two words" not in str(caught.value)
    assert llm.model_dump() == before


def test_a_misspelt_assignment_names_its_neighbour():
    with pytest.raises(ConfigurationError, match=r"temprature: unknown parameter\. Did you mean 'temperature'\?"):
        XDMLLM().temprature = 1


def test_url_and_key_can_be_read_and_assigned_under_every_name(world, server, monkeypatch):
    monkeypatch.delenv("XDM_BASE_URL", raising=False)
    llm = world.llm()
    assert llm.base_url == "https://xuedingmao.online/v1"
    llm.base_url = server.origin + "/v1/completions"
    assert llm.base_url == llm.xdm_api_base == server.url
    llm.api_key = "Bearer k1"
    assert llm.api_key == llm.xdm_api_key == SecretStr("k1")
    world.invoke(llm, "hi")
    assert server.requests[-1].headers["authorization"] == "Bearer k1"
    llm.base_url = llm.api_key = None
    assert llm.xdm_api_base is llm.xdm_api_key is None
    monkeypatch.setenv("XDM_BASE_URL", "localhost:1")
    assert llm.base_url == "http://localhost:1/v1"
    monkeypatch.setenv("XDM_BASE_URL", '" "')
    assert llm.base_url == world.llm().base_url == "https://xuedingmao.online/v1"


def test_a_setting_under_two_names_is_refused():
    with pytest.raises(ConfigurationError, match="base_url: given twice, as `base_url` and as `xdm_api_base`"):
        XDMLLM(base_url="localhost:1", xdm_api_base="localhost:2")
    with pytest.raises(ConfigurationError, match="api_key: given twice"):
        XDMLLM(xdm_api_key="a", api_key="b")


def test_none_by_assignment_is_the_default_but_for_max_tokens():
    llm, fresh = XDMLLM(model="m", max_retries=0, batch_size=3, streaming=True, n=2, model_kwargs={"a": 1}), XDMLLM()
    for name in ("model", "max_retries", "batch_size", "streaming", "n", "model_kwargs"):
        setattr(llm, name, None)
    assert llm == fresh
    llm.max_tokens = None
    assert llm.max_tokens is None
    llm.temperature = 1
    assert llm.max_tokens is None


@pytest.mark.parametrize("timeout", [1, (1, 2), (1, 2, 3), (1, None), Timeout(1, 2, 3)])
def test_a_timeout_in_every_form(timeout):
    assert normalize_timeout(XDMLLM(timeout=timeout).timeout) == normalize_timeout(timeout)


def test_the_model_of_model_kwargs_stands_in_where_the_server_names_none(world, server, recorder):
    server.script = [http({"choices": [{"text": "a", "index": 0, "finish_reason": "stop"}]})]
    llm = world.llm(server, model="field", model_kwargs={"model": "kwargs"})
    world.invoke(llm, "hi", {"callbacks": [recorder]})
    assert recorder.run.result.llm_output["model_name"] == "kwargs"

"""The constructor, its checks, precedence, copies and dumps."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.llms import ChatMessage, CustomLLM, LLMMetadata
from llama_index.core.llms.loading import load_llm
from llama_index.core.rate_limiter import TokenBucketRateLimiter
from pydantic import SecretStr

from tests.llama_index.conftest import METHODS, Recorder, World
from tests.scripted import http
from xdm_integrations import APIResponseError, AuthenticationError, ConfigurationError
from xdm_integrations.core.completions.parameters import PARAMETERS
from xdm_integrations.core.protocol.wire import Limits
from xdm_integrations.llama_index import XDM, XDMChat, XDMEmbedding

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer

EVERYTHING: dict[str, Any] = {
    "best_of": 3,
    "echo": True,
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100.0},
    "logprobs": 2,
    "max_tokens": 17,
    "model": "m",
    "n": 2,
    "presence_penalty": -0.5,
    "seed": 7,
    "stop": ["\n"],
    "suffix": "end",
    "temperature": 0.3,
    "top_p": 0.9,
    "user": "u",
}


def shout(prompt: str) -> str:
    return prompt.upper()


def test_it_is_a_llama_index_llm() -> None:
    assert issubclass(XDM, CustomLLM)
    assert issubclass(XDM, BaseLLM)
    assert XDM.class_name() == "XDM"


def test_every_parameter_is_a_described_field_and_reaches_the_wire(world: World, server: ScriptedServer) -> None:
    assert set(EVERYTHING) == set(PARAMETERS)
    llm = XDM(api_base=server.url, **EVERYTHING)
    world.call(llm, "complete", "hi")
    sent = server.requests[0].json
    assert {name: sent[name] for name in EVERYTHING} == EVERYTHING
    for name, parameter in PARAMETERS.items():
        field = XDM.model_fields[name]
        assert field.description
        bounds = {
            type(m).__name__.lower(): next(iter(vars(m).values()), None) if hasattr(m, "__dict__") else None
            for m in field.metadata
        }
        if parameter.kind in (int, float) and parameter.low is not None:
            assert "ge" in bounds, name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("temprature", "temperature"),
        ("stops", "stop"),
        ("base_url", "api_base"),
        ("model_kwargs", "additional_kwargs"),
        ("max_completion_tokens", "max_tokens"),
    ],
)
def test_an_unknown_argument_is_an_error_with_the_near_name(name: str, near: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}: unknown.*{near!r}"):
        XDM(**{name: 1})


@pytest.mark.parametrize("made", [XDM, XDMChat, XDMEmbedding])
def test_a_setting_without_its_name_is_an_error_that_asks_for_the_name(made: type) -> None:
    """And doesn't show it: it may be the key."""
    with pytest.raises(ConfigurationError, match=rf"{made.__name__} takes its settings by name") as caught:
        made("sk-unnamed")
    assert "unnamed" not in str(caught.value)


def test_an_unknown_argument_of_a_call_is_an_error_with_the_near_name(
    world: World, server: ScriptedServer, llm: XDM
) -> None:
    with pytest.raises(ConfigurationError, match=r"temprature.*'temperature'"):
        world.call(llm, "complete", "hi", temprature=1)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.1), ("top_p", -0.1), ("n", 0), ("best_of", 21), ("logprobs", 6), ("presence_penalty", 3),
        ("frequency_penalty", -3), ("stop", list("abcde")), ("stop", [""]), ("logit_bias", {"a": 1}), ("max_tokens", 0),
        ("max_tokens", -1), ("max_retries", -1), ("timeout", 0), ("timeout", "soon"), ("api_base", "ftp://x"),
        ("api_base", "http://example.com/v1"), ("default_headers", {"a b": "c"}), ("context_window", 0),
        ("additional_kwargs", {"n": 0}), ("additional_kwargs", {"extra_headers": {}}), ("echo", "yes"), ("seed", 1.5),
        ("additional_kwargs", 3),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_when_given_and_when_assigned(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name if name != "additional_kwargs" else "n: 0|additional_kwargs"):
        XDM(**{name: value})
    llm = XDM()
    before = getattr(llm, name)
    with pytest.raises(ConfigurationError):
        setattr(llm, name, value)
    assert getattr(llm, name) == before


def test_a_round_trip_through_a_dictionary_takes_the_key_from_the_environment(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = XDM(api_base=server.url, api_key="first", system_prompt="be brief", timeout=(1, 2), **EVERYTHING)
    for data in (llm.to_dict(), json.loads(llm.to_json())):
        again = XDM.from_dict(data)
        assert again.to_dict() == llm.to_dict()
        assert again.api_key is None
        monkeypatch.setenv("XDM_API_KEY", "second")
        again.complete("hi")
        assert server.requests[-1].headers["authorization"] == "Bearer second"


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy"])
def test_copies_work_before_and_after_use(world: World, server: ScriptedServer, used: bool, how: str) -> None:
    llm = XDM(api_base=server.url, api_key="k", temperature=0.5, completion_to_prompt=shout)
    if used:
        world.call(llm, "complete", "hi")
        world.items(llm, "stream_complete", "hi")
    made = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "deepcopy": copy.deepcopy, "copy": copy.copy}[how](llm)  # noqa: S301 - its own pickle
    assert made.to_dict() == llm.to_dict()
    assert world.call(made, "complete", "hi").text == "<HI>"
    assert world.call(llm, "complete", "hi").text == "<HI>"
    assert server.requests[-2].headers["authorization"] == "Bearer k"
    made.temperature = 1.0
    assert llm.temperature == 0.5


def test_load_llm_knows_the_class(server: ScriptedServer) -> None:
    llm = load_llm(XDM(api_base=server.url, temperature=0).to_dict())
    assert isinstance(llm, XDM)
    assert llm.complete("hi").text == "<hi>"


@pytest.mark.parametrize("method", METHODS)
def test_the_call_wins_over_additional_kwargs_and_those_over_fields(
    world: World, server: ScriptedServer, method: str
) -> None:
    llm = XDM(
        api_base=server.url,
        max_tokens=1,
        temperature=0.1,
        top_p=0.1,
        additional_kwargs={"temperature": 0.2, "top_p": 0.2, "min_p": 0.2, "top_k": 2, "seed": None},
        seed=3,
    )
    world.ask(llm, method, top_p=0.3, max_tokens=3, extra_body={"top_k": 3}, stop="x", seed=None)
    sent = server.requests[0].json
    expected = {"max_tokens": 3, "temperature": 0.2, "top_p": 0.3, "min_p": 0.2, "top_k": 3, "stop": ["x"], "seed": 3}
    assert {name: sent[name] for name in expected} == expected
    assert llm.additional_kwargs == {"temperature": 0.2, "top_p": 0.2, "min_p": 0.2, "top_k": 2, "seed": None}


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda llm: llm.model_copy(update={})])
def test_a_copy_uses_its_own_settings(world: World, server: ScriptedServer, how: Any) -> None:
    """Also where the original has been used: its client has the old key and URL."""
    llm = XDM(api_base=server.url, api_key="old", temperature=0.5)
    world.call(llm, "complete", "hi")
    made = how(llm).model_copy(update={"api_key": "new", "temperature": 0.1})
    world.call(made, "complete", "hi")
    world.call(llm, "complete", "hi")
    sent = [(seen.headers["authorization"], seen.json["temperature"]) for seen in server.requests]
    assert sent == [("Bearer old", 0.5), ("Bearer new", 0.1), ("Bearer old", 0.5)]


@pytest.mark.parametrize("cls", [XDM, XDMChat, XDMEmbedding])
def test_a_deep_copy_spends_the_budget_of_the_original(cls: Any) -> None:
    model = cls(rate_limiter=TokenBucketRateLimiter(requests_per_minute=60))  # which holds a lock: it can't be copied
    assert copy.deepcopy(model).rate_limiter is model.rate_limiter


def test_closing_a_copy_leaves_the_original_open(server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url)
    llm.complete("hi")
    copy.copy(llm).close()
    llm.complete("hi")
    assert server.connections == 1


def test_leaving_the_context_closes_the_connections(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url)

    async def use() -> None:
        async with llm as entered:
            await entered.acomplete("hi")
            assert server.open_connections == 1

    if world.is_async:
        world.loop.run_until_complete(use())
    else:
        with llm as entered:
            entered.complete("hi")
            assert server.open_connections == 1
    assert server.wait_until(lambda: server.open_connections == 0, 5.0)
    assert world.call(llm, "complete", "again").text == "<again>"


@pytest.mark.parametrize("cls", [XDM, XDMChat, XDMEmbedding])
@pytest.mark.parametrize("field", [None, {"top_k": 2}])
def test_an_extra_body_among_the_additional_arguments_is_one_as_in_openai_like(cls: Any, field: Any) -> None:
    given = {"min_p": 0.1, "extra_body": {"top_k": 1, "provider": "a"}}
    llm = cls(api_base="http://127.0.0.1:9/v1", additional_kwargs=given, extra_body=field)
    assert dict(llm.extra_body) == {"top_k": 1, "provider": "a", **(field or {})}
    assert llm.additional_kwargs == {"min_p": 0.1}
    assert given == {"min_p": 0.1, "extra_body": {"top_k": 1, "provider": "a"}}
    with pytest.raises(ConfigurationError, match="Set `extra_body`"):
        cls(additional_kwargs={"extra_body": 1})


@pytest.mark.parametrize("method", METHODS)
def test_extra_body_wins_over_parameters_and_is_never_shown(
    world: World, server: ScriptedServer, seen: Recorder, method: str
) -> None:
    body = {"top_k": 1, "temperature": 0.7, "token": "hush-hush"}
    llm = XDM(api_base=server.url, temperature=0.1, additional_kwargs={"top_k": 0, "min_p": 0}, extra_body=body)
    world.ask(llm, method, temperature=0.2)
    world.ask(llm, method, extra_body={"top_k": 2})
    expected = {"top_k": 1, "temperature": 0.7, "min_p": 0, "token": "hush-hush"}
    assert {name: server.requests[0].json[name] for name in expected} == expected
    assert server.requests[1].json["top_k"] == 2
    assert server.requests[1].json["token"] == "hush-hush"
    assert body == {"top_k": 1, "temperature": 0.7, "token": "hush-hush"}
    shown = [repr(llm), str(llm), llm.to_json(), repr(llm.model_dump()), str([e.model_dump() for e in seen.events])]
    assert not [text for text in shown if "hush-hush" in text]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stream": True}, "stream: .*stream_complete.*stream_chat"),
        ({"on_retry": print}, "on_retry: unknown parameter"),
        ({"max_retries": 5}, "max_retries: unknown parameter. It is a setting"),
        ({"context_window": 5}, "context_window: unknown parameter. It is a setting"),
        ({"stop_on_error": True}, "stop_on_error: unknown parameter"),
        ({"options": {"num_ctx": 1}, "timeout": 5}, "options: unknown parameter"),
        ({"extra_headers": "x"}, "extra_headers: expected a mapping"),
        ({"extra_body": "x"}, "extra_body: expected a mapping"),
    ],
)
def test_what_a_call_can_not_take_is_refused(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, llm: XDM, method: str, given: dict[str, Any], message: str
) -> None:
    llm.additional_kwargs = {"top_k": 1}
    with pytest.raises(ConfigurationError, match=message):
        world.ask(llm, method, **given)
    assert server.requests == []


@pytest.mark.parametrize("method", ["chat", "complete_batch"])
def test_a_second_prompt_is_refused(world: World, server: ScriptedServer, llm: XDM, method: str) -> None:
    asked: Any = [ChatMessage("hi")] if method == "chat" else ["hi"]
    with pytest.raises(ConfigurationError, match="prompt: given twice"):
        world.call(llm, method, asked, prompt="other")
    assert server.requests == []


def test_best_of_is_at_least_n() -> None:
    with pytest.raises(ConfigurationError, match=r"best_of: 2 must be at least n \(3\)"):
        XDM(best_of=2, n=3)
    llm = XDM(best_of=3, n=2)
    with pytest.raises(ConfigurationError, match=r"best_of: 1 must be at least n \(2\)"):
        llm.best_of = 1
    with pytest.raises(ConfigurationError, match=r"best_of: 3 must be at least n \(4\)"):
        llm.n = 4
    assert (llm.best_of, llm.n) == (3, 2)


def test_none_by_assignment_becomes_the_default(world: World, server: ScriptedServer) -> None:
    given: dict[str, Any] = {"max_retries": 7, "context_window": 999, "stream_usage": False, "limits": (1, 2, 3)}
    llm = XDM(**EVERYTHING, **given, default_headers={"X-One": "1"}, additional_kwargs={"top_k": 1})
    plain = XDM()
    for name in [*EVERYTHING, *given, "default_headers", "additional_kwargs", "messages_to_prompt"]:
        setattr(llm, name, None)
        if name != "max_tokens":
            assert getattr(llm, name) == getattr(plain, name), name
    assert llm.max_tokens is None
    llm.api_base = server.url
    world.call(llm, "complete", "hi")
    assert set(server.requests[0].json) == {"model", "prompt"}


def test_limits_reach_the_client_and_survive_a_dictionary(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, limits=Limits(body=10))
    again = XDM.from_dict(json.loads(llm.to_json()))
    assert again.limits == llm.limits == Limits(body=10)
    for one in (llm, again):
        with pytest.raises(APIResponseError, match="10"):
            world.call(one, "complete", "hi")
    llm.limits = None
    assert world.call(llm, "complete", "hi").text == "<hi>"


def test_a_key_function_may_return_a_secret(world: World, server: ScriptedServer) -> None:
    world.call(XDM(api_base=server.url, api_key=lambda: SecretStr("shy")), "complete", "hi")
    assert server.requests[0].headers["authorization"] == "Bearer shy"


@pytest.mark.parametrize("method", METHODS)
def test_stop_is_sent_from_both_places(world: World, server: ScriptedServer, method: str) -> None:
    llm = XDM(api_base=server.url, stop="one")
    world.ask(llm, method)
    world.ask(llm, method, stop=["two", "three"])
    assert [seen.json["stop"] for seen in server.requests] == [["one"], ["two", "three"]]


@pytest.mark.parametrize("method", METHODS)
def test_five_stops_are_refused_before_anything_is_sent(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"stop: 5 .* at most 4"):
        world.ask(llm, method, stop=list("abcde"))
    assert server.requests == []


@pytest.mark.parametrize("method", METHODS)
def test_arguments_of_chat_models_never_reach_the_wire(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    chat_only: dict[str, Any] = {
        "tools": [{"type": "function"}],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "parallel_tool_calls": True,
        "functions": [],
        "function_call": "none",
    }
    world.ask(llm, method, **chat_only)
    assert not set(server.requests[0].json) & set(chat_only)


def test_metadata_tells_the_truth_and_asks_nobody(server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, model="m", context_window=1000, max_tokens=100)
    assert llm.metadata == LLMMetadata(context_window=1000, num_output=100, model_name="m", is_chat_model=False)
    llm.additional_kwargs = {"max_tokens": 50}
    llm.model = "other"
    assert (llm.metadata.num_output, llm.metadata.model_name) == (50, "other")
    assert server.connections == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"max_tokens": 4096},
        {"context_window": 256},
        {"context_window": 100, "max_tokens": 100},
        {"additional_kwargs": {"max_tokens": 5000}},
    ],
)
def test_no_room_for_a_prompt_is_refused_with_both_names(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"max_tokens: \d+ .*context_window \(\d+\)"):
        XDM(**settings)
    llm = XDM(context_window=4096, max_tokens=256)
    name, value = next(iter(settings.items()))
    with pytest.raises(ConfigurationError, match=r"max_tokens: \d+ .*context_window \(\d+\)"):
        setattr(llm, name, value)
    assert llm.to_dict() == XDM().to_dict()


def test_any_model_name_is_sent_as_it_is(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, model="unheard-of/模型:v1")
    world.call(llm, "complete", "hi")
    world.call(llm, "complete", "hi", model="another")
    assert [seen.json["model"] for seen in server.requests] == ["unheard-of/模型:v1", "another"]
    assert llm.metadata.model_name == "unheard-of/模型:v1"


def test_a_private_host_needs_no_key(world: World, server: ScriptedServer, llm: XDM) -> None:
    world.call(llm, "complete", "hi")
    assert "authorization" not in server.requests[0].headers


def test_a_public_host_without_a_key_names_the_variable(world: World) -> None:
    with pytest.raises(ConfigurationError, match="XDM_API_KEY"):
        world.call(XDM(), "complete", "hi")


def test_assignments_take_effect(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base="http://127.0.0.1:9/v1", api_key="first", max_retries=0)
    with pytest.raises(ConnectionError):
        world.call(llm, "complete", "hi")
    llm.api_base = server.url
    world.call(llm, "complete", "hi")
    llm.api_key = "second"
    llm.default_headers = {"X-Team": "red"}
    llm.temperature = 0.5
    world.call(llm, "complete", "hi")
    assert "second" not in repr(llm)
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer first", "Bearer second"]
    assert server.requests[1].headers["x-team"] == "red"
    assert server.requests[1].json["temperature"] == 0.5


def test_a_timeout_takes_effect(world: World, server: ScriptedServer, llm: XDM) -> None:
    from tests.scripted import HANG
    from xdm_integrations import APITimeoutError

    world.call(llm, "complete", "hi")
    server.script = [[HANG]]
    llm.timeout = 0.1
    with pytest.raises(APITimeoutError):
        world.call(llm, "complete", "hi")


def test_the_environment_gives_key_and_url(
    world: World, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDM_API_KEY", "from-env")
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    world.call(XDM(), "complete", "hi")
    assert server.requests[0].headers["authorization"] == "Bearer from-env"
    world.call(XDM(api_base="", api_key=""), "complete", "hi")  # as others' variables say it that aren't set
    assert server.requests[1].headers["authorization"] == "Bearer from-env"


def test_a_function_is_asked_for_the_key_before_each_call(world: World, server: ScriptedServer) -> None:
    keys = iter(["one", "two"])
    llm = XDM(api_base=server.url, api_key=lambda: next(keys))
    world.call(llm, "complete", "hi")
    world.call(llm, "complete", "hi")
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer one", "Bearer two"]


def test_the_user_agent_names_both_packages(world: World, server: ScriptedServer, llm: XDM) -> None:
    world.call(llm, "complete", "hi")
    agent = server.requests[0].headers["user-agent"]
    assert agent.startswith("xdm-integrations/")
    assert " llama-index-core/" in agent


def test_headers_of_the_user_win(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, default_headers={"user-agent": "mine/1"})
    world.call(llm, "complete", "hi", extra_headers={"X-One": "1"})
    assert server.requests[0].headers["user-agent"] == "mine/1"
    assert server.requests[0].headers["x-one"] == "1"


def test_none_means_not_given_for_every_argument() -> None:
    given = {name: None for name in XDM.model_fields if name != "max_tokens"}
    assert XDM(**given).to_dict() == XDM().to_dict()
    assert XDM(max_tokens=None).max_tokens is None


def test_a_json_schema_of_the_settings_exists() -> None:
    schema = XDM.model_json_schema()
    assert schema["properties"]["temperature"]["anyOf"][0] == {"maximum": 2, "minimum": 0, "type": "number"}


def test_the_constructor_opens_nothing_and_reads_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = XDM(api_base="http://127.0.0.1:9/v1")
    monkeypatch.setenv("XDM_API_KEY", "later")
    assert llm.api_key is None


@pytest.mark.parametrize("cls", [XDM, XDMChat, XDMEmbedding])
def test_the_environment_can_allow_plain_http_to_a_public_host(
    cls: Any, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://gateway.example/v1"
    with pytest.raises(ConfigurationError, match="XDM_ALLOW_HTTP=1"):
        cls(api_base=url)
    monkeypatch.setenv("XDM_ALLOW_HTTP", "1")
    monkeypatch.setenv("XDM_API_KEY", "k")
    llm = cls(api_base=url)
    monkeypatch.setenv("HTTP_PROXY", server.origin)
    server.script = [http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)]
    with pytest.raises(AuthenticationError):
        (llm.get_text_embedding if cls is XDMEmbedding else llm.complete)("x")
    assert server.requests[0].path.startswith(url)
    llm.api_base = "http://other.example/v1"
    assert llm.api_base == "http://other.example/v1"

"""`Client.models`, and the names in the error about a model that isn't offered."""

from __future__ import annotations

import asyncio
import itertools
import json
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.scripted import HANG, RESET, Seen, chunk, completion, http, stream
from tests.unit.flows import Clock, ok, play, refused, setup_of
from xdm_integrations import (
    APIResponseError,
    APIStatusError,
    AsyncClient,
    AuthenticationError,
    ModelUnavailableError,
    PermissionDeniedError,
    ServerError,
    Timeout,
)
from xdm_integrations.core.completions.request import ask_completion
from xdm_integrations.core.gateway.models import Model, models_flow, nearest, parse_models
from xdm_integrations.core.protocol.wire import Reply, Send

ONE_API = {
    "object": "list",
    "data": [
        {
            "id": "gpt-4o",
            "object": "model",
            "created": 1626777600,
            "owned_by": "openai",
            "permission": [{"id": "modelperm-1"}],
            "root": "gpt-4o",
            "parent": None,
        }
    ],
}
NEW_API = {
    "success": True,
    "object": "list",
    "data": [
        {"id": "gpt-4o", "object": "model", "created": 5, "owned_by": "custom", "supported_endpoint_types": ["openai"]}
    ],
}
FAMILIES = [
    pytest.param(ONE_API, [("gpt-4o", "openai", 1626777600, ())], id="one-api"),
    pytest.param({"success": True, "data": ONE_API["data"]}, [("gpt-4o", "openai", 1626777600, ())], id="new-api-0.8"),
    pytest.param(NEW_API, [("gpt-4o", "custom", 5, ("openai",))], id="new-api-1.0"),
    pytest.param({"success": True, "data": None}, [], id="nil-slice"),
    pytest.param({"object": "list", "data": []}, [], id="empty"),
    pytest.param({"models": [{"name": "tiny:latest"}]}, [("tiny:latest", "", None, ())], id="ollama"),
    pytest.param(
        ["a", {"id": "b"}, {"id": "a"}, 3, {"object": "model"}], [("a", "", None, ()), ("b", "", None, ())], id="bare"
    ),
]


def models(surface, client):
    return surface.run(client.models())


@pytest.mark.parametrize(("body", "expected"), FAMILIES)
def test_the_list_of_every_family_is_understood(surface, server, body, expected):
    server.script = [http(body)]
    got = models(surface, surface.client(base_url=server.url, api_key="k"))
    assert [model[:4] for model in got] == expected
    (seen,) = server.requests
    assert (seen.method, seen.path, seen.body) == ("GET", "/v1/models", b"")
    assert seen.headers["authorization"] == "Bearer k"
    assert "content-type" not in seen.headers


def test_an_entry_keeps_what_else_was_sent(surface, server):
    server.script = [http(NEW_API)]
    (model,) = models(surface, surface.client(base_url=server.url))
    assert model.raw == NEW_API["data"][0]
    assert pickle.loads(pickle.dumps(model)) == model  # noqa: S301 - our own bytes


def test_the_real_engine_lists_its_model(surface, engine):
    assert [model.id for model in models(surface, surface.client(base_url=engine.base_url))] == ["xdm-local"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (http({"success": False, "message": "无权访问 vip 分组"}), PermissionDeniedError, "无权访问"),
        (http({"error": {"message": "无效的令牌", "type": "new_api_error"}}, 401), AuthenticationError, "无效的令牌"),
        (http("<!doctype html><title>Console</title>", headers={"Content-Type": "text/html"}), APIResponseError, "/v1"),
        (http({"hello": 1}), APIResponseError, "list of models"),
        (http({"success": True, "message": "maintenance"}), APIResponseError, "list of models"),
        (http(b""), APIResponseError, "empty body"),
        (http("3"), APIResponseError, "list of models"),
    ],
)
def test_what_is_no_list_is_the_error_it_stands_for(surface, server, answer, error, words):
    server.script = [answer]
    with pytest.raises(error) as caught:
        models(surface, surface.client(base_url=server.url, max_retries=0))
    assert words in str(caught.value)


def test_a_busy_gateway_is_asked_again(surface, server):
    server.script = [http("", 502), http(ONE_API)]
    client = surface.client(base_url=server.url)
    assert len(models(surface, client)) == 1
    assert len(server.requests) == 2


def test_a_list_nested_too_deep_is_no_list(surface, server):
    server.script = [http(b'{"data":' * 100_000)]
    with pytest.raises(APIResponseError):
        models(surface, surface.client(base_url=server.url, max_retries=0))


def test_the_deadline_is_that_of_the_whole_call():
    clock = Clock()
    setup = setup_of(None, clock, timeout=Timeout(total=5))
    listed, commands = play(models_flow(setup), [refused(503), ok(data=[{"id": "m"}])], clock)
    assert [model.id for model in listed] == ["m"]
    assert [command.request.deadline for command in commands if isinstance(command, Send)] == [1005.0] * 2
    with pytest.raises(ServerError):
        play(models_flow(setup_of(None, None, timeout=Timeout(total=5))), [refused(503, retry_after="5")])
    _, commands = play(models_flow(setup_of()), [ok(data=[])])
    assert commands[0].request.deadline is None


def listed(payload):
    body = json.dumps(payload, indent=1).encode()
    return parse_models(payload, Reply(201, {"x-request-id": "r-1"}, body))


def test_nothing_is_a_list_only_where_no_failure_is_told():
    assert listed({"object": "list", "data": None}) == []
    assert listed({"success": True, "data": None}) == []
    for payload in ({"success": False, "data": None}, {"data": None, "error": {"message": "m"}}):
        with pytest.raises(APIStatusError):
            listed(payload)
    for payload in ({"success": "?", "data": None}, {"models": None}, {}):
        with pytest.raises(APIResponseError):
            listed(payload)


@pytest.mark.parametrize("payload", [{"hello": 1}, {"success": False, "message": "m"}])
def test_what_is_no_list_is_kept_whole(payload):
    with pytest.raises((APIResponseError, APIStatusError)) as caught:
        listed(payload)
    error = caught.value
    assert (error.body, error.headers) == (json.dumps(payload, indent=1), {"x-request-id": "r-1"})
    assert error.request_id == "r-1"
    assert error.status_code == 201 or "(HTTP 201" in error.message


# The nearest names

NO_CHANNEL = http(
    {"error": {"message": "当前分组 default 下对于模型 gpt-3.5-turbo-instuct 无可用渠道", "type": "one_api_error"}}, 503
)
OFFERED = {"data": [{"id": name} for name in ("gpt-4o", "gpt-3.5-turbo-instruct", "claude-3", "GPT-3.5-Turbo")]}


def unavailable(listing):
    return lambda seen: listing if seen.method == "GET" else NO_CHANNEL


def fail(surface, client, how="complete", **params):
    with pytest.raises(ModelUnavailableError) as caught:
        getattr(surface, how)(client, "x", **{"model": "gpt-3.5-turbo-instuct", **params})
    return caught.value


@pytest.mark.parametrize("how", ["complete", "stream"])
def test_the_error_names_the_nearest_offered_models(surface, server, how):
    server.script = unavailable(http(OFFERED))
    error = fail(surface, surface.client(base_url=server.url), how)
    assert error.suggestions == ("gpt-3.5-turbo-instruct", "GPT-3.5-Turbo")
    assert "'gpt-3.5-turbo-instruct', 'GPT-3.5-Turbo'" in str(error)
    assert "无可用渠道" in str(error)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (str(copy), copy.message, copy.suggestions) == (str(error), error.message, error.suggestions)


def test_the_list_is_asked_for_once(surface, server):
    server.script = unavailable(http(OFFERED))
    client = surface.client(base_url=server.url)
    for _ in range(3):
        assert fail(surface, client).suggestions
    assert [seen.method for seen in server.requests] == ["POST", "GET", "POST", "POST"]


@pytest.mark.parametrize("how", ["complete", "chat", "embed"])
def test_calls_that_fail_at_the_same_time_all_have_the_names_and_ask_once(surface, server, how):
    known = threading.Event()

    def learn(request, reply):
        if request.method == "POST" and next(refusals) == 3:
            known.set()

    refusals = itertools.count(1)
    server.script = unavailable([known, *http(OFFERED)])
    client = surface.client(base_url=server.url, on_response=learn)
    asked = {"model": "gpt-3.5-turbo-instuct"}
    if surface.is_async:

        async def ask():
            return await asyncio.gather(*(getattr(client, how)("x", **asked) for _ in range(3)), return_exceptions=True)

        errors = surface.run(ask())
    else:
        with ThreadPoolExecutor(3) as pool:
            errors = [pool.submit(getattr(client, how), "x", **asked) for _ in range(3)]
            errors = [error.exception() for error in errors]
    assert [error.suggestions for error in errors] == [("gpt-3.5-turbo-instruct", "GPT-3.5-Turbo")] * 3
    assert sorted(seen.method for seen in server.requests) == ["GET", *["POST"] * 3]


def test_a_call_waits_for_the_list_no_longer_than_for_its_own():
    clock = Clock()
    setup = setup_of(None, clock, timeout=Timeout(total=2))
    setup.facts.asking = True
    refusal = Reply(404, {}, b'{"error": {"code": "model_not_found", "message": "no such model"}}')
    with pytest.raises(ModelUnavailableError) as caught:
        play(ask_completion(setup, "x", {}), [refusal], clock)
    assert clock.now == pytest.approx(1002, abs=0.1)
    assert caught.value.suggestions == ()
    assert [type(command) for command in caught.value.commands].count(Send) == 1


def test_a_list_that_is_known_is_not_asked_for_again(surface, server):
    server.script = unavailable(http(OFFERED))
    client = surface.client(base_url=server.url)
    models(surface, client)
    assert fail(surface, client).suggestions
    assert [seen.method for seen in server.requests] == ["GET", "POST"]


@pytest.mark.parametrize(
    "listing",
    [http("no", 500), http("<html>"), [RESET], http({"data": [{"id": "claude"}]}), http(OFFERED, 401)],
    ids=["500", "page", "reset", "nothing-near", "401"],
)
def test_a_failing_list_never_hides_the_error(surface, server, listing):
    server.script = unavailable(listing)
    client = surface.client(base_url=server.url)
    error = fail(surface, client)
    assert error.suggestions == ()
    assert "无可用渠道" in str(error)
    assert "similar" not in str(error)
    asked = [seen.method for seen in server.requests].count("GET")  # 2 where aiohttp sends a reset GET again
    assert fail(surface, client).suggestions == ()
    assert [seen.method for seen in server.requests].count("GET") == asked <= 2


def test_a_look_up_that_was_cancelled_is_made_by_the_next_call(server):
    asked = asyncio.Event()
    server.script = unavailable([lambda: loop.call_soon_threadsafe(asked.set), HANG])

    async def main():
        async with AsyncClient(base_url=server.url) as client:
            call = asyncio.ensure_future(client.complete("x", model="gpt-3.5-turbo-instuct"))
            await asked.wait()
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
            server.script = unavailable(http(OFFERED))
            with pytest.raises(ModelUnavailableError) as caught:
                await client.complete("x", model="gpt-3.5-turbo-instuct")
        return caught.value

    loop = asyncio.new_event_loop()
    error = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert error.suggestions == ("gpt-3.5-turbo-instruct", "GPT-3.5-Turbo")


@pytest.mark.parametrize("timeout", [Timeout(5, 0.6, None), Timeout(5, 60, 1.5)], ids=["read", "total"])
def test_a_list_that_hangs_takes_no_longer_than_the_calls_own_limit(surface, server, timeout):
    server.script = unavailable([HANG])
    start = time.monotonic()
    error = fail(surface, surface.client(base_url=server.url, timeout=timeout))
    assert error.suggestions == ()
    assert time.monotonic() - start < 8  # and not the ten seconds that the server hangs


@pytest.mark.parametrize(("total", "listed_until"), [(2, 1002.0), (60, 1005.0), (None, 1005.0)])
def test_the_list_has_what_is_left_of_the_call_and_five_seconds_at_most(total, listed_until):
    clock = Clock()
    flow = ask_completion(setup_of(None, clock, timeout=Timeout(total=total), max_retries=0), "x", {})
    answers = [Reply(404, {}, b'{"error": {"code": "model_not_found", "message": "no such model"}}'), ok(data=[])]
    with pytest.raises(ModelUnavailableError) as caught:
        play(flow, answers, clock)
    assert [command.request.deadline for command in caught.value.commands] == [
        None if total is None else 1000.0 + total,
        listed_until,
    ]


def test_a_model_that_is_on_the_list_gets_no_suggestions(surface, server):
    server.script = unavailable(http({"data": [{"id": "gpt-4o"}, {"id": "gpt-4"}]}))
    assert fail(surface, surface.client(base_url=server.url), model="gpt-4o").suggestions == ()


def test_a_batch_names_them_too_and_asks_once(surface, server):
    server.script = unavailable(http(OFFERED))
    batch = surface.batch(
        surface.client(base_url=server.url),
        ["a", "b", "c"],
        batch_size=1,
        max_concurrency=1,
        model="gpt-3.5-turbo-instuct",
    )
    assert all("Offered under a similar name" in str(error) for error in batch.errors)
    assert len(batch.errors) == 3
    assert [seen.method for seen in server.requests].count("GET") == 1


def test_success_asks_for_no_list(surface, server):
    def script(seen: Seen):
        return stream(chunk("a", finish="stop")) if seen.json.get("stream") else http(completion("a"))

    server.script = script
    client = surface.client(base_url=server.url)
    surface.complete(client, "x")
    surface.stream(client, "x")
    assert {seen.method for seen in server.requests} == {"POST"}


def test_nearest_ignores_case_and_keeps_the_offered_spelling():
    assert nearest("Qwen-Max", ["qwen-max", "other"]) == ("qwen-max",)
    assert nearest("GPT-X", ["gpt-x", "other"]) == ("gpt-x",)
    assert nearest("abc", []) == ()


def test_three_names_at_most_the_likest_first():
    assert nearest("gpt-4o", ["gpt-4o-mini", "gpt-4o-x", "gpt-4o-xy", "gpt-4"]) == ("gpt-4", "gpt-4o-x", "gpt-4o-xy")


def test_a_model_is_a_plain_tuple():
    assert Model("a") == ("a", "", None, (), {})

"""Caches, callbacks and traces: they see the complete call, and no secret."""

from __future__ import annotations

import asyncio
import json

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumps
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.tracers.base import BaseTracer

from tests.scripted import ScriptedServer, completion, echoing, http, tokens
from xdm_integrations import __version__
from xdm_integrations.langchain import XDMLLM

SECRET = "s3cret"
BUSY = http({"error": {"message": "busy", "type": "x"}}, 429, {"Retry-After": "0"})


class Keys(InMemoryCache):
    """Remembers the keys that it was asked for."""

    def __init__(self):
        super().__init__()
        self.keys = []

    def lookup(self, prompt, llm_string):
        self.keys.append((prompt, llm_string))
        return super().lookup(prompt, llm_string)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("best_of", 2),
        ("echo", True),
        ("frequency_penalty", 1),
        ("logit_bias", {"1": 2}),
        ("logprobs", 1),
        ("max_tokens", 1),
        ("model", "other"),
        ("n", 2),
        ("presence_penalty", 1),
        ("seed", 1),
        ("stop", ["x"]),
        ("suffix", "s"),
        ("temperature", 0.9),
        ("top_p", 0.5),
        ("user", "u"),
        ("extra_body", {"top_k": 3}),
    ],
)
@pytest.mark.parametrize("how", ["call", "bind", "field", "batch"])
def test_every_argument_changes_the_cache_key(world, server, name, value, how):
    cache = InMemoryCache()
    plain = world.llm(server, cache=cache)
    changed = {
        "call": lambda: world.invoke(plain, "hi", **{name: value}),
        "bind": lambda: world.invoke(plain.bind(**{name: value}), "hi"),
        "field": lambda: world.invoke(world.llm(server, cache=cache, **{name: value}), "hi"),
        "batch": lambda: world.batch(plain, ["hi"], **{name: value}),
    }[how]
    for ask in (lambda: world.invoke(plain, "hi"), changed):
        ask()
        ask()
    assert len(server.requests) == 2


def test_four_calls_that_differ_in_one_argument(world, server):
    llm = world.llm(server, cache=InMemoryCache())
    for temperature in (0.1, 0.9, 0.1, None):
        world.invoke(llm, "hi", temperature=temperature)
    assert [seen.json.get("temperature") for seen in server.requests] == [0.1, 0.9, None]


def test_concurrent_calls_dont_mix_their_keys(server):
    cache = Keys()

    async def main():
        async with XDMLLM(base_url=server.url, cache=cache) as llm:
            await asyncio.gather(*(llm.ainvoke("hi", temperature=i / 10) for i in range(20)))

    asyncio.run(main())
    assert len(set(cache.keys)) == 20
    assert sorted(seen.json["temperature"] for seen in server.requests) == [i / 10 for i in range(20)]


def test_token_ids_and_the_text_that_looks_like_them(world, server):
    llm = world.llm(server, cache=InMemoryCache())
    world.invoke(llm, [1, 2])
    world.invoke(llm, "[1, 2]")
    assert [seen.json["prompt"] for seen in server.requests] == [[1, 2], "[1, 2]"]


def test_two_gateways_share_no_entry(world, server):
    cache = InMemoryCache()
    with ScriptedServer(echoing) as other:
        world.invoke(world.llm(server, cache=cache), "hi")
        world.invoke(world.llm(other, cache=cache), "hi")
        assert len(other.requests) == 1


@pytest.mark.parametrize("method", ["invoke", "stream", "batch", "generate"])
def test_no_secret_is_shown(world, server, recorder, method):
    class Spy(BaseTracer):
        def __init__(self):
            super().__init__()
            self.seen = []

        def _persist_run(self, run):
            self.seen.append(run)

    spy, cache = Spy(), Keys()
    llm = world.llm(
        server,
        cache=cache if method != "stream" else None,
        api_key=SECRET,
        default_headers={"X-Token": SECRET},
        extra_body={"token": SECRET},
    )
    kwargs = {"extra_body": {"other": SECRET}, "extra_headers": {"X-Other": SECRET}}
    if method == "generate":
        world.generate(llm, ["hi"], callbacks=[recorder, spy], **kwargs)
    else:
        inputs = ["hi"] if method == "batch" else "hi"
        getattr(world, method)(llm, inputs, {"callbacks": [recorder, spy]}, **kwargs)
    body = server.requests[0]
    assert SECRET in str(body.json)
    assert body.headers["x-token"] == body.headers["x-other"] == SECRET
    shown = [repr(llm), str(llm), dumps(llm), str(llm.model_dump()), llm.model_dump_json()]
    shown += [str(cache.keys), str(vars(recorder.run))]
    shown += [json.dumps(run.model_dump(exclude={"child_runs"}), default=str) for run in spy.seen]
    assert spy.seen
    for text in shown:
        assert SECRET not in text


def test_different_secrets_are_different_keys(world, server):
    cache = Keys()
    for token in ("a", "b"):
        world.invoke(world.llm(server, cache=cache, extra_body={"token": token}), "hi")
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["invoke", "stream", "batch", "generate"])
def test_what_is_traced_is_what_is_in_effect(world, server, recorder, method):
    llm = world.llm(server, model="m", temperature=0.1, max_tokens=9, stop=["field"], model_kwargs={"top_p": 0.3})
    kwargs = {"temperature": 0.7, "stop": ["call"]}
    if method == "generate":
        world.generate(llm, ["hi"], callbacks=[recorder], **kwargs)
    else:
        inputs = ["hi"] if method == "batch" else "hi"
        getattr(world, method)(llm, inputs, {"callbacks": [recorder]}, **kwargs)
    received = recorder.run.params
    assert {
        name: received[name] for name in ("model", "temperature", "max_tokens", "top_p", "stop", "base_url", "_type")
    } == {
        "model": "m",
        "temperature": 0.7,
        "max_tokens": 9,
        "top_p": 0.3,
        "stop": ["call"],
        "base_url": server.url,
        "_type": "xdm-llm",
    }
    metadata = recorder.run.metadata
    assert metadata["ls_provider"] == "xdm"
    assert metadata["ls_model_type"] == "llm"
    assert metadata["ls_model_name"] == "m"
    assert metadata["ls_temperature"] == 0.7
    assert metadata["ls_max_tokens"] == 9
    assert metadata["ls_stop"] == ["call"]


@pytest.mark.parametrize("method", ["invoke", "generate"])
def test_the_stop_of_model_kwargs_is_sent_and_traced(world, server, recorder, method):
    llm = world.llm(server, stop="field", model_kwargs={"stop": "kwargs"}, callbacks=[recorder])
    getattr(world, method)(llm, "hi" if method == "invoke" else ["hi"])
    assert server.requests[0].json["stop"] == recorder.run.params["stop"] == ["kwargs"]


def test_the_stop_of_the_field_is_traced(world, server, recorder):
    world.invoke(world.llm(server, stop="field"), "hi", {"callbacks": [recorder]})
    assert recorder.run.params["stop"] == ["field"]
    assert recorder.run.metadata["ls_stop"] == ["field"]


def test_an_assigned_field_is_traced(world, server, recorder):
    llm = world.llm(server, temperature=0.1)
    world.invoke(llm, "hi", {"callbacks": [recorder]})
    llm.temperature = 0.2
    world.invoke(llm, "hi", {"callbacks": [recorder]})
    before, after = recorder.all
    assert (before.params["temperature"], after.params["temperature"]) == (0.1, 0.2)
    assert (before.serialized["kwargs"]["temperature"], after.serialized["kwargs"]["temperature"]) == (0.1, 0.2)


def test_a_subclass_is_still_the_same_provider(world, server, recorder):
    class Mine(XDMLLM):
        pass

    world.invoke(world.llm(server, cls=Mine), "hi", {"callbacks": [recorder]})
    assert recorder.run.metadata["ls_provider"] == "xdm"


def test_the_version_is_traced(world, server, recorder):
    llm = world.llm(server, metadata={"mine": 1})
    world.invoke(llm, "hi", {"callbacks": [recorder]})
    versions = recorder.run.metadata["lc_versions"]
    assert versions["xdm-integrations"] == __version__
    assert "langchain-core" in versions
    assert recorder.run.metadata["mine"] == 1


@pytest.mark.parametrize("method", ["invoke", "stream", "batch", "generate"])
def test_on_retry_fires_once_per_http_retry(world, server, recorder, method):
    server.script = [BUSY, BUSY, tokens("ok") if method == "stream" else http(completion("ok"))]
    llm = world.llm(server)
    if method == "generate":
        world.generate(llm, ["hi"], callbacks=[recorder])
    else:
        inputs = ["hi"] if method == "batch" else "hi"
        getattr(world, method)(llm, inputs, {"callbacks": [recorder]})
    retries = recorder.run.retries
    assert [retry.attempt_number for retry in retries] == [1, 2]
    assert "busy" in str(retries[0].outcome.exception())


def test_langchains_own_tracers_understand_a_retry(world, server):
    class Spy(BaseTracer):
        def _persist_run(self, run):
            self.seen = run

    spy = Spy()
    spy.raise_error = True
    server.script = [BUSY, http(completion("ok"))]
    world.invoke(world.llm(server), "hi", {"callbacks": [spy]})
    (event,) = [event for event in spy.seen.events if event["name"] == "retry"]
    assert event["kwargs"]["attempt"] == 1
    assert event["kwargs"]["exception_type"] == "RateLimitError"


class Turns(BaseRateLimiter):
    """Counts the turns that were asked for."""

    def __init__(self):
        self.blocking = 0
        self.awaited = 0

    def acquire(self, *, blocking=True):
        self.blocking += 1
        return True

    async def aacquire(self, *, blocking=True):
        self.awaited += 1
        return True


def test_the_rate_limiter_is_asked_once_per_http_request(world, server):
    turns = Turns()
    server.script = [BUSY, http(completion("ok")), tokens("ok"), http(completion(*"abc"))]
    llm = world.llm(server, rate_limiter=turns)
    world.invoke(llm, "hi")
    world.stream(llm, "hi")
    world.batch(llm, ["a", "b", "c"])
    assert (turns.awaited if world.is_async else turns.blocking) == len(server.requests) == 4


def test_the_model_that_served_reaches_langchains_tracers(world, server):
    class Spy(BaseTracer):
        def _persist_run(self, run):
            self.seen = run

    for streaming in (False, True):
        spy = Spy()
        server.script = [tokens("a")] if streaming else [http(completion("a"))]
        world.invoke(world.llm(server, streaming=streaming), "hi", {"callbacks": [spy]})
        (generation,) = spy.seen.outputs["generations"][0]
        assert generation["generation_info"]["lc_gateway_metadata"] == {"model": "served-model", "provider": "xdm"}
        assert spy.seen.extra["metadata"]["ls_model_name"] == "served-model"


def test_a_cache_hit_makes_no_request_and_starts_no_run(world, server, recorder):
    llm = world.llm(server, cache=InMemoryCache())
    world.invoke(llm, "hi")
    assert world.invoke(llm, "hi", {"callbacks": [recorder]}) == "<hi>"
    assert world.batch(llm, ["hi"], {"callbacks": [recorder]}) == ["<hi>"]
    assert not recorder.runs
    assert len(server.requests) == 1


def test_the_global_cache_is_used_unless_declined(world, server):
    set_llm_cache(InMemoryCache())
    try:
        for settings in ({}, {}, {"cache": False}):
            world.invoke(world.llm(server, **settings), "hi")
    finally:
        set_llm_cache(None)
    assert len(server.requests) == 2


def test_run_ids_and_names_of_the_configuration_are_kept(world, server, recorder):
    import uuid

    ids = [uuid.uuid4() for _ in range(3)]
    llm = world.llm(server)
    world.invoke(llm, "a", {"callbacks": [recorder], "run_id": ids[0], "run_name": "one"})
    world.stream(llm, "b", {"callbacks": [recorder], "run_id": ids[1]})
    world.batch(llm, ["c"], [{"callbacks": [recorder], "run_id": ids[2]}])
    assert list(recorder.runs) == ids
    with_cache = uuid.uuid4()
    world.invoke(world.llm(server, cache=InMemoryCache()), "d", {"callbacks": [recorder], "run_id": with_cache})
    assert list(recorder.runs)[-1] == with_cache
    assert recorder.all[0].name == "one"

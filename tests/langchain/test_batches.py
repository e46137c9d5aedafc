"""Many prompts: packed, concurrent, in order, each with its own outcome."""

from __future__ import annotations

import asyncio
import threading

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableLambda

from tests.langchain.conftest import Recorder
from tests.programs import Programs
from tests.scripted import CLOSE, HANG, Held, chunk, completion, echoing, http, stream
from xdm_integrations import AuthenticationError, BadRequestError, ConfigurationError, RateLimitError, XDMError
from xdm_integrations.langchain import XDMLLM

REFUSED = http({"error": {"message": "bad word", "type": "invalid_request_error", "code": "content_filter"}}, 400)


def refusing(word):
    """Answer like `echoing`, but refuse any request that holds `word`."""

    def script(seen):
        prompt = seen.json["prompt"]
        prompts = prompt if isinstance(prompt, list) else [prompt]
        return REFUSED if word in prompts else echoing(seen)

    return script


@pytest.mark.parametrize("method", ["batch", "generate"])
def test_prompts_are_packed_and_keep_their_order(world, server, method):
    prompts = [f"p{i}" for i in range(45)]
    llm = world.llm(server)
    if method == "batch":
        texts = world.batch(llm, prompts)
    else:
        texts = [g[0].text for g in world.generate(llm, prompts).generations]
    assert texts == [f"<p{i}>" for i in range(45)]
    assert sorted(len(seen.json["prompt"]) for seen in server.requests) == [5, 20, 20]


class Gate:
    """Holds requests until `width` of them wait, and a little longer for one too many; then all pass."""

    def __init__(self, width):
        self.width = width
        self.most = 0
        self._waiting = 0
        self._open = False
        self._changed = threading.Condition()

    def __call__(self, seen):
        return [self._hold, *echoing(seen)]

    def _hold(self):
        with self._changed:
            self._waiting += 1
            self.most = max(self.most, self._waiting)
            self._changed.notify_all()
            if self._waiting == self.width and not self._open:
                self._changed.wait_for(lambda: self._waiting > self.width, 0.1)
                self._open = True
                self._changed.notify_all()
            else:
                self._changed.wait_for(lambda: self._open, 5)
            self._waiting -= 1


@pytest.mark.parametrize("how", ["config", "field"])
def test_max_concurrency_is_requests_in_flight(world, server, how):
    gate = server.script = Gate(3)
    llm = world.llm(server, batch_size=2, max_concurrency=8 if how == "config" else 3)
    config = {"max_concurrency": 3} if how == "config" else None
    assert world.batch(llm, [str(i) for i in range(24)], config) == [f"<{i}>" for i in range(24)]
    assert gate.most == 3
    assert len(server.requests) == 12


def test_a_thousand_prompts(world, server):
    gate = server.script = Gate(8)
    prompts = [f"p{i}" for i in range(1000)]
    assert world.batch(world.llm(server), prompts) == [f"<{p}>" for p in prompts]
    assert len(server.requests) == 50
    assert gate.most == 8


@pytest.mark.parametrize("streaming", [False, True])
def test_only_the_prompt_that_failed_is_an_exception(world, server, recorder, streaming):
    server.script = refusing("bad")
    llm = world.llm(server, streaming=streaming)
    config = {"callbacks": [recorder], "max_concurrency": 1}
    answers = world.batch(llm, ["a", "bad", "c"], config, return_exceptions=True)
    assert answers[0] == "<a>"
    assert isinstance(answers[1], BadRequestError)
    assert answers[2] == "<c>"
    outcomes = {run.prompt: (run.error, run.result) for run in recorder.all}
    assert outcomes["bad"] == (answers[1], None)
    assert outcomes["a"][1].generations[0][0].text == "<a>"
    assert outcomes["c"][0] is None


def test_inputs_that_are_no_prompts_fail_alone(world, server):
    image = [("human", [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}])]
    answers = world.batch(world.llm(server), ["a", "", image, "c"], return_exceptions=True)
    assert (answers[0], answers[3]) == ("<a>", "<c>")
    assert isinstance(answers[1], ConfigurationError)
    assert isinstance(answers[2], ConfigurationError)
    assert [seen.json["prompt"] for seen in server.requests] == [["a", "c"]]


def test_a_mistake_of_the_call_is_every_prompts_exception(world, server, recorder):
    config = {"callbacks": [recorder]}
    answers = world.batch(world.llm(server), ["a", "b"], config, return_exceptions=True, temprature=1)
    assert all(isinstance(answer, ConfigurationError) for answer in answers)
    assert {run.prompt: run.error for run in recorder.all} == dict(zip("ab", answers, strict=True))


@pytest.mark.parametrize("streaming", [False, True])
def test_without_it_the_first_error_is_raised_and_nothing_more_is_sent(world, server, recorder, streaming):
    server.script = refusing("bad")
    llm = world.llm(server, batch_size=1, streaming=streaming)
    with pytest.raises(BadRequestError, match="bad word"):
        world.batch(llm, ["a", "bad", "c"], {"callbacks": [recorder], "max_concurrency": 1})
    assert [seen.json["prompt"] for seen in server.requests] == ["a", "bad"]
    assert len(recorder.all) == 3
    assert all((run.error is None) != (run.result is None) for run in recorder.all)


def answer(world, method, llm, prompts, handler):
    """Call `batch` or `generate`, which say differently who listens."""
    if method == "batch":
        return world.batch(llm, prompts, {"callbacks": [handler]})
    return world.generate(llm, prompts, callbacks=[handler])


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("method", ["batch", "generate"])
def test_the_first_error_is_raised_although_other_requests_hang(world, server, recorder, method, streaming):
    """Without `return_exceptions` their answers have no reader, so they are cancelled (in threads: left behind)."""
    held = Held()
    server.script = lambda seen: [held.begun, *REFUSED] if seen.json["prompt"] == "bad" else [held, HANG]
    llm = world.llm(server, batch_size=1, streaming=streaming, max_retries=0)
    with pytest.raises(BadRequestError, match="bad word") as raised:
        answer(world, method, llm, ["hangs", "bad"], recorder)
    assert held.nobody_waited()
    assert server.wait_until(lambda: server.disconnects)
    assert [run.error for run in recorder.all] == [raised.value] * 2


@pytest.mark.parametrize("method", ["batch", "generate"])
def test_the_first_error_ends_a_stream_that_has_begun(world, server, method):
    begun = threading.Event()

    class Listening(Recorder):
        def on_llm_new_token(self, token, **received):
            begun.set()

    def script(seen):
        if seen.json["prompt"] == "bad":
            return [begun, *REFUSED]
        return stream(chunk("a"), HANG, end=False)

    server.script = script
    llm = world.llm(server, streaming=True, max_retries=0)
    with pytest.raises(BadRequestError, match="bad word"):
        answer(world, method, llm, ["hangs", "bad"], Listening())
    assert server.wait_until(lambda: server.disconnects)


def test_streaming_with_several_prompts_and_several_choices(world, server, recorder):
    llm = world.llm(server, streaming=True)
    result = world.generate(llm, ["aa", "bb"], callbacks=[recorder], n=2)
    assert [[g.text for g in one] for one in result.generations] == [["<aa#0>", "<aa#1>"], ["<bb#0>", "<bb#1>"]]
    assert result.llm_output["token_usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
    assert {run.prompt: "".join(run.tokens) for run in recorder.all} == {"aa": "<aa#0>", "bb": "<bb#0>"}
    assert world.batch(llm, ["aa", "bb"]) == ["<aa>", "<bb>"]


def test_streaming_prompts_run_concurrently(world, server):
    gate = server.script = Gate(2)
    assert world.batch(world.llm(server, streaming=True, max_concurrency=2), list("abcd")) == [
        "<a>",
        "<b>",
        "<c>",
        "<d>",
    ]
    assert gate.most == 2


def test_an_empty_batch_makes_no_request(world, server):
    llm = world.llm(server)
    assert world.batch(llm, []) == []
    assert world.generate(llm, []).generations == []
    assert world.generate(llm, [], callbacks=[]).generations == []
    assert not server.requests


def test_every_run_has_its_own_configuration_and_the_counts_sum_up(world, server, recorder):
    configs = [{"callbacks": [recorder], "run_name": f"run-{i}", "metadata": {"i": i}} for i in range(45)]
    world.batch(world.llm(server), [f"a b {i}" for i in range(45)], configs)
    received = {run.prompt: (run.name, run.metadata["i"]) for run in recorder.all}
    assert received == {f"a b {i}": (f"run-{i}", i) for i in range(45)}
    usages = [run.result.llm_output["token_usage"] for run in recorder.all]
    assert sum(usage.get("total_tokens", 0) for usage in usages) == 45 * 4


@pytest.mark.parametrize("listening", ["one config", "the llm", "every config", "the chain"])
def test_one_who_listens_hears_every_run_wherever_it_is_given(world, server, recorder, listening):
    llm = world.llm(server, callbacks=[recorder] if listening == "the llm" else None)
    configs = [{}, {"callbacks": []}, {"callbacks": None}, {"callbacks": []}]
    if listening == "one config":
        configs[3] = {"callbacks": [recorder]}
    elif listening != "the llm":
        configs = {"callbacks": [recorder]}
    target = RunnableLambda(str) | llm if listening == "the chain" else llm
    assert world.batch(target, list("abcd"), configs) == ["<a>", "<b>", "<c>", "<d>"]
    heard = {run.prompt: run.result.generations[0][0].text for run in recorder.all}
    assert heard == ({"d": "<d>"} if listening == "one config" else {one: f"<{one}>" for one in "abcd"})


def test_prompts_asked_alone_have_counts_of_their_own(world, server, recorder):
    world.batch(world.llm(server, batch_size=1), ["a", "b c"], {"callbacks": [recorder]})
    counts = {run.prompt: run.result.llm_output["token_usage"]["prompt_tokens"] for run in recorder.all}
    assert counts == {"a": 1, "b c": 2}


def test_a_cache_serves_and_learns_prompt_by_prompt(world, server):
    server.script = refusing("bad")
    llm = world.llm(server, cache=InMemoryCache())
    assert world.batch(llm, ["a", "b"]) == ["<a>", "<b>"]
    answers = world.batch(llm, ["a", "bad", "c"], return_exceptions=True)
    assert (answers[0], answers[2]) == ("<a>", "<c>")
    asked = [seen.json["prompt"] for seen in server.requests]
    assert ["a", "b"] in asked
    assert ["bad", "c"] in asked
    before = len(server.requests)
    assert world.invoke(llm, "c") == "<c>"
    assert world.generate(llm, ["b"]).generations[0][0].text == "<b>"
    assert world.batch(llm, ["a", "b", "c"]) == ["<a>", "<b>", "<c>"]
    assert len(server.requests) == before
    with pytest.raises(XDMError):
        world.invoke(llm, "bad")


def test_nothing_is_cached_from_a_mistaken_call(world, server):
    cache = InMemoryCache()
    world.batch(world.llm(server, cache=cache), ["a"], return_exceptions=True, temprature=1)
    assert not cache._cache


def test_a_subclass_with_its_own_answers_keeps_them(world, server):
    class Loud(XDMLLM):
        def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
            result = super()._generate(prompts, stop, run_manager, **kwargs)
            for (generation,) in result.generations:
                generation.text = generation.text.upper()
            return result

        async def _agenerate(self, prompts, stop=None, run_manager=None, **kwargs):
            return self._generate(prompts, stop, run_manager, **kwargs)

    with Loud(base_url=server.url) as llm:
        assert world.invoke(llm, "a") == "<A>"
        assert world.batch(llm, ["a", "b"]) == ["<A>", "<B>"]


def test_a_rate_limited_batch_waits_and_goes_on(world, server):
    busy = http({"error": {"message": "busy", "type": "x"}}, 429, {"Retry-After": "0"})
    server.script = [busy, http(completion("a", "b"))]
    assert world.batch(world.llm(server), ["1", "2"]) == ["a", "b"]
    server.script = [busy]
    with pytest.raises(RateLimitError):
        world.batch(world.llm(server, max_retries=0), ["1", "2"])


class Refusing(Recorder):
    """Refuses to start the run of one prompt."""

    def on_llm_start(self, serialized, prompts, **received):
        if prompts == ["no"]:
            raise RuntimeError("not this one")
        super().on_llm_start(serialized, prompts, **received)


def test_runs_that_have_started_end_if_another_cant_start(world, server):
    handler = Refusing()
    with pytest.raises(RuntimeError, match="not this one"):
        world.batch(world.llm(server), ["a", "b", "no", "c"], {"callbacks": [handler]})
    assert {"a", "b"} <= {run.prompt for run in handler.all}
    assert all(isinstance(run.error, RuntimeError) for run in handler.all)
    assert not server.requests


def test_a_run_that_is_still_starting_when_another_fails_ends_too(server):
    """Async only: there the runs of a batch start at the same time, on threads of their own."""
    refused = threading.Event()

    class Slow(Refusing):
        def on_llm_start(self, serialized, prompts, **received):
            if prompts == ["no"]:
                refused.set()
            super().on_llm_start(serialized, prompts, **received)
            if prompts == ["slow"]:
                refused.wait(5)
                for _ in range(20):  # turns of the loop, in which the refusal gets around
                    turned = threading.Event()
                    loop.call_soon_threadsafe(turned.set)
                    turned.wait(5)

    handler = Slow()
    loop = asyncio.new_event_loop()

    async def main():
        async with XDMLLM(base_url=server.url) as llm:
            with pytest.raises(RuntimeError, match="not this one"):
                await llm.abatch(["slow", "no"], {"callbacks": [handler]})

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert {run.prompt: type(run.error) for run in handler.all} == {"slow": RuntimeError}


def test_an_error_of_a_handler_ends_the_streams_of_the_other_prompts(world, server):
    class Breaking(Recorder):
        def on_llm_new_token(self, token, **received):
            if token == "bad":
                raise RuntimeError("broken")

    other_is_open = threading.Event()

    def script(seen):
        if seen.json["prompt"] == "bad":
            return stream(other_is_open, chunk("bad"), HANG, end=False)
        return stream(chunk("good"), other_is_open.set, HANG, end=False)

    server.script = script
    with pytest.raises(RuntimeError, match="broken"):
        world.batch(world.llm(server, streaming=True), ["good", "bad"], {"callbacks": [Breaking()]})
    assert server.wait_until(lambda: len(server.disconnects) == 2)


def test_an_async_batch_returns_after_its_streams_have_ended(server):
    from xdm_integrations.langchain import XDMLLM

    other_is_open = threading.Event()
    ended = []

    class Breaking(AsyncCallbackHandler):
        raise_error = True

        async def on_llm_new_token(self, token, **_):
            if token == "bad":
                raise RuntimeError("broken")
            other_is_open.set()
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(50):
                    await asyncio.sleep(0)
                ended.append(token)

    server.script = lambda seen: stream(
        *([other_is_open] if seen.json["prompt"] == "bad" else []), chunk(seen.json["prompt"]), HANG, end=False
    )

    async def main():
        async with XDMLLM(base_url=server.url, streaming=True) as llm:
            with pytest.raises(RuntimeError, match="broken"):
                await llm.abatch(["good", "bad"], {"callbacks": [Breaking()]})
            assert ended == ["good"]
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


INTERRUPTED = """
import urllib.request
from xdm_integrations.langchain import XDMLLM
signal.signal(signal.SIGINT, signal.default_int_handler)
llm = XDMLLM(base_url=sys.argv[1], streaming=True, max_concurrency=2, max_retries=0)
def interrupt():
    global began
    urllib.request.urlopen(sys.argv[3]).close()  # answered as soon as both requests have come
    began = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    llm.{call}
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - began < 8)  # the streams go on for ten
if sys.argv[2] == "go on":
    time.sleep(1)
"""


@pytest.fixture(scope="module")
def programs():
    with Programs() as running:
        yield running


@pytest.mark.parametrize("call", ["batch(['a', 'b', 'c'])", "generate(['a', 'b', 'c'])"])
@pytest.mark.parametrize("then", ["end", "go on"])
def test_ctrl_c_waits_for_no_stream(server, programs, call, then):
    both = threading.Event()

    def asked():
        return [seen for seen in server.requests if seen.method == "POST"]

    def script(seen):
        if seen.method == "GET":
            return [both, *http(headers={"Connection": "close"}), CLOSE]
        if len(asked()) == 2:
            both.set()
        return stream(chunk("a"), HANG, end=False)

    server.script = script
    done = programs.run(INTERRUPTED.format(call=call), server.url, then, server.url + "/models", timeout=60)
    assert (done.status, done.stdout, done.stderr) == (0, "interrupted True\n", "")
    assert len(asked()) == 2
    assert server.wait_until(lambda: server.open_connections == 0)


def test_a_key_that_is_refused_again_and_again_ends_the_batch(world, server):
    server.script = [http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)]
    answers = world.batch(world.llm(server, batch_size=1, max_concurrency=2), ["x"] * 40, return_exceptions=True)
    assert [type(answer) for answer in answers] == [AuthenticationError] * 40
    assert len(server.requests) < 12

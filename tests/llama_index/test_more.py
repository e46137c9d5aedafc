"""Beyond the base class: fill in the middle, batches; rate limiters; recordings; speed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler

from tests.llama_index.conftest import METHODS, Recorder, Spans, World, counting
from tests.scripted import HANG, Held, ScriptedServer, completion, echoing, http, tokens
from xdm_integrations import AuthenticationError, BadRequestError, ConfigurationError, Usage
from xdm_integrations.llama_index import XDM


def test_fill_in_middle(world: World, server: ScriptedServer, seen: Recorder, spans: Spans) -> None:
    llm = XDM(api_base=server.url, completion_to_prompt=lambda prompt: f"[{prompt}]")
    server.script = [http(completion("middle"))]
    response = world.call(llm, "fill_in_middle", "def f(x):\n", "\n    return y", max_tokens=9)
    assert (response.text, response.raw["usage"]["prompt_tokens"]) == ("middle", 7)
    sent = server.requests[0].json
    assert (sent["prompt"], sent["suffix"], sent["max_tokens"]) == ("def f(x):\n", "\n    return y", 9)
    assert seen.names() == ["LLMCompletionStartEvent", "LLMCompletionEndEvent"]
    assert seen.events[0].additional_kwargs == {"suffix": "\n    return y", "max_tokens": 9}
    assert spans.ids() == [f"XDM.{'a' if world.is_async else ''}fill_in_middle"]


def test_streamed_fill_in_middle(world: World, server: ScriptedServer, llm: XDM, seen: Recorder) -> None:
    server.script = [tokens("mid", "dle")]
    items = world.items(llm, "stream_fill_in_middle", "before", "after")
    assert [item.text for item in items] == ["mid", "middle", "middle"]
    assert server.requests[0].json["suffix"] == "after"
    assert seen.names()[-1] == "LLMCompletionEndEvent"


def test_a_batch_in_one_request_with_results_in_order(world: World, server: ScriptedServer, llm: XDM) -> None:
    responses = world.call(llm, "complete_batch", ["a", "b", "c"], max_tokens=5, n=2)
    assert [response.text for response in responses] == ["<a#0>", "<b#0>", "<c#0>"]
    assert [choice["text"] for choice in responses[1].raw["choices"]] == ["<b#0>", "<b#1>"]
    (request,) = server.requests
    assert (request.json["prompt"], request.json["max_tokens"]) == (["a", "b", "c"], 5)


def test_token_ids_go_as_they_are(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, completion_to_prompt=lambda prompt: f"[{prompt}]")
    world.call(llm, "complete_batch", [[1, 2], [3]])
    world.call(llm, "complete_batch", ["a"])
    assert [request.json["prompt"] for request in server.requests] == [[[1, 2], [3]], "[a]"]


def test_many_prompts_are_packed_and_concurrent(world: World, server: ScriptedServer, llm: XDM) -> None:
    import threading

    all_here = threading.Barrier(4, timeout=60)
    server.script = lambda asked: [lambda: all_here.wait() and None, *echoing(asked)]
    prompts = [f"p{i}" for i in range(10)]
    responses = world.call(llm, "complete_batch", prompts, batch_size=3, max_concurrency=4)
    assert [response.text for response in responses] == [f"<p{i}>" for i in range(10)]
    assert sorted(
        len(request.json["prompt"]) for request in server.requests if isinstance(request.json["prompt"], list)
    ) == [3, 3, 3]


def refusing(asked: Any) -> Any:
    if "bad" in asked.json["prompt"]:
        return http({"error": {"message": "no such words", "type": "invalid_request_error"}}, 400)
    return echoing(asked)


def test_an_error_is_raised_or_returned_in_its_place(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = refusing
    with pytest.raises(BadRequestError, match="no such words"):
        world.call(llm, "complete_batch", ["a", "bad", "c"], batch_size=1)
    responses = world.call(llm, "complete_batch", ["a", "bad", "c"], batch_size=1, return_exceptions=True)
    assert [response.text for response in (responses[0], responses[2])] == ["<a>", "<c>"]
    assert isinstance(responses[1], BadRequestError)


def test_a_key_that_is_refused_again_and_again_ends_the_batch(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = [http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)]
    settings = {"batch_size": 1, "max_concurrency": 2, "return_exceptions": True}
    responses = world.call(llm, "complete_batch", ["x"] * 40, **settings)
    assert [type(response) for response in responses] == [AuthenticationError] * 40
    assert len(server.requests) < 12


def test_the_first_error_is_raised_although_other_requests_hang(world: World, server: ScriptedServer, llm: XDM) -> None:
    held = Held()
    server.script = lambda seen: [held.begun, *refusing(seen)] if "bad" in seen.json["prompt"] else [held, HANG]
    with pytest.raises(BadRequestError, match="no such words"):
        world.call(llm, "complete_batch", ["hangs", "bad"], batch_size=1)
    assert held.nobody_waited()
    assert server.wait_until(lambda: server.disconnects)


def test_a_batch_is_one_event_with_the_sum_of_the_counts(
    world: World,
    server: ScriptedServer,
    seen: Recorder,
    spans: Spans,
) -> None:
    counter = counting()
    llm = XDM(api_base=server.url, callback_manager=CallbackManager([counter]))
    world.call(llm, "complete_batch", ["a b c", "d", "e f"], batch_size=2)
    assert len(server.requests) == 2
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (6, 3)
    assert len(counter.llm_token_counts) == 1
    assert seen.names() == ["LLMCompletionStartEvent", "LLMCompletionEndEvent"]
    assert spans.ids() == [f"XDM.{'a' if world.is_async else ''}complete_batch"]


def test_a_batch_that_fails_ends_its_event_with_the_error_and_counts_what_was_answered(
    world: World, server: ScriptedServer, seen: Recorder, spans: Spans
) -> None:
    server.script = refusing
    counter, debug = counting(), LlamaDebugHandler(print_trace_on_end=False)
    llm = XDM(api_base=server.url, max_retries=0, callback_manager=CallbackManager([counter, debug]))
    with pytest.raises(BadRequestError, match="no such words") as caught:
        world.call(llm, "complete_batch", ["a b", "bad"], batch_size=1, max_concurrency=1)
    ends = [end.payload for _, end in debug.get_llm_inputs_outputs()]
    assert [end["exception"] for end in ends if "exception" in end] == [caught.value]
    assert [end["completion"].text for end in ends if "completion" in end] == ["<a b>"]
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (2, 1)
    assert "LLMCompletionEndEvent" not in seen.names()
    assert len(spans.dropped_spans) == 1


def test_errors_that_are_returned_are_no_output_of_the_model(
    world: World, server: ScriptedServer, seen: Recorder
) -> None:
    server.script = refusing
    counter = counting()
    llm = XDM(api_base=server.url, callback_manager=CallbackManager([counter]))
    world.call(llm, "complete_batch", ["a b", "bad", "c"], batch_size=1, return_exceptions=True)
    assert seen.events[-1].response.text == "<a b>\n\n<c>"
    assert counter.llm_token_counts[0].completion == "<a b>\n\n<c>"
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (3, 2)


def test_a_progress_bar(world: World, server: ScriptedServer, llm: XDM, capsys: pytest.CaptureFixture[str]) -> None:
    world.call(llm, "complete_batch", ["a", "b", "c"], batch_size=1, show_progress=True)
    shown = capsys.readouterr().err
    assert "Generating completions" in shown
    assert "3/3" in shown
    world.call(llm, "complete_batch", ["a"])
    assert capsys.readouterr().err == ""


def test_nothing_and_a_single_text(world: World, server: ScriptedServer, llm: XDM) -> None:
    assert world.call(llm, "complete_batch", []) == []
    with pytest.raises(ConfigurationError, match="prompts"):
        world.call(llm, "complete_batch", "abc")
    assert server.requests == []


class Limiter:
    """Counts turns, as LlamaIndex's rate limiters give them."""

    def __init__(self) -> None:
        self.turns = 0

    def acquire(self, num_tokens: int = 0) -> None:
        self.turns += 1

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.turns += 1


@pytest.mark.parametrize("method", METHODS)
def test_a_call_waits_for_one_turn(world: World, server: ScriptedServer, method: str) -> None:
    limiter = Limiter()
    world.ask(XDM(api_base=server.url, rate_limiter=limiter), method)
    assert limiter.turns == 1


def test_each_request_of_a_batch_waits_for_a_turn(world: World, server: ScriptedServer) -> None:
    limiter = Limiter()
    llm = XDM(api_base=server.url, rate_limiter=limiter)
    world.call(llm, "complete_batch", [str(i) for i in range(6)], batch_size=2)
    assert (limiter.turns, len(server.requests)) == (3, 3)


def test_recordings_hold_no_key_and_play_without_a_network(world: World, server: ScriptedServer, tmp_path: Any) -> None:
    vcr = pytest.importorskip("vcr")
    logging.getLogger("vcr").setLevel(logging.ERROR)
    recorder = vcr.VCR(match_on=["method", "uri", "body"], filter_headers=["authorization"], record_mode="once")
    cassette = str(tmp_path / "cassette.yaml")
    key = "key-that-nobody-may-see"
    for first in (True, False):
        llm = XDM(api_base=server.url, api_key=key)
        with recorder.use_cassette(cassette):
            assert world.call(llm, "complete", "hi").text == "<hi>"
            assert world.items(llm, "stream_complete", "hi")[-1].text == "<hi>"
        assert len(server.requests) == 2, "played again from the recording" if not first else ""
    recorded = Path(cassette).read_text(encoding="utf-8")
    assert key not in recorded
    assert '"prompt":"hi"' in recorded.replace(" ", "")


def test_the_parts_of_a_usage_reach_the_response(world: World, server: ScriptedServer, llm: XDM) -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    assert Usage.parse(usage) is not None
    server.script = [http(completion("x", usage=usage))]
    assert world.call(llm, "complete", "hi").raw["usage"] == usage


def test_the_package_says_what_to_install(tmp_path: Any) -> None:
    import subprocess
    import sys

    program = (
        "import sys\nsys.modules['llama_index'] = None\n"
        "try:\n    import xdm_integrations.llama_index\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own program
    assert 'pip install "xdm-integrations[llama-index]"' in done.stdout

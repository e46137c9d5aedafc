"""What comes back from calls that don't stream."""

from __future__ import annotations

import pytest

from tests.scripted import DONE, chunk, completion, echoing, http, stream
from xdm_integrations import (
    APIResponseError,
    ConfigurationError,
    InsufficientQuotaError,
    StreamInterruptedError,
    UnsupportedParameterError,
)

QUOTA = {"error": {"message": "用户额度不足", "type": "new_api_error", "code": "insufficient_user_quota"}}
NESTED = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


@pytest.mark.parametrize("more", [{"usage": None}, {"usage": {}}])
def test_no_usage_is_no_error(world, server, recorder, more):
    server.script = [http(completion("a", **more))]
    assert world.invoke(world.llm(server), "hi", {"callbacks": [recorder]}) == "a"
    assert "token_usage" not in recorder.run.result.llm_output


def test_usage_that_is_missing_altogether(world, server):
    body = completion("a")
    del body["usage"]
    server.script = [http(body)]
    assert "token_usage" not in world.generate(world.llm(server), ["hi"]).llm_output


def test_a_null_text_is_an_empty_text(world, server):
    server.script = [http(completion(None))]
    assert world.invoke(world.llm(server), "hi") == ""


def test_an_error_in_a_200_is_the_same_typed_error_sync_and_async(world, server):
    server.script = [http(QUOTA)]
    with pytest.raises(InsufficientQuotaError, match="用户额度不足"):
        world.invoke(world.llm(server, max_retries=0), "hi")


def test_html_is_a_typed_error_that_shows_it(world, server):
    server.script = [http("<html>登录</html>", headers={"Content-Type": "text/html"})]
    with pytest.raises(APIResponseError, match=r"(?s)登录.*200.*text/html"):
        world.invoke(world.llm(server, max_retries=0), "hi")


def test_choices_belong_to_their_index(world, server):
    body = completion("a", "b", "c")
    body["choices"].reverse()
    server.script = [http(body)]
    assert world.batch(world.llm(server), ["1", "2", "3"]) == ["a", "b", "c"]


def test_too_few_choices_are_a_typed_error_and_never_the_wrong_pairing(world, server):
    server.script = [http(completion())]
    with pytest.raises(APIResponseError):
        world.invoke(world.llm(server, max_retries=0), "hi")
    server.script = [http(completion("a", "b", "c"))]
    with pytest.raises(APIResponseError):
        world.invoke(world.llm(server, max_retries=0), "hi", n=2)


def test_a_server_that_answers_only_the_first_prompt_is_asked_one_by_one(world, server):
    def first_only(seen):
        prompt = seen.json["prompt"]
        return http(completion(f"<{prompt if isinstance(prompt, str) else prompt[0]}>"))

    server.script = first_only
    assert world.batch(world.llm(server, max_retries=0), ["1", "2"]) == ["<1>", "<2>"]


def test_choices_are_grouped_by_prompt(world, server):
    result = world.generate(world.llm(server), ["a", "b"], n=2)
    assert [[g.text for g in one] for one in result.generations] == [["<a#0>", "<a#1>"], ["<b#0>", "<b#1>"]]


def test_what_describes_an_answer_is_kept(world, server, recorder):
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}], "text_offset": [0]}
    body = completion("a", usage=NESTED)
    body["choices"][0]["logprobs"] = logprobs
    server.script = [http(body, headers={"X-Oneapi-Request-Id": "rid"})]
    result = world.generate(world.llm(server), ["hi"], logprobs=1)
    (generation,) = result.generations[0]
    assert generation.generation_info["finish_reason"] == "stop"
    assert generation.generation_info["logprobs"] == logprobs
    assert result.llm_output == {
        "token_usage": NESTED,
        "model_name": "served-model",
        "id": "cmpl-1",
        "created": 1700000000,
        "system_fingerprint": "fp_1",
        "request_id": "rid",
        "headers": {"x-oneapi-request-id": "rid"},
    }


def test_fields_that_a_server_adds_are_kept_and_none_is_taken_for_langchains(world, server, recorder):
    body = completion("a", timings={"predicted_ms": 1.5}, usage_metadata={"promptTokenCount": 1})
    body["choices"][0] |= {"stop_reason": 128009, "token_ids": [1], "choices": "theirs"}
    server.script = [http(body)]
    result = world.generate(world.llm(server), ["hi"])
    info = result.generations[0][0].generation_info
    assert (info["stop_reason"], info["token_ids"], info["timings"]) == (128009, [1], {"predicted_ms": 1.5})
    assert "usage_metadata" not in info
    assert "choices" not in info

    pieces = [chunk("a"), chunk("b"), chunk(finish="stop", timings={"predicted_ms": 1.5})]
    for i, piece in enumerate(pieces):
        piece["choices"][0]["token_ids"] = [i]
    pieces[-1]["choices"][0]["stop_reason"] = 128009
    server.script = [stream(*pieces, DONE)]
    world.stream(world.llm(server), "hi", {"callbacks": [recorder]})
    info = recorder.run.generation.generation_info
    assert (info["stop_reason"], info["token_ids"], info["timings"]) == (128009, [0, 1, 2], {"predicted_ms": 1.5})
    assert [key for key in ("usage_metadata", "choices") if key in info] == []


def test_a_server_that_names_no_model_leaves_the_one_asked_for(world, server):
    server.script = [http(completion("a", model=None))]
    assert world.generate(world.llm(server, model="asked"), ["hi"]).llm_output["model_name"] == "asked"


def test_usage_is_summed_over_requests(world, server):
    details = {"prompt_tokens_details": {"cached_tokens": 1}}

    def script(seen):
        steps = echoing(seen)
        count = len(seen.json["prompt"]) if isinstance(seen.json["prompt"], list) else 1
        usage = {"prompt_tokens": count, "completion_tokens": count, "total_tokens": 2 * count, **details}
        return http(completion(*(f"<{i}>" for i in range(count)), usage=usage)) or steps

    server.script = script
    result = world.generate(world.llm(server, batch_size=2), list("abcde"))
    assert result.llm_output["token_usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": 5,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 3},
    }


def test_the_request_id_and_rate_limits_are_on_results_and_errors(world, server):
    headers = {"X-Request-Id": "r1", "X-RateLimit-Remaining-Requests": "9", "Set-Cookie": "secret=1"}
    server.script = [http(completion("a"), headers=headers), http(QUOTA, 403, headers)]
    llm = world.llm(server, max_retries=0)
    output = world.generate(llm, ["hi"]).llm_output
    assert output["request_id"] == "r1"
    assert output["headers"] == {"x-request-id": "r1", "x-ratelimit-remaining-requests": "9"}
    with pytest.raises(InsufficientQuotaError) as caught:
        world.invoke(llm, "hi")
    assert caught.value.request_id == "r1"
    assert caught.value.headers["x-ratelimit-remaining-requests"] == "9"


def test_an_empty_prompt_is_refused_before_sending(world, server):
    with pytest.raises(ConfigurationError, match="empty"):
        world.invoke(world.llm(server), "")
    assert not server.requests


DROPPED = {
    "stream": [chunk(" Paris"), chunk(finish="length"), DONE],
    "stream in one event": [chunk(" Paris", finish="length"), DONE],
    "stream without text": [chunk("", finish="length"), DONE],
}
"""The events of streams of a server that drops `echo`."""


@pytest.mark.parametrize("method", ["invoke", "batch", "generate", *DROPPED])
def test_a_server_that_drops_echo_is_named_and_no_score_is_of_the_wrong_text(world, server, method):
    server.script = [stream(*DROPPED[method]) if method in DROPPED else http(completion(" Paris"))]
    llm = world.llm(server, echo=True, logprobs=1, max_tokens=1)
    call = {"invoke": world.invoke, "batch": world.batch, "generate": world.generate}.get(method, world.stream)
    with pytest.raises(UnsupportedParameterError) as raised:
        call(llm, ["The capital of France is"] if method in ("batch", "generate") else "The capital of France is")
    assert raised.value.param == "echo"


@pytest.mark.parametrize("method", ["invoke", "batch", "stream"])
def test_an_answer_that_the_server_stopped_is_an_error_with_its_text(world, server, method):
    half = stream(chunk("Half"), chunk(" an", finish="abort"), DONE)
    server.script = [half if method == "stream" else http(completion("Half an", finish="abort"))]
    call = {"invoke": world.invoke, "batch": world.batch, "stream": world.stream}[method]
    with pytest.raises(StreamInterruptedError if method == "stream" else APIResponseError, match="abort") as raised:
        call(world.llm(server), ["x"] if method == "batch" else "x")
    assert raised.value.text == "Half an"
    assert len(server.requests) == 1

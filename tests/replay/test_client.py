"""Every recorded call, through both clients, blocking and not, streamed and not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.replay.cases import BATCH, CASES, FRANCE, Case
from tests.replay.recorded import Told, bodies, json_of, replies
from tests.replay.ways import positions
from xdm_integrations import APIStatusError, UnsupportedParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations import Completion

pytestmark = [pytest.mark.vcr, pytest.mark.block_network]

COMPLETE = [pytest.param(case, f"client/complete_{name}", id=name) for name, case in CASES.items()]
STREAM = [pytest.param(case, f"client/stream_{name}", id=name) for name, case in CASES.items() if case.streams]


def expected_body(case: Case, model: str) -> dict[str, Any]:
    """What the API's page says the body of this call is: nothing that wasn't asked for."""
    fields = {"model": model, "max_tokens": 256, **case.sent}
    fields |= fields.pop("extra_body", {})
    if isinstance(fields.get("stop"), str):
        fields["stop"] = [fields["stop"]]
    if "logit_bias" in fields:
        fields["logit_bias"] = {str(token): bias for token, bias in fields["logit_bias"].items()}
    single = isinstance(case.prompt, list) and len(case.prompt) == 1
    return fields | {"prompt": case.prompt[0] if single else case.prompt}


def agree(completion: Completion, told: Told) -> None:
    """The completion holds what the reply says, choice by choice."""
    assert [choice.text for choice in completion.choices] == [text for _, text in sorted(told.texts.items())]
    assert [choice.finish_reason for choice in completion.choices] == [f for _, f in sorted(told.finish.items())]
    assert [choice.index for choice in completion.choices] == sorted(told.texts)
    assert (completion.model, completion.id) == (told.model, told.id)
    usage = completion.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == told.counts(completion.n)
    for choice in completion.choices:
        shown = positions(choice.logprobs.as_dict() if choice.logprobs else None)
        assert shown == told.positions.get(choice.index)


def agree_on_error(error: APIStatusError, told: Told) -> None:
    assert error.status_code == told.status
    assert told.error is not None
    assert error.type == told.error["type"]
    assert error.code == str(told.error["code"])
    assert told.error["message"] in str(error)


def answer_or_error(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except APIStatusError as error:
        return error


def judge(outcome: Any, case: Case, recorded_from: Any, told: Told) -> bool:
    """Compare the outcome of a call with the recording; say whether it was an answer."""
    if recorded_from.name == "engine":
        assert isinstance(outcome, APIStatusError) == (case.raises is not None)
    if isinstance(outcome, APIStatusError):
        if recorded_from.name == "engine":
            assert type(outcome) is case.raises
        agree_on_error(outcome, told)
        return False
    agree(outcome, told)
    if recorded_from.name == "engine" and case.says is not None:
        assert tuple(choice.text for choice in outcome.choices) == case.says
        assert {choice.finish_reason for choice in outcome.choices} == {case.finish}
    return True


@pytest.mark.parametrize(("case", "cassette"), COMPLETE)
def test_a_call_gives_what_the_server_said(
    case: Case, cassette: str, recorded_from: Any, surface: Any, vcr: Any
) -> None:
    client = surface.client(**recorded_from.settings(case.key, case.path))
    outcome = answer_or_error(lambda: surface.complete(client, case.prompt, **case.sent))
    judge(outcome, case, recorded_from, replies(vcr)[-1])
    assert bodies(vcr) == [expected_body(case, recorded_from.model)]


@pytest.mark.parametrize(("case", "cassette"), STREAM)
def test_a_stream_gives_what_the_server_said(
    case: Case, cassette: str, recorded_from: Any, surface: Any, vcr: Any
) -> None:
    client = surface.client(**recorded_from.settings(case.key, case.path))
    outcome = answer_or_error(lambda: surface.stream(client, case.prompt, **case.sent))
    chunks, completion = outcome if isinstance(outcome, tuple) else ([], outcome)
    if judge(completion, case, recorded_from, replies(vcr)[-1]):
        for choice in completion.choices:
            mine = [chunk for chunk in chunks if chunk.index == choice.index]
            assert "".join(chunk.text for chunk in mine) == choice.text
            assert [c.finish_reason for c in mine if c.finish_reason] == [choice.finish_reason]
            assert mine[-1].finish_reason
    body = expected_body(case, recorded_from.model) | {"stream": True, "stream_options": {"include_usage": True}}
    assert bodies(vcr) == [body]


@pytest.mark.parametrize(("ask", "cassette"), [("complete", "client/complete_echo"), ("stream", "client/stream_echo")])
def test_an_echo_that_the_server_drops_is_refused_by_name(
    ask: str, cassette: str, recorded_from: Any, surface: Any, vcr: Any
) -> None:
    client = surface.client(**recorded_from.settings())
    with pytest.raises(UnsupportedParameterError) as caught:
        getattr(surface, ask)(client, FRANCE, echo=True, temperature=0)
    assert caught.value.param == "echo"
    assert [body["echo"] for body in bodies(vcr)] == [True]


@pytest.mark.parametrize("cassette", ["client/batch_apart"])
def test_a_batch_from_many_threads_is_replayed_without_the_network(
    cassette: str, recorded_from: Any, surface: Any, vcr: Any, at_once: int
) -> None:
    """vcrpy un-patches classes for a moment in every thread; a request could slip through to the network."""
    client = surface.client(**recorded_from.settings())
    batch = surface.batch(client, BATCH, batch_size=1, max_concurrency=at_once, temperature=0, max_tokens=5)
    told = {body["prompt"]: reply for body, reply in zip(bodies(vcr), replies(vcr), strict=True)}
    assert [completion.text for completion in batch.completions] == [told[prompt].text for prompt in BATCH]
    assert batch.usage.total_tokens == sum(reply.usage["total_tokens"] for reply in told.values())


@pytest.mark.parametrize("cassette", ["client/batch_packed"])
def test_a_batch_packs_its_prompts(cassette: str, recorded_from: Any, surface: Any, vcr: Any, at_once: int) -> None:
    client = surface.client(**recorded_from.settings())
    batch = surface.batch(client, BATCH, batch_size=4, max_concurrency=at_once, temperature=0, max_tokens=5)
    assert sorted(body["prompt"] for body in bodies(vcr)) == sorted([BATCH[:4], BATCH[4:]])
    told = {body["prompt"][0]: reply for body, reply in zip(bodies(vcr), replies(vcr), strict=True)}
    first, second = told[BATCH[0]], told[BATCH[4]]
    texts = [first.texts[i] for i in range(4)] + [second.texts[i] for i in range(4)]
    assert [completion.text for completion in batch.completions] == texts


@pytest.mark.parametrize("cassette", ["client/models"])
def test_the_models_are_those_of_the_server(cassette: str, recorded_from: Any, surface: Any, vcr: Any) -> None:
    client = surface.client(**recorded_from.settings())
    models = surface.run(client.models())
    listed = json_of(vcr.responses[0])["data"]
    assert [(model.id, model.created) for model in models] == [(entry["id"], entry.get("created")) for entry in listed]
    assert [(request.method, request.path) for request in vcr.requests] == [("GET", "/v1/models")]

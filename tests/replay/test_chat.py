"""Every recorded chat and embedding, through both clients, sync and async, streamed and not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.replay.chat_cases import CHATS, EMBEDDED, PERSON, Chat
from tests.replay.recorded import Told, bodies, json_of, replies
from tests.replay.vectors import told_vectors
from tests.replay.ways import positions
from xdm_integrations import APIStatusError, AuthenticationError, BadRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations import ChatCompletion

pytestmark = [pytest.mark.vcr, pytest.mark.block_network]

COMPLETE = [pytest.param(case, f"client/chat_{name}", id=name) for name, case in CHATS.items()]
STREAM = [pytest.param(case, f"client/stream_chat_{name}", id=name) for name, case in CHATS.items()]
VECTORS = [pytest.param(*case, f"client/embed_{name}", id=name) for name, case in EMBEDDED.items()]


def expected_body(case: Chat, model: str) -> dict[str, Any]:
    """Return the body of this call: nothing that wasn't asked for."""
    fields = {"model": model, **case.sent}
    fields |= fields.pop("extra_body", {})
    asked = case.messages
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    return fields | {"messages": messages}


def outcome_of(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except APIStatusError as error:
        return error


def agree(completion: ChatCompletion, told: Told) -> None:
    """The completion holds what the reply says, choice by choice."""
    assert [choice.message.text for choice in completion.choices] == [text for _, text in sorted(told.texts.items())]
    assert [choice.finish_reason for choice in completion.choices] == [f for _, f in sorted(told.finish.items())]
    assert [choice.index for choice in completion.choices] == sorted(told.texts)
    assert (completion.model, completion.id) == (told.model, told.id)
    usage = completion.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == told.counts(completion.n)
    for choice in completion.choices:
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in choice.message.tool_calls]
        assert calls == told.calls[choice.index]
        assert choice.message.invalid_tool_calls == ()
        shown = positions(choice.logprobs.as_dict() if choice.logprobs else None)
        assert shown == told.positions.get(choice.index)


def judge(outcome: Any, case: Chat, recorded_from: Any, told: Told) -> bool:
    """Compare the outcome of a call with the recording; say whether it was an answer."""
    from_engine = recorded_from.name == "engine"
    if isinstance(outcome, APIStatusError):
        if from_engine:
            assert type(outcome) is case.raises
        assert outcome.status_code == told.status
        assert told.error is not None
        assert told.error["message"] in str(outcome)
        return False
    agree(outcome, told)
    if from_engine:
        assert case.raises is None
        assert case.says in (None, outcome.text)
        assert [(call.name, call.parsed()) for call in outcome.tool_calls] == list(case.calls)
        assert {choice.finish_reason for choice in outcome.choices} == {case.finish}
    return True


@pytest.mark.parametrize(("case", "cassette"), COMPLETE)
def test_a_chat_gives_what_the_server_said(
    case: Chat, cassette: str, recorded_from: Any, surface: Any, vcr: Any
) -> None:
    client = surface.client(**recorded_from.settings(case.key, case.path) | {"model": recorded_from.chat_model})
    outcome = outcome_of(lambda: surface.call(client, "chat", case.messages, **case.sent))
    judge(outcome, case, recorded_from, replies(vcr)[-1])
    assert bodies(vcr) == [expected_body(case, recorded_from.chat_model)]


@pytest.mark.parametrize(("case", "cassette"), STREAM)
def test_a_chat_stream_gives_what_the_server_said(
    case: Chat, cassette: str, recorded_from: Any, surface: Any, vcr: Any
) -> None:
    client = surface.client(**recorded_from.settings(case.key, case.path) | {"model": recorded_from.chat_model})
    outcome = outcome_of(lambda: surface.streamed(client, "stream_chat", case.messages, **case.sent))
    chunks, completion = outcome if isinstance(outcome, tuple) else ([], outcome)
    if judge(completion, case, recorded_from, replies(vcr)[-1]):
        for choice in completion.choices:
            mine = [chunk for chunk in chunks if chunk.index == choice.index]
            assert "".join(chunk.text for chunk in mine) == choice.message.text
            assert [c.finish_reason for c in mine if c.finish_reason] == [choice.finish_reason]
            assert mine[-1].finish_reason
            pieces = [piece for chunk in mine for piece in chunk.tool_calls]
            for number, call in enumerate(choice.message.tool_calls):
                its = [piece for piece in pieces if piece.index == number]
                assert [piece.id for piece in its if piece.id] == [call.id]
                assert [piece.name for piece in its if piece.name] == [call.name]
                assert "".join(piece.arguments for piece in its) == call.arguments
    body = expected_body(case, recorded_from.chat_model) | {"stream": True, "stream_options": {"include_usage": True}}
    assert bodies(vcr) == [body]


@dataclass
class Person:
    name: str
    age: int


@pytest.mark.parametrize("cassette", ["client/chat_structured"])
def test_a_class_is_asked_for_and_made(cassette: str, recorded_from: Any, surface: Any, vcr: Any) -> None:
    client = surface.client(**recorded_from.settings() | {"model": recorded_from.chat_model})
    completion = surface.call(client, "chat_structured", "Describe Ada as JSON", Person, temperature=0, max_tokens=60)
    assert completion.parsed == Person(**json.loads(replies(vcr)[-1].text))
    if recorded_from.name == "engine":
        assert completion.parsed == Person("Ada", 36)
        assert [body["response_format"]["type"] for body in bodies(vcr)] == ["json_schema"]


@pytest.mark.parametrize("cassette", ["client/stream_structured"])
def test_an_object_comes_in_pieces(cassette: str, recorded_from: Any, surface: Any, vcr: Any) -> None:
    client = surface.client(**recorded_from.settings() | {"model": recorded_from.chat_model})
    asked = ("Describe Ada as JSON", PERSON)
    chunks, completion = surface.streamed(client, "stream_structured", *asked, temperature=0, max_tokens=60)
    assert "".join(chunk.text for chunk in chunks) == completion.text == replies(vcr)[-1].text
    if recorded_from.name == "engine":
        assert json.loads(completion.text) == {"name": "Ada", "age": 36}
        assert [body["response_format"]["type"] for body in bodies(vcr)] == ["json_schema"]


@pytest.mark.parametrize(("texts", "params", "count", "cassette"), VECTORS)
def test_embeddings_are_those_of_the_server(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    texts: Any, params: Any, count: int, cassette: str, recorded_from: Any, surface: Any, vcr: Any, at_once: int
) -> None:
    client = surface.client(**recorded_from.settings(vectors=True))
    embeddings = surface.embed(client, texts, max_concurrency=at_once, **params)
    told = told_vectors(vcr)
    asked = [texts] if isinstance(texts, str) else texts
    assert embeddings.vectors == [told[text] for text in asked]
    assert len(embeddings) == count
    assert embeddings.usage is not None
    assert embeddings.usage.total_tokens == sum(json_of(r)["usage"]["total_tokens"] for r in vcr.responses)
    sent = {name: value for name, value in params.items() if name not in ("batch_size", "extra_body")}
    fields = {"model": recorded_from.embedding_model, "encoding_format": "base64", **sent}
    for body in bodies(vcr):
        assert body == {"input": body["input"], **fields, **params.get("extra_body", {})}
    if recorded_from.name == "engine":
        assert {len(vector) for vector in embeddings} == {384}


@pytest.mark.parametrize(
    ("settings", "texts", "error", "cassette"),
    [
        pytest.param({"key": "wrong"}, ["tea"], AuthenticationError, "client/embed_wrong_key", id="wrong_key"),
        pytest.param({"path": "/v1/nowhere"}, ["tea"], NotFoundError, "client/embed_not_found", id="not_found"),
        pytest.param({}, [[1, 2, 3]], BadRequestError, "client/embed_bad_request", id="bad_request"),
    ],
)
def test_refused_embeddings_raise(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    settings: Any, texts: Any, error: Any, cassette: str, recorded_from: Any, surface: Any, vcr: Any
) -> None:
    client = surface.client(**recorded_from.settings(vectors=True, **settings))
    with pytest.raises(error) as caught:
        surface.embed(client, texts)
    assert caught.value.status_code == vcr.responses[0]["status"]["code"]

"""Every recorded chat and embedding of LangChain's and LlamaIndex's chat models and embeddings, sync and async."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.embeddings.doors import DOORS
from tests.replay import chat_cases
from tests.replay.adapter_ways import COMPLETE, EMBEDDED, QUESTIONS, ROOMS, STREAMED, Person, Shown, params_of
from tests.replay.chat_cases import CHATS, HELLO, PARIS
from tests.replay.recorded import Told, bodies, replies
from tests.replay.vectors import told_vectors
from tests.worlds import KINDS, World, worlds
from xdm_integrations import APIStatusError, AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.vcr, pytest.mark.block_network]


def cassettes(names: list[str], prefix: str) -> list[Any]:
    return [pytest.param(room, name, f"{room}/{prefix}{name}", id=f"{room}-{name}") for room in ROOMS for name in names]


def of_each_room(name: str) -> Any:
    names = [pytest.param(room, f"{room}/chat_model_{name}", id=room) for room in ROOMS]
    return pytest.mark.parametrize(("room", "cassette"), names)


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from worlds(World, request.param)


def chat_of(room: str, world: World, recorded_from: Any, key: str = "right", path: str = "/v1", **more: Any) -> Any:
    """Return a chat model of the server that was recorded; it is closed after the test."""
    settings = recorded_from.settings(key, path) | {"model": recorded_from.chat_model, **more}
    return world.keep(ROOMS[room].make(**settings))


def agree(shown: Shown, told: Told) -> None:
    """What a user sees is what the server sent."""
    assert shown.texts == [text for _, text in sorted(told.texts.items())]
    assert shown.finish == [reason for _, reason in sorted(told.finish.items())]
    assert shown.calls == [(call["id"], call["name"], json.loads(call["arguments"])) for call in told.calls[0]]
    assert shown.counts == told.counts(len(shown.texts))
    assert shown.model == told.model
    assert shown.positions == [(token, value) for token, value, _ in told.positions.get(0, [])]


def judge(  # noqa: PLR0913 - what tests are given
    room: str, name: str, world: World, recorded_from: Any, vcr: Any, *, streamed: bool
) -> None:
    """Ask, and compare what comes of it and what was sent with the recording."""
    case = CHATS[name]
    chat = chat_of(room, world, recorded_from, case.key, case.path)
    shown: Any
    try:
        shown = ROOMS[room].ask(world, chat, case, streamed=streamed)
    except APIStatusError as error:
        shown = error
    (told,), (body,) = replies(vcr), bodies(vcr)
    from_engine = recorded_from.name == "engine"
    if isinstance(shown, APIStatusError):
        assert not from_engine or type(shown) is case.raises
        assert shown.status_code == told.status
        assert told.error is not None
        assert told.error["message"] in str(shown)
    else:
        agree(shown, told)
        if from_engine:
            assert case.raises is None
            assert [call[1:] for call in shown.calls] == list(case.calls)
            assert set(shown.finish) == {case.finish}
            assert bool(shown.positions) == ("logprobs" in case.params)
    sent = {**params_of(case), **({"stream": True} if streamed else {})}
    assert body.items() >= sent.items()
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == [
        tool["function"]["name"] for tool in case.params.get("tools", [])
    ]
    assert body.get("tool_choice", "auto") == case.params.get("tool_choice", "auto")
    assert None not in body.values()


@pytest.mark.parametrize(("room", "name", "cassette"), cassettes(COMPLETE, "chat_model_"))
def test_a_chat_shows_what_the_server_said(  # noqa: PLR0913, PLR0917 - fixtures
    room: str, name: str, cassette: str, world: World, recorded_from: Any, vcr: Any
) -> None:
    judge(room, name, world, recorded_from, vcr, streamed=False)


@pytest.mark.parametrize(("room", "name", "cassette"), cassettes(STREAMED, "stream_chat_model_"))
def test_a_chat_stream_shows_what_the_server_said(  # noqa: PLR0913, PLR0917 - fixtures
    room: str, name: str, cassette: str, world: World, recorded_from: Any, vcr: Any
) -> None:
    judge(room, name, world, recorded_from, vcr, streamed=True)


@of_each_room("structured")
def test_a_class_is_asked_for_and_made(room: str, cassette: str, world: World, recorded_from: Any, vcr: Any) -> None:
    made = ROOMS[room].structured(world, chat_of(room, world, recorded_from, temperature=0, max_tokens=60))
    assert made == Person.model_validate_json(replies(vcr)[-1].text)
    if recorded_from.name == "engine":
        assert made == Person(name="Ada", age=36)
        assert [body["response_format"]["type"] for body in bodies(vcr)] == ["json_schema"]


@of_each_room("tool_loop")
def test_a_function_is_called_and_its_result_answered(
    room: str, cassette: str, world: World, recorded_from: Any, vcr: Any
) -> None:
    chat = chat_of(room, world, recorded_from, temperature=0, max_tokens=60)
    called, answered = ROOMS[room].loop(world, chat, "18 degrees and sunny")
    for shown, told in zip((called, answered), replies(vcr), strict=True):
        agree(shown, told)
    _, second = bodies(vcr)
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool"]
    assert second["messages"][2]["tool_call_id"] == second["messages"][1]["tool_calls"][0]["id"] == called.calls[0][0]
    if recorded_from.name == "engine":
        assert [call[1:] for call in called.calls] == [PARIS]
        assert answered.texts == ["The result is 18 degrees and sunny."]


@of_each_room("batch")
def test_many_questions_from_many_threads_get_their_own_answers(  # noqa: PLR0913, PLR0917 - fixtures
    room: str, cassette: str, world: World, recorded_from: Any, vcr: Any, at_once: int
) -> None:
    chat = chat_of(room, world, recorded_from, temperature=0, max_tokens=40)
    shown = ROOMS[room].batch(world, chat, at_once)
    told = {body["messages"][0]["content"]: reply for body, reply in zip(bodies(vcr), replies(vcr), strict=True)}
    assert sorted(told) == sorted(QUESTIONS)
    for question, answer in zip(QUESTIONS, shown, strict=True):
        agree(answer, told[question])
    if recorded_from.name == "engine":
        assert shown[0].texts == [HELLO]


@pytest.fixture(params=KINDS)
def door(request: pytest.FixtureRequest, room: str) -> Iterator[Any]:
    yield from worlds(DOORS[room], request.param)


def embedder_of(door: Any, recorded_from: Any, key: str = "right", **more: Any) -> Any:
    """Return embeddings of the server that was recorded."""
    return door.embedder(**recorded_from.settings(key, vectors=True), **more)


@pytest.mark.parametrize(("room", "name", "cassette"), cassettes(EMBEDDED, "embed_"))
def test_embeddings_are_those_of_the_server(  # noqa: PLR0913, PLR0917 - fixtures
    room: str, name: str, cassette: str, door: Any, recorded_from: Any, vcr: Any, at_once: int
) -> None:
    texts, params, _ = chat_cases.EMBEDDED[name]
    embedder = embedder_of(door, recorded_from, max_concurrency=at_once, **params)
    vectors = [door.query(embedder, texts)] if isinstance(texts, str) else door.documents(embedder, texts)
    told = told_vectors(vcr)
    assert vectors == [told[text] for text in ([texts] if isinstance(texts, str) else texts)]
    encoding = params.get("encoding_format", "base64")
    for body in bodies(vcr):
        assert body == {"model": recorded_from.embedding_model, "input": body["input"], "encoding_format": encoding}


@pytest.mark.parametrize(("room", "name", "cassette"), cassettes(["wrong_key"], "embed_"))
def test_refused_embeddings_raise(  # noqa: PLR0913, PLR0917 - fixtures
    room: str, name: str, cassette: str, door: Any, recorded_from: Any, vcr: Any
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        door.query(embedder_of(door, recorded_from, "wrong"), "tea")
    assert caught.value.status_code == replies(vcr)[0].status

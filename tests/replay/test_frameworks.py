"""Every recorded way to ask through LangChain and LlamaIndex, blocking and not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.replay import langchain_ways, llama_index_ways
from tests.replay.cases import BATCH, TEST
from tests.replay.framework_cases import ROOMS
from tests.replay.langchain_ways import LANGCHAIN
from tests.replay.recorded import Told, bodies, replies
from tests.replay.ways import Heard, Way
from xdm_integrations import APIStatusError
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM

pytestmark = [pytest.mark.vcr, pytest.mark.block_network]

WAYS = [
    pytest.param(make, way, f"{room}/{name}", id=f"{room}-{name}", marks=way.marks)
    for room, make in (("langchain", XDMLLM), ("llama_index", XDM))
    for name, way in ROOMS[room].items()
]
WORLDS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def made(make: Any, recorded_from: Any, way: Way | None = None, **more: Any) -> Any:
    key, path, settings = (way.key, way.path, way.settings) if way else ("right", "/v1", {})
    given = {**recorded_from.settings(key, path), "temperature": 0, **settings, **more}
    if make is XDM:
        given["api_base"] = given.pop("base_url")
        given["context_window"] = 100_000  # the server is to say when it is full
    return make(**given)


def answer_or_error(llm: Any, way: Way, *, is_async: bool) -> Any:
    expected = (APIStatusError, way.raises) if way.raises else APIStatusError
    try:
        return asyncio.run(way.acall(llm)) if is_async else way.call(llm)  # type: ignore[arg-type] # a coroutine
    except expected as error:
        return error


@WORLDS
@pytest.mark.parametrize(("make", "way", "cassette"), WAYS)
def test_a_way_to_ask_gives_what_the_server_said(  # noqa: PLR0913, PLR0917 - fixtures
    make: Any, way: Way, cassette: str, recorded_from: Any, vcr: Any, is_async: bool
) -> None:
    outcome = answer_or_error(made(make, recorded_from, way), way, is_async=is_async)
    told = replies(vcr)
    if recorded_from.name == "engine":
        assert type(outcome) is (way.raises or Heard), outcome
        asked = "logprobs" in way.parameters
        assert not isinstance(outcome, Heard) or all(bool(told) == asked for _, _, told in outcome.choices)
    if isinstance(outcome, APIStatusError):
        assert outcome.status_code == told[-1].status
        assert told[-1].error is not None
        assert told[-1].error["message"] in str(outcome)
    elif isinstance(outcome, Exception):
        assert told[-1].text in str(outcome)
    else:
        (reply,) = told
        agree(outcome, reply, way, only_first=make is XDM or way.parameters.get("stream", False))
    for body in bodies(vcr):
        assert body.items() >= way.parameters.items()
        assert None not in body.values()


def agree(heard: Heard, told: Told, way: Way, *, only_first: bool) -> None:
    """What a user sees is what the server sent: texts, finish reasons, log probabilities, counts, the model."""
    n = way.parameters.get("n", 1)
    texts = [way.reads(text) for text, _, _ in told.choices]
    assert heard.texts == (texts[::n] if only_first else texts)
    assert heard.choices == told.choices
    assert all(finish for _, finish, _ in heard.choices)
    assert heard.counts == told.counts(n)
    assert heard.model == told.model


@WORLDS
@pytest.mark.parametrize("cassette", ["langchain/invoke", "langchain/stream", "langchain/stream_n", "langchain/batch"])
def test_the_texts_are_the_same_where_no_callback_listens(
    cassette: str, recorded_from: Any, vcr: Any, is_async: bool
) -> None:
    """LangChain's calls that nobody is told of take ways of their own."""
    name = cassette.partition("/")[2]
    way = LANGCHAIN[name]
    llm = made(XDMLLM, recorded_from, way)
    params = {name: value for name, value in way.parameters.items() if name != "stream"}
    if name == "batch":
        texts = asyncio.run(llm.abatch(BATCH[::2])) if is_async else llm.batch(BATCH[::2])
    elif name == "invoke":
        texts = [asyncio.run(llm.ainvoke(TEST)) if is_async else llm.invoke(TEST)]
    else:
        texts = ["".join(asyncio.run(pieces(llm, params)) if is_async else llm.stream(TEST, **params))]
    (told,) = replies(vcr)
    assert texts == [text for text, _, _ in told.choices][: len(texts)]
    assert len(texts) == (4 if name == "batch" else 1)


async def pieces(llm: XDMLLM, params: dict[str, Any]) -> list[str]:
    return [text async for text in llm.astream(TEST, **params)]


@WORLDS
@pytest.mark.parametrize("cassette", ["langchain/batch_apart"])
def test_a_batch_from_many_threads_is_replayed_without_the_network(
    cassette: str, recorded_from: Any, vcr: Any, at_once: int, is_async: bool
) -> None:
    """What a team's recorded tests do with `chain.batch`: every request has its own thread."""
    llm = made(XDMLLM, recorded_from, batch_size=1, max_tokens=5)
    listener = langchain_ways.Listener()
    config: Any = {"max_concurrency": at_once, **listener.config}
    texts = asyncio.run(llm.abatch(BATCH, config)) if is_async else llm.batch(BATCH, config)
    agree_apart(listener.heard(texts), vcr)


@WORLDS
@pytest.mark.parametrize("cassette", ["llama_index/batch_apart"])
def test_a_batch_of_requests_from_many_threads_is_replayed_without_the_network(
    cassette: str, recorded_from: Any, vcr: Any, at_once: int, is_async: bool
) -> None:
    """The same with `complete_batch`."""
    llm = made(XDM, recorded_from, max_tokens=5)
    listener = llama_index_ways.Listener(llm)
    options: dict[str, Any] = {"batch_size": 1, "max_concurrency": at_once}
    responses = asyncio.run(llm.acomplete_batch(BATCH, **options)) if is_async else llm.complete_batch(BATCH, **options)
    agree_apart(listener.heard([response.text for response in responses], responses), vcr)


def agree_apart(heard: Heard, vcr: Any) -> None:
    """Each prompt has the answer to its own request, and the tokens of all are counted."""
    told = {body["prompt"]: reply for body, reply in zip(bodies(vcr), replies(vcr), strict=True)}
    assert sorted(told) == sorted(BATCH)
    assert heard.texts == [told[prompt].text for prompt in BATCH]
    assert heard.choices == [choice for prompt in BATCH for choice in told[prompt].choices]
    counts = [reply.counts(1) or () for reply in told.values()]
    assert heard.counts == tuple(map(sum, zip(*counts, strict=True)))

"""Every recorded way to ask through LangChain and LlamaIndex, blocking and not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler

from tests.replay.cases import BATCH
from tests.replay.framework_cases import LANGCHAIN, LLAMA_INDEX, Way
from tests.replay.recorded import bodies, replies
from xdm_integrations import APIStatusError
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM

pytestmark = [pytest.mark.vcr, pytest.mark.block_network]

WAYS = [
    pytest.param(make, way, f"{room}/{name}", id=f"{room}-{name}")
    for room, make, ways in (("langchain", XDMLLM, LANGCHAIN), ("llama_index", XDM, LLAMA_INDEX))
    for name, way in ways.items()
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
    try:
        return asyncio.run(way.acall(llm)) if is_async else way.call(llm)  # type: ignore[arg-type] # a coroutine
    except APIStatusError as error:
        return error


@WORLDS
@pytest.mark.parametrize(("make", "way", "cassette"), WAYS)
def test_a_way_to_ask_gives_what_the_server_said(  # noqa: PLR0913, PLR0917 - fixtures
    make: Any, way: Way, cassette: str, recorded_from: Any, vcr: Any, is_async: bool
) -> None:
    outcome = answer_or_error(made(make, recorded_from, way), way, is_async=is_async)
    told = replies(vcr)
    if recorded_from.name == "engine":
        assert isinstance(outcome, APIStatusError) == (way.raises is not None), outcome
    if isinstance(outcome, APIStatusError):
        assert recorded_from.name != "engine" or type(outcome) is way.raises
        assert outcome.status_code == told[-1].status
        assert told[-1].error is not None
        assert told[-1].error["message"] in str(outcome)
    else:
        (reply,) = told
        texts = [text for _, text in sorted(reply.texts.items())]
        if way.objects:
            assert [json.loads(text) for text in outcome] == [json.loads(text) for text in texts]
        else:
            assert outcome == texts[: len(outcome)]
            assert len(outcome) == (1 if make is XDM and "n" in way.parameters else len(texts))
    for body in bodies(vcr):
        assert body.items() >= way.parameters.items()
        assert None not in body.values()


class Ends(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tokens = 0

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.tokens += (response.llm_output or {}).get("token_usage", {}).get("total_tokens", 0)


@WORLDS
@pytest.mark.parametrize("cassette", ["langchain/batch_apart"])
def test_a_batch_from_many_threads_is_replayed_without_the_network(
    cassette: str, recorded_from: Any, vcr: Any, at_once: int, is_async: bool
) -> None:
    """What a team's recorded tests do with `chain.batch`: every request has its own thread."""
    llm = made(XDMLLM, recorded_from, batch_size=1, max_tokens=5)
    ends = Ends()
    config: Any = {"max_concurrency": at_once, "callbacks": [ends]}
    texts = asyncio.run(llm.abatch(BATCH, config)) if is_async else llm.batch(BATCH, config)
    told = {body["prompt"]: reply for body, reply in zip(bodies(vcr), replies(vcr), strict=True)}
    assert texts == [told[prompt].text for prompt in BATCH]
    assert ends.tokens == sum((reply.usage or {})["total_tokens"] for reply in told.values())

"""Errors, retries, early ends, loops, threads and copies of `XDMChat`."""

# ruff: noqa: PLR0913, PLR0917 # fixtures and parameters of a test

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.evaluation import RelevancyEvaluator
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.loading import load_llm
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from tests.gateway_errors import ONE_OF_EACH, Case
from tests.llama_index.conftest import METHODS, STREAMS, World
from tests.scripted import CLOSE, DONE, HANG, RESET, http, stream
from tests.wire.chat import answer, chat_stream, counts, delta, talking
from xdm_integrations import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    StreamInterruptedError,
    XDMError,
)
from xdm_integrations.llama_index import XDMChat

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer

KEY = "key-that-nobody-may-see"
BUSY = {"error": {"message": "当前分组上游负载已饱和，请稍后再试", "type": "new_api_error"}}  # noqa: RUF001 - the gateway's words
FOREVER = {"error": {"message": "当前分组 default 下对于模型 m 无可用渠道", "type": "new_api_error"}}


def good(method: str, text: str = "ok") -> Any:
    return chat_stream(text) if method.startswith("stream") else http(answer(text))


def text_of(response: Any) -> str:
    return str(response.message.content if hasattr(response, "message") else response.text)


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.id)
@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_every_error_of_the_gateway_is_of_its_class(
    world: World, server: ScriptedServer, method: str, case: Case
) -> None:
    llm = XDMChat(model="m", api_base=server.url, max_retries=0)
    server.script = [http(case.body, case.status, case.headers)]
    with pytest.raises(XDMError) as caught:
        world.ask(llm, method)
    assert type(caught.value) is case.error
    if isinstance(caught.value, APIStatusError):
        assert isinstance(caught.value.status_code, int)
    assert getattr(caught.value, "retry_after", None) == case.retry_after
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args  # noqa: S301 - its own pickle


@pytest.mark.parametrize("method", METHODS)
def test_an_error_holds_no_key_even_one_that_the_server_repeats(
    world: World, server: ScriptedServer, method: str
) -> None:
    llm = XDMChat(model="m", api_base=server.url, api_key=KEY, max_retries=0)
    said = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    server.script = [http(said, 401, {"X-Oneapi-Request-Id": "r1"})]
    with pytest.raises(APIStatusError) as caught:
        world.ask(llm, method)
    error = caught.value
    assert KEY not in str(error) + repr(error) + repr(error.__dict__) + repr(error.__context__)
    assert (error.status_code, error.request_id) == (401, "r1")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_a_cut_before_the_answer_is_a_connection_error(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, how: str
) -> None:
    server.script = [[how]]
    with pytest.raises(APIConnectionError) as caught:
        world.ask(chat, method)
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_a_cut_within_the_answer_has_the_text_so_far_and_is_not_asked_again(
    world: World, server: ScriptedServer, method: str, how: str
) -> None:
    server.script = [stream(delta("half"), how, end=False)]
    llm = XDMChat(model="m", api_base=server.url, max_retries=3)
    with pytest.raises(StreamInterruptedError) as caught:
        world.ask(llm, method)
    assert caught.value.text == "half"
    assert pickle.loads(pickle.dumps(caught.value)).text == "half"  # noqa: S301 - its own pickle
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", METHODS)
def test_silence_is_a_timeout(world: World, server: ScriptedServer, chat: XDMChat, method: str) -> None:
    chat.timeout = (5, 0.2)
    server.script = [[HANG]]
    with pytest.raises(APITimeoutError) as caught:
        world.ask(chat, method)
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("method", STREAMS)
def test_a_stream_that_falls_silent_times_out_with_its_text(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    chat.timeout = (5, 0.2)
    server.script = [stream(delta("half"), HANG, end=False)]
    with pytest.raises(XDMError) as caught:
        world.ask(chat, method)
    assert caught.value.text == "half"
    assert isinstance(caught.value, TimeoutError) or isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("status", "body", "requests"), [(429, BUSY, 3), (503, BUSY, 3), (503, FOREVER, 1), (400, BUSY, 1), (401, BUSY, 1)]
)
def test_what_may_heal_is_asked_again_and_nothing_else(
    world: World, server: ScriptedServer, method: str, status: int, body: Any, requests: int
) -> None:
    server.script = lambda seen: http(body, status, {"Retry-After": "0"}) if seen.method == "POST" else http("", 404)
    with pytest.raises(APIStatusError):
        world.ask(XDMChat(model="m", api_base=server.url, max_retries=2), method)
    assert sum(seen.method == "POST" for seen in server.requests) == requests


@pytest.mark.parametrize("method", METHODS)
def test_a_retry_that_succeeds_gives_the_answer_once(world: World, server: ScriptedServer, method: str) -> None:
    server.script = [http(BUSY, 429, {"Retry-After": "0"}), good(method)]
    assert text_of(world.ask(XDMChat(model="m", api_base=server.url), method)) == "ok"
    assert len(server.requests) == 2


@pytest.mark.parametrize("what", ["structured_predict", "stream_structured_predict", "evaluate"])
def test_objects_and_judgements_are_asked_for_at_once(server: ScriptedServer, chat: XDMChat, what: str) -> None:
    """What engines and evaluators call; no answer comes before all six requests have."""
    all_here = threading.Barrier(6, timeout=60)
    text = '{"score": 1}' if "structured" in what else "YES"
    server.script = lambda _seen: [lambda: all_here.wait() and None, *good(what, text)]

    async def one() -> Any:
        if what == "evaluate":
            return (await RelevancyEvaluator(llm=chat).aevaluate(query="a", response="b", contexts=["c"])).score
        if what == "structured_predict":
            return (await chat.astructured_predict(Score, PromptTemplate("judge"))).score
        stream_of = await chat.astream_structured_predict(Score, PromptTemplate("judge"))
        return [item.score async for item in stream_of][-1]

    async def main() -> list[Any]:
        return await asyncio.wait_for(asyncio.gather(*(one() for _ in range(6))), 60)

    assert asyncio.run(main()) == [1] * 6


class Score(BaseModel):
    score: int


def test_one_instance_over_loops_and_threads(server: ScriptedServer, chat: XDMChat) -> None:
    server.script = lambda seen: good("stream" if seen.json.get("stream") else "")
    answers: list[str] = []

    async def both() -> None:
        answers.append(text_of(await chat.achat([ChatMessage("hi")])))
        answers.extend([text_of(item) async for item in await chat.astream_chat([ChatMessage("hi")])][-1:])

    def work() -> None:
        asyncio.run(both())
        answers.append(text_of(chat.complete("hi")))
        asyncio.run(both())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == ["ok"] * (16 * 5)


def test_a_blocking_call_works_inside_a_running_loop(chat: XDMChat) -> None:
    async def main() -> str:
        return text_of(chat.chat([ChatMessage("hi")]))

    assert asyncio.run(main()) == "hi"


def test_nothing_is_left_open_in_development_mode(server: ScriptedServer) -> None:
    server.script = talking("hi")
    program = f"""
import asyncio
from llama_index.core.llms import ChatMessage
from xdm_integrations.llama_index import XDMChat

llm = XDMChat(model="m", api_base={server.url!r})
asked = [ChatMessage("hi")]

async def main():
    async for _ in await llm.astream_complete("hi"):
        pass
    async for _ in await llm.astream_chat(asked):
        break
    await asyncio.gather(llm.acomplete("hi"), llm.achat(asked))

for _ in range(3):
    asyncio.run(main())
llm.chat(asked)
for _ in llm.stream_chat(asked):
    break
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    shown = [line for line in done.stderr.splitlines() if not line.startswith("Executing ")]  # slow-call notes
    assert (done.returncode, shown) == (0, [])


def test_connections_are_used_again_after_streams_too(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    for method in [*METHODS, *METHODS]:
        world.ask(chat, method)
    assert server.connections == 1


def test_a_context_manager_closes_what_was_opened(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    async def use() -> None:
        async with chat as entered:
            await entered.achat([ChatMessage("hi")])

    if world.is_async:
        world.run(use())
    else:
        with chat as entered:
            entered.chat([ChatMessage("hi")])
    assert server.wait_until(lambda: server.open_connections == 0)
    assert text_of(world.ask(chat, "chat")) == "hi"


SETTINGS: dict[str, Any] = {"temperature": 0.5, "stop": ["a"], "seed": 1, "max_tokens": 5, "think_tags": True}


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy", "model_copy"])
def test_copies_work_before_and_after_use(world: World, server: ScriptedServer, used: bool, how: str) -> None:
    server.script = talking("hi")
    llm = XDMChat(model="m", api_base=server.url, api_key="k", **SETTINGS)
    if used:
        for method in ("chat", "stream_chat"):
            world.ask(llm, method)
    ways: dict[str, Any] = {
        "pickle": lambda x: pickle.loads(pickle.dumps(x)),  # noqa: S301 - its own pickle
        "deepcopy": copy.deepcopy,
        "copy": copy.copy,
        "model_copy": lambda x: x.model_copy(update={}),
    }
    made = ways[how](llm)
    assert made.to_dict() == llm.to_dict()
    assert text_of(world.ask(made, "chat")) == "hi"
    assert server.requests[-1].headers["authorization"] == "Bearer k"
    made.temperature = 1.0
    assert llm.temperature == 0.5


def test_a_dictionary_holds_all_settings_but_the_key(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.script = talking("hi")
    llm = XDMChat(
        model="m",
        api_base=server.url,
        api_key=KEY,
        default_headers={"X-Secret": KEY},
        extra_body={"a": KEY},
        **SETTINGS,
    )
    shown = [repr(llm), str(llm), llm.to_json(), repr(llm.to_dict()), repr(llm.model_dump()), repr(llm.to_payload())]
    assert not [text for text in shown if KEY in text]
    monkeypatch.setenv("XDM_API_KEY", "second")
    for again in (XDMChat.from_dict(json.loads(llm.to_json())), load_llm(llm.to_dict())):
        assert isinstance(again, XDMChat)
        assert again.to_dict() == llm.to_dict()
        again.complete("hi")
        assert server.requests[-1].headers["authorization"] == "Bearer second"
        assert server.requests[-1].json["temperature"] == 0.5


def test_a_new_key_and_address_take_effect(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    chat.api_key = "one"
    world.ask(chat, "chat")
    chat.api_key = "two"
    world.ask(chat, "chat")
    chat.api_base = server.origin + "/other/v1"
    world.ask(chat, "chat")
    assert [(seen.headers["authorization"], seen.path) for seen in server.requests] == [
        ("Bearer one", "/v1/chat/completions"),
        ("Bearer two", "/v1/chat/completions"),
        ("Bearer two", "/other/v1/chat/completions"),
    ]


def test_an_address_without_its_version_is_explained(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    chat.api_base = server.origin
    server.script = lambda _seen: http("<html>Not found</html>", 404)
    with pytest.raises(XDMError, match="/v1"):
        world.ask(chat, "chat")


def test_a_local_server_needs_no_key_and_the_environment_gives_key_and_address(
    world: World, server: ScriptedServer, chat: XDMChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ask(chat, "chat", extra_headers={"X-Mine": "1"})
    assert "authorization" not in server.requests[0].headers
    assert server.requests[0].headers["x-mine"] == "1"
    monkeypatch.setenv("XDM_API_KEY", "from-there")
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    world.ask(XDMChat(model="m", default_headers={"X-Mine": "2"}), "chat")
    assert server.requests[1].headers["authorization"] == "Bearer from-there"
    assert server.requests[1].headers["x-mine"] == "2"


def test_thoughts_in_tags_are_reasoning_where_that_is_wanted(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    for script in (
        http(answer("<think>hm</think>ok")),
        stream(delta("<thi"), delta("nk>hm</think>"), delta("ok"), delta(finish="stop"), counts(), DONE),
    ):
        server.script = [script]
        method = "stream_chat" if len(script) > 1 else "chat"
        assert text_of(world.ask(chat, method)) == "<think>hm</think>ok"
        by_call = world.ask(chat, method, think_tags=True)
        chat.think_tags = True
        response = world.ask(chat, method)
        chat.think_tags = False
        assert by_call.message == response.message
        assert [block.block_type for block in response.message.blocks] == ["thinking", "text"]
        assert text_of(response) == "ok"

"""One `ChatXDM` through loops, threads, copies, caches and limits, and what it says about itself."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import threading
import time

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumpd, dumps, load
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages
from langchain_core.rate_limiters import BaseRateLimiter
from pydantic import BaseModel
from pydantic.v1 import BaseModel as OldModel
from typing_extensions import TypedDict

from tests.langchain.test_chat_tools import add
from tests.scripted import HANG, http, stream
from tests.wire.chat import answer, chat_stream, delta, talking
from xdm_integrations import ConfigurationError, XDMError, __version__
from xdm_integrations.langchain import ChatXDM


class One(BaseModel):
    a: int


class OldOne(OldModel):
    a: int


@dataclasses.dataclass
class OneData:
    a: int


class OneDict(TypedDict):
    a: int


SCHEMAS = [One, OldOne, OneData, OneDict, {"title": "One", "type": "object", "properties": {"a": {"type": "integer"}}}]
FUNCTION = {"type": "function", "function": {"name": "f"}}


def run(program):
    """Run a program in a Python of its own."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - this Python


@pytest.fixture
def server(server):
    server.script = talking("hi")
    return server


def test_one_object_over_many_loops_and_threads(server, caplog):
    chat = ChatXDM(base_url=server.url, model="m")
    errors = []

    async def many():
        async for _ in chat.astream("x"):
            break  # left open on purpose
        assert {message.content for message in await asyncio.gather(*(chat.ainvoke("x") for _ in range(10)))} == {"hi"}

    def in_a_thread():
        try:
            asyncio.run(many())
            assert chat.invoke("x").content == "hi"
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    for _ in range(3):
        asyncio.run(many())
    threads = [threading.Thread(target=in_a_thread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    chat.close()
    assert errors == []
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_nothing_is_left_open_in_development_mode(server):
    program = f"""
import asyncio
from xdm_integrations.langchain import ChatXDM

chat = ChatXDM(model="m", base_url={server.url!r})

async def main():
    async for _ in chat.astream("x"):
        pass
    async for _ in chat.astream("x"):
        break
    await asyncio.gather(chat.ainvoke("x"), chat.ainvoke("x"))

for _ in range(3):
    asyncio.run(main())
chat.invoke("x")
for _ in chat.stream("x"):
    break
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    shown = [line for line in done.stderr.splitlines() if not line.startswith("Executing ")]  # slow-call notes
    assert (done.returncode, shown) == (0, [])


def test_connections_are_reused_and_closed(world, server):
    chat = world.chat(server)
    for _ in range(3):
        world.invoke(chat, "x")
        world.stream(chat, "x")
    assert server.connections == 1
    world.close_kept()
    assert server.wait_until(lambda: server.open_connections == 0)
    assert world.invoke(chat, "x").content == "hi"


@pytest.mark.parametrize(
    "copied",
    [
        lambda chat: pickle.loads(pickle.dumps(chat)),  # noqa: S301 - just made here
        copy.deepcopy,
        copy.copy,
        lambda chat: chat.model_copy(update={"temperature": 0.5}),
        lambda chat: pickle.loads(pickle.dumps(chat.bind_tools([FUNCTION]))),  # noqa: S301 - just made here
        lambda chat: copy.deepcopy(chat.bind_tools([FUNCTION])),
    ],
    ids=["pickle", "deepcopy", "copy", "model_copy", "pickle of a bound one", "deepcopy of a bound one"],
)
def test_copies_ask_too(world, server, copied):
    chat = world.chat(server, max_concurrency=2, api_key="k")
    world.invoke(chat, "x")
    other = copied(chat)
    assert world.invoke(other, "x").content == "hi"
    assert server.requests[-1].headers["authorization"] == "Bearer k"
    target = getattr(other, "bound", other)
    world.run(target.aclose()) if world.is_async else target.close()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda chain: pickle.loads(pickle.dumps(chain))])  # noqa: S301 - just made here
@pytest.mark.parametrize("schema", SCHEMAS, ids=["class", "old class", "dataclass", "TypedDict", "JSON schema"])
def test_copies_of_chains_for_objects_give_objects(world, server, schema, copied):
    server.script = talking('{"a": 1}')
    chain = copied(world.chat(server).with_structured_output(schema))
    world.keep(chain.first.bound)
    made = schema(a=1) if isinstance(schema, type) else {"a": 1}
    assert world.invoke(chain, "x") == made
    chain = copied(world.chat(server).with_structured_output(schema, include_raw=True))
    world.keep(chain.first.steps__["raw"].bound)
    assert world.invoke(chain, "x")["parsed"] == made


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_asks_by_itself(server):
    program = (
        "import os, sys\nfrom xdm_integrations.langchain import ChatXDM\n"
        f"chat = ChatXDM(base_url={server.url!r}, max_concurrency=1)\nchat.invoke('x')\n"
        "import warnings\nwarnings.filterwarnings('ignore', 'This process .* is multi-threaded')\n"  # 3.12 and later
        "child = os.fork()\nassert chat.invoke('x').content == 'hi'\n"
        "if not child: os._exit(0)\nassert os.waitpid(child, 0)[1] == 0\nchat.close()"
    )
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert len({seen.connection for seen in server.requests}) == 2


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_it_comes_back_from_json(world, server):
    chat = world.chat(server, api_key="k", temperature=0.5, stop=["a"], model_kwargs={"top_k": 5})
    loaded = world.keep(
        load(
            dumpd(chat),
            allowed_objects=[ChatXDM],
            valid_namespaces=["xdm_integrations"],
            secrets_map={"XDM_API_KEY": "k"},
        )
    )
    world.invoke(chat, "x")
    world.invoke(loaded, "x")
    assert server.requests[0].body == server.requests[1].body
    assert server.requests[1].headers["authorization"] == "Bearer k"


@pytest.mark.parametrize("call", ["invoke", "stream", "batch", "events of version 2"])
def test_secrets_are_shown_nowhere(world, server, recorder, call):
    secrets = {"extra_body": {"token": "secret-1"}, "default_headers": {"X-Token": "secret-2"}, "api_key": "secret-3"}
    options = {"extra_headers": {"X-Own": "secret-4"}, "extra_body": {"own": "secret-5"}, "timeout": 50}
    chat = world.chat(server, **secrets)
    config = {"callbacks": [recorder]}
    if call == "batch":
        world.batch(chat, ["x"], config, **options)
    elif call == "events of version 2":
        if not world.is_async:
            pytest.skip("async only")
        world.items(chat, "stream_events", "x", config, version="v2", **options)
    else:
        getattr(world, call)(chat, "x", config, **options)
    (sent,) = server.requests
    assert (sent.headers["x-token"], sent.headers["x-own"], sent.json["own"]) == ("secret-2", "secret-4", "secret-5")
    run = recorder.run
    key = chat._get_llm_string(**options)
    shown = [repr(chat), str(chat), dumps(chat), repr(chat.asdict()), key, repr(run.serialized)]
    shown += [repr(run.params), repr(run.metadata), repr(run.result), repr(run.options)]
    assert [text for text in shown if "secret-" in text] == []
    assert run.params["extra_body_sha256"]


def test_the_import_is_light_and_construction_fast():
    """CPU time, several times what it takes here, of the import over what it takes of LangChain's core alone."""
    program = (
        "import sys, time\nimport langchain_core.language_models.chat_models\nstart = time.process_time()\n"
        "from xdm_integrations.langchain import ChatXDM\nassert time.process_time() - start < 0.6\n"
        "assert not {'openai', 'tiktoken', 'langchain', 'langgraph'} & set(sys.modules)\n"
        "ChatXDM(model='m')\nstart = time.process_time()\n"
        "for _ in range(20): ChatXDM(model='m')\nassert (time.process_time() - start) / 20 < 0.005"
    )
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")


# Caches


def test_a_cache_answers_the_same_call_and_no_other(world, server):
    chat = world.chat(server, cache=InMemoryCache())
    world.invoke(chat, "x")
    hit = world.invoke(chat, "x")
    assert (hit.content, hit.response_metadata["finish_reason"], len(server.requests)) == ("hi", "stop", 1)
    calls = [
        lambda: world.invoke(chat, "y"),
        lambda: world.invoke(chat, "x", temperature=0.5),
        lambda: world.invoke(chat, "x", stop=["a"]),
        lambda: world.invoke(chat, "x", extra_body={"a": 1}),
        lambda: world.invoke(chat, "x", model="other"),
        lambda: world.invoke(chat.bind_tools([add]), "x"),
    ]
    for number, call in enumerate(calls, 2):
        call()
        call()
        assert len(server.requests) == number
    chat.temperature = 0.7
    world.invoke(chat, "x")
    chat.extra_body = {"a": 2}
    world.invoke(chat, "x")
    assert len(server.requests) == len(calls) + 3
    chat.output_version = "v1"
    assert isinstance(world.invoke(chat, "x").content, list)
    other = world.chat(base_url=server.url + "/other", cache=chat.cache)
    assert other._get_llm_string() != world.chat(server)._get_llm_string()


def test_objects_of_two_schemas_do_not_share_a_cached_answer(world, server):
    class Two(BaseModel):
        b: int

    server.script = talking('{"a": 1, "b": 2}')
    chat = world.chat(server, cache=InMemoryCache())
    assert world.invoke(chat.with_structured_output(One), "x") == One(a=1)
    assert world.invoke(chat.with_structured_output(Two), "x") == Two(b=2)
    assert world.invoke(chat.with_structured_output(One), "x") == One(a=1)
    assert len(server.requests) == 2


def test_errors_are_not_cached(world, server):
    chat = world.chat(server, cache=InMemoryCache(), max_retries=0)
    server.script = [http({"error": {"message": "no"}}, 422)]
    with pytest.raises(Exception, match="no"):
        world.invoke(chat, "x")
    server.script = talking("hi")
    assert world.invoke(chat, "x").content == "hi"


# Tokens


CONVERSATION = [SystemMessage("Be brief."), HumanMessage("Hello there"), AIMessage("Hi"), HumanMessage("How are you?")]


def test_tokens_are_counted_without_network_for_any_model(monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    chat = ChatXDM(model="a-model-that-nobody-knows")
    count = chat.get_num_tokens_from_messages(CONVERSATION)
    assert 20 < count < 60
    assert chat.get_num_tokens_from_messages(CONVERSATION, tools=[add]) > count + 20
    picture = HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}])
    assert chat.get_num_tokens_from_messages([picture]) < 2000
    assert chat.get_num_tokens("漢字漢字") == 4


def test_what_a_message_holds_beside_its_text_is_counted():
    chat = ChatXDM(custom_get_token_ids=lambda text: [0] * len(text.split()))
    count = chat.get_num_tokens_from_messages
    asked, result = HumanMessage("a b"), ToolMessage("c d e", tool_call_id="c1")
    assert count([asked]) == 3 + (3 + 1 + 2)
    assert count([HumanMessage([{"type": "file", "source_type": "text", "text": "a b"}])]) == count([asked])
    assert count([HumanMessage([{"type": "file", "source_type": "id", "id": "f1"}])]) == 3 + (3 + 1 + 1000)
    call = {"type": "tool_call", "id": "c1", "name": "f", "args": {"x": 1}}
    as_json = '[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\\"x\\": 1}"}}]'
    calls = AIMessage("", tool_calls=[call])
    assert count([asked, calls, result]) - count([asked]) == (3 + 1 + len(as_json.split())) + (3 + 1 + 1 + 3)


def test_an_own_tokenizer_counts_first_and_messages_are_trimmed_by_it():
    chat = ChatXDM(custom_get_token_ids=lambda text: [0] * len(text.split()))
    assert chat.get_num_tokens("a b c") == 3
    assert chat.get_token_ids("a b") == [0, 0]
    trimmed = trim_messages(CONVERSATION, max_tokens=19, token_counter=chat, strategy="last", include_system=True)
    assert trimmed == [CONVERSATION[0], CONVERSATION[-1]]


def test_token_ids_that_nobody_can_know_are_refused():
    with pytest.raises(ConfigurationError, match="custom_get_token_ids"):
        ChatXDM(model="a-model-that-nobody-knows").get_token_ids("x")


# Limits


class Turns(BaseRateLimiter):
    """Counts how often it was asked."""

    def __init__(self):
        self.asked = 0

    def acquire(self, *, blocking=True):
        self.asked += 1
        return blocking

    async def aacquire(self, *, blocking=True):
        return self.acquire(blocking=blocking)


def test_a_rate_limiter_is_asked_once_per_request(world, server):
    turns = Turns()
    chat = world.chat(server, rate_limiter=turns, max_retries=2)
    world.invoke(chat, "x")
    world.stream(chat, "x")
    world.batch(chat, ["x", "y"])
    assert turns.asked == len(server.requests) == 4
    busy = http({"error": {"message": "slow down"}}, 429, {"Retry-After": "0"})
    server.script = lambda _: busy if len(server.requests) in (5, 6) else http(answer("hi"))
    world.invoke(chat, "x")
    assert turns.asked == len(server.requests) == 7


def test_a_rate_limiter_is_asked_for_each_way_to_ask_for_an_object(world, server):
    turns = Turns()
    server.script = talking("no JSON", '{"a": 1}')
    schema = {"title": "A", "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    chain = world.chat(server, rate_limiter=turns).with_structured_output(schema)
    assert world.invoke(chain, "x") == {"a": 1}
    assert turns.asked == len(server.requests) == 2


@pytest.mark.parametrize("call", ["invoke", "stream"])
def test_no_more_answers_than_wanted_are_under_way(world, server, call):
    lock, now, most = threading.Lock(), [0], [0]

    def script(seen):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)  # long enough for the others to come
        with lock:
            now[0] -= 1
        return chat_stream("hi") if seen.json.get("stream") else http(answer("hi"))

    server.script = script
    chat = world.chat(server, max_concurrency=2, streaming=call == "stream")
    assert [message.content for message in world.batch(chat, ["x"] * 8)] == ["hi"] * 8
    assert most[0] == 2


def test_a_limit_is_free_again_after_errors_and_streams_that_were_left(world, server):
    chat = world.chat(server, max_concurrency=1, max_retries=0)
    server.script = [http({"error": {"message": "no"}}, 422)]
    with pytest.raises(Exception, match="no"):
        world.invoke(chat, "x")
    server.script = [stream(delta("a"), HANG, end=False)]

    async def leave():
        chunks = chat.astream("x")
        await anext(chunks)
        await chunks.aclose()

    if world.is_async:
        world.run(leave())
    else:
        chunks = chat.stream("x")
        next(chunks)
        chunks.close()
    server.script = talking("hi")
    assert world.invoke(chat, "x").content == "hi"


def test_batches_keep_their_order_and_errors_their_place(world, server):
    def script(seen):
        text = seen.json["messages"][0]["content"]
        return http({"error": {"message": "no"}}, 422) if text == "bad" else http(answer(text))

    server.script = script
    chat = world.chat(server, max_retries=0)
    got = world.batch(chat, ["a", "bad", "c"], {"max_concurrency": 2}, return_exceptions=True)
    assert (got[0].content, got[2].content) == ("a", "c")
    assert isinstance(got[1], XDMError)
    indexed = world.items(chat, "batch_as_completed", ["a", "b"])
    assert sorted((number, message.content) for number, message in indexed) == [(0, "a"), (1, "b")]


# What it says about itself


def test_traces_know_model_limits_and_versions(world, server, recorder):
    chat = world.chat(server, temperature=0.5, max_tokens=7, stop=["a"])
    world.invoke(chat, "x", {"callbacks": [recorder]}, model="other")
    run = recorder.run
    about = {name: run.metadata[name] for name in run.metadata if name.startswith("ls_")}
    assert about == {
        "ls_provider": "xdm",
        "ls_model_type": "chat",
        "ls_model_name": "other",
        "ls_temperature": 0.5,
        "ls_max_tokens": 7,
        "ls_stop": ["a"],
        "ls_integration": "langchain_chat_model",
    }
    assert run.metadata["lc_versions"]["xdm-integrations"] == __version__
    assert (run.params["model"], run.params["temperature"], run.params["_type"]) == ("other", 0.5, "xdm-chat")


def test_a_profile_is_known_for_known_models_and_can_be_given():
    assert ChatXDM(model="gpt-4o").profile["max_input_tokens"] == 128_000
    assert ChatXDM(model="a-model-that-nobody-knows").profile is None
    assert ChatXDM(model="gpt-4o", profile={"tool_calling": True}).profile == {"tool_calling": True}


def test_a_changed_field_is_checked_and_used(world, server):
    chat = world.chat(server)
    world.invoke(chat, "x")
    chat.temperature = 0.5
    with pytest.raises(ConfigurationError, match="temperature"):
        chat.temperature = 5
    world.invoke(chat, "x")
    assert json.loads(server.requests[1].body)["temperature"] == 0.5
    server.script = talking("<think>hm</think>hi")
    chat.think_tags = True
    assert world.invoke(chat, "x").content == "hi"


def test_context_managers_close(server):
    with ChatXDM(base_url=server.url) as chat:
        assert chat.invoke("x").content == "hi"

    async def run():
        async with ChatXDM(base_url=server.url) as other:
            return (await other.ainvoke("x")).content

    assert asyncio.run(run()) == "hi"
    assert server.wait_until(lambda: server.open_connections == 0)

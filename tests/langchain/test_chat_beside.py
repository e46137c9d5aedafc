"""`ChatXDM` beside the rest of LangChain: chains, fallbacks, and whoever counts tokens."""

from __future__ import annotations

import json
import warnings

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField

from tests.langchain.tracers import counted_by_openinference, langfuse_spans, openinference_spans
from tests.scripted import USAGE, http
from tests.wire.chat import answer, talking
from xdm_integrations import ModelUnavailableError, RateLimitError
from xdm_integrations.langchain import XDMLLM, ChatXDM

COUNTS = (7, 3, 10)
METHODS = pytest.mark.parametrize("method", ["invoke", "stream", "batch", "streaming"])


def ask(world, server, method, callbacks=None):
    """Ask in one of the ways; return the counts that are expected in sum."""
    server.script = talking("hi")
    chat = world.chat(server, model="gpt-4o-mini", streaming=True if method == "streaming" else None)
    config = {"callbacks": callbacks} if callbacks else None
    if method == "batch":
        world.batch(chat, ["x"] * 3, config)
        return tuple(3 * count for count in COUNTS)
    getattr(world, "stream" if method == "stream" else "invoke")(chat, "x", config)
    return COUNTS


@METHODS
def test_langchains_own_handler_counts(world, server, method):
    handler = UsageMetadataCallbackHandler()
    expected = ask(world, server, method, [handler])
    counted = handler.usage_metadata["served-model"]
    assert tuple(counted[f"{name}_tokens"] for name in ("input", "output", "total")) == expected


@METHODS
def test_get_openai_callback_counts(world, server, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # langchain-community announces its end
        manager = pytest.importorskip("langchain_community.callbacks.manager")
    with manager.get_openai_callback() as counter:
        expected = ask(world, server, method)
    assert (counter.prompt_tokens, counter.completion_tokens, counter.total_tokens) == expected


@METHODS
def test_openinference_counts(world, server, method):
    with openinference_spans() as spans:
        expected = ask(world, server, method)
    assert counted_by_openinference(spans) == expected
    assert {span["openinference.span.kind"] for span in spans} == {"LLM"}


@METHODS
def test_langfuse_counts(world, server, method):
    with langfuse_spans(f"pk-chat-{world.is_async}-{method}") as (handler, spans):
        expected = ask(world, server, method, [handler])
    name = "langfuse.observation.usage_details"
    usages = [json.loads(span[name]) for span in spans if name in span]
    assert tuple(sum(usage[name] for usage in usages) for name in ("input", "output", "total")) == expected


class Kept:
    """A client of LangSmith that sends nothing, and keeps what it is told of runs."""

    def __init__(self):
        self.runs = {}

    def create_run(self, **run):
        self.runs[run["id"]] = run

    def update_run(self, run_id, **more):
        self.runs[run_id] = {**self.runs[run_id], **more}


@METHODS
def test_langsmith_gets_a_tree_of_runs_with_counts_and_no_secret(world, server, method):
    pytest.importorskip("langsmith")
    from langchain_core.tracers.langchain import LangChainTracer

    kept = Kept()
    tracer = LangChainTracer(client=kept)
    server.script = talking("hi")
    secrets = {"api_key": "secret-1", "default_headers": {"X-A": "secret-2"}, "extra_body": {"a": "secret-3"}}
    chat = world.chat(server, streaming=True if method == "streaming" else None, temperature=0.5, **secrets)
    chain = ChatPromptTemplate.from_messages(["{it}"]) | chat.bind(extra_headers={"X-B": "secret-4"})
    config = {"callbacks": [tracer], "tags": ["a-tag"], "run_name": "a-name"}
    if method == "batch":
        world.batch(chain, [{"it": "x"}], config)
    else:
        getattr(world, "stream" if method == "stream" else "invoke")(chain, {"it": "x"}, config)
    root, *children = kept.runs.values()
    (run,) = [child for child in children if child["run_type"] == "llm"]
    assert (root["name"], root["tags"], run["parent_run_id"]) == ("a-name", ["a-tag"], root["id"])
    told = run["extra"]["metadata"]
    assert (told["ls_provider"], told["ls_temperature"]) == ("xdm", 0.5)
    assert told["lc_versions"]["xdm-integrations"]
    assert told["usage_metadata"] == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    assert run["outputs"]["generations"][0][0]["text"] == "hi"
    assert run["error"] is None
    assert "secret-" not in repr(kept.runs)


def test_several_answers_are_counted_once(world, server):
    handler = UsageMetadataCallbackHandler()
    choices = [{"index": i, "message": {"content": "hi"}, "finish_reason": "stop"} for i in (0, 1)]
    server.script = [http({**answer(), "choices": choices})]
    world.invoke(world.chat(server, n=2), "x", {"callbacks": [handler]})
    assert handler.usage_metadata["served-model"]["total_tokens"] == 10


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("usage", [USAGE, None])
def test_the_output_of_generate_has_the_counts_of_all_answers(world, server, count, usage):
    server.script = [http(answer("hi", usage=usage))]
    result = world.call(world.chat(server), "generate", [[HumanMessage("x")]] * count)
    total = {name: value * count for name, value in (usage or {}).items()}
    expected = {"model_name": "served-model", **({"token_usage": total} if usage else {})}
    assert result.llm_output == (expected if count else {})


def test_chains_read_templates_and_write_texts(world, server):
    server.script = talking("hi")
    chain = (
        ChatPromptTemplate.from_messages([("system", "s"), ("human", "{it}")]) | world.chat(server) | StrOutputParser()
    )
    assert world.invoke(chain, {"it": "x"}) == "hi"
    assert "".join(world.stream(chain, {"it": "x"})) == "hi"
    assert world.batch(chain, [{"it": "x"}] * 2) == ["hi"] * 2


def test_another_model_steps_in_where_one_is_not_available(world, server):
    def script(seen):
        if seen.method == "GET":
            return http("", 404)
        gone = {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}
        return http(gone, 404) if seen.json["model"] == "m" else talking("hi")(seen)

    server.script = script
    first, second = world.chat(server, max_retries=0), world.chat(server, model="other")
    chain = first.with_fallbacks([second], exceptions_to_handle=(ModelUnavailableError,))
    assert world.invoke(chain, "x").content == "hi"
    assert world.invoke(first.bind(model="other"), "x").content == "hi"


@pytest.mark.parametrize("what", ["tools", "an object"])
def test_tools_and_objects_are_asked_of_a_model_and_of_those_that_step_in(world, server, what):
    def script(seen):
        busy = http({"error": {"message": "busy"}}, 503)
        return busy if seen.json["model"] == "m" else http(answer('{"a": 1}'))

    server.script = script
    chain = world.chat(server, max_retries=0).with_fallbacks([world.chat(server, model="other")])
    schema = {"title": "One", "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    chain = chain.bind_tools([schema]) if what == "tools" else chain.with_structured_output(schema)
    got = world.invoke(chain, "x")
    assert (got.content if what == "tools" else got) == ('{"a": 1}' if what == "tools" else {"a": 1})
    field = "tools" if what == "tools" else "response_format"
    assert [(seen.json["model"], field in seen.json) for seen in server.requests] == [("m", True), ("other", True)]


def test_langchains_own_retries_work(world, server):
    busy = http({"error": {"message": "slow down"}}, 429)
    server.script = lambda seen: busy if len(server.requests) == 1 else talking("hi")(seen)
    chain = world.chat(server, max_retries=0).with_retry(
        retry_if_exception_type=(RateLimitError,), stop_after_attempt=2, wait_exponential_jitter=False
    )
    assert world.invoke(chain, "x").content == "hi"


def test_fields_and_models_are_configurable(world, server):
    server.script = talking("hi")
    chat = world.chat(server)
    chain = chat.configurable_fields(temperature=ConfigurableField(id="warmth"))
    world.invoke(chain, "x", {"configurable": {"warmth": 0.5}})
    assert server.requests[-1].json["temperature"] == 0.5
    other = world.chat(server, model="other")
    chain = chat.configurable_alternatives(ConfigurableField(id="which"), default_key="one", two=other)
    world.invoke(chain, "x", {"configurable": {"which": "two"}})
    assert server.requests[-1].json["model"] == "other"


def test_tags_and_names_reach_callbacks(world, server, recorder):
    server.script = talking("hi")
    chain = world.chat(server, tags=["of the model"]).with_config(tags=["t"], run_name="n", callbacks=[recorder])
    assert world.invoke(chain, "x").content == "hi"
    assert (recorder.run.name, sorted(recorder.run.tags)) == ("n", ["of the model", "t"])


def test_chat_and_completions_share_nothing_but_the_gateway():
    assert ChatXDM().model != XDMLLM().model
    assert ChatXDM()._llm_type != XDMLLM()._llm_type

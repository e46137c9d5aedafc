"""In chains and agents: what people build with LangChain, with the real packages."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_core.tools import tool

from tests.scripted import ScriptedServer, completion, echoing, http, tokens
from xdm_integrations import ConfigurationError, InsufficientQuotaError, ServerError
from xdm_integrations.langchain import XDMLLM

QUOTA = http(
    {"error": {"message": "insufficient user quota", "type": "new_api_error", "code": "insufficient_user_quota"}}, 403
)
DOWN = http({"error": {"message": "down", "type": "x"}}, 500)


def test_an_lcel_chain(world, engine):
    chain = (
        PromptTemplate.from_template("The capital of {country} is")
        | world.llm(engine, temperature=0)
        | StrOutputParser()
    )
    answer = world.invoke(chain, {"country": "France"})
    assert "Paris" in answer
    assert "".join(world.stream(chain, {"country": "France"})) == answer
    assert world.batch(chain, [{"country": "France"}] * 2) == [answer] * 2


def test_runnable_parallel(world, server):
    llm = world.llm(server)
    chain = RunnableParallel(a=llm, b=RunnablePassthrough() | llm.bind(n=2), c=RunnableLambda(len))
    assert world.invoke(chain, "xy") == {"a": "<xy>", "b": "<xy#0>", "c": 2}


@pytest.mark.parametrize("method", ["invoke", "stream", "batch"])
def test_fallback_on_a_used_up_budget(world, server, method):
    server.script = [QUOTA]
    with ScriptedServer(echoing) as other:
        first, second = world.llm(server), world.llm(other)
        llm = first.with_fallbacks([second], exceptions_to_handle=(InsufficientQuotaError,))
        answer = getattr(world, method)(llm, ["x"] if method == "batch" else "x")
        assert "".join(answer) == "<x>"
        server.script = [DOWN]
        with pytest.raises(ServerError):
            world.invoke(
                world.llm(server, max_retries=0).with_fallbacks(
                    [second], exceptions_to_handle=(InsufficientQuotaError,)
                ),
                "x",
            )
    assert len(server.requests) == 2


def test_with_retry(world, server):
    server.script = [DOWN, DOWN, http(completion("ok"))]
    llm = world.llm(server, max_retries=0).with_retry(
        retry_if_exception_type=(ServerError,), stop_after_attempt=3, wait_exponential_jitter=False
    )
    assert world.invoke(llm, "x") == "ok"
    assert len(server.requests) == 3


def test_configurable_fields(world, server):
    llm = world.llm(server, api_key="k", temperature=0.1).configurable_fields(
        temperature=ConfigurableField(id="heat"), model=ConfigurableField(id="which")
    )
    world.invoke(llm, "x")
    world.invoke(llm.with_config(configurable={"heat": 0.9, "which": "m2"}), "x")
    first, second = server.requests
    assert (first.json["temperature"], first.json["model"]) == (0.1, "gpt-3.5-turbo-instruct")
    assert (second.json["temperature"], second.json["model"]) == (0.9, "m2")
    assert second.headers["authorization"] == "Bearer k"
    assert second.json["max_tokens"] == 256


def test_configurable_alternatives(world, server):
    llm = world.llm(server).configurable_alternatives(ConfigurableField(id="llm"), other=world.llm(server, model="m2"))
    world.invoke(llm.with_config(configurable={"llm": "other"}), "x")
    assert server.requests[0].json["model"] == "m2"


def test_bind_and_with_config(world, server, recorder):
    llm = world.llm(server).bind(stop=["x"], seed=3).with_config(callbacks=[recorder], tags=["t"])
    world.invoke(llm, "a")
    assert (server.requests[0].json["stop"], server.requests[0].json["seed"]) == (["x"], 3)
    assert recorder.run.params["seed"] == 3


def test_batch_as_completed(world, server):
    assert sorted(world.items(world.llm(server), "batch_as_completed", ["a", "b", "c"])) == [
        (0, "<a>"),
        (1, "<b>"),
        (2, "<c>"),
    ]


def test_a_generator_of_pieces_flows_through_a_chain(server):
    async def main():
        async with XDMLLM(base_url=server.url) as llm:
            chain = llm | StrOutputParser()
            return [piece async for piece in chain.atransform(_one("hello"))]

    async def _one(text):
        yield text

    assert asyncio.run(main()) == ["<he", "llo>"]


MESSAGES = [SystemMessage("S"), HumanMessage("H"), AIMessage("A")]


@pytest.mark.parametrize(
    "given",
    [
        MESSAGES,
        [("system", "S"), ("human", "H"), ("ai", "A")],
        ChatPromptTemplate.from_messages([("system", "{s}"), ("human", "H"), ("ai", "A")]).invoke({"s": "S"}),
        [SystemMessage("S"), HumanMessage([{"type": "text", "text": "H"}]), AIMessage("A")],
    ],
)
def test_messages_are_prompts(world, server, given):
    llm = world.llm(server)
    world.invoke(llm, given)
    world.stream(llm, given)
    world.batch(llm, [given])
    for seen in server.requests:
        assert seen.json["prompt"] == "System: S\nHuman: H\nAI: A"


@pytest.mark.parametrize("kind", ["image_url", "image", "input_audio", "file"])
def test_what_isnt_text_is_a_clear_error_and_never_silence(world, server, kind):
    message = HumanMessage([{"type": "text", "text": "see"}, {"type": kind, kind: {"url": "https://a/b.png"}}])
    llm = world.llm(server)
    for ask in (
        lambda: world.invoke(llm, [message]),
        lambda: world.stream(llm, [message]),
        lambda: world.batch(llm, [[message]]),
        lambda: world.call(llm, "generate_prompt", [ChatPromptTemplate.from_messages([message]).invoke({})]),
    ):
        with pytest.raises(
            ConfigurationError, match=f"content block of type '{kind}'.*Text completions take only text"
        ):
            ask()
    assert not server.requests


def test_an_image_prompt_is_a_clear_error(world, server):
    from langchain_core.prompts.image import ImagePromptTemplate

    prompt = ImagePromptTemplate(template={"url": "https://a/b.png"}).invoke({})
    with pytest.raises(ConfigurationError, match="type 'image'"):
        world.invoke(world.llm(server), prompt)


@tool
def word_length(word: str) -> int:
    """Return the length of a word."""
    return len(word.strip())


REACT = """Answer with these tools:
{tools}

Question: the question
Thought: what to do
Action: one of [{tool_names}]
Action Input: its input
Observation: its result
Final Answer: the answer

Question: {input}
{agent_scratchpad}"""


@pytest.mark.parametrize("streams", [True, False])
def test_a_react_agent_runs_a_tool_and_stops_at_its_stop_sequence(world, server, streams):
    agents = pytest.importorskip("langchain_classic.agents")

    def script(seen):
        assert seen.json["stop"] == ["\nObservation"]
        text = " I count.\nAction: word_length\nAction Input: gateway"
        if "Observation: 7" in seen.json["prompt"]:
            text = " I know.\nFinal Answer: 7"
        return (
            tokens(*(text[i : i + 5] for i in range(0, len(text), 5)))
            if seen.json.get("stream")
            else http(completion(text))
        )

    server.script = script
    agent = agents.create_react_agent(world.llm(server), [word_length], PromptTemplate.from_template(REACT))
    executor = agents.AgentExecutor(
        agent=agent, tools=[word_length], return_intermediate_steps=True, stream_runnable=streams
    )
    outcome = world.invoke(executor, {"input": "How long is 'gateway'?"})
    assert outcome["output"] == "7"
    ((action, observation),) = outcome["intermediate_steps"]
    assert (action.tool, action.tool_input, observation) == ("word_length", "gateway", 7)
    assert len(server.requests) == 2
    assert all(bool(seen.json.get("stream")) is streams for seen in server.requests)

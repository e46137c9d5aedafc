"""LangChain programs on a real engine: chains, batches, streams, an agent, interruptions."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_core.tools import Tool
from local_engine import MODEL, running_engine

from tests.end_to_end.engine_state import ENDLESS, LONG, is_freed_by_cancelling, is_freed_early, tokens_of
from tests.ports import port_to_use_twice
from xdm_integrations import StreamInterruptedError
from xdm_integrations.langchain import XDMLLM

CAPITAL = PromptTemplate.from_template("The capital of {country} is")
ANSWERS = {"France": " Paris.", "Japan": " Tokyo.", "Italy": " Rome.", "Spain": " Madrid."}
INPUTS = [{"country": country} for country in ANSWERS]


@pytest.fixture
def llm(engine: Any) -> XDMLLM:
    return XDMLLM(base_url=engine.base_url, model=MODEL, temperature=0)


class Counts(BaseCallbackHandler):
    """What the ends of the runs report."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.results: list[Any] = []
        self.errors: list[BaseException] = []

    def on_llm_new_token(self, token: str, **_: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.results.append(response)

    def on_llm_error(self, error: BaseException, **_: Any) -> None:
        self.errors.append(error)


async def _collect(pieces: Any) -> list[str]:
    return [piece async for piece in pieces]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_chain_is_invoked_streamed_and_batched(llm: XDMLLM, is_async: bool) -> None:
    chain = CAPITAL | llm | StrOutputParser()
    if is_async:
        assert asyncio.run(chain.ainvoke(INPUTS[0])) == " Paris."
        assert "".join(asyncio.run(_collect(chain.astream(INPUTS[1])))) == " Tokyo."
        assert asyncio.run(chain.abatch(INPUTS)) == list(ANSWERS.values())
    else:
        assert chain.invoke(INPUTS[0]) == " Paris."
        assert "".join(chain.stream(INPUTS[1])) == " Tokyo."
        assert chain.batch(INPUTS) == list(ANSWERS.values())


@pytest.mark.parametrize("is_async", [False, True])
def test_tokens_are_counted_as_the_engine_counts_them(engine: Any, llm: XDMLLM, is_async: bool) -> None:
    counts = Counts()
    config: Any = {"callbacks": [counts]}
    if is_async:
        asyncio.run(llm.ainvoke("Say this is a test", config))
        asyncio.run(_collect(llm.astream("Say this is a test", config)))
    else:
        llm.invoke("Say this is a test", config)
        list(llm.stream("Say this is a test", config))
    usages = [result.llm_output["token_usage"] for result in counts.results]
    assert [usage["prompt_tokens"] for usage in usages] == [len(tokens_of(engine, "Say this is a test"))] * 2
    assert usages[0]["completion_tokens"] == usages[1]["completion_tokens"] > 5
    assert "".join(counts.tokens) == "\n\nThis is indeed a test"


def test_parameters_of_the_call_reach_the_engine(llm: XDMLLM) -> None:
    assert llm.invoke("Count to ten:", stop=[", 4"]) == " 1, 2, 3"
    assert llm.bind(stop=[", 3"]).invoke("Count to ten:") == " 1, 2"
    result = llm.generate(["Once upon a time"], n=3, temperature=1.7, seed=5, max_tokens=12)
    assert len({generation.text for generation in result.generations[0]}) > 1
    short = llm.generate(["Count to ten:"], max_tokens=4)
    assert short.generations[0][0].generation_info is not None
    assert short.generations[0][0].generation_info["finish_reason"] == "length"
    texts = {llm.invoke("Once upon a time", temperature=1.7, seed=8, max_tokens=12) for _ in range(2)}
    assert len(texts) == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_logprobs_agree_with_temperature_0(llm: XDMLLM, is_async: bool) -> None:
    """The likeliest token is the one that was taken, and the tokens spell the text; streamed too."""
    prompts, params = ["Say this is a test"], {"logprobs": 3}
    counts = Counts()
    config: Any = {"callbacks": [counts]}
    if is_async:
        result = asyncio.run(llm.agenerate(prompts, **params))
        asyncio.run(_collect(llm.astream(prompts[0], config, **params)))
    else:
        result = llm.generate(prompts, **params)
        list(llm.stream(prompts[0], config, **params))
    ((generation,),) = result.generations
    logprobs = (generation.generation_info or {})["logprobs"]
    assert "".join(logprobs["tokens"]) == generation.text
    assert len(logprobs["tokens"]) == (result.llm_output or {})["token_usage"]["completion_tokens"]
    rows = zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True)
    for token, own, top in rows:
        assert len(top) == 3
        assert top[token] == own == max(top.values())
        assert sum(map(math.exp, top.values())) <= 1 + 1e-6
    ((streamed,),) = counts.results[0].generations
    assert streamed.generation_info["logprobs"]["tokens"] == logprobs["tokens"]
    values = streamed.generation_info["logprobs"]["token_logprobs"]
    assert values == pytest.approx(logprobs["token_logprobs"], abs=1e-4)


def test_json_comes_out_of_a_parser(llm: XDMLLM) -> None:
    chain = (
        PromptTemplate.from_template("Write the JSON for a city called {city} in {country}:") | llm | JsonOutputParser()
    )
    assert chain.invoke({"city": "Paris", "country": "France"}) == {"city": "Paris", "country": "France"}


REACT = PromptTemplate.from_template("{tools}\n{tool_names}\nQuestion: {input}\n{agent_scratchpad}")
STEP = 'root ::= "Thought: I must look it up.\\nAction: capital\\nAction Input: " ("France" | "Japan")'


@pytest.mark.parametrize("is_async", [False, True])
def test_an_agent_acts_on_what_the_engine_says(engine: Any, is_async: bool) -> None:
    """The model is too small to know the ReAct form, so that the engine's grammar holds it to it."""
    asked: list[str] = []

    def look_up(country: str) -> str:
        asked.append(country)
        return ANSWERS[country]

    tool = Tool("capital", look_up, "Knows capitals.", return_direct=True)
    llm = XDMLLM(base_url=engine.base_url, model=MODEL, temperature=0, extra_body={"grammar": STEP})
    executor = AgentExecutor(agent=create_react_agent(llm, [tool], REACT), tools=[tool], max_iterations=2)
    question = {"input": "What is the capital?"}
    answer = asyncio.run(executor.ainvoke(question)) if is_async else executor.invoke(question)
    assert answer["output"] == ANSWERS[asked[0]]
    assert len(asked) == 1


def test_leaving_a_stream_frees_the_slot() -> None:
    with running_engine(slots=1) as engine:
        llm = XDMLLM(base_url=engine.base_url, model=MODEL)
        for _ in llm.stream(LONG, **ENDLESS):
            break
        assert is_freed_early(engine)
        assert llm.invoke("Say this is a test", temperature=0) == "\n\nThis is indeed a test"


@pytest.mark.parametrize("heard", [False, True])
def test_cancelling_a_task_frees_the_slot(heard: bool) -> None:
    """Whether or not a callback listens: streams that nobody is told of take a way of their own."""
    counts = Counts()
    config: Any = {"callbacks": [counts] if heard else []}
    with running_engine(slots=1) as engine:
        llm = XDMLLM(base_url=engine.base_url, model=MODEL)

        async def main() -> str:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in llm.astream(LONG, config, **ENDLESS):
                    begun.set()

            assert await is_freed_by_cancelling(read, begun, engine)
            return await llm.ainvoke("Say this is a test", temperature=0)

        assert asyncio.run(main()) == "\n\nThis is indeed a test"
    assert [type(error) for error in counts.errors] == [asyncio.CancelledError] * heard


@pytest.mark.parametrize("is_async", [False, True])
def test_a_killed_engine_is_an_interruption_and_the_llm_goes_on_with_the_next(is_async: bool) -> None:
    counts = Counts()
    config: Any = {"callbacks": [counts]}
    texts: list[str] = []
    with running_engine(slots=1, port=port_to_use_twice()) as first:
        llm = XDMLLM(base_url=first.base_url, model=MODEL, max_retries=0)

        def heard(text: str) -> None:
            texts.append(text)
            if len(texts) == 10:
                first.kill()

        def hear_all() -> None:
            for text in llm.stream(LONG, config, **ENDLESS):
                heard(text)

        async def ahear_all() -> None:
            async for text in llm.astream(LONG, config, **ENDLESS):
                heard(text)

        with pytest.raises(StreamInterruptedError) as caught:
            asyncio.run(ahear_all()) if is_async else hear_all()
        assert caught.value.text == "".join(texts)
        assert counts.errors == [caught.value]
    with running_engine(slots=1, port=first.port):
        answer = (
            asyncio.run(llm.ainvoke("Say this is a test", temperature=0))
            if is_async
            else (llm.invoke("Say this is a test", temperature=0))
        )
        assert answer == "\n\nThis is indeed a test"

"""What users of `XDMLLM` write, and what they must not write. Checked by mypy and pyright; never run."""

# ruff: noqa: B018, TC002  (written as users write)
from __future__ import annotations

from typing import Any
from uuid import uuid4

from langchain_core.language_models import BaseLanguageModel, BaseLLM
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import LLMResult
from langchain_core.prompt_values import StringPromptValue
from langchain_core.prompts import PromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import Runnable
from pydantic import SecretStr
from typing_extensions import assert_type

from xdm_integrations import Timeout
from xdm_integrations.langchain import XDMLLM


def made() -> XDMLLM:
    XDMLLM()
    XDMLLM(
        api_key=SecretStr("key"),
        base_url="http://127.0.0.1:8080/v1",
        timeout=Timeout(total=60),
        max_retries=0,
        rate_limiter=InMemoryRateLimiter(requests_per_second=1),
        model="m",
        temperature=0,
        max_tokens=None,
        stop=["a"],
        logit_bias={50256: -100},
        batch_size=5,
    )
    XDMLLM(api_key=lambda: "key")
    return XDMLLM(timeout=(1, None))


def called(llm: XDMLLM) -> None:
    assert_type(llm.invoke("a"), str)
    assert_type(llm.invoke("a", temperature=0, stop=["b"]), str)
    assert_type(llm.batch(["a", "b"]), list[str])
    assert_type(llm.generate(["a"]), LLMResult)
    for text in llm.stream("a"):
        assert_type(text, str)
    chain = PromptTemplate.from_template("{a}") | llm | StrOutputParser()
    assert_type(chain.invoke({"a": "b"}), str)
    base: BaseLLM = llm
    base.invoke("a")
    given(llm, llm, llm)


def given(base: BaseLLM, model: BaseLanguageModel[str], runnable: Runnable[LanguageModelInput, str]) -> None:
    """Whatever takes an LLM takes this one, and calls it as LangChain's own signatures allow."""
    assert_type(base.invoke("a", anything="goes"), str)
    assert_type(model.invoke("a"), str)
    assert_type(runnable.with_retry().with_config(tags=["t"]).invoke("a"), str)
    assert_type(runnable.with_fallbacks([base]).batch(["a"]), list[str])


def every_parameter(llm: XDMLLM, config: dict[str, Any]) -> None:
    llm.invoke(
        "a",
        {"tags": ["t"]},
        best_of=2,
        echo=True,
        extra_body={"top_k": 1},
        extra_headers={"X-A": "b"},
        frequency_penalty=0.5,
        logit_bias={"50256": -100},
        logprobs=5,
        max_tokens=None,
        model="m",
        n=1,
        presence_penalty=1,
        seed=2,
        stop="x",
        suffix="y",
        temperature=1.5,
        timeout=Timeout(total=5),
        top_p=0,
        user="u",
    )
    llm.stream("a", stop=("x",), seed=1, timeout=(1, None))
    llm.batch(["a"], return_exceptions=True, stop=["x"], n=2)
    llm.generate(["a"], "x", tags=["t"], metadata={"a": 1}, run_name="r", run_id=uuid4(), temperature=0)
    llm.generate([[1, 2]], tags=[["t"]], logit_bias={50256: -100})
    llm.generate_prompt([StringPromptValue(text="a")], metadata={"a": 1}, max_tokens=5)
    llm.with_structured_output(dict, include_raw=True, method="json_schema", stop=["x"], max_tokens=5)
    llm.invoke("a", **config)


class Louder(XDMLLM):
    """A subclass may take more, as the base class does."""

    def invoke(self, *args: Any, **kwargs: Any) -> str:
        return super().invoke(*args, **kwargs).upper()


async def awaited(llm: XDMLLM) -> None:
    assert_type(await llm.ainvoke("a"), str)
    assert_type(await llm.abatch(["a"]), list[str])
    async for text in llm.astream("a", stop="x", top_p=0.5):
        assert_type(text, str)
    assert_type(await llm.ainvoke("a", max_tokens=5), str)
    assert_type(await llm.abatch(["a"], stop=["x"], seed=1), list[str])
    assert_type(await llm.agenerate(["a"], run_name="r", seed=1), LLMResult)


async def awaited_mistakes(llm: XDMLLM) -> None:
    await llm.ainvoke("a", temprature=0)  # type: ignore[call-arg] # misspelt
    llm.astream("a", max_token=5)  # type: ignore[call-arg] # misspelt
    llm.astream("a", seed="1")  # type: ignore[arg-type] # a string
    await llm.abatch(["a"], top_k=5)  # type: ignore[call-arg] # server-specific, for `extra_body`
    await llm.abatch(["a"], stop=[1])  # type: ignore[list-item] # not texts
    await llm.agenerate(["a"], temprature=0)  # type: ignore[call-arg] # misspelt


def mistakes(llm: XDMLLM) -> None:
    llm.invoke("a", temprature=0)  # type: ignore[call-arg] # misspelt
    llm.invoke("a", temperature="0")  # type: ignore[arg-type] # a string
    llm.invoke("a", stream=True)  # type: ignore[call-arg] # the method called decides
    llm.invoke("a", stop=[1])  # type: ignore[list-item] # not texts
    llm.stream("a", max_token=5)  # type: ignore[call-arg] # misspelt
    llm.stream("a", logit_bias=[1])  # type: ignore[arg-type] # not a mapping
    llm.batch(["a"], batch_size=5)  # type: ignore[call-arg] # a field, not an argument of a call
    llm.batch(["a"], max_tokens=1.5)  # type: ignore[arg-type] # not an integer
    llm.generate(["a"], temprature=0)  # type: ignore[call-arg] # misspelt
    llm.generate(["a"], run_id="r")  # type: ignore[arg-type] # not a UUID
    llm.generate_prompt([], temprature=0)  # type: ignore[call-arg] # misspelt
    llm.with_structured_output(dict, include_row=True)  # type: ignore[call-arg] # misspelt
    XDMLLM(temperature="hot")  # type: ignore[arg-type] # a string
    XDMLLM(max_tokens="many")  # type: ignore[arg-type] # a string
    XDMLLM(stop=[1])  # type: ignore[list-item] # not texts
    llm.invoke(1)  # type: ignore[arg-type] # no form of an input
    llm.batch("a")  # type: ignore[arg-type] # one text where several belong
    llm.invoke("a").content  # type: ignore[attr-defined] # an LLM answers with text, not a message

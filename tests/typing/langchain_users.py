"""What users of `XDMLLM` write, and what they must not write. Checked by mypy and pyright; never run."""

# ruff: noqa: B018, TC002  (written as users write)
from __future__ import annotations

from langchain_core.language_models import BaseLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import LLMResult
from langchain_core.prompts import PromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
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


async def awaited(llm: XDMLLM) -> None:
    assert_type(await llm.ainvoke("a"), str)
    assert_type(await llm.abatch(["a"]), list[str])
    async for text in llm.astream("a"):
        assert_type(text, str)


def mistakes(llm: XDMLLM) -> None:
    XDMLLM(temperature="hot")  # type: ignore[arg-type] # a string
    XDMLLM(max_tokens="many")  # type: ignore[arg-type] # a string
    XDMLLM(stop=[1])  # type: ignore[list-item] # not texts
    llm.invoke(1)  # type: ignore[arg-type] # no form of an input
    llm.batch("a")  # type: ignore[arg-type] # one text where several belong
    llm.invoke("a").content  # type: ignore[attr-defined] # an LLM answers with text, not a message

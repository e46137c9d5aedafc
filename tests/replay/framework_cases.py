"""What is recorded of the two adapters: each of their ways to ask, each with parameters, and each error.

A case is a pair of functions, one for each world, that return texts: the same texts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.replay.cases import BATCH, FRANCE, JAPAN, TEST
from xdm_integrations import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContextLengthExceededError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PARAMETERS: dict[str, Any] = {
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0.25,
    "logit_bias": {"13": 1},
    "logprobs": 2,
    "max_tokens": 40,
    "n": 1,
    "presence_penalty": 0.25,
    "seed": 5,
    "stop": ["\n\n\n"],
    "suffix": ".",
    "temperature": 0.5,
    "top_p": 0.9,
    "user": "user-1234",
}
"""Every parameter but model, prompt and stream."""

TOO_LONG = "one, two, three, " * 1200


@dataclass(frozen=True)
class Way:
    """One way to ask.

    Attributes:
        call: Asks, blocking.
        acall: Asks, awaited.
        settings: More settings of the LLM.
        raises: The error that the local engine gives instead of an answer.
        key: Which key is sent.
        path: The path of the base URL.
        parameters: The parameters that every request must hold.
        objects: The texts are JSON, of which only the value counts.
    """

    call: Callable[[Any], list[str]]
    acall: Callable[[Any], Awaitable[list[str]]]
    settings: dict[str, Any] = field(default_factory=dict)
    raises: type[APIStatusError] | None = None
    key: str = "right"
    path: str = "/v1"
    parameters: dict[str, Any] = field(default_factory=dict)
    objects: bool = False


def _failing(name: str, call: Any, acall: Any) -> dict[str, Way]:
    """Return the errors that a healthy server gives, for one way to ask."""

    def way(prompt: str, raises: type[APIStatusError], params: dict[str, Any], **more: Any) -> Way:
        return Way(lambda llm: call(llm, prompt, params), lambda llm: acall(llm, prompt, params), raises=raises, **more)

    return {
        f"{name}_bad_request": way(TEST, BadRequestError, {"n": 100}),
        f"{name}_context_overflow": way(TOO_LONG, ContextLengthExceededError, {}),
        f"{name}_wrong_key": way(TEST, AuthenticationError, {}, key="wrong"),
        f"{name}_not_found": way(TEST, NotFoundError, {}, path="/v1/nowhere"),
    }


# LangChain


def _generated(result: Any) -> list[str]:
    return [generation.text for generations in result.generations for generation in generations]


async def _ainvoke(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return [await llm.ainvoke(prompt, **params)]


async def _astream(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return ["".join([text async for text in llm.astream(prompt, **params)])]


async def _agenerate(llm: Any, prompts: list[str], params: dict[str, Any]) -> list[str]:
    return _generated(await llm.agenerate(prompts, **params))


def _invoke(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return [llm.invoke(prompt, **params)]


def _stream(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return ["".join(llm.stream(prompt, **params))]


def _invoking(params: dict[str, Any], **more: Any) -> Way:
    return Way(lambda llm: _invoke(llm, TEST, params), lambda llm: _ainvoke(llm, TEST, params), **more)


def _streaming(params: dict[str, Any], **more: Any) -> Way:
    return Way(lambda llm: _stream(llm, TEST, params), lambda llm: _astream(llm, TEST, params), **more)


def _generating(prompts: list[str], params: dict[str, Any], **more: Any) -> Way:
    return Way(
        lambda llm: _generated(llm.generate(prompts, **params)), lambda llm: _agenerate(llm, prompts, params), **more
    )


CITY = {
    "title": "City",
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "Tokyo"]},
        "country": {"type": "string", "maxLength": 9},
    },
    "required": ["city", "country"],
}


def _as_city(llm: Any) -> Any:
    return llm.with_structured_output(CITY, method="json_schema", schema_parameter="json_schema")


async def _acity(llm: Any) -> list[str]:
    return [json.dumps(await _as_city(llm).ainvoke("Name a city."))]


LANGCHAIN = {
    "structured": Way(
        lambda llm: [json.dumps(_as_city(llm).invoke("Name a city."))],
        _acity,
        parameters={"json_schema": CITY},
        objects=True,
    ),
    "invoke": _invoking({}),
    "invoke_stop": _invoking({"stop": ["ind"]}, parameters={"stop": ["ind"]}),
    "invoke_every_parameter_as_argument": _invoking(PARAMETERS, parameters=PARAMETERS),
    "invoke_every_parameter_as_field": _invoking({}, settings=PARAMETERS, parameters=PARAMETERS),
    "invoke_extra_body": _invoking({"extra_body": {"top_k": 1}}, parameters={"top_k": 1}),
    "invoke_model_kwargs": _invoking({}, settings={"model_kwargs": {"top_k": 1}}, parameters={"top_k": 1}),
    "invoke_streaming": _invoking({}, settings={"streaming": True}, parameters={"stream": True}),
    "stream": _streaming({}, parameters={"stream": True}),
    "stream_every_parameter": _streaming(PARAMETERS, parameters={**PARAMETERS, "stream": True}),
    "stream_logprobs": _streaming({"logprobs": 2}, parameters={"logprobs": 2, "stream": True}),
    "generate": _generating([FRANCE, JAPAN], {}),
    "generate_n": _generating([FRANCE, JAPAN], {"n": 2}, parameters={"n": 2}),
    "generate_best_of": _generating([FRANCE], {"best_of": 2}, parameters={"best_of": 2}),
    "generate_logprobs": _generating([TEST], {"logprobs": 2}, parameters={"logprobs": 2}),
    "generate_echo": _generating([FRANCE], {"echo": True}, parameters={"echo": True}),
    "batch": Way(lambda llm: llm.batch(BATCH[::2]), lambda llm: llm.abatch(BATCH[::2])),
    **_failing("invoke", _invoke, _ainvoke),
    **_failing("stream", _stream, _astream),
}
"""By the name of the cassette, in `cassettes/langchain/`."""


# LlamaIndex


def _chat(text: str) -> Any:
    from llama_index.core.base.llms.types import ChatMessage

    return [ChatMessage(role="system", content="You are a helpful assistant."), ChatMessage(role="user", content=text)]


def _complete(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return [llm.complete(prompt, **params).text]


async def _acomplete(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return [(await llm.acomplete(prompt, **params)).text]


def _stream_complete(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    pieces = list(llm.stream_complete(prompt, **params))
    assert pieces[-1].text == "".join(piece.delta for piece in pieces)
    return [pieces[-1].text]


async def _astream_complete(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    pieces = [piece async for piece in await llm.astream_complete(prompt, **params)]
    assert pieces[-1].text == "".join(piece.delta for piece in pieces)
    return [pieces[-1].text]


def _ask(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return [llm.chat(_chat(prompt), **params).message.content]


async def _aask(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return [(await llm.achat(_chat(prompt), **params)).message.content]


def _stream_ask(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return ["".join(piece.delta for piece in llm.stream_chat(_chat(prompt), **params))]


async def _astream_ask(llm: Any, prompt: str, params: dict[str, Any]) -> list[str]:
    return ["".join([piece.delta async for piece in await llm.astream_chat(_chat(prompt), **params)])]


def _both(call: Any, acall: Any, params: dict[str, Any], **more: Any) -> Way:
    return Way(lambda llm: call(llm, TEST, params), lambda llm: acall(llm, TEST, params), **more)


async def _abatch(llm: Any) -> list[str]:
    return [response.text for response in await llm.acomplete_batch([FRANCE, JAPAN])]


async def _afill(llm: Any) -> list[str]:
    return [(await llm.afill_in_middle(FRANCE, " It is a city.")).text]


LLAMA_INDEX = {
    "complete_batch": Way(lambda llm: [response.text for response in llm.complete_batch([FRANCE, JAPAN])], _abatch),
    "fill_in_middle": Way(
        lambda llm: [llm.fill_in_middle(FRANCE, " It is a city.").text], _afill, parameters={"suffix": " It is a city."}
    ),
    "complete": _both(_complete, _acomplete, {}),
    "complete_stop": _both(_complete, _acomplete, {"stop": ["ind"]}, parameters={"stop": ["ind"]}),
    "complete_n": _both(_complete, _acomplete, {"n": 2}, parameters={"n": 2}),
    "complete_logprobs": _both(_complete, _acomplete, {"logprobs": 2}, parameters={"logprobs": 2}),
    "complete_every_parameter_as_argument": _both(_complete, _acomplete, PARAMETERS, parameters=PARAMETERS),
    "complete_every_parameter_as_field": _both(_complete, _acomplete, {}, settings=PARAMETERS, parameters=PARAMETERS),
    "complete_additional_kwargs": _both(
        _complete,
        _acomplete,
        {},
        settings={"additional_kwargs": {"top_k": 1, "seed": 3}},
        parameters={"top_k": 1, "seed": 3},
    ),
    "stream_complete": _both(_stream_complete, _astream_complete, {}, parameters={"stream": True}),
    "stream_complete_every_parameter": _both(
        _stream_complete, _astream_complete, PARAMETERS, parameters={**PARAMETERS, "stream": True}
    ),
    "chat": _both(_ask, _aask, {}),
    "chat_stop": _both(_ask, _aask, {"stop": ["a"]}, parameters={"stop": ["a"]}),
    "stream_chat": _both(_stream_ask, _astream_ask, {}, parameters={"stream": True}),
    **_failing("complete", _complete, _acomplete),
    **_failing("stream_complete", _stream_complete, _astream_complete),
    **_failing("chat", _ask, _aask),
    **_failing("stream_chat", _stream_ask, _astream_ask),
}
"""By the name of the cassette, in `cassettes/llama_index/`."""


def framework_cassettes() -> set[str]:
    """Return the names of the cassettes that `test_frameworks` plays."""
    return {f"langchain/{name}" for name in {*LANGCHAIN, "batch_apart"}} | {
        f"llama_index/{name}" for name in LLAMA_INDEX
    }

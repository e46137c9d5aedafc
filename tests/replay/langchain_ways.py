"""What is recorded of LangChain. A case is a pair of functions, one for each world, that hear the same."""

from __future__ import annotations

import json
from functools import reduce
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler

from tests.replay.cases import BATCH, FRANCE, JAPAN, TEST
from tests.replay.ways import PARAMETERS, Heard, Way, failing, positions

if TYPE_CHECKING:
    from tests.replay.recorded import ToldChoice


class Listener(BaseCallbackHandler):
    """What LangChain tells a callback of the runs it listens to."""

    run_inline = True  # or the threads of an executor decide who is heard first

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self.results: list[Any] = []

    def on_llm_new_token(self, token: str, *, chunk: Any = None, **_: Any) -> None:
        assert chunk.text == token
        self.pieces.append(chunk)

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.results.append(response)

    @property
    def config(self) -> dict[str, Any]:
        return {"callbacks": [self]}

    def heard(self, texts: list[str]) -> Heard:
        """Return what was heard; the pieces of a stream must add up to what the end of its run says."""
        generations = [generation for result in self.results for each in result.generations for generation in each]
        heard = _heard(texts, generations, [result.llm_output for result in self.results])
        if self.pieces:
            whole = reduce(lambda left, right: left + right, self.pieces)
            shown = whole.generation_info["usage_metadata"]
            assert whole.text == generations[0].text
            assert _choices([whole]) == heard.choices
            assert tuple(shown[f"{what}_tokens"] for what in ("input", "output", "total")) == heard.counts
        return heard


def _heard(texts: list[str], generations: list[Any], outputs: list[dict[str, Any]]) -> Heard:
    usages = [output["token_usage"] for output in outputs if output.get("token_usage")]
    prompts, answers, both = (sum(u[f"{what}_tokens"] for u in usages) for what in ("prompt", "completion", "total"))
    (model,) = {output["model_name"] for output in outputs}
    return Heard(texts, _choices(generations), (prompts, answers, both), model)


def _choices(generations: list[Any]) -> list[ToldChoice]:
    choices: list[ToldChoice] = []
    for generation in generations:
        info = generation.generation_info
        own = (generation.text, info["finish_reason"], positions(info.get("logprobs")))
        streamed = [(one["text"], one["finish_reason"], positions(one["logprobs"])) for one in info.get("choices", [])]
        assert own == (streamed or [own])[0]
        choices += streamed or [own]
    return choices


def _invoke(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    listener = Listener()
    return listener.heard([llm.invoke(prompt, listener.config, **params)])


async def _ainvoke(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    listener = Listener()
    return listener.heard([await llm.ainvoke(prompt, listener.config, **params)])


def _stream(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    listener = Listener()
    return listener.heard(["".join(llm.stream(prompt, listener.config, **params))])


async def _astream(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    listener = Listener()
    return listener.heard(["".join([text async for text in llm.astream(prompt, listener.config, **params)])])


def _batch(llm: Any) -> Heard:
    listener = Listener()
    return listener.heard(llm.batch(BATCH[::2], listener.config))


async def _abatch(llm: Any) -> Heard:
    listener = Listener()
    return listener.heard(await llm.abatch(BATCH[::2], listener.config))


def _generated(result: Any) -> Heard:
    generations = [generation for each in result.generations for generation in each]
    return _heard([generation.text for generation in generations], generations, [result.llm_output])


async def _agenerate(llm: Any, prompts: list[str], params: dict[str, Any]) -> Heard:
    return _generated(await llm.agenerate(prompts, **params))


def _invoking(params: dict[str, Any], **more: Any) -> Way:
    return Way(lambda llm: _invoke(llm, TEST, params), lambda llm: _ainvoke(llm, TEST, params), **more)


def _streaming(params: dict[str, Any], prompt: str = TEST, **more: Any) -> Way:
    sent = {"parameters": {**params, "stream": True}, **more}
    return Way(lambda llm: _stream(llm, prompt, params), lambda llm: _astream(llm, prompt, params), **sent)


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


def _city(llm: Any) -> Heard:
    listener = Listener()
    return listener.heard([json.dumps(_as_city(llm).invoke("Name a city.", listener.config))])


async def _acity(llm: Any) -> Heard:
    listener = Listener()
    return listener.heard([json.dumps(await _as_city(llm).ainvoke("Name a city.", listener.config))])


LANGCHAIN = {
    "structured": Way(_city, _acity, parameters={"json_schema": CITY}, reads=lambda text: json.dumps(json.loads(text))),
    "invoke": _invoking({}),
    "invoke_stop": _invoking({"stop": ["ind"]}, parameters={"stop": ["ind"]}),
    "invoke_model": _invoking({"model": "another-name"}, parameters={"model": "another-name"}),
    "invoke_every_parameter_as_argument": _invoking(PARAMETERS, parameters=PARAMETERS),
    "invoke_every_parameter_as_field": _invoking({}, settings=PARAMETERS, parameters=PARAMETERS),
    "invoke_extra_body": _invoking({"extra_body": {"top_k": 1}}, parameters={"top_k": 1}),
    "invoke_model_kwargs": _invoking({}, settings={"model_kwargs": {"top_k": 1}}, parameters={"top_k": 1}),
    "invoke_streaming": _invoking({}, settings={"streaming": True}, parameters={"stream": True}),
    "stream": _streaming({}),
    "stream_every_parameter": _streaming(PARAMETERS),
    "stream_logprobs": _streaming({"logprobs": 2}),
    "stream_n": _streaming({"n": 2, "temperature": 1.0, "seed": 7, "logprobs": 1, "max_tokens": 5}),
    "stream_stop": _streaming({"stop": [", 4", "nine"]}, "Count to ten:"),
    "stream_model": _streaming({"model": "another-name"}),
    "generate": _generating([FRANCE, JAPAN], {}),
    "generate_n": _generating([FRANCE, JAPAN], {"n": 2}, parameters={"n": 2}),
    "generate_best_of": _generating([FRANCE], {"best_of": 2}, parameters={"best_of": 2}),
    "generate_logprobs": _generating([TEST], {"logprobs": 2}, parameters={"logprobs": 2}),
    "batch": Way(_batch, _abatch),
    **failing("invoke", _invoke, _ainvoke),
    **failing("stream", _stream, _astream),
}
"""By the name of the cassette, in `cassettes/langchain/`."""

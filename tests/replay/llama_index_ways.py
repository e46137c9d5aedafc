"""What is recorded of LlamaIndex. A case is a pair of functions, one for each world, that hear the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import pytest
from llama_index.core.agent.react import ReActChatFormatter
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from tests.replay.cases import FRANCE, JAPAN, TEST
from tests.replay.ways import PARAMETERS, Heard, Way, failing, positions

if TYPE_CHECKING:
    from tests.replay.recorded import ToldChoice


class Listener(BaseCallbackHandler):
    """What LlamaIndex tells a callback of the calls of an LLM, from now on."""

    def __init__(self, llm: Any) -> None:
        super().__init__([], [])
        self.answers: list[Any] = []
        llm.callback_manager = CallbackManager([self])

    def on_event_start(self, *_: Any, **__: Any) -> str:
        return ""

    def on_event_end(self, event_type: Any, payload: dict[str, Any] | None = None, *_: Any, **__: Any) -> None:
        if event_type == CBEventType.LLM and payload:
            answers = (payload.get(EventPayload.COMPLETION), payload.get(EventPayload.RESPONSE))
            self.answers += [answer for answer in answers if answer is not None]

    def start_trace(self, trace_id: str | None = None) -> None:
        pass

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        pass

    def heard(self, texts: list[str], responses: list[Any] | None = None) -> Heard:
        """Return what was heard: of responses, or of a call that doesn't return any."""
        (answer,) = self.answers
        choices = [choice for response in responses or [answer] for choice in _choices(response)]
        (model,) = {response.raw["model"] for response in responses or [answer]}
        return Heard(texts, choices, _counts(answer), model)


def _choices(response: Any) -> list[ToldChoice]:
    choices = [(one["text"], one["finish_reason"], positions(one["logprobs"])) for one in response.raw["choices"]]
    mine = [
        (first.token, first.logprob, {other.token: other.logprob for other in others})
        for first, *others in response.logprobs or []
    ]
    assert mine == (choices[0][2] or [])
    return choices


def _counts(response: Any) -> tuple[int, int, int]:
    usage = response.raw["usage"]
    assert response.additional_kwargs.items() >= usage.items()  # beside what the server added
    return usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]


def _said(response: Any, text: str) -> Heard:
    """Return what a single answer says."""
    return Heard([text], _choices(response), _counts(response), response.raw["model"])


def _streamed(pieces: list[Any], text: Any) -> Heard:
    """Return what a stream says; its last item must be what its items add up to."""
    last = pieces[-1]
    assert text(last) == "".join(piece.delta for piece in pieces)
    logprobs = [position for piece in pieces[:-1] for position in piece.logprobs or []]
    assert logprobs == (last.logprobs or [])[: len(logprobs)]
    assert len(logprobs) >= len(last.logprobs or []) - 1
    return _said(last, text(last))


def _text(response: Any) -> str:
    return str(response.text)


def _content(response: Any) -> str:
    return str(response.message.content)


def _chat(text: str) -> Any:
    return [ChatMessage(role="system", content="You are a helpful assistant."), ChatMessage(role="user", content=text)]


def _complete(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    response = llm.complete(prompt, **params)
    return _said(response, response.text)


async def _acomplete(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    response = await llm.acomplete(prompt, **params)
    return _said(response, response.text)


def _stream_complete(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    return _streamed(list(llm.stream_complete(prompt, **params)), _text)


async def _astream_complete(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    return _streamed([piece async for piece in await llm.astream_complete(prompt, **params)], _text)


def _ask(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    response = llm.chat(_chat(prompt), **params)
    return _said(response, response.message.content)


async def _aask(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    response = await llm.achat(_chat(prompt), **params)
    return _said(response, response.message.content)


def _stream_ask(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    return _streamed(list(llm.stream_chat(_chat(prompt), **params)), _content)


async def _astream_ask(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    return _streamed([piece async for piece in await llm.astream_chat(_chat(prompt), **params)], _content)


def _fill(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    response = llm.fill_in_middle(prompt, **params)
    return _said(response, response.text)


async def _afill(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    response = await llm.afill_in_middle(prompt, **params)
    return _said(response, response.text)


def _stream_fill(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    return _streamed(list(llm.stream_fill_in_middle(prompt, **params)), _text)


async def _astream_fill(llm: Any, prompt: str, params: dict[str, Any]) -> Heard:
    return _streamed([piece async for piece in await llm.astream_fill_in_middle(prompt, **params)], _text)


def _batch(llm: Any) -> Heard:
    listener = Listener(llm)
    responses = llm.complete_batch([FRANCE, JAPAN])
    return listener.heard([response.text for response in responses], responses)


async def _abatch(llm: Any) -> Heard:
    listener = Listener(llm)
    responses = await llm.acomplete_batch([FRANCE, JAPAN])
    return listener.heard([response.text for response in responses], responses)


class City(BaseModel):
    """A city and its country."""

    city: Literal["Paris", "Tokyo"]
    country: Literal["France", "Japan"]


CITY = {"grammar": r'root ::= "{\"city\": \"" ("Paris" | "Tokyo") "\", \"country\": \"" ("France" | "Japan") "\"}"'}
"""Of a schema the model makes hundreds of blank lines."""
NAME_A_CITY = PromptTemplate("Name a city.")


def _structured(llm: Any, _: str, params: dict[str, Any]) -> Heard:
    listener = Listener(llm)
    return listener.heard([llm.structured_predict(City, NAME_A_CITY, params).model_dump_json()])


async def _astructured(llm: Any, _: str, params: dict[str, Any]) -> Heard:
    listener = Listener(llm)
    return listener.heard([(await llm.astructured_predict(City, NAME_A_CITY, params)).model_dump_json()])


CAPITALS = {"France": "Paris", "Japan": "Tokyo"}
STEP = (
    r'root ::= "Thought: I must look it up.\nAction: capital\n'
    r'Action Input: {\"country\": \"" ("France" | "Japan") "\"}"'
)
"""The model is too small to know the ReAct form, so that the engine's grammar holds it to it."""


def _capital(country: str) -> str:
    """Know the capital of a country."""
    return CAPITALS[country]


def _with_tools(llm: Any) -> dict[str, Any]:
    # A header and a memory of its own: LlamaIndex's header changes with its versions, and its memory is a database.
    return {
        "tools": [FunctionTool.from_defaults(_capital, name="capital")],
        "user_msg": "What is the capital of France?",
        "react_chat_formatter": ReActChatFormatter.from_defaults(system_header="Use one of {tool_names}."),
        "memory": ChatMemoryBuffer.from_defaults(llm=llm),
    }


def _call(llm: Any) -> Heard:
    listener = Listener(llm)
    return listener.heard([llm.predict_and_call(**_with_tools(llm)).response])


async def _acall(llm: Any) -> Heard:
    listener = Listener(llm)
    return listener.heard([(await llm.apredict_and_call(**_with_tools(llm))).response])


def _both(call: Any, acall: Any, params: dict[str, Any], prompt: str = TEST, **more: Any) -> Way:
    sent = {"parameters": params, **more}
    return Way(lambda llm: call(llm, prompt, params), lambda llm: acall(llm, prompt, params), **sent)


def _streaming(params: dict[str, Any], prompt: str = TEST) -> Way:
    return _both(_stream_complete, _astream_complete, params, prompt, parameters={**params, "stream": True})


SUFFIX = {"suffix": " It is a city."}

LLAMA_INDEX = {
    "complete_batch": Way(_batch, _abatch),
    "fill_in_middle": _both(_fill, _afill, SUFFIX, FRANCE),
    "stream_fill_in_middle": _both(_stream_fill, _astream_fill, SUFFIX, FRANCE, parameters={**SUFFIX, "stream": True}),
    "complete": _both(_complete, _acomplete, {}),
    "complete_stop": _both(_complete, _acomplete, {"stop": ["ind"]}),
    "complete_n": _both(_complete, _acomplete, {"n": 2}),
    "complete_logprobs": _both(_complete, _acomplete, {"logprobs": 2}),
    "complete_model": _both(_complete, _acomplete, {"model": "another-name"}),
    "complete_every_parameter_as_argument": _both(_complete, _acomplete, PARAMETERS),
    "complete_every_parameter_as_field": _both(_complete, _acomplete, {}, settings=PARAMETERS, parameters=PARAMETERS),
    "complete_additional_kwargs": _both(
        _complete,
        _acomplete,
        {},
        settings={"additional_kwargs": {"top_k": 1, "seed": 3}},
        parameters={"top_k": 1, "seed": 3},
    ),
    "stream_complete": _streaming({}),
    "stream_complete_every_parameter": _streaming(PARAMETERS),
    "stream_complete_n": _streaming({"n": 2, "temperature": 1.0, "seed": 7, "logprobs": 1, "max_tokens": 5}),
    "stream_complete_logprobs": _streaming({"logprobs": 2}),
    "stream_complete_stop": _streaming({"stop": [", 4", "nine"]}, "Count to ten:"),
    "chat": _both(_ask, _aask, {}),
    "chat_stop": _both(_ask, _aask, {"stop": ["a"]}),
    "stream_chat": _both(_stream_ask, _astream_ask, {}, parameters={"stream": True}),
    "structured_predict": _both(
        _structured,
        _astructured,
        {"extra_body": CITY},
        parameters=CITY,
        reads=lambda text: City.model_validate_json(text).model_dump_json(),
    ),
    "structured_predict_without_json": _both(_structured, _astructured, {"max_tokens": 5}, raises=ValueError),
    "predict_and_call": Way(
        _call,
        _acall,
        settings={"additional_kwargs": {"grammar": STEP}},
        parameters={"grammar": STEP, "stream": True},
        reads=lambda text: CAPITALS[json.loads(text[text.index("{") :])["country"]],
        marks=(pytest.mark.filterwarnings("ignore::DeprecationWarning"),),  # the framework's own
    ),
    **failing("complete", _complete, _acomplete),
    **failing("stream_complete", _stream_complete, _astream_complete),
    **failing("chat", _ask, _aask),
    **failing("stream_chat", _stream_ask, _astream_ask),
}
"""By the name of the cassette, in `cassettes/llama_index/`."""

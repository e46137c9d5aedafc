"""The parameters of `POST /v1/chat/completions`, and their checks.

Sources: OpenAI's specification of the endpoint for types and ranges, and what One API, New API and
one-hub parse, since a wrong type fails there as a whole. Relays drop what they don't know in silence,
and channels what their provider has no word for (`n`, `seed`, `logprobs`, ...).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import CHECKS, OPTIONS, Parameter, check_each
from xdm_integrations.core.protocol.sampling import SAMPLING, SamplingParams


class TurnParams(SamplingParams, total=False):
    """What a call of `run_tools` may say; unset means the default. Each is described in `PARAMETERS`."""

    audio: Mapping[str, Any] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    metadata: Mapping[str, Any] | None
    modalities: Sequence[str] | None
    parallel_tool_calls: bool | None
    prediction: Mapping[str, Any] | None
    prompt_cache_key: str | None
    reasoning_effort: str | None
    service_tier: str | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: Mapping[str, Any] | None
    tool_choice: str | Mapping[str, Any] | None
    top_logprobs: int | None
    verbosity: str | None
    web_search_options: Mapping[str, Any] | None

    think_tags: bool | None
    """Instead of the client's: take a leading `<think>...</think>` of the answer as reasoning."""


class ChatParams(TurnParams, total=False):
    """What a call may say; unset means the default. Each is described in `PARAMETERS`."""

    n: int | None
    response_format: Any
    tools: Sequence[Mapping[str, Any]] | None


THINK_TAGS = "think_tags"
"""The option of this endpoint alone, beside `OPTIONS`."""
_OPTIONS = (*OPTIONS, THINK_TAGS)


PARAMETERS: dict[str, Parameter] = {
    **SAMPLING,
    "audio": Parameter(Mapping, doc="Voice and format of an audio answer; needs `modalities`."),
    "logprobs": Parameter(bool, doc="Return the log probabilities of the answer's tokens."),
    "max_completion_tokens": Parameter(
        int, 1, doc="At least 1: tokens generated per choice, reasoning included; newer models' name for `max_tokens`."
    ),
    "max_tokens": Parameter(int, 1, doc="At least 1: tokens generated per choice."),
    "metadata": Parameter(Mapping, doc="Labels that a provider stores with the answer."),
    "modalities": Parameter(tuple, doc='Kinds of answer that are wanted: ["text"], ["text", "audio"].'),
    "n": Parameter(int, 1, 128, "1 to 128: answers. Each is billed; many channels return one whatever is asked."),
    "parallel_tool_calls": Parameter(bool, doc="Whether the model may call several tools at once."),
    "prediction": Parameter(Mapping, doc="Text that much of the answer will repeat, for speed."),
    "prompt_cache_key": Parameter(str, doc="Groups requests with a common beginning, for the provider's cache."),
    "reasoning_effort": Parameter(
        str, doc='How long a reasoning model thinks: "low", "medium", "high", or a model\'s own.'
    ),
    "response_format": Parameter(Mapping, doc="The answer's form: a JSON schema, or `json_object`."),
    "service_tier": Parameter(str, doc="The provider's class of service."),
    "store": Parameter(bool, doc="Whether the provider keeps the answer."),
    "stream_options": Parameter(Mapping, doc="Options of a stream; the token counts are asked for anyway."),
    "tool_choice": Parameter(object, doc='"auto", "none", "required", or a named tool.'),
    "tools": Parameter(Sequence, doc="Functions that the model may call, with the JSON schemas of their arguments."),
    "top_logprobs": Parameter(int, 0, 20, "0 to 20: likeliest tokens at each position; needs `logprobs`."),
    "verbosity": Parameter(str, doc='How much the model writes: "low", "medium", "high".'),
    "web_search_options": Parameter(Mapping, doc="Options of a search that the model may make."),
}
"""All but `messages` and `stream`, which the method called decides."""


def check_parameters(given: Mapping[str, Any], *, streaming: bool = False) -> dict[str, Any]:
    """Return the fields of the body for the parameters that were given: see `check_each`; and as a whole."""
    body = check_each(given, PARAMETERS, _KINDS, _OPTIONS)
    _check_together(body, streaming=streaming)
    return body


def check_parameter(name: str, value: object) -> Any:  # noqa: ANN401 - of any parameter
    """Return what is sent for one parameter, looked at by itself; None if it says nothing. See `check_each`."""
    return check_each({name: value}, PARAMETERS, _KINDS, _OPTIONS).get(name)


def _check_together(body: Mapping[str, Any], *, streaming: bool) -> None:
    if "top_logprobs" in body and not body.get("logprobs"):
        raise ConfigurationError("top_logprobs: needs logprobs=True.")
    if {"max_tokens", "max_completion_tokens"} <= body.keys():
        raise ConfigurationError("max_completion_tokens: is the newer name of max_tokens; pass one of the two.")
    if "audio" in body and "audio" not in body.get("modalities", ()):
        raise ConfigurationError('audio: needs modalities=["text", "audio"].')
    if streaming and body.get("n", 1) > 1 and "tools" in body:
        raise ConfigurationError("n: with tools, a stream has one answer; pass n=1, or don't stream.")
    if body.get("response_format", {}).get("type", "object") == "object" and "response_format" in body:
        raise ConfigurationError(
            "response_format: a bare JSON schema is for `Client.chat` and `chat_structured`; here, pass "
            '{"type": "json_schema", "json_schema": {"name": ..., "schema": ...}}.'
        )
    _check_choice(body.get("tool_choice"), body.get("tools", ()))


def _check_choice(choice: object, tools: Sequence[Mapping[str, Any]]) -> None:
    if choice in (None, "none"):
        return
    if not tools:
        raise ConfigurationError("tool_choice: needs tools.")
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    names = [tool["function"]["name"] for tool in tools if tool["type"] == "function"]
    if name is not None and name not in names:
        raise ConfigurationError(f"tool_choice: there is no tool {name!r}; the tools are {', '.join(names)}.")


def _check_mapping(name: str, value: object, _: Parameter) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name}: expected a mapping, got {type(value).__name__}.")
    return dict(value)


def _check_texts(name: str, value: object, _: Parameter) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{name}: expected a list of strings, got {type(value).__name__}.")
    return list(value)


def _check_stop(name: str, value: object, parameter: Parameter) -> str | list[str] | None:
    """Return one stop as a string, several as a list: New API's channel of Zhipu drops a list."""
    stops: list[str] | None = CHECKS[list](name, value, parameter)
    return stops[0] if stops and len(stops) == 1 else stops


def _check_tool_choice(name: str, value: object, parameter: Parameter) -> object:
    return value if isinstance(value, str) and value else _check_mapping(name, value, parameter)


def _check_tools(_: str, value: object, __: Parameter) -> list[dict[str, Any]] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigurationError(f"tools: expected a list of tools, got {type(value).__name__}.")
    return [_check_tool(tool, f"tools: tool {number}") for number, tool in enumerate(value, 1)] or None


def _check_tool(tool: object, where: str) -> dict[str, Any]:
    if not isinstance(tool, Mapping):
        raise ConfigurationError(
            f"{where} is a {type(tool).__name__}; expected a mapping with its JSON schema, such as "
            '{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}.'
        )
    if tool.get("type", "function") != "function":
        if not isinstance(tool["type"], str):
            raise ConfigurationError(f"{where}: its type must be a string.")
        return dict(tool)  # a provider's own kind
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise ConfigurationError(f"{where} has no function with a name.")
    schema = function.get("parameters")
    if schema is not None and not (isinstance(schema, Mapping) and schema.get("type", "object") == "object"):
        raise ConfigurationError(f"{where} ({function['name']}): its parameters must be a JSON schema of type object.")
    return {**tool, "type": "function", "function": dict(function)}


_KINDS: dict[type, Any] = {
    **CHECKS,
    list: _check_stop,
    tuple: _check_texts,
    Mapping: _check_mapping,
    Sequence: _check_tools,
    object: _check_tool_choice,
}

"""The fields of `XDMChat`: the parameters of chat, and how the model is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: TC003 - Pydantic reads it
from typing import Any, ClassVar

from llama_index.core.bridge.pydantic import BaseModel, Field, ValidationInfo, field_validator

from xdm_integrations.core.chat.limit_name import LIMIT_NAMES
from xdm_integrations.core.chat.parameters import PARAMETERS, check_parameter
from xdm_integrations.core.chat.request import DEFAULT_MODEL
from xdm_integrations.core.protocol.checks import Parameter  # noqa: TC001 - Pydantic reads it

from .settings import parameter_field

_FIELDS = tuple(name for name in PARAMETERS if name != "metadata")
"""LlamaIndex has a property of the name `metadata`, so that parameter goes into a call, or into `additional_kwargs`."""
_ABOUT_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})


def check_each(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check each parameter by itself: what needs another one is checked with the call."""
    return {name: check_parameter(name, value) for name, value in given.items() if value is not None}


class ChatFields(BaseModel):
    """The parameters of chat as fields, beside `GatewaySettings` and LlamaIndex's own."""

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = PARAMETERS
    CHECK_PARAMETERS: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]] = staticmethod(check_each)
    MISPLACED: ClassVar[Mapping[str, str]] = {
        "is_chat_model": "leave it out; this class is one.",
        "messages": "given twice; the first argument of the call holds them already.",
        "stream": "the method decides it; for streams call `stream_complete` or `stream_chat`.",
    }

    model: str = Field(default=DEFAULT_MODEL, description="The model's id, as the gateway lists it.")
    context_window: int | None = Field(
        default=None,
        gt=0,
        description="Tokens that prompt and answer may take together; LlamaIndex packs by it. "
        "Default: what is known of the model, else 32768.",
    )
    is_function_calling_model: bool = Field(
        default=True, description="Whether the model takes tools; agents choose by it."
    )
    should_use_structured_outputs: bool | None = Field(
        default=None,
        description="Objects by `response_format` with a JSON schema (True) or by a tool (False). "
        "Default: the best that the model takes, which is found out.",
    )
    think_tags: bool = Field(
        default=False, description="Take a leading `<think>...</think>` of an answer as its reasoning."
    )
    strict: bool | None = Field(
        default=None, description="Let the provider enforce the schemas of tools and objects, where it can."
    )
    audio: Mapping[str, Any] | None = parameter_field(PARAMETERS["audio"])
    frequency_penalty: float | None = parameter_field(PARAMETERS["frequency_penalty"])
    logit_bias: Mapping[str, float] | Mapping[int, float] | None = parameter_field(PARAMETERS["logit_bias"])
    logprobs: bool | None = parameter_field(PARAMETERS["logprobs"])
    max_completion_tokens: int | None = parameter_field(PARAMETERS["max_completion_tokens"])
    max_tokens: int | None = parameter_field(PARAMETERS["max_tokens"])
    modalities: Sequence[str] | None = parameter_field(PARAMETERS["modalities"])
    n: int | None = parameter_field(PARAMETERS["n"])
    parallel_tool_calls: bool | None = parameter_field(PARAMETERS["parallel_tool_calls"])
    prediction: Mapping[str, Any] | None = parameter_field(PARAMETERS["prediction"])
    presence_penalty: float | None = parameter_field(PARAMETERS["presence_penalty"])
    prompt_cache_key: str | None = parameter_field(PARAMETERS["prompt_cache_key"])
    reasoning_effort: str | None = parameter_field(PARAMETERS["reasoning_effort"])
    response_format: Mapping[str, Any] | None = parameter_field(PARAMETERS["response_format"])
    seed: int | None = parameter_field(PARAMETERS["seed"])
    service_tier: str | None = parameter_field(PARAMETERS["service_tier"])
    stop: str | list[str] | None = parameter_field(PARAMETERS["stop"])
    store: bool | None = parameter_field(PARAMETERS["store"])
    stream_options: Mapping[str, Any] | None = parameter_field(PARAMETERS["stream_options"])
    temperature: float | None = parameter_field(PARAMETERS["temperature"])
    tool_choice: str | Mapping[str, Any] | None = parameter_field(PARAMETERS["tool_choice"])
    tools: Sequence[Mapping[str, Any]] | None = parameter_field(PARAMETERS["tools"])
    top_logprobs: int | None = parameter_field(PARAMETERS["top_logprobs"])
    top_p: float | None = parameter_field(PARAMETERS["top_p"])
    user: str | None = parameter_field(PARAMETERS["user"])
    verbosity: str | None = parameter_field(PARAMETERS["verbosity"])
    web_search_options: Mapping[str, Any] | None = parameter_field(PARAMETERS["web_search_options"])

    @field_validator(*_FIELDS, mode="before")
    @classmethod
    def _check_parameter(cls, value: object, info: ValidationInfo) -> object:
        """See `check_each`."""
        return None if value is None else check_parameter(str(info.field_name), value)


def for_one_call(params: dict[str, Any], call: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call without those that don't go together.

    Args:
        params: All of them, `layered`.
        call: What the call itself was given: it wins.
        more: `additional_kwargs`, which win over fields.
    """
    if params.keys() >= LIMIT_NAMES.keys():  # one limit by its two names
        wins = next((name for layer in (call, more) for name in LIMIT_NAMES if layer.get(name) is not None), None)
        if wins is not None:
            params = {name: value for name, value in params.items() if name != LIMIT_NAMES[wins]}
    if not params.get("tools") and not _ABOUT_TOOLS.isdisjoint(params):  # strict servers refuse these by themselves
        told = [name for name in _ABOUT_TOOLS if call.get(name) is None]
        params = {name: value for name, value in params.items() if name not in told}
    return params

"""The fields of the LLMs, beside `GatewaySettings` and LlamaIndex's own: their endpoint's parameters, and their use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: TC003 - Pydantic reads it
from typing import Any, ClassVar

from llama_index.core.bridge.pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from llama_index.core.llms.llm import MessagesToPromptCallable, MessagesToPromptType  # noqa: TC002 - Pydantic reads it

from xdm_integrations.core.chat.limit_name import LIMIT_NAMES, one_limit
from xdm_integrations.core.chat.parameters import PARAMETERS as CHAT
from xdm_integrations.core.chat.parameters import check_parameter
from xdm_integrations.core.chat.request import DEFAULT_MODEL as CHAT_MODEL
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETIONS
from xdm_integrations.core.completions.parameters import check_parameters
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import Parameter  # noqa: TC001 - Pydantic reads it
from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS, DEFAULT_MODEL

from .convert.completions import messages_to_prompt as default_messages_to_prompt
from .settings import parameter_field

_TOGETHER = {"max_tokens": "echo", "best_of": "n", "n": "best_of"}
"""Parameters that are checked together."""
_ABOUT_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})


class StreamFields(BaseModel):
    """The settings of models that stream."""

    stream_usage: bool = Field(default=True, description="Ask for token counts in streams.")
    require_finish_reason: bool = Field(
        default=True, description="Take a stream without a finish_reason as cut off; some servers never send one."
    )


class CompletionFields(BaseModel):
    """The parameters of text completions, and how they are checked together."""

    model_config = ConfigDict(arbitrary_types_allowed=True)  # LlamaIndex's type of `messages_to_prompt`

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = COMPLETIONS
    CHECK_PARAMETERS: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]] = staticmethod(check_parameters)
    NONE_IS_A_VALUE: ClassVar[frozenset[str]] = frozenset({"max_tokens"})
    IGNORED: ClassVar[frozenset[str]] = frozenset(
        {
            "allow_parallel_tool_calls",
            "function_call",
            "functions",
            "parallel_tool_calls",
            "response_format",
            "tool_choice",
            "tool_required",
            "tools",
        }
    )
    """What LlamaIndex and its users hand to any LLM, and this endpoint doesn't have."""
    MISPLACED: ClassVar[Mapping[str, str]] = {
        "prompt": "given twice; the first argument of the call holds it already.",
        "stream": "the method decides it; for streams call `stream_complete` or `stream_chat`.",
    }

    model: str = Field(default=DEFAULT_MODEL, description="The model's id, as the gateway lists it.")
    context_window: int = Field(
        default=4096, gt=0, description="Tokens that prompt and answer may take together; LlamaIndex packs by it."
    )
    echo: bool | None = parameter_field(COMPLETIONS["echo"])
    max_tokens: int | None = Field(
        default=DEFAULT_MAX_TOKENS,
        ge=0,
        validate_default=True,
        description=f"{COMPLETIONS['max_tokens'].doc} None leaves it to the server, whose own default is 16.",
    )
    temperature: float | None = parameter_field(COMPLETIONS["temperature"])
    top_p: float | None = parameter_field(COMPLETIONS["top_p"])
    stop: str | list[str] | None = parameter_field(COMPLETIONS["stop"])
    n: int | None = parameter_field(COMPLETIONS["n"])
    best_of: int | None = parameter_field(COMPLETIONS["best_of"])
    logprobs: int | None = parameter_field(COMPLETIONS["logprobs"])
    frequency_penalty: float | None = parameter_field(COMPLETIONS["frequency_penalty"])
    presence_penalty: float | None = parameter_field(COMPLETIONS["presence_penalty"])
    logit_bias: Mapping[str, float] | Mapping[int, float] | None = parameter_field(COMPLETIONS["logit_bias"])
    seed: int | None = parameter_field(COMPLETIONS["seed"])
    suffix: str | None = parameter_field(COMPLETIONS["suffix"])
    user: str | None = parameter_field(COMPLETIONS["user"])
    messages_to_prompt: MessagesToPromptCallable = Field(
        default_factory=lambda: default_messages_to_prompt,
        exclude=True,
        description="Makes the prompt of a chat. Default: `role: text` lines and `assistant:`.",
    )

    @field_validator(*COMPLETIONS, mode="before")
    @classmethod
    def _check_parameter(cls, value: object, info: ValidationInfo) -> object:
        name = str(info.field_name)
        other = _TOGETHER.get(name)
        given = {name: value} if other is None else {name: value, other: info.data.get(other)}
        return check_parameters(given).get(name)

    @field_validator("context_window", "max_tokens", "additional_kwargs", check_fields=False)  # the last is set beside
    @classmethod
    def _check_room(cls, value: object, info: ValidationInfo) -> object:
        known = {**info.data, str(info.field_name): value}
        window = known.get("context_window")
        tokens = (known.get("additional_kwargs") or {}).get("max_tokens", known.get("max_tokens"))
        if window is not None and tokens is not None and tokens >= window:
            raise ConfigurationError(
                f"max_tokens: {tokens} must be less than context_window ({window}), or no room is left for a prompt. "
                f"Lower max_tokens, or set context_window to what the model has."
            )
        return value

    @field_validator("messages_to_prompt")
    @classmethod
    def set_messages_to_prompt(cls, messages_to_prompt: MessagesToPromptType | None) -> MessagesToPromptType:
        """Replace None by the default, as the base class does by its own."""
        return messages_to_prompt or default_messages_to_prompt


def check_each(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check each parameter of chat by itself: what needs another one is checked with the call."""
    return {name: check_parameter(name, value) for name, value in given.items() if value is not None}


class ChatFields(BaseModel):
    """The parameters of chat, and how the model is used.

    LlamaIndex has a property of the name `metadata`, so that parameter goes into a call, or into `additional_kwargs`.
    """

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = CHAT
    CHECK_PARAMETERS: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]] = staticmethod(check_each)
    MISPLACED: ClassVar[Mapping[str, str]] = {
        "is_chat_model": "leave it out; this class is one.",
        "messages": "given twice; the first argument of the call holds them already.",
        "stream": "the method decides it; for streams call `stream_complete` or `stream_chat`.",
    }

    model: str = Field(default=CHAT_MODEL, description="The model's id, as the gateway lists it.")
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
    audio: Mapping[str, Any] | None = parameter_field(CHAT["audio"])
    frequency_penalty: float | None = parameter_field(CHAT["frequency_penalty"])
    logit_bias: Mapping[str, float] | Mapping[int, float] | None = parameter_field(CHAT["logit_bias"])
    logprobs: bool | None = parameter_field(CHAT["logprobs"])
    max_completion_tokens: int | None = parameter_field(CHAT["max_completion_tokens"])
    max_tokens: int | None = parameter_field(CHAT["max_tokens"])
    modalities: Sequence[str] | None = parameter_field(CHAT["modalities"])
    n: int | None = parameter_field(CHAT["n"])
    parallel_tool_calls: bool | None = parameter_field(CHAT["parallel_tool_calls"])
    prediction: Mapping[str, Any] | None = parameter_field(CHAT["prediction"])
    presence_penalty: float | None = parameter_field(CHAT["presence_penalty"])
    prompt_cache_key: str | None = parameter_field(CHAT["prompt_cache_key"])
    reasoning_effort: str | None = parameter_field(CHAT["reasoning_effort"])
    response_format: Mapping[str, Any] | None = parameter_field(CHAT["response_format"])
    seed: int | None = parameter_field(CHAT["seed"])
    service_tier: str | None = parameter_field(CHAT["service_tier"])
    stop: str | list[str] | None = parameter_field(CHAT["stop"])
    store: bool | None = parameter_field(CHAT["store"])
    stream_options: Mapping[str, Any] | None = parameter_field(CHAT["stream_options"])
    temperature: float | None = parameter_field(CHAT["temperature"])
    tool_choice: str | Mapping[str, Any] | None = parameter_field(CHAT["tool_choice"])
    tools: Sequence[Mapping[str, Any]] | None = parameter_field(CHAT["tools"])
    top_logprobs: int | None = parameter_field(CHAT["top_logprobs"])
    top_p: float | None = parameter_field(CHAT["top_p"])
    user: str | None = parameter_field(CHAT["user"])
    verbosity: str | None = parameter_field(CHAT["verbosity"])
    web_search_options: Mapping[str, Any] | None = parameter_field(CHAT["web_search_options"])

    @field_validator(*(CHAT.keys() - {"metadata"}), mode="before")
    @classmethod
    def _check_parameter(cls, value: object, info: ValidationInfo) -> object:
        return check_each({str(info.field_name): value}).get(str(info.field_name))


def for_one_call(params: dict[str, Any], call: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call without those that don't go together.

    What the call itself was given wins, then `more` (`additional_kwargs`), then fields.
    """
    if params.keys() >= LIMIT_NAMES.keys():
        params = one_limit(params, call, more)
    if not params.get("tools") and not _ABOUT_TOOLS.isdisjoint(params):  # strict servers refuse these by themselves
        told = [name for name in _ABOUT_TOOLS if call.get(name) is None]
        params = {name: value for name, value in params.items() if name not in told}
    return params

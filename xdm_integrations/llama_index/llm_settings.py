"""The fields of `XDM` that are parameters of text completions, and how they are checked together."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003 - Pydantic reads it
from typing import Any, ClassVar

from llama_index.core.bridge.pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from llama_index.core.llms.llm import MessagesToPromptCallable, MessagesToPromptType  # noqa: TC002 - Pydantic reads it

from xdm_integrations.core.completions.parameters import PARAMETERS, check_parameters
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import Parameter  # noqa: TC001 - Pydantic reads it
from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS, DEFAULT_MODEL

from .convert.completions import messages_to_prompt as default_messages_to_prompt
from .settings import parameter_field

_TOGETHER = {"max_tokens": "echo", "best_of": "n", "n": "best_of"}
"""Parameters that are checked together."""


class CompletionFields(BaseModel):
    """The parameters of text completions as fields, beside `GatewaySettings` and LlamaIndex's own."""

    model_config = ConfigDict(arbitrary_types_allowed=True)  # LlamaIndex's type of `messages_to_prompt`

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = PARAMETERS
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
    echo: bool | None = parameter_field(PARAMETERS["echo"])
    max_tokens: int | None = Field(
        default=DEFAULT_MAX_TOKENS,
        ge=0,
        validate_default=True,
        description=f"{PARAMETERS['max_tokens'].doc} None leaves it to the server, whose own default is 16.",
    )
    temperature: float | None = parameter_field(PARAMETERS["temperature"])
    top_p: float | None = parameter_field(PARAMETERS["top_p"])
    stop: str | list[str] | None = parameter_field(PARAMETERS["stop"])
    n: int | None = parameter_field(PARAMETERS["n"])
    best_of: int | None = parameter_field(PARAMETERS["best_of"])
    logprobs: int | None = parameter_field(PARAMETERS["logprobs"])
    frequency_penalty: float | None = parameter_field(PARAMETERS["frequency_penalty"])
    presence_penalty: float | None = parameter_field(PARAMETERS["presence_penalty"])
    logit_bias: Mapping[str, float] | Mapping[int, float] | None = parameter_field(PARAMETERS["logit_bias"])
    seed: int | None = parameter_field(PARAMETERS["seed"])
    suffix: str | None = parameter_field(PARAMETERS["suffix"])
    user: str | None = parameter_field(PARAMETERS["user"])
    messages_to_prompt: MessagesToPromptCallable = Field(
        default_factory=lambda: default_messages_to_prompt,
        exclude=True,
        description="Makes the prompt of a chat. Default: `role: text` lines and `assistant:`.",
    )

    @field_validator(*PARAMETERS, mode="before")
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

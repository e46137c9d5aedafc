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

_TOGETHER = {"max_tokens": "echo", "best_of": "n", "n": "best_of"}
"""Parameters that are checked together."""


def _parameter(name: str, description: str) -> Any:  # noqa: ANN401 - stands for a value of the field's type
    kind, low, high, _ = PARAMETERS[name]
    bounds: dict[str, Any] = {"ge": low, "le": high} if kind in (int, float) else {}
    return Field(default=None, description=description, **bounds)


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
    echo: bool | None = _parameter("echo", "Put the prompt in front of the answer.")
    max_tokens: int | None = Field(
        default=DEFAULT_MAX_TOKENS,
        ge=0,
        validate_default=True,
        description="Tokens generated per choice, at most. None leaves it to the server, whose own default is 16.",
    )
    temperature: float | None = _parameter("temperature", "How random the sampling is.")
    top_p: float | None = _parameter("top_p", "Sample from the likeliest tokens that add up to this probability.")
    stop: str | list[str] | None = _parameter("stop", "Up to 4 texts that end the answer; they aren't part of it.")
    n: int | None = _parameter("n", "Choices per prompt, all in `raw`; each is billed.")
    best_of: int | None = _parameter("best_of", "Candidates of which the best `n` come back; each is billed.")
    logprobs: int | None = _parameter("logprobs", "Log probabilities of this many tokens beside the sampled one.")
    frequency_penalty: float | None = _parameter("frequency_penalty", "Lowers the odds of tokens by their count.")
    presence_penalty: float | None = _parameter("presence_penalty", "Lowers the odds of tokens that have appeared.")
    logit_bias: Mapping[str, float] | Mapping[int, float] | None = _parameter(
        "logit_bias", "Token id to -100 (never) ... 100 (always)."
    )
    seed: int | None = _parameter("seed", "Makes sampling repeatable while the backend stays the same.")
    suffix: str | None = _parameter("suffix", "Text that comes after the answer; see `XDM.fill_in_middle`.")
    user: str | None = _parameter("user", "An id of the end user, for the provider's abuse detection.")
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

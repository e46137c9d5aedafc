"""What `XDM` is set to: its fields and their checks, and what they mean for a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any

from llama_index.core.base.llms.types import ChatMessage  # noqa: TC002 - Pydantic reads it
from llama_index.core.bridge.pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.llms.llm import MessagesToPromptCallable, MessagesToPromptType  # noqa: TC002 - Pydantic reads it
from typing_extensions import Self

from xdm_integrations.core.completions.parameters import PARAMETERS, check_parameters
from xdm_integrations.core.errors.tree import ConfigurationError, settings_error
from xdm_integrations.core.protocol.checks import OPTIONS, unknown_parameter
from xdm_integrations.core.protocol.config import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    check_headers,
    normalize_base_url,
    normalize_key,
    normalize_timeout,
)
from xdm_integrations.core.protocol.wire import Limits  # noqa: TC001 - Pydantic reads it

from .convert.completions import messages_to_prompt as default_messages_to_prompt
from .instrumentation import hidden

CHAT_ONLY = frozenset(
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
"""What LlamaIndex and its users hand to any LLM, and this endpoint doesn't have: dropped."""

_NAMES_ELSEWHERE = {
    "base_url": "api_base",
    "extra_headers": "default_headers",
    "headers": "default_headers",
    "max_completion_tokens": "max_tokens",
    "model_kwargs": "additional_kwargs",
    "model_name": "model",
    "request_timeout": "timeout",
}
_TOGETHER = {"max_tokens": "echo", "best_of": "n", "n": "best_of"}
"""Parameters that are checked together."""


def _parameter(name: str, description: str) -> Any:  # noqa: ANN401 - stands for a value of the field's type
    kind, low, high, _ = PARAMETERS[name]
    bounds: dict[str, Any] = {"ge": low, "le": high} if kind in (int, float) else {}
    return Field(default=None, description=description, **bounds)


class XDMFields(CustomLLM):
    """The fields of `XDM`. Each is checked when it is given and when it is assigned."""

    model_config = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        hide_input_in_errors=True,
        defer_build=True,  # pydantic's part costs 4 ms per class; only `XDM` needs it
    )

    model: str = Field(default=DEFAULT_MODEL, description="The model's id, as the gateway lists it.")
    context_window: int = Field(
        default=4096, gt=0, description="Tokens that prompt and answer may take together; LlamaIndex packs by it."
    )
    echo: bool | None = _parameter("echo", "Put the prompt in front of the answer.")
    additional_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="More fields of the body; parameters in here win over their fields."
    )
    extra_body: Mapping[str, Any] | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Fields of every body, for servers that know more than the API. They win over parameters. "
        "Never shown, traced or dumped.",
    )
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

    api_key: Annotated[SecretStr | str | Callable[[], Any] | None, WithJsonSchema({"type": "string"})] = Field(
        default=None,
        exclude=True,
        repr=False,
        description="The key, or a function that is asked for it before each call. Default: XDM_API_KEY.",
    )
    allow_http: bool = Field(default=False, description="Accept plain http to a public host.")
    api_base: str | None = Field(
        default=None, description="Root URL of the API. Default: XDM_BASE_URL, else the gateway's."
    )
    timeout: float | tuple[float | None, ...] | None = Field(
        default=None,
        description="Seconds for connecting and for each wait, or (connect, read), or (connect, read, total). "
        "Default: 10 s to connect, 300 s between bytes.",
    )
    max_retries: int = Field(default=2, ge=0, description="Requests after the first, at most.")
    stream_usage: bool = Field(default=True, description="Ask for token counts in streams.")
    require_finish_reason: bool = Field(
        default=True, description="Take a stream without a finish_reason as cut off; some servers never send one."
    )
    limits: Limits | None = Field(
        default=None, description="How much of a reply is taken before it is refused as too large."
    )
    default_headers: dict[str, str] = Field(
        default_factory=dict, exclude=True, repr=False, description="Headers of every request; never in a dump."
    )
    messages_to_prompt: MessagesToPromptCallable = Field(
        default_factory=lambda: default_messages_to_prompt,
        exclude=True,
        description="Makes the prompt of a chat. Default: `role: text` lines and `assistant:`.",
    )

    if not TYPE_CHECKING:  # type checkers read the constructor from the fields

        def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - of whatever type the field has
            fields = type(self).model_fields
            for name in settings:
                if name not in fields:
                    raise _unknown_setting(name, list(fields))
            # None means "not given", but for `max_tokens`, which it leaves to the server.
            given = {name: value for name, value in settings.items() if value is not None or name == "max_tokens"}
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise settings_error(error) from None

    _sent: dict[str, Any] | None = PrivateAttr(default=None)
    """The fields that every call sends; made when they are first needed."""

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - of whatever type the field has
        field = type(self).model_fields.get(name)
        if field is not None and value is None and name != "max_tokens":
            value = field.get_default(call_default_factory=True)
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise settings_error(error) from None
        if field is not None:
            self._sent = None

    def __copy__(self) -> Self:
        """Copy the settings, and nothing that was made of them: `model_copy` may change them next."""
        copied = super().__copy__()
        copied._forget()  # noqa: SLF001 - of this class
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """See `__copy__`."""
        copied = super().__deepcopy__(memo)
        copied._forget()  # noqa: SLF001 - of this class
        return copied

    def _forget(self) -> None:
        """Drop what was made of the settings."""
        self._sent = None

    @field_validator(*PARAMETERS, mode="before")
    @classmethod
    def _check_parameter(cls, value: object, info: ValidationInfo) -> object:
        name = str(info.field_name)
        other = _TOGETHER.get(name)
        given = {name: value} if other is None else {name: value, other: info.data.get(other)}
        return check_parameters(given).get(name)

    @field_validator("context_window", "max_tokens", "additional_kwargs")
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

    @field_validator("additional_kwargs", mode="before")
    @classmethod
    def _check_additional(cls, value: object) -> object:
        if isinstance(value, Mapping):
            for name in OPTIONS:
                if name in value:
                    raise ConfigurationError(
                        f"additional_kwargs: holds fields of the body, and {name!r} isn't one. "
                        f"Set `{_NAMES_ELSEWHERE.get(name, name)}`, or pass it in the call."
                    )
            value = {**value, **check_parameters({name: value[name] for name in PARAMETERS if name in value})}
        return value

    @field_validator("api_key", mode="before")
    @classmethod
    def _check_key(cls, value: object) -> object:
        if isinstance(value, (SecretStr, str)):
            key = normalize_key(value)
            return None if key is None else SecretStr(key)
        return value

    @field_validator("api_base", mode="before")
    @classmethod
    def _check_base(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        with _named("base_url", "api_base"):
            return normalize_base_url(value, allow_http=bool(info.data.get("allow_http")))

    @field_validator("timeout", mode="before")
    @classmethod
    def _check_timeout(cls, value: Any) -> object:  # noqa: ANN401 - whatever was given
        value = tuple(value) if isinstance(value, list) else value  # a tuple that went through JSON
        if value is not None:
            normalize_timeout(value)
        return value

    @field_validator("default_headers")
    @classmethod
    def _check_headers(cls, value: dict[str, str]) -> dict[str, str]:
        with _named("headers", "default_headers"):
            return check_headers(value)

    @field_validator("messages_to_prompt")
    @classmethod
    def set_messages_to_prompt(cls, messages_to_prompt: MessagesToPromptType | None) -> MessagesToPromptType:
        """Replace None by the default, as the base class does by its own."""
        return messages_to_prompt or default_messages_to_prompt

    def _params(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a call sends. Precedence: the call, then `additional_kwargs`, then the fields.

        Args:
            given: The arguments of the call, but for its `hidden` options.

        Raises:
            ConfigurationError: The endpoint has no such parameter.
        """
        sent = self._sent
        if sent is None:
            fields = self.__dict__
            sent = self._sent = {name: fields[name] for name in PARAMETERS if fields[name] is not None}
        params = {**sent, **hidden()}
        extra: dict[str, Any] = {}
        for name, value in self.additional_kwargs.items():
            if value is not None:
                (params if name in PARAMETERS else extra)[name] = value
        for name, value in given.items():
            if value is not None and name not in CHAT_ONLY:
                if name not in PARAMETERS:
                    raise _unknown_argument(name)
                params[name] = value
        extra.update(self.extra_body or {})
        body = params.get("extra_body")
        if extra and isinstance(body, (Mapping, NoneType)):  # the client refuses anything else
            params["extra_body"] = {**extra, **(body or {})}
        return params

    def _templated(self, prompt: str) -> str:
        template = self.completion_to_prompt
        return prompt if template is None else template(prompt)

    def _chat_prompt(self, messages: Sequence[ChatMessage]) -> str:
        return (self.messages_to_prompt or default_messages_to_prompt)(messages)


def _unknown_setting(name: str, known: list[str]) -> ConfigurationError:
    if name in _NAMES_ELSEWHERE:
        return ConfigurationError(f"{name}: unknown parameter. Did you mean {_NAMES_ELSEWHERE[name]!r}?")
    return unknown_parameter(name, known)


def _unknown_argument(name: str) -> ConfigurationError:
    if name == "stream":
        return ConfigurationError("stream: the method decides it; for streams call `stream_complete` or `stream_chat`.")
    if name == "prompt":
        return ConfigurationError("prompt: given twice; the first argument of the call holds it already.")
    return unknown_parameter(name, [*PARAMETERS, *OPTIONS])


@contextmanager
def _named(name: str, here: str) -> Iterator[None]:
    """Call a setting of the client by its name here, in errors."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(error.message.replace(name, here)) from None

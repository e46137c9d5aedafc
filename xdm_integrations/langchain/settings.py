"""What an `XDMLLM` can be set to: its fields, their checks, and what identifies it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.language_models.llms import BaseLLM
from langchain_core.rate_limiters import BaseRateLimiter  # noqa: TC002 - pydantic reads the annotations
from langchain_core.utils import secret_from_env
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, model_validator

from xdm_integrations._version import __version__
from xdm_integrations.core.completions.parameters import PARAMETERS
from xdm_integrations.core.errors.tree import settings_error
from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS, DEFAULT_MODEL, KEY_VARIABLE
from xdm_integrations.core.protocol.wire import Limits, Timeout  # noqa: TC001 - pydantic reads the annotations

from .checks import check_call, check_settings, default_base_url, unknown_setting
from .prompts import TokenIds

if TYPE_CHECKING:
    from collections.abc import Sequence

Key: TypeAlias = "SecretStr | Callable[[], str | SecretStr] | Callable[[], Awaitable[str | SecretStr]] | None"
Params: TypeAlias = "dict[str, Any]"


class XDMFields(BaseLLM):
    """The settings of `XDMLLM`. Every value is checked when it is given, by constructor or assignment.

    A name that doesn't exist is an error that suggests the near one. None means "not given".
    """

    model_config = ConfigDict(
        populate_by_name=True,
        validate_assignment=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # the input holds the key
        defer_build=True,  # pydantic's part costs 10 ms per class; only `XDMLLM` needs it
    )

    # How the gateway is reached

    xdm_api_key: SecretStr | Callable[[], str | SecretStr] | Callable[[], Awaitable[str | SecretStr]] | None = Field(
        default_factory=secret_from_env(KEY_VARIABLE, default=None), alias="api_key"
    )
    """The API key, or a function that is asked for it before each call (a coroutine function
    serves async calls only). Default: the environment variable `XDM_API_KEY`. Private hosts
    need none."""
    xdm_api_base: str | None = Field(default=None, alias="base_url")
    """Root URL of the API. Default: the environment variable `XDM_BASE_URL`, else the gateway's."""
    timeout: Timeout | float | tuple[float | None, ...] | None = None
    """Seconds for connecting and for each wait, or `(connect, read)`, or `(connect, read, total)`,
    or a `Timeout`.
    Default: 10 s to connect, 300 s between bytes, no limit in total."""
    max_retries: int = Field(default=2, ge=0)
    """Requests after the first, at most. Only what can't have been answered is sent again."""
    default_headers: Mapping[str, str] | None = Field(default=None, exclude=True, repr=False)
    """Headers of every request. Never shown, traced or serialized."""
    rate_limiter: BaseRateLimiter | None = Field(default=None, exclude=True, repr=False)
    """Asked for a turn before each HTTP request, retries included."""
    allow_http: bool = False
    """Accept plain http to a public host."""
    limits: Limits | None = None
    """How much of a reply is taken before it is refused as too large."""

    # What is asked for: the parameters of the endpoint, sent under these names

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    best_of: int | None = None
    """1 to 20, at least `n`: candidates generated, of which the best `n` come back. Each is
    billed. Not in streams. Many gateways drop it."""
    echo: bool | None = None
    """Put the prompt in front of the answer. Many gateways drop it."""
    frequency_penalty: float | None = None
    """-2 to 2: lowers the odds of tokens by how often they have appeared."""
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = None
    """Token id to -100 (never) ... 100 (always)."""
    logprobs: int | None = None
    """0 to 5: log probabilities of this many likeliest tokens beside the sampled one."""
    max_tokens: int | None = DEFAULT_MAX_TOKENS
    """At least 1 (0 with `echo`): tokens generated per choice. None leaves it to the server,
    whose own default is 16."""
    n: int | None = None
    """1 to 128: choices per prompt. Each is billed."""
    presence_penalty: float | None = None
    """-2 to 2: lowers the odds of tokens that have appeared at all."""
    seed: int | None = None
    """Makes sampling repeatable, as far as the backend stays the same (`system_fingerprint`)."""
    stop: str | list[str] | None = None
    """Up to 4 texts at which generation ends; they aren't part of the answer."""
    suffix: str | None = None
    """Text that comes after the answer (fill in the middle); few models can."""
    temperature: float | None = None
    """0 to 2: how random the sampling is."""
    top_p: float | None = None
    """0 to 1: sample from the likeliest tokens that add up to this probability."""
    user: str | None = None
    """An id of the end user, for the provider's abuse detection."""
    model_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """More parameters, known ones or a server's own. They win over the fields, and calls win over
    them. They are traced: what is secret belongs into `extra_body`."""
    extra_body: Mapping[str, Any] | None = Field(default=None, exclude=True, repr=False)
    """Fields of every body, for servers that know more than the API. They win over parameters.
    Never shown, traced or serialized."""

    # How it is asked

    streaming: bool = False
    """Let `invoke`, `generate` and `batch` stream, so that callbacks get each token."""
    stream_usage: bool = True
    """Ask for token counts in streams."""
    require_finish_reason: bool = True
    """Take a stream without a finish_reason as cut off. Switch it off for servers that never
    send one; then `[DONE]` is the end."""
    batch_size: int = Field(default=20, ge=1)
    """Prompts in one request, at most."""
    max_concurrency: int = Field(default=8, ge=1)
    """Requests in flight for one batch, at most; `config["max_concurrency"]` comes first."""

    if not TYPE_CHECKING:  # type checkers read the constructor from the fields

        def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - of whatever type the field has
            """Check the settings. Opens nothing.

            Raises:
                ConfigurationError: One can't be used; the message names it.
            """
            try:
                super().__init__(**check_settings(type(self), settings))
            except ValidationError as error:
                raise settings_error(error) from None

    @model_validator(mode="after")
    def _set_xdm_integrations_version(self) -> XDMFields:
        """Tell tracers which version of this package made the run (langchain-core 1.4 and later)."""
        if hasattr(self, "_add_version") and "xdm-integrations" not in (self.metadata or {}).get("lc_versions", {}):
            self._add_version("xdm-integrations", __version__)
        return self

    @property
    def model_name(self) -> str:
        """The model's id, under the name that other integrations use."""
        return self.model

    @property
    def base_url(self) -> str:
        """The root URL that is asked. May be assigned; None for the default."""
        return self.xdm_api_base or default_base_url(allow_http=self.allow_http)

    @base_url.setter
    def base_url(self, url: str | None) -> None:
        self.xdm_api_base = url

    @property
    def api_key(self) -> Key:
        """The key, wrapped such that it isn't shown, or the function that is asked for it. May be assigned."""
        return self.xdm_api_key

    @api_key.setter
    def api_key(self, key: str | Key) -> None:
        self.xdm_api_key = key  # type: ignore[assignment] # a string is wrapped on its way

    # What a call sends, and what it shows

    _sent: Params | None = PrivateAttr(default=None)
    """What every call sends; made when it is first needed."""

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - any field
        """Check the value as the constructor does, and forget what was made of the old one.

        Raises:
            ConfigurationError: It can't be used; the old one stays.
        """
        cls = type(self)
        if name not in cls.model_fields:
            if name[:1] != "_" and not hasattr(cls, name):
                raise unknown_setting(name, cls)
            super().__setattr__(name, value)
            return
        others = {other: self.__dict__[other] for other in cls.model_fields if other in self.__dict__}
        try:
            super().__setattr__(name, check_settings(cls, {**others, name: value})[name])
        except ValidationError as error:
            raise settings_error(error) from None
        self._forget(name)

    def _forget(self, name: str | None = None) -> None:
        """Forget what was made of a field's old value, or with None of all fields."""
        del name  # what is made here is made of any
        self._sent = None
        self.__dict__.pop("_serialized", None)  # the base class keeps it for traces

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What changes an answer, by the names of the constructor; nothing secret."""
        params = {name: value for name in PARAMETERS if (value := getattr(self, name)) is not None}
        return {**params, "base_url": self.base_url, **self.model_kwargs, **hashed(self.extra_body)}

    def _params(self, stop: Sequence[str] | None, kwargs: Mapping[str, Any]) -> Params:
        """Return what the client is asked for: the call's arguments over `model_kwargs` over the fields.

        Raises:
            ConfigurationError: An argument of the call isn't a parameter.
        """
        check_call(kwargs)
        if self._sent is None:
            self._sent = self._defaults()
        params = {**self._sent, **{name: value for name, value in kwargs.items() if value is not None}}
        if stop is not None:
            params["stop"] = stop
        if kwargs.get("extra_body") and self._sent.get("extra_body"):
            params["extra_body"] = {**self._sent["extra_body"], **kwargs["extra_body"]}
        return params

    def _defaults(self) -> Params:
        params = {name: value for name in PARAMETERS if (value := getattr(self, name)) is not None}
        extra_body: Params = {}
        for name, value in self.model_kwargs.items():
            if value is not None:
                (params if name in PARAMETERS else extra_body)[name] = value
        extra_body.update(self.extra_body or {})
        if extra_body:
            params["extra_body"] = extra_body
        return params

    def _shown(self, kwargs: Mapping[str, Any], prompts: Sequence[str]) -> Params:
        """Return what of a call belongs into cache keys and traces, beside what identifies the LLM."""
        shown = {name: value for name, value in kwargs.items() if name in PARAMETERS and value is not None}
        if kwargs.get("extra_body"):
            own = self._defaults().get("extra_body", {})
            shown.update(hashed({"own": own, "call": kwargs["extra_body"]}))
        if any(isinstance(prompt, TokenIds) for prompt in prompts):
            shown["prompt_type"] = "token_ids"  # the ids [1, 2] and the text "[1, 2]" aren't the same prompt
        return shown


def hashed(extra_body: Mapping[str, Any] | None) -> dict[str, str]:
    """Tell bodies apart without showing what they hold: it may be secret."""
    if not extra_body:
        return {}
    try:
        text = json.dumps(extra_body, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):  # it can't be sent either
        text = repr(extra_body)
    return {"extra_body_sha256": hashlib.sha256(text.encode()).hexdigest()[:32]}

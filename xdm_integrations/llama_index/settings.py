"""How a model reaches the gateway: the settings that all of LlamaIndex's classes here share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from llama_index.core.bridge.pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from xdm_integrations._version import __version__
from xdm_integrations.client import AsyncClient, Client  # noqa: TC001 - Pydantic reads it
from xdm_integrations.client.lazy_clients import SAME_NAMES, Connected
from xdm_integrations.core.errors.tree import ConfigurationError, settings_error
from xdm_integrations.core.protocol.checks import OPTIONS, Parameter, unknown_parameter
from xdm_integrations.core.protocol.config import (
    check_headers,
    http_is_allowed,
    normalize_base_url,
    normalize_key,
    normalize_timeout,
)
from xdm_integrations.core.protocol.wire import ExtraBody, Limits, RequestHeaders

USER_AGENT = f"xdm-integrations/{__version__} llama-index-core/{version('llama-index-core')}"

_NAMES_ELSEWHERE = {
    "audio_config": "audio",
    "base_url": "api_base",
    "extra_headers": "default_headers",
    "headers": "default_headers",
    "max_completion_tokens": "max_tokens",
    "model_kwargs": "additional_kwargs",
    "model_name": "model",
    "request_timeout": "timeout",
}
_NAMES_OF_CLIENT = {"api_base": "base_url", "api_key": "api_key", **{name: name for name in SAME_NAMES}}
"""The fields that clients are made of, and what the clients call them."""


def parameter_field(parameter: Parameter) -> Any:  # noqa: ANN401 - stands for a value of the field's type
    """Return the field of a parameter of the endpoint: None unless it is given, described and bounded as in `core`."""
    kind, low, high, doc = parameter
    bounds: dict[str, Any] = {"ge": low, "le": high} if kind in (int, float) else {}
    return Field(default=None, description=doc, **bounds)


class GatewaySettings(Connected, BaseModel):
    """Settings, checked when they are given and when they are assigned. Threads and event loops may share an instance.

    A class stands it before LlamaIndex's own, and says what its endpoint takes.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    PARAMETERS: ClassVar[Mapping[str, Parameter]]
    """The parameters of the endpoint; each is a field of the class, unless LlamaIndex has the name."""
    CHECK_PARAMETERS: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]]
    """Checks some of them, as calls do."""
    NONE_IS_A_VALUE: ClassVar[frozenset[str]] = frozenset()
    """Fields whose default isn't None, and that may be None; for all others None means "not given"."""
    IGNORED: ClassVar[frozenset[str]] = frozenset()
    """Arguments of calls that are dropped."""
    MISPLACED: ClassVar[Mapping[str, str]] = {}
    """Arguments that a call or the constructor can't take, with the advice."""

    additional_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="More fields of the body; parameters in here win over their fields. An `extra_body` in here, as "
        "OpenAILike takes it, is joined to the setting of that name.",
    )
    extra_body: Mapping[str, Any] | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Fields of every body, for servers that know more than the API. They win over parameters. "
        "Never shown, traced or dumped.",
    )
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
        "Default: 10 s to connect, 300 s between bytes, 1800 s between events.",
    )
    max_retries: int = Field(default=2, ge=0, description="Requests after the first, at most.")
    limits: Limits | None = Field(
        default=None, description="How much of a reply is taken before it is refused as too large."
    )
    default_headers: dict[str, str] = Field(
        default_factory=dict, exclude=True, repr=False, description="Headers of every request; never in a dump."
    )

    _made_sync: Client | None = PrivateAttr(default=None)
    _made_async: AsyncClient | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # type checkers read the constructor from the fields

        def __init__(self, *unnamed: Any, **settings: Any) -> None:
            if unnamed:
                raise ConfigurationError(f"{type(self).__name__} takes its settings by name, such as `model=...`.")
            fields = type(self).model_fields
            for name in settings:
                if name not in fields:
                    raise self._unknown_setting(name)
            more = settings.get("additional_kwargs")
            if isinstance(more, Mapping) and isinstance(inner := more.get("extra_body"), Mapping):  # as in OpenAILike
                settings["additional_kwargs"] = {name: v for name, v in more.items() if name != "extra_body"}
                settings["extra_body"] = {**inner, **(settings.get("extra_body") or {})}
            kept = self.NONE_IS_A_VALUE
            try:
                super().__init__(**{name: v for name, v in settings.items() if v is not None or name in kept})
            except ValidationError as error:
                raise settings_error(error) from None

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - of whatever type the field has
        field = type(self).model_fields.get(name)
        if field is not None and value is None and name not in self.NONE_IS_A_VALUE:
            value = field.get_default(call_default_factory=True)
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise settings_error(error) from None
        if name in _NAMES_OF_CLIENT:
            self._forget_clients()

    def __getstate__(self) -> dict[Any, Any]:
        """Return the state of a copy: LlamaIndex deletes what can't be pickled from the state that it is given."""
        return super(GatewaySettings, self.__copy__()).__getstate__()

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
            return {**value, **cls.CHECK_PARAMETERS({name: value[name] for name in cls.PARAMETERS if name in value})}
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
        if not isinstance(value, str) or not value:
            return value or None
        try:
            return normalize_base_url(value, allow_http=http_is_allowed(info.data.get("allow_http"), os.environ))
        except ConfigurationError as error:
            raise ConfigurationError(error.message.replace("base_url", "api_base")) from None

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
        return RequestHeaders(check_headers(value, "default_headers"))

    @field_validator("extra_body")
    @classmethod
    def _hide_extra_body(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        return None if value is None else ExtraBody(value)

    @classmethod
    def _unknown_setting(cls, name: str) -> ConfigurationError:
        known = list(cls.model_fields)
        elsewhere = _NAMES_ELSEWHERE.get(name)
        if elsewhere in known:
            return ConfigurationError(f"{name}: unknown parameter. Did you mean {elsewhere!r}?")
        if name in cls.MISPLACED:
            return ConfigurationError(f"{name}: {cls.MISPLACED[name]}")
        return unknown_parameter(name, known)

    def _client_settings(self) -> dict[str, Any]:
        settings = {there: self.__dict__[here] for here, there in _NAMES_OF_CLIENT.items() if here in self.__dict__}
        key = settings["api_key"]
        settings["api_key"] = key.get_secret_value() if isinstance(key, SecretStr) else key
        settings["default_headers"] = {"User-Agent": USER_AGENT, **self.default_headers}
        return {**settings, "max_tokens": None}  # sent with each call, if at all

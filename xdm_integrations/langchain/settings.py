"""How a model reaches the gateway: the settings that all of LangChain's classes here share."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

from langchain_core import __version__ as core_version
from langchain_core.rate_limiters import BaseRateLimiter  # noqa: TC002 - pydantic reads the annotations
from langchain_core.utils import secret_from_env
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)

from xdm_integrations._version import __version__
from xdm_integrations.client.lazy_clients import SAME_NAMES, Connected
from xdm_integrations.core.errors.tree import ConfigurationError, settings_error
from xdm_integrations.core.protocol.call import layered
from xdm_integrations.core.protocol.checks import OF_ALL_CALLS, OPTIONS, SETTINGS, unknown_parameter
from xdm_integrations.core.protocol.config import (
    DEFAULT_BASE_URL,
    KEY_VARIABLE,
    check_headers,
    http_is_allowed,
    normalize_base_url,
    normalize_key,
    normalize_timeout,
    url_in,
)
from xdm_integrations.core.protocol.wire import ExtraBody, Limits, RequestHeaders, Timeout

if TYPE_CHECKING:
    from typing_extensions import Self

    from xdm_integrations import AsyncClient, Client
    from xdm_integrations.core.protocol.checks import Parameter

Key: TypeAlias = SecretStr | Callable[[], str | SecretStr] | Callable[[], Awaitable[str | SecretStr]] | None
Params: TypeAlias = "dict[str, Any]"

STRUCTURED = "structured_output"
"""The argument of a call that says which object is wanted, and how; `with_structured_output` binds it."""

_ALIASES = {"api_key": "xdm_api_key", "base_url": "xdm_api_base", "model_name": "model", "stop_sequences": "stop"}
"""Names that are accepted, for the fields that they mean."""
_CLIENT_ARGUMENTS = {
    "xdm_api_key": "api_key",
    "xdm_api_base": "base_url",
    "rate_limiter": "rate_limiter",
    **{name: name for name in SAME_NAMES},
}
"""The fields that clients are made of, where a class has them, and what the clients call them."""
_USER_AGENT = f"xdm-integrations/{__version__} langchain-core/{core_version}"


def parameter_field(parameter: Parameter) -> Any:  # noqa: ANN401 - stands for a value of the field's type
    """Return the field of a parameter of the endpoint: None unless it is given, described as `core` does."""
    return Field(default=None, description=parameter.doc)


def _kept_as(kind: type[RequestHeaders | ExtraBody]) -> AfterValidator:
    """Keep a mapping as one that shows nothing, wherever the attributes of an object are printed."""
    return AfterValidator(lambda given: None if given is None else kind(given))


class GatewaySettings(Connected, BaseModel):
    """Settings, checked when they are given and when they are assigned.

    A name that doesn't exist is an error that suggests the near one. None means "not given". Threads and event
    loops may share an instance.

    A class stands it before LangChain's own, and has a field `model` and one for each of its `PARAMETERS`.
    """

    model_config = ConfigDict(
        populate_by_name=True,
        validate_assignment=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # the input holds the key
    )

    PARAMETERS: ClassVar[Mapping[str, Any]]
    """The parameters of the endpoint, by name."""
    CHECK_PARAMETERS: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]]
    """Refuses values that the endpoint can't take, and returns the others in their normal form."""
    DECIDED: ClassVar[tuple[str, ...]]
    """Fields of the body that the method called decides, so that no setting may."""
    NONE_IS_A_VALUE: ClassVar[frozenset[str]] = frozenset()
    """Fields for which None isn't their default."""

    if TYPE_CHECKING:
        model: str

    xdm_api_key: Key = Field(default_factory=secret_from_env(KEY_VARIABLE, default=None), alias="api_key")
    """The API key, or a function that is asked for it before each call (a coroutine function serves async calls
    only). Default: the environment variable `XDM_API_KEY`. Private hosts need none."""
    xdm_api_base: str | None = Field(default=None, alias="base_url")
    """Root URL of the API. Default: the environment variable `XDM_BASE_URL`, else the gateway's."""
    timeout: Timeout | float | tuple[float | None, ...] | None = None
    """Seconds for connecting and for each wait, or `(connect, read)`, or `(connect, read, total)`, or a `Timeout`.
    Default: 10 s to connect, 300 s between bytes, 1800 s between events, no limit in total."""
    max_retries: int = Field(default=2, ge=0)
    """Requests after the first, at most. Only what can't have been answered is sent again."""
    default_headers: Annotated[Mapping[str, str] | None, _kept_as(RequestHeaders)] = Field(
        default=None, exclude=True, repr=False
    )
    """Headers of every request. Never shown, traced or serialized."""
    rate_limiter: BaseRateLimiter | None = Field(default=None, exclude=True, repr=False)
    """Asked for a turn before each HTTP request, retries included."""
    allow_http: bool = False
    """Accept plain http to a public host."""
    limits: Limits | None = None
    """How much of a reply is taken before it is refused as too large."""
    model_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """More parameters, the endpoint's or server-specific ones. They win over the fields, and calls win over them.
    They are traced: what is secret belongs into `extra_body`."""
    extra_body: Annotated[Mapping[str, Any] | None, _kept_as(ExtraBody)] = Field(default=None, exclude=True, repr=False)
    """Fields of every body, for servers that know more than the API. They win over parameters. Never shown, traced
    or serialized."""

    _made_sync: Client | None = PrivateAttr(default=None)
    _made_async: AsyncClient | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # type checkers read the constructor from the fields

        def __init__(self, *unnamed: Any, **settings: Any) -> None:
            """Check the settings, or raise `ConfigurationError`, which names the wrong one. Opens nothing."""
            if unnamed:
                raise ConfigurationError(f"{type(self).__name__} takes its settings by name, such as `model=...`.")
            try:
                super().__init__(**self._checked(settings))
            except ValidationError as error:
                raise settings_error(error) from None

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's signature
        """Call LangChain's: what pydantic makes here for private attributes would hide it."""
        super().model_post_init(context)

    @model_validator(mode="after")
    def _set_xdm_integrations_version(self) -> Self:
        """Tell tracers which version of this package made the run; embeddings have none."""
        versions = (getattr(self, "metadata", None) or {}).get("lc_versions", {})
        if hasattr(self, "_add_version") and "xdm-integrations" not in versions:
            self._add_version("xdm-integrations", __version__)
        return self

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The argument that is secret, and the environment variable that holds it."""
        return {"xdm_api_key": KEY_VARIABLE}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Say that `dumpd` gives the constructor's arguments, secrets left out."""
        return True

    @property
    def model_name(self) -> str:
        """The model's id, under the name that other integrations use."""
        return self.model

    @property
    def base_url(self) -> str:
        """The root URL that requests go to. May be assigned; None for the default."""
        return self.xdm_api_base or _default_base_url(allow_http=http_is_allowed(self.allow_http, os.environ))

    @base_url.setter
    def base_url(self, url: str | None) -> None:
        self.xdm_api_base = url

    @property
    def api_key(self) -> Key:
        """The key, as something that isn't shown, or the function that is asked for it. May be assigned."""
        return self.xdm_api_key

    @api_key.setter
    def api_key(self, key: str | Key) -> None:
        self.xdm_api_key = key  # type: ignore[assignment] # a string is wrapped on its way

    # One object's life

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - any field
        """Check the value as the constructor does; one that can't be used leaves the old one in its place."""
        cls = type(self)
        if name not in cls.model_fields:
            if name[:1] != "_" and not hasattr(cls, name):
                raise self._unknown_setting(name)
            super().__setattr__(name, value)
            return
        others = {other: self.__dict__[other] for other in cls.model_fields if other in self.__dict__}
        try:
            super().__setattr__(name, self._checked({**others, name: value})[name])
        except ValidationError as error:
            raise settings_error(error) from None
        self.__dict__.pop("_serialized", None)  # LangChain's base classes keep it for traces
        if name in _CLIENT_ARGUMENTS:
            self._forget_clients()

    def __eq__(self, other: object) -> bool:
        """Compare the settings."""
        if not isinstance(other, GatewaySettings) or type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).model_fields)

    __hash__ = None  # type: ignore[assignment] # settings can change

    def _client_settings(self) -> dict[str, Any]:
        fields = self.__dict__
        return {
            **{argument: fields[name] for name, argument in _CLIENT_ARGUMENTS.items() if name in fields},
            "default_headers": {"User-Agent": _USER_AGENT, **(self.default_headers or {})},
            "max_tokens": None,  # each call says what it wants, and of which model
        }

    # What identifies it, and what a call sends

    def _identity(self) -> Params:
        """Return what changes an answer, by the names of the constructor; nothing secret."""
        return {**self._given(), "base_url": self.base_url, **self.model_kwargs, **hashed(self.extra_body)}

    def _params(self, kwargs: Mapping[str, Any]) -> Params:
        """Return what the client is called with, or refuse an argument; see `layered`."""
        for name, value in kwargs.items():
            if value is None:
                continue
            if name == "stream":
                raise ConfigurationError(
                    "stream: not a parameter of a call. Call `.stream()` for the pieces, or set `streaming=True` to "
                    "let `invoke`, `batch` and `generate` stream behind the scenes."
                )
            if name not in self.PARAMETERS and name not in OPTIONS:
                settings = dict.fromkeys((*SETTINGS, *type(self).model_fields), OF_ALL_CALLS)
                raise unknown_parameter(name, (*self.PARAMETERS, *OPTIONS), settings)
        return self._layered(kwargs)

    def _layered(self, kwargs: Mapping[str, Any]) -> Params:
        return layered(self.PARAMETERS, self._given(), self.model_kwargs, self.extra_body, kwargs)

    def _given(self) -> Params:
        """Return the fields that are parameters of the endpoint, and were given."""
        fields = self.__dict__  # pydantic's own way to a field is slow, and each call looks at all of them
        return {name: value for name in self.PARAMETERS if (value := fields[name]) is not None}

    def _shown(self, kwargs: Mapping[str, Any]) -> Params:
        """Return what of a call belongs into cache keys and traces, beside `_identity`."""
        shown = {name: value for name, value in kwargs.items() if name in self.PARAMETERS and value is not None}
        if kwargs.get("extra_body"):
            shown.update(hashed(self._layered(kwargs)["extra_body"]))
        return shown

    # Checks, before pydantic's and the client's: names, ranges, None

    @classmethod
    def _checked(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return all that the constructor was given, or that an object has now, as it is kept; or refuse it."""
        given: dict[str, Any] = {}
        for alias, value in values.items():
            name = _ALIASES.get(alias, alias)
            field = cls.model_fields.get(name)
            if field is None:
                raise cls._unknown_setting(alias)
            if value is None and name not in cls.NONE_IS_A_VALUE:
                given.setdefault(name, field.get_default(call_default_factory=True))
            elif name != alias and values.get(name) not in (None, value):
                raise ConfigurationError(f"{alias}: given twice, as `{alias}` and as `{name}`.")
            else:
                given[name] = value
        given.update(cls.CHECK_PARAMETERS({name: given.get(name) for name in cls.PARAMETERS}))
        model_kwargs = given.get("model_kwargs")
        if isinstance(model_kwargs, dict):
            cls.CHECK_PARAMETERS({name: value for name, value in model_kwargs.items() if name in cls.PARAMETERS})
            for name in OPTIONS:
                if name in model_kwargs:
                    raise ConfigurationError(f"model_kwargs: {name!r} belongs beside it, not into it.")
            for name in cls.DECIDED:
                if name in model_kwargs:
                    raise ConfigurationError(f"model_kwargs: must not hold {name!r}; the method called decides it.")
        _check_connection(given)
        return given

    @classmethod
    def _unknown_setting(cls, name: str) -> ConfigurationError:
        return unknown_parameter(name, sorted({*cls.model_fields, *_ALIASES}))


def _check_connection(given: dict[str, Any]) -> None:
    """Check how the gateway is reached, and bring it into its normal form."""
    key = given.get("xdm_api_key")
    if key is not None and not callable(key):
        plain = normalize_key(key)
        given["xdm_api_key"] = None if plain is None else SecretStr(plain)
    timeout = given.get("timeout")
    if timeout is not None:
        given["timeout"] = tuple(timeout) if isinstance(timeout, list) else timeout
        normalize_timeout(given["timeout"])
    allow_http = http_is_allowed(given.get("allow_http"), os.environ)
    if given.get("xdm_api_base"):
        given["xdm_api_base"] = normalize_base_url(given["xdm_api_base"], allow_http=allow_http)
    elif url_in(os.environ):
        given["xdm_api_base"] = _default_base_url(allow_http=allow_http)
    if given.get("default_headers") is not None:
        given["default_headers"] = check_headers(given["default_headers"], "default_headers")


def _default_base_url(*, allow_http: bool) -> str:
    return normalize_base_url(url_in(os.environ) or DEFAULT_BASE_URL, allow_http=allow_http)


def hashed(extra_body: Mapping[str, Any] | None) -> dict[str, str]:
    """Tell bodies apart without showing what they hold: it may be secret."""
    if not extra_body:
        return {}
    try:
        text = json.dumps(extra_body, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):  # it can't be sent either
        text = repr(extra_body)
    return {"extra_body_sha256": hashlib.sha256(text.encode()).hexdigest()[:32]}

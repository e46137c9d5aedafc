"""The checks of `XDMLLM`'s settings and calls, before pydantic's and the client's own: names, ranges, None."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from xdm_integrations.core.completions.parameters import PARAMETERS, check_parameters
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import OPTIONS, unknown_parameter
from xdm_integrations.core.protocol.config import (
    DEFAULT_BASE_URL,
    URL_VARIABLE,
    check_headers,
    normalize_base_url,
    normalize_key,
    normalize_timeout,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

ALIASES = {"api_key": "xdm_api_key", "base_url": "xdm_api_base", "model_name": "model"}
"""Names that are accepted, for the fields that they mean."""

_KNOWN = (*PARAMETERS, *OPTIONS)


def check_settings(cls: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as they are kept, each checked; `values` isn't changed.

    Args:
        cls: The class with the fields.
        values: What the constructor was given; or, when one field is assigned, all of them.

    Raises:
        ConfigurationError: A name is unknown, or a value can't be used.
    """
    fields = cls.model_fields
    given: dict[str, Any] = {}
    for alias, value in values.items():
        name = ALIASES.get(alias, alias)
        if name not in fields:
            raise unknown_setting(alias, cls)
        if value is None and name != "max_tokens":
            given.setdefault(name, fields[name].get_default(call_default_factory=True))  # "not given"
        elif name != alias and values.get(name) not in (None, value):
            raise ConfigurationError(f"{alias}: given twice, as `{alias}` and as `{name}`.")
        else:
            given[name] = value
    given.update(check_parameters({name: given.get(name) for name in PARAMETERS}))
    model_kwargs = given.get("model_kwargs")
    if isinstance(model_kwargs, dict):
        check_parameters({name: value for name, value in model_kwargs.items() if name in PARAMETERS})
        for name in OPTIONS:
            if name in model_kwargs:
                raise ConfigurationError(f"model_kwargs: {name!r} belongs beside it, not into it.")
        for name in ("prompt", "stream"):
            if name in model_kwargs:
                raise ConfigurationError(f"model_kwargs: must not hold {name!r}; the method called decides it.")
    _check_client_settings(given)
    return given


def default_base_url(*, allow_http: bool) -> str:
    """Return the root URL where none is given: the environment's, else the gateway's."""
    return normalize_base_url(os.environ.get(URL_VARIABLE) or DEFAULT_BASE_URL, allow_http=allow_http)


def unknown_setting(name: str, cls: type[BaseModel]) -> ConfigurationError:
    """Return the error for a misspelt or unknown field, with the near name."""
    return unknown_parameter(name, sorted({*cls.model_fields, *ALIASES}))


def check_call(kwargs: Mapping[str, Any]) -> None:
    """Check what the client can't: it takes more arguments than a call of LangChain's may give.

    Raises:
        ConfigurationError: A name isn't a parameter, or a value isn't what it must be.
    """
    for name, value in kwargs.items():
        if value is None:
            continue
        if name == "stream":
            raise ConfigurationError(
                "stream: not a parameter of a call. Call `.stream()` for the pieces, or set `streaming=True` to let "
                "`invoke` and its kin stream behind the scenes."
            )
        if name not in _KNOWN:
            raise unknown_parameter(name, _KNOWN)
        if name in ("extra_body", "extra_headers") and not isinstance(value, Mapping):
            raise ConfigurationError(f"{name}: expected a mapping, got {type(value).__name__}.")


def _check_client_settings(given: dict[str, Any]) -> None:
    key = given.get("xdm_api_key")
    if key is not None and not callable(key):
        plain = normalize_key(key)
        given["xdm_api_key"] = None if plain is None else SecretStr(plain)
    timeout = given.get("timeout")
    if timeout is not None:
        given["timeout"] = tuple(timeout) if isinstance(timeout, list) else timeout
        normalize_timeout(given["timeout"])
    allow_http = bool(given.get("allow_http"))
    if given.get("xdm_api_base"):
        given["xdm_api_base"] = normalize_base_url(given["xdm_api_base"], allow_http=allow_http)
    elif os.environ.get(URL_VARIABLE):
        given["xdm_api_base"] = default_base_url(allow_http=allow_http)
    if given.get("default_headers") is not None:
        given["default_headers"] = check_headers(given["default_headers"])

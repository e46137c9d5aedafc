"""The checks of `XDMLLM`'s settings, before pydantic's own: unknown names, ranges, what None means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.config import URL_VARIABLE, check_headers, normalize_base_url, normalize_timeout
from xdm_integrations.core.errors import ConfigurationError
from xdm_integrations.core.parameters import OPTIONS, PARAMETERS, check_parameters, unknown_parameter

if TYPE_CHECKING:
    from pydantic import BaseModel

_FORMER = {"model_name": "model"}
"""Names that other integrations use."""

_KEPT = "_serialized"
"""LangChain keeps this beside the fields, for traces. Left out on assignment, it is made anew."""


def check_settings(cls: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as they are kept, each checked; `values` isn't changed.

    Args:
        cls: The class with the fields.
        values: What the constructor was given; or, when one field is assigned, all of them.

    Raises:
        ConfigurationError: A name is unknown, or a value can't be used.
    """
    values = {name: value for name, value in values.items() if name != _KEPT}
    given = {_FORMER.get(name, name): value for name, value in values.items()}
    if len(given) != len(values):
        raise ConfigurationError("model: given twice, as `model` and as `model_name`.")
    fields = cls.model_fields
    known = {*fields, *(field.alias for field in fields.values() if field.alias)}
    for name, value in list(given.items()):
        if name not in known:
            raise unknown_parameter(name, sorted(known))
        if value is None and name != "max_tokens" and name in fields and fields[name].default is not None:
            # "not given"; on assignment that is the default
            given[name] = fields[name].get_default(call_default_factory=True)
    given.update(check_parameters({name: given.get(name) for name in PARAMETERS}))
    model_kwargs = given.get("model_kwargs")
    if isinstance(model_kwargs, dict):
        check_parameters({name: value for name, value in model_kwargs.items() if name in PARAMETERS})
        for name in OPTIONS:
            if name in model_kwargs:
                raise ConfigurationError(f"model_kwargs: {name!r} belongs beside it, not into it.")
    _check_client_settings(given)
    return given


def _check_client_settings(given: dict[str, Any]) -> None:
    timeout = given.get("timeout")
    if timeout is not None:
        given["timeout"] = tuple(timeout) if isinstance(timeout, list) else timeout
        normalize_timeout(given["timeout"])
    name = "base_url" if given.get("base_url") is not None else "xdm_api_base"
    url = given.get(name) or os.environ.get(URL_VARIABLE)
    if url:
        given[name] = normalize_base_url(url, allow_http=bool(given.get("allow_http")))
    if given.get("default_headers"):
        given["default_headers"] = check_headers(given["default_headers"])

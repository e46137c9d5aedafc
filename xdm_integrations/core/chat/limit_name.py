"""The limit of tokens has two names, `max_tokens` and `max_completion_tokens`; some servers take only one of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.tree import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.errors.tree import XDMError

LIMIT_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_WRONG_NAME = r"(?i)instead|unsupported|not supported|unrecognized|unknown|unexpected"


def one_limit(params: dict[str, Any], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with one limit: by the name in the first of these layers that has any; one may have both."""
    for layer in layers:
        given = [name for name in LIMIT_NAMES if layer.get(name) is not None]
        if given:
            dropped = LIMIT_NAMES[given[0]] if len(given) == 1 else None
            return {name: value for name, value in params.items() if name != dropped}
    return params


def wanted_limit_name(error: XDMError, body: Mapping[str, Any]) -> str | None:
    """Return the name that a server wants for the limit of tokens, where it refuses the one in `body`."""
    given = next((name for name in LIMIT_NAMES if name in body), None)
    if given is None or not isinstance(error, BadRequestError):
        return None
    names = re.findall(r"max_(?:completion_)?tokens", error.body)
    other = LIMIT_NAMES[given]
    return other if other in names and given in names and re.search(_WRONG_NAME, error.body) else None


def renamed(body: dict[str, Any], name: str | None) -> dict[str, Any]:
    """Return the body with the limit of tokens under this name; None leaves it as it is."""
    return {name if key == LIMIT_NAMES[name] else key: value for key, value in body.items()} if name else body

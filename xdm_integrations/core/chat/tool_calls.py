"""Calls of tools: as the model wrote them, in pieces, and as they go back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from xdm_integrations.core.errors.tree import APIResponseError, ConfigurationError

_SHOWN = 300  # characters of the arguments in a message


def arguments_of(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a tool call's arguments are, or None if they aren't one.

    A line break inside a string is let pass: models write it, and it cuts nothing.
    """
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class ToolCall(NamedTuple):
    """One call of a tool, as the model wrote it.

    Attributes:
        id: The call's id, which its result must name; made up where the server sent none.
        name: The tool's name.
        arguments: The arguments as JSON text, never repaired; "{}" where the server sent none.
        extra: The server's other fields of the call (`extra_content`, ...), or None.
    """

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Any] | None = None

    @classmethod
    def from_wire(cls, call: Mapping[str, Any]) -> ToolCall:
        """Return a call that a message holds in the API's form, with whatever is left out of it.

        Raises:
            ConfigurationError: It is no mapping.
        """
        if not isinstance(call, Mapping):
            raise ConfigurationError(f"tool_calls: a stored call is a {type(call).__name__}; expected a mapping.")
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments or {}, ensure_ascii=False, default=str)
        extra = {name: value for name, value in call.items() if name not in ("id", "type", "function", "index")}
        return cls(call.get("id") or "", function.get("name") or "", arguments, extra or None)

    def parsed(self) -> dict[str, Any]:
        """Return the arguments as a dictionary; an `APIResponseError` shows those that aren't a JSON object."""
        value = arguments_of(self.arguments)
        if value is None:
            shown = self.arguments if len(self.arguments) <= _SHOWN else self.arguments[:_SHOWN] + "…"
            raise APIResponseError(
                f"The arguments of the call of {self.name!r} aren't a JSON object; the model wrote: {shown!r}.",
                body=self.arguments[:4096],
            )
        return value

    def to_wire(self) -> dict[str, Any]:
        """Return the call as it goes back in the next request.

        Its arguments are always a JSON object there, "{}" where they can't be read: gateways refuse or drop others.
        """
        arguments = self.arguments
        try:
            if not isinstance(json.loads(arguments), dict):
                arguments = "{}"
        except (ValueError, RecursionError):
            arguments = json.dumps(arguments_of(arguments) or {}, ensure_ascii=False)
        call = {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}}
        return {**(self.extra or {}), **call}


class ToolCallDelta(NamedTuple):
    """A piece of a tool call.

    Attributes:
        index: The call's number within the answer: 0, 1, 2, ..., whatever the server numbers.
        id: Given once per call, mostly on its first piece; else None.
        name: Given once per call, on its first piece; else None.
        arguments: The next piece of the arguments' JSON text; may be "".
    """

    index: int  # type: ignore[assignment] # the API's own name; it hides `tuple.index`
    id: str | None = None
    name: str | None = None
    arguments: str = ""

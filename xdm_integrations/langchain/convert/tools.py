"""Tools as LangChain's users give them, in the API's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.utils.function_calling import convert_to_openai_tool

from xdm_integrations.core.errors.tree import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.tools import BaseTool

_SCHEMAS = ("function", "object", "custom")
"""Types of dictionaries that describe a function; any other is a provider's own kind of tool."""
_WORDS = {"auto": "auto", "none": "none", "any": "required", "required": "required"}


def wire_tool(
    tool: Mapping[str, Any] | type | Callable[..., Any] | BaseTool, *, strict: bool | None = None
) -> dict[str, Any]:
    """Return a tool in the API's form; a provider's own kind as it is.

    Raises:
        ConfigurationError: It can't be described.
    """
    if isinstance(tool, Mapping) and tool.get("type", "object") not in _SCHEMAS and "input_schema" not in tool:
        return dict(tool)
    try:
        made: dict[str, Any] = convert_to_openai_tool(tool, strict=strict)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"tools: {tool!r} can't be described to the model ({error}).") from None
    return made


def tool_choice_of(choice: object, tools: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a text or a dictionary
    """Return `tool_choice` in the API's form; None if it says nothing.

    Raises:
        ConfigurationError: It names none of the tools.
    """
    if choice is None or choice is False or not tools:
        return None
    if choice is True:
        return "required"
    if isinstance(choice, Mapping):
        if choice.get("type") in _WORDS:  # Anthropic's form
            return _WORDS[str(choice["type"])]
        if choice.get("type") != "tool":
            return dict(choice)
        choice = choice.get("name")
    names = [str(tool["function"]["name"]) for tool in tools if tool.get("type") == "function"]
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    if isinstance(choice, str) and choice in _WORDS:
        return _WORDS[choice]
    raise ConfigurationError(f"tool_choice: there is no tool {choice!r}; the tools are {', '.join(names)}.")

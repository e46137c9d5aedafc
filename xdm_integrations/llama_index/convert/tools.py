"""LlamaIndex's tools as the API takes them, and the model's calls as LlamaIndex takes them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from pydantic_core import from_json

from xdm_integrations.core.chat.choice_so_far import CUT
from xdm_integrations.core.chat.strict_schemas import strict_schema
from xdm_integrations.core.chat.structured import form_of
from xdm_integrations.core.chat.tool_calls import arguments_of
from xdm_integrations.core.errors.tree import ConfigurationError

from .chat import PIECE
from .messages import INVALID_TOOL_CALLS, TOOL_CALLS, stored_call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.core.tools import BaseTool

_SHOWN = 300  # characters of what the model wrote, in an error


def as_tool(tool: BaseTool, *, strict: bool | None) -> dict[str, Any]:
    """Return a tool in the API's form; `strict` makes the provider enforce its schema.

    Raises:
        ConfigurationError: It is none of LlamaIndex's tools.
    """
    if not hasattr(tool, "metadata"):
        raise ConfigurationError(
            f"tools: expected LlamaIndex's tools, got {type(tool).__name__}. Make one of a function by "
            f"`FunctionTool.from_defaults(function)`; dictionaries go into `chat(..., tools=...)`."
        )
    made: dict[str, Any] = tool.metadata.to_openai_tool(skip_length_check=True)
    function = made["function"]
    if "properties" not in function["parameters"] and tool.metadata.fn_schema is not None:
        # LlamaIndex drops the schema of a recursive class, which is a reference
        function = {**function, "parameters": form_of(tool.metadata.fn_schema.model_json_schema()).schema}
    if strict:
        function = {**function, "strict": True, "parameters": strict_schema(function["parameters"])}
    return {**made, "function": function}


def choice_of(choice: str | Mapping[str, Any] | None) -> str | Mapping[str, Any] | None:
    """Return a choice in the API's form; a string beside the API's three is a tool's name."""
    if isinstance(choice, str) and choice not in ("auto", "none", "required"):
        return {"type": "function", "function": {"name": choice}}
    return choice


def selections(response: ChatResponse) -> list[ToolSelection]:
    """See `XDMChat.get_tool_calls_from_response`; there may be none."""
    message, kept = response.message, response.message.additional_kwargs
    raw = response.raw if isinstance(response.raw, dict) else {}
    if kept.get(INVALID_TOOL_CALLS):
        call = stored_call(kept[INVALID_TOOL_CALLS][0])
        raise _not_an_object(call.name, call.arguments, raw)
    calls = [
        (block.tool_call_id or "", block.tool_name, block.tool_kwargs)
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    if not calls and kept.get(TOOL_CALLS):
        calls = [stored_call(call)[:3] for call in kept[TOOL_CALLS]]
    growing = raw.get("object") == PIECE
    chosen: list[ToolSelection] = []
    for call_id, name, written in calls:
        arguments = (
            written if isinstance(written, dict) else _so_far(written) if growing else arguments_of(written or "{}")
        )
        if arguments is None:
            raise _not_an_object(name, str(written), raw)
        chosen.append(ToolSelection(tool_id=call_id, tool_name=name, tool_kwargs=arguments))
    return chosen


def _so_far(text: str) -> dict[str, Any]:
    """Return as much of the arguments as has come; {} as long as there is nothing to be read."""
    try:
        value = from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _not_an_object(name: str, written: str, raw: Mapping[str, Any]) -> ValueError:
    choices = raw.get("choices") or [{}]
    cut = choices[0].get("finish_reason") in CUT
    return ValueError(
        f"The call of {name!r} can't be carried out: its arguments are no JSON object; the model wrote "
        f"{written[:_SHOWN]!r}.{' The answer was cut by its limit of tokens; raise `max_tokens`.' if cut else ''}"
    )

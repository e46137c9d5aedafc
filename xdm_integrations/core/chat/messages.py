"""Messages on their way out: checked shallowly, brought into the form that survives a relay, never changed in place.

What survives One API, New API and one-hub, which parse a request and write it anew: `system` and not
`developer` (channels of Claude refuse it, or make it an assistant's turn), text as a string,
`content: null` only beside tool calls, arguments always a JSON object in a string, no nulls. Reasoning
goes back beside tool calls, where DeepSeek and Kimi demand it, and nowhere else, since DeepSeek's R1
refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.tree import ConfigurationError

from .parts import text_part
from .results import REASONING_KEYS
from .tool_calls import ToolCall

_NO_TEXT = frozenset({"audio", "function_call"})
"""Fields of an answer without a text."""

Messages: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""One user message as a string, or messages in the API's form."""


def system(content: str | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a system message."""
    return {"role": "system", "content": content}


def user(content: str | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a user's message: a text, or parts (see `parts`)."""
    return {"role": "user", "content": content}


def assistant(
    content: str | Sequence[Mapping[str, Any]] | None = None,
    *,
    tool_calls: Sequence[ToolCall] = (),
    reasoning: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an assistant's message.

    Args:
        content: Its text or parts; None or "" beside tool calls, and for an audio answer.
        tool_calls: Its calls, valid or not; see `ToolCall.to_wire`.
        reasoning: Its reasoning by the field it came in; kept only beside tool calls.
        extra: Other fields of the message.
    """
    extra = extra or {}
    empty = None if tool_calls or not _NO_TEXT.isdisjoint(extra) else ""
    message: dict[str, Any] = {**extra, "role": "assistant", "content": content or empty}
    if tool_calls:
        message["tool_calls"] = [call.to_wire() for call in tool_calls]
        message.update(reasoning or {})
    return message


def tool_result(call: ToolCall | str, content: str | Sequence[Mapping[str, Any]], **extra: Any) -> dict[str, Any]:
    """Return the message with a tool's result.

    Args:
        call: The call, or its id.
        content: The result as text (or parts).
        **extra: Other fields of the message (`name`, which New API's channel of Gemini reads).
    """
    return {
        **extra,
        "role": "tool",
        "tool_call_id": call.id if isinstance(call, ToolCall) else call,
        "content": content,
    }


def check_messages(messages: object) -> list[dict[str, Any]]:
    """Return messages as they are sent, as new objects.

    Raises:
        ConfigurationError: One of them, named by its number from 1, can't be sent, or there are none.
    """
    if isinstance(messages, str):
        messages = [user(messages)]
    if not isinstance(messages, (list, Sequence)) or isinstance(messages, (bytes, bytearray)):  # an ABC alone is slow
        raise ConfigurationError(
            f"messages: expected a string or a list of messages, got {type(messages).__name__}. A message is a "
            'mapping such as {"role": "user", "content": "Hello"}.'
        )
    if not messages:
        raise ConfigurationError("messages: there are none; a conversation needs at least one.")
    calls: set[str] = set()
    return [_checked(message, f"messages: message {number}", calls) for number, message in enumerate(messages, 1)]


def joined(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages with neighbours of one role made into one, an empty line between their texts.

    A Claude channel of One API and New API joins them with a space and drops their quotation marks
    (relay/channel/claude/relay-claude.go), and the templates of many models refuse them. What has more than a role and
    a content stays as it is.
    """
    made: list[dict[str, Any]] = []
    for message in messages:
        before = made[-1] if made else {}
        if message["role"] == before.get("role") and message.keys() == before.keys() == {"role", "content"}:
            made[-1] = {"role": message["role"], "content": _together(before["content"], message["content"])}
        else:
            made.append(message)
    return made


def _together(one: Any, other: Any) -> Any:  # noqa: ANN401 - content is a text or parts
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}" if one and other else one or other
    parts: list[Any] = []
    for content in (one, other):
        parts += content if isinstance(content, list) else [text_part(content)] if content else []
    return parts


def _checked(message: object, where: str, calls: set[str]) -> dict[str, Any]:
    if not isinstance(message, (dict, Mapping)):
        raise ConfigurationError(
            f'{where} is a {type(message).__name__}; expected a mapping such as {{"role": "user", "content": "Hello"}}.'
        )
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise ConfigurationError(f"{where} has no role; it is one of system, user, assistant, tool.")
    sent = {name: value for name, value in message.items() if value is not None}
    sent["role"] = "system" if role == "developer" else role
    if "content" in sent:
        sent["content"] = _content(sent["content"], where)
    if role == "assistant":
        _check_assistant(sent, where, calls)
    elif "content" not in sent:
        raise ConfigurationError(f"{where} ({role}) has no content.")
    if role == "tool":
        _check_tool_result(sent, where, calls)
    return sent


def _content(content: object, where: str) -> object:
    """Return content as it is sent: parts that are nothing but text become one string."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence) or isinstance(content, (bytes, bytearray)):
        raise ConfigurationError(
            f"{where}: content is a {type(content).__name__}; expected a string or a list of parts."
        )
    parts: list[Any] = []
    for number, part in enumerate(content, 1):
        if isinstance(part, str):
            parts.append(text_part(part))
        elif isinstance(part, Mapping) and isinstance(part.get("type"), str):
            parts.append(dict(part))
        else:
            raise ConfigurationError(
                f"{where}: part {number} of its content must be a string or a mapping with a `type`."
            )
    if all(part.keys() == {"type", "text"} and isinstance(part["text"], str) for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _check_assistant(sent: dict[str, Any], where: str, calls: set[str]) -> None:
    given = sent.pop("tool_calls", None) or []
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ConfigurationError(f"{where}: tool_calls must be a list.")
    if given:
        sent["tool_calls"] = [
            _call(call, f"{where}: tool call {number}", calls) for number, call in enumerate(given, 1)
        ]
        sent["content"] = sent.get("content") or None
        return
    for name in REASONING_KEYS:
        sent.pop(name, None)
    if "content" not in sent:
        if not sent.keys() & {"refusal", "audio", "function_call"}:
            raise ConfigurationError(f"{where} (assistant) has neither content nor tool calls.")
        if "refusal" not in sent:
            sent["content"] = None


def _call(call: object, where: str, calls: set[str]) -> dict[str, Any]:
    if isinstance(call, ToolCall):
        call = call.to_wire()
    if not isinstance(call, Mapping):
        raise ConfigurationError(f"{where} is a {type(call).__name__}; expected a mapping.")
    sent = {name: value for name, value in call.items() if value is not None and name != "index"}
    call_id = sent.get("id")
    if not isinstance(call_id, str) or not call_id:
        raise ConfigurationError(f"{where} has no id, which its result must name.")
    calls.add(call_id)
    sent.setdefault("type", "function")
    if sent["type"] != "function":
        return sent
    function = sent.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise ConfigurationError(f"{where} has no function with a name.")
    return {**sent, "function": {**function, "arguments": _arguments(function.get("arguments"), where)}}


def _arguments(value: object, where: str) -> str:
    if value is None or (isinstance(value, str) and value.strip() in ("", "null")):
        return "{}"
    try:
        text = value if isinstance(value, str) else jsontext.dumps(value).decode()
        if isinstance(json.loads(text), dict):
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    raise ConfigurationError(f"{where}: its arguments aren't a JSON object; gateways refuse or drop such a call.")


def _check_tool_result(sent: Mapping[str, Any], where: str, calls: set[str]) -> None:
    call_id = sent.get("tool_call_id")
    if not isinstance(call_id, str):
        raise ConfigurationError(f"{where} (tool) has no tool_call_id, the id of the call that it answers.")
    if call_id not in calls:
        raise ConfigurationError(
            f"{where} (tool) answers the call {call_id!r}, but no assistant message before it holds that call."
        )

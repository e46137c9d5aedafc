"""Python functions as tools of a chat: what the model is told of them, and their calls carried out.

The loop itself is `Client.run_tools`; whatever it decides is here, once for sync and async.
"""

# ruff: noqa: ANN401 - arguments and results of a user's functions may be anything

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core.chat.choice_so_far import CUT
from xdm_integrations.core.chat.messages import check_messages, tool_result
from xdm_integrations.core.errors.tree import APIResponseError, ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import check_at_least_one
from xdm_integrations.core.protocol.results import Usage, total_usage

from .annotations import hints_of, is_pydantic, schema_of, value_of
from .chats import chat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from xdm_integrations.core.chat.results import ChatCompletion
    from xdm_integrations.core.chat.tool_calls import ToolCall
    from xdm_integrations.core.protocol.call import Setup
    from xdm_integrations.core.protocol.flow import Flow

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_THREADS = 8
_NOT_HERE = ("n", "response_format", "tools")


class ToolRun(NamedTuple):
    """What came of a conversation with tools.

    Attributes:
        completion: The final answer, with the token counts of its own request.
        messages: All messages: those that were given, the calls and their results, and the final answer.
        usage: Token counts of all requests together, or None if the server gave none.
    """

    completion: ChatCompletion
    messages: list[dict[str, Any]]
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """The text of the final answer."""
        return self.completion.text


class TooManyTurnsError(XDMError):
    """The model still called tools after as many requests as were allowed.

    `.partial` is its last answer, whose calls weren't carried out; `.messages` are those before it.
    """


class Tool(NamedTuple):
    """A function that the model may call.

    Attributes:
        name: Its name.
        function: The function itself; may be a coroutine function.
        hints: The annotations of its parameters.
        required: The parameters without a default.
        wire: What the model is told.
    """

    name: str
    function: Callable[..., Any]
    hints: Mapping[str, Any]
    required: Sequence[str]
    wire: dict[str, Any]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Tool:
        """Return a function as a tool: its name, its docstring, and a JSON schema from its annotations.

        A description of a parameter comes from `Annotated[str, "..."]`, or from the docstring's section `Args:`.

        Raises:
            ConfigurationError: It can't be a tool; the message says why.
        """
        name = getattr(function, "__name__", "")
        if not callable(function) or not _NAME.fullmatch(name):
            raise ConfigurationError(f"tools: {function!r:.80} isn't a function with a name of letters and digits.")
        hints = hints_of(function)
        summary, described = _docstring(inspect.getdoc(function) or "")
        properties: dict[str, Any] = {}
        required: list[str] = []
        for parameter in _parameters(function, name):
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            where = f"tools: {name}({parameter.name})"
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise ConfigurationError(f"{where} can't be passed by name.")
            schema = schema_of(hints.get(parameter.name, Any), where)
            if parameter.name in described:
                schema.setdefault("description", described[parameter.name])
            properties[parameter.name] = schema
            if parameter.default is parameter.empty:
                required.append(parameter.name)
        told: dict[str, Any] = {"name": name, **({"description": summary} if summary else {})}
        told["parameters"] = _with_definitions({"type": "object", "properties": properties, "required": required})
        wire = {"type": "function", "function": told}
        return cls(name, function, {key: hints.get(key, Any) for key in properties}, required, wire)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call as the function's annotations want them.

        Raises:
            ValueError: One is missing, unknown, or of a wrong type.
        """
        for name in given:
            if name not in self.hints:
                raise ValueError(f"{self.name} has no parameter {name!r}.")
        for name in self.required:
            if name not in given:
                raise ValueError(f"the parameter {name!r} is missing.")
        return {name: value_of(self.hints[name], value, name) for name, value in given.items()}


class Task(NamedTuple):
    """A call to be carried out, or to be answered with an error.

    Attributes:
        call: The call.
        function: What is called; None for a call that can't be carried out.
        arguments: What it is called with.
        error: What the model is told instead of a result.
    """

    call: ToolCall
    function: Callable[..., Any] | None = None
    arguments: Mapping[str, Any] = {}
    error: str = ""


class ToolLoop:
    """A conversation with tools as far as it has come.

    Attributes:
        messages: All messages so far.
        params: What the next request is sent with, beside the messages.
    """

    def __init__(
        self,
        messages: object,
        tools: Sequence[Callable[..., Any]],
        max_turns: int,
        params: Mapping[str, Any],
        *,
        awaits: bool,
    ) -> None:
        """Check what was given.

        Raises:
            ConfigurationError: It can't be used; no byte was sent.
        """
        check_at_least_one("max_turns", max_turns)
        for name in _NOT_HERE:
            if params.get(name) is not None:
                raise ConfigurationError(f"{name}: can't be used while tools are run; use `chat` with `.messages`.")
        if not isinstance(tools, Collection):
            raise ConfigurationError(f"tools: expected a list of functions, got {type(tools).__name__}.")
        self._tools = {made.name: made for made in map(Tool.of, tools)}
        if not tools or len(self._tools) < len(tools):
            raise ConfigurationError("tools: pass at least one function, and each name once.")
        for made in self._tools.values():
            if inspect.iscoroutinefunction(made.function) and not awaits:
                raise _awaited(made.name)
        self.messages = check_messages(messages)
        self.params = {**params, "tools": [made.wire for made in self._tools.values()]}
        self._turns_left = max_turns
        self._usages: list[Usage | None] = []

    def ask(self, setup: Setup) -> Flow[ChatCompletion]:
        """Ask for the next answer. An error has the messages and the token counts of the answers before it."""
        try:
            return (yield from chat(setup, self.messages, self.params))
        except XDMError as error:
            last = error.usage if error.partial is None else error.partial.usage
            self._failed(error, [*self._usages, last])
            raise

    def take(self, completion: ChatCompletion) -> list[Task]:
        """Take an answer, and return the calls in it; none if it is the final one.

        Raises:
            TooManyTurnsError: It holds calls, and no further request is allowed.
            APIResponseError: It calls something without a name.
        """
        self._turns_left -= 1
        self._usages.append(completion.usage)
        cut = " It was cut by the limit of tokens." if completion.finish_reason in CUT else ""
        tasks = [self._task(call) for call in completion.tool_calls]
        tasks += [
            Task(call, error=f"Error: the arguments aren't a JSON object: {call.arguments!r:.300}.{cut}")
            for call in completion.invalid_tool_calls
            if call.name
        ]
        if not tasks and completion.invalid_tool_calls:
            error: XDMError = APIResponseError("The model called a tool without naming it.", partial=completion)
            raise self._failed(error, self._usages)
        if tasks and not self._turns_left:
            error = TooManyTurnsError(
                f"The model still calls tools after {len(self._usages)} requests; raise `max_turns` if it needs more.",
                partial=completion,
                request_id=completion.request_id,
            )
            raise self._failed(error, self._usages)
        self.messages.append(completion.message)
        if self.params.get("tool_choice") != "none":
            self.params.pop("tool_choice", None)  # it forced the first call, and would force calls for ever
        return tasks

    def _failed(self, error: XDMError, usages: list[Usage | None]) -> XDMError:
        """Return an error with what the caller needs to go on."""
        error.messages, error.usage = self.messages, total_usage(usages)
        return error

    def _task(self, call: ToolCall) -> Task:
        found = self._tools.get(call.name)
        if found is None:
            return Task(call, error=f"Error: there is no tool {call.name!r}; there are {', '.join(self._tools)}.")
        try:
            return Task(call, found.function, found.arguments(call.parsed()))
        except Exception as error:  # noqa: BLE001 - a class may refuse its fields by any error
            return Task(call, error=f"Error: wrong arguments: {error}")

    def add(self, tasks: Sequence[Task], results: Sequence[str]) -> None:
        """Add the results of calls, in the order of the calls."""
        self.messages += [tool_result(task.call, result) for task, result in zip(tasks, results, strict=True)]

    def result(self, completion: ChatCompletion) -> ToolRun:
        """Return what came of it, with its final answer."""
        return ToolRun(completion, self.messages, total_usage(self._usages))


def carry_out(tasks: Sequence[Task]) -> list[str]:
    """Carry calls out, several at once, and return their results as the model is told them."""
    if len(tasks) == 1:
        return [_carry_out(tasks[0])]
    with ThreadPoolExecutor(min(len(tasks), _MOST_THREADS), thread_name_prefix="xdm-tool") as pool:
        running = [pool.submit(copy_context().run, _carry_out, task) for task in tasks]
        return [done.result() for done in running]


async def carry_out_async(tasks: Sequence[Task]) -> list[str]:
    """Carry calls out at the same time; functions that don't await run in threads."""
    return list(await asyncio.gather(*map(_carry_out_async, tasks)))


def _called(task: Task) -> Any:
    """Return the result of a call as the model is told it; a coroutine as it is: decorators hide that one comes."""
    if task.function is None:
        return task.error
    try:
        result = task.function(**task.arguments)
        return result if inspect.iscoroutine(result) else _text(result)
    except Exception as error:  # noqa: BLE001 - whatever a tool raises, the model is told
        return _told(error)


def _carry_out(task: Task) -> str:
    result = _called(task)
    if inspect.iscoroutine(result):
        result.close()
        raise _awaited(task.call.name)
    return str(result)


async def _carry_out_async(task: Task) -> str:
    quick = task.function is None or inspect.iscoroutinefunction(task.function)
    result = _called(task) if quick else await asyncio.to_thread(_called, task)
    if inspect.iscoroutine(result):
        try:
            result = _text(await result)
        except Exception as error:  # noqa: BLE001 - as above
            result = _told(error)
    return str(result)


def _told(error: Exception) -> str:
    return f"Error: {type(error).__name__}: {error}"


def _awaited(name: str) -> ConfigurationError:
    return ConfigurationError(f"tools: {name} is a coroutine function; run it by `AsyncClient`.")


def _text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if is_pydantic(type(value)):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return list(value) if isinstance(value, (set, frozenset)) else str(value)


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:
        raise ConfigurationError(f"tools: {name} has no signature; wrap it into a function of your own.") from None


def _with_definitions(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with the definitions of its properties at its top, where their references look for them."""
    definitions: dict[str, Any] = {}
    for inner in schema["properties"].values():
        definitions.update(inner.pop("$defs", {}))
    return {**schema, "$defs": definitions} if definitions else schema


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return a docstring's text before its sections, and what its section `Args:` says of each parameter."""
    summary, _, rest = text.partition("\nArgs:\n") if not text.startswith("Args:\n") else ("", "", text[6:])
    summary = re.split(r"\n(?:Returns|Raises|Yields|Example|Examples|Note):\n", summary)[0].strip()
    described: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line[0].isspace():
            break  # the next section
        begins = re.match(r"\s{1,4}\*{0,2}(\w+)(?: \([^)]*\))?:\s*(.*)", line)
        if begins:
            name = begins[1]
            described[name] = begins[2].strip()
        elif name and line.strip():
            described[name] += f" {line.strip()}"
    return summary, described

"""Structured output: how to ask for an object of a schema, and how to read it out of an answer. No I/O.

Five methods, the best first. Servers refuse some (DeepSeek `json_schema`, Ollama's models tools), and
channels drop others in silence (Claude's and Ollama's drop `response_format`); what a model refused or
ignored is remembered in `ServerFacts.structured_refused`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core.errors.tree import (
    APIResponseError,
    APIStatusError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthExceededError,
    ModelUnavailableError,
    UnsupportedParameterError,
    XDMError,
)
from xdm_integrations.core.protocol.call import check_writable
from xdm_integrations.core.protocol.json_answers import fits, object_in

from .choice_so_far import CUT
from .strict_schemas import can_be_strict, strict_schema

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.call import ServerFacts

    from .results import ChatCompletion

JSON_SCHEMA = "json_schema"
NAMED_TOOL = "named_tool"
AUTO_TOOL = "auto_tool"
JSON_OBJECT = "json_object"
PROMPT = "prompt"
AUTO = "auto"  # the best method that the model takes
METHODS = (JSON_SCHEMA, NAMED_TOOL, AUTO_TOOL, JSON_OBJECT, PROMPT)
"""The best first: a JSON schema that the server enforces, a tool that the model must call, a tool that it
may call, JSON mode with the schema in the prompt, and the schema in the prompt alone."""
BY_PROMPT = (JSON_OBJECT, PROMPT)  # they need `with_prompt`

_REFUSES = r"(?i)response_format|json[_ ](schema|object|mode)|tool|function|schema|structured|grammar|convert_request"
_FORCED = r"(?i)choice|forc|\bmode\b|convert_request"  # what is said where a tool may still be called
_TOOLS = r"(?i)(?:[,[]|\band) ?['\"`]?tools\b|\btools['\"`]? ?(?:[],]|and\b)"  # a list of what isn't known names them
_REFUSALS = (400, 404, 422, 500, 501)


class NotTheSchemaError(APIResponseError):
    """The answer holds no object that fits the schema: the model or a channel ignored how it was asked."""


class Form(NamedTuple):
    """What is asked for.

    Attributes:
        name: Fit for a function's name: `^[A-Za-z0-9_-]{1,64}$`.
        description: What it is; may be "".
        schema: Its JSON schema.
    """

    name: str
    description: str
    schema: Mapping[str, Any]


def form_of(schema: object) -> Form:
    """Return what a JSON schema, or a function's dictionary (plain or in OpenAI's wrapping), asks for.

    Raises:
        ConfigurationError: It is neither, or can't be written as JSON.
    """
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"schema: expected a JSON schema as a mapping, got {type(schema).__name__}.")
    inner = schema
    for wrapping in ("function", "json_schema"):
        if schema.get("type", wrapping) == wrapping and isinstance(schema.get(wrapping), Mapping):
            inner = schema[wrapping]
    inner = _with_root(inner)
    name, description = inner.get("name") or inner.get("title"), inner.get("description")
    for key in ("parameters", "schema", "input_schema"):
        if isinstance(inner.get("name"), str) and isinstance(inner.get(key), Mapping):
            inner = _with_root(inner[key])
            break
    if inner.get("type", "object") != "object":
        raise ConfigurationError(f"schema: its type is {inner['type']!r}; only an object can be asked for.")
    check_writable({"schema": dict(inner)})
    return Form(fit_name(name), description if isinstance(description, str) else "", inner)


def _with_root(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a recursive class, which is nothing but a reference, with the object itself at its top."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    root = (schema.get("$defs") or {}).get(name)
    if not isinstance(root, Mapping):
        return schema
    return {**root, **{key: value for key, value in schema.items() if key != "$ref"}}


def fit_name(name: object) -> str:
    """Return a name that every provider takes for a function: letters, digits, - and _, 64 at most."""
    fit = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] if isinstance(name, str) else ""
    return fit or "answer"


def request_fields(method: str, form: Form, *, strict: bool | None = None) -> dict[str, Any]:
    """Return the fields of the body that ask for the object by a method; `BY_PROMPT` need `with_prompt` as well."""
    if method == PROMPT:
        return {}
    if method == JSON_SCHEMA:
        return {"response_format": response_format(form, strict=strict)}
    if method == JSON_OBJECT:
        return {"response_format": {"type": "json_object"}}
    tool = as_tool(form, strict=strict)
    choice = {"type": "function", "function": {"name": form.name}} if method == NAMED_TOOL else "auto"
    return {"tools": [tool], "tool_choice": choice}


def response_format(form: Form, *, strict: bool | None = None) -> dict[str, Any]:
    """Return a `response_format` of type `json_schema`.

    `strict` says whether the provider is to enforce the schema; by default where that changes nothing of its meaning.
    """
    return {"type": "json_schema", "json_schema": _described(form, "schema", strict=strict)}


def as_tool(form: Form, *, strict: bool | None = None) -> dict[str, Any]:
    """Return a tool whose arguments are the object; `strict` as in `response_format`, but off by default."""
    return {"type": "function", "function": _described(form, "parameters", strict=bool(strict))}


def _described(form: Form, key: str, *, strict: bool | None) -> dict[str, Any]:
    strict = can_be_strict(form.schema) if strict is None else strict
    described: dict[str, Any] = {"name": form.name}
    if form.description:
        described["description"] = form.description
    described[key] = strict_schema(form.schema) if strict else dict(form.schema)
    if strict:
        described["strict"] = True
    return described


def with_prompt(messages: list[dict[str, Any]], form: Form) -> list[dict[str, Any]]:
    """Return checked messages with the schema in the first one, where that is the system's, or in front of them."""
    prompt = (
        "Answer with one JSON object and nothing else. It must be valid against this JSON schema:\n"
        f"{json.dumps(form.schema, ensure_ascii=False)}"
    )
    first, *others = messages
    if first["role"] != "system":
        return [{"role": "system", "content": prompt}, first, *others]
    content = first["content"]
    content = f"{content}\n\n{prompt}" if isinstance(content, str) else [*content, {"type": "text", "text": prompt}]
    return [{**first, "content": content}, *others]


def chosen_method(method: str | None) -> str | None:
    """Return a method that was asked for by name, checked; None for `AUTO`.

    Raises:
        ConfigurationError: There is no such method.
    """
    if method not in (None, AUTO, *METHODS):
        raise ConfigurationError(f"method: {method!r} is none; the methods are {', '.join((AUTO, *METHODS))}.")
    return None if method == AUTO else method


def best_method(model: str, facts: ServerFacts) -> str:
    """Return the best method that the model isn't known to refuse or to ignore."""
    return next((way for way in METHODS if way not in facts.structured_refused.get(model, ())), METHODS[-1])


def next_method(method: str, error: XDMError, model: str, facts: ServerFacts) -> str | None:
    """Return the method to try after an error, and remember that the model doesn't take this one.

    Returns:
        The next one; None if the error has nothing to do with the method, or if it was the last.
    """
    if not teaches(error):
        return None
    if method == PROMPT and not isinstance(error, NotTheSchemaError):
        # Nothing but messages was sent: they are what the server refuses (results of tools that lack their calls, ...).
        facts.structured_refused.pop(model, None)
        return None
    refused = facts.structured_refused.setdefault(model, set())
    refused.add(method)
    if method == NAMED_TOOL and isinstance(error, BadRequestError):
        as_such = re.search(_TOOLS, error.body) or not re.search(_FORCED, _words_of(error))
        refused.update([AUTO_TOOL] if as_such else [])  # it refuses tools, not to be forced to call one
    return next((other for other in METHODS[METHODS.index(method) + 1 :] if other not in refused), None)


def teaches(error: XDMError) -> bool:
    """True if an error says that the method was refused or ignored; errors that pass say nothing of it."""
    if isinstance(error, (NotTheSchemaError, UnsupportedParameterError)):
        return True
    about_else = isinstance(error, (ContextLengthExceededError, ContentFilterError, ModelUnavailableError))
    if about_else or not isinstance(error, APIStatusError):
        return False  # a model's name may speak of functions or schemas
    return error.status_code in _REFUSALS and bool(re.search(_REFUSES, _words_of(error)))


def _words_of(error: APIStatusError) -> str:
    return f"{error.code} {error.param} {error.message}"


def object_of(completion: ChatCompletion, form: Form) -> dict[str, Any]:
    """Return the object that an answer holds, in a call of the tool or in its text.

    Raises:
        ContentFilterError: The model refuses, or its answer was filtered.
        NotTheSchemaError: There is no object that fits.
        APIResponseError: The answer was cut by its limit: half an object is none.
    """
    if completion.refusal or completion.finish_reason == "content_filter":
        raise ContentFilterError(
            f"The model gave no object: {completion.refusal or 'its answer was filtered.'}",
            status_code=200,
            headers=completion.headers,
            partial=completion,
            request_id=completion.request_id,
        )
    if completion.finish_reason in CUT:
        raise APIResponseError(
            "The answer was cut by its limit of tokens before the object was complete; raise `max_tokens`.",
            headers=completion.headers,
            partial=completion,
            request_id=completion.request_id,
        )
    for call in completion.tool_calls:
        arguments = call.parsed()
        if fits(arguments, form.schema):
            return arguments
    found = object_in(completion.text, form.schema)
    if found is None:
        calls = (*completion.tool_calls, *completion.invalid_tool_calls)
        shown = " ".join(filter(None, (completion.text, *(call.arguments for call in calls))))
        raise NotTheSchemaError(
            f"The answer holds no object that fits the schema {form.name!r}: {shown[:300]!r}",
            headers=completion.headers,
            partial=completion,
            request_id=completion.request_id,
        )
    return found

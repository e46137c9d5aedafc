"""Parameters checked by kind and range: the table of an endpoint says which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict

from xdm_integrations.core.errors.tree import ConfigurationError

if TYPE_CHECKING:
    from .wire import Timeout

Texts: TypeAlias = "str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]"
"""A text, several texts, one text as token ids, or several of them."""
OneText: TypeAlias = "str | list[int]"
"""A text, or its token ids."""


class Parameter(NamedTuple):
    """How one parameter is checked: `kind` with an inclusive range; and what it is, in a sentence."""

    kind: type
    low: float | None = None
    high: float | None = None
    doc: str = ""


class OptionParams(TypedDict, total=False):
    """How the requests of one call are sent, whatever their endpoint."""

    extra_body: Mapping[str, Any] | None
    """More fields of the body, for servers that know them. They win over parameters."""
    extra_headers: Mapping[str, str] | None
    """More headers for these requests."""
    timeout: Timeout | float | tuple[float | None, ...] | None
    """Instead of the client's; see `Timeout`. A total timeout holds for all requests of an `embed`, but for each one of
    `complete_batch`, `chat_batch` and `run_tools`."""


OPTIONS = ("extra_body", "extra_headers", "timeout")

_CHAT = "It belongs to chat: call `chat` or `stream_chat`."
_TEXTS = "It belongs to text completions: call `complete` or `stream`."
_MANY = "It belongs to the methods that take many at once: `complete_batch`, `chat_batch` and `embed`."
OF_ALL_CALLS = "It is a setting of all calls: pass it where the client or the LLM is made."
SETTINGS = dict.fromkeys(
    (
        "api_key", "xdm_api_key", "base_url", "api_base", "xdm_api_base", "max_retries", "default_headers",
        "stream_usage", "require_finish_reason", "limits", "allow_http", "rate_limiter", "on_request", "on_response",
        "model_kwargs", "additional_kwargs",
    ),
    OF_ALL_CALLS,
)  # fmt: skip
"""What to do about names of settings in a call; a key, above all, mustn't end in `extra_body`."""
METHODS = {
    **SETTINGS,
    "system": "In chat it is the first message: `[{'role': 'system', 'content': ...}, ...]`.",
    "stream": "The method called decides: `stream` and `stream_chat` stream.",
    **dict.fromkeys(("messages", "tools", "tool_choice", "response_format", "reasoning_effort"), _CHAT),
    **dict.fromkeys(("prompt", "suffix", "echo", "best_of"), _TEXTS),
    **dict.fromkeys(("batch_size", "max_concurrency", "on_result", "stop_on_error"), _MANY),
}
"""By a client's method: what to do about names that belong to another one."""


def unknown_parameter(name: str, known: Sequence[str], elsewhere: Mapping[str, str] = {}) -> ConfigurationError:
    """Return the error for a name that isn't `known`; `elsewhere` says what to do about those of other methods."""
    from difflib import get_close_matches  # noqa: PLC0415 - only on the way to an error

    near = get_close_matches(name, [*known, *elsewhere], n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    hint += "Fields of a server's own go into `extra_body`."
    return ConfigurationError(f"{name}: unknown parameter. {elsewhere.get(name, hint)}")


def check_each(
    given: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    checks: Mapping[type, Any] | None = None,
    options: Sequence[str] = OPTIONS,
) -> dict[str, Any]:
    """Return the fields of the body for the parameters that were given, each looked at by itself.

    None means "not given" and is never sent; zero is a value. `options` are what else a call takes, to be named by an
    error.

    Raises:
        ConfigurationError: A parameter is unknown (the message suggests the near name), of the wrong type or out of
            its range.
    """
    body: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        parameter = parameters.get(name)
        if parameter is None:
            raise unknown_parameter(name, [*parameters, *options], METHODS)
        checked = (checks or CHECKS)[parameter.kind](name, value, parameter)
        if checked is not None:
            body[name] = checked
    return body


def split_texts(name: str, given: object) -> list[OneText]:
    """Return the inputs that `given` stands for, in order: strings, which may be empty, or lists of token ids.

    Raises:
        ConfigurationError: It is mixed, or none of the four forms.
    """
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Sequence) or isinstance(given, (bytes, bytearray)):
        raise ConfigurationError(
            f"{name}: expected a string, a list of strings, a list of token ids or a list of those, "
            f"got {type(given).__name__}."
        )
    texts: list[Any] = [given] if given and is_int(given[0]) else list(given)
    if all(type(one) is str for one in texts):
        return texts
    kind = str if isinstance(texts[0], str) else list
    return [_check_text(name, one, position, kind) for position, one in enumerate(texts)]


def _check_text(name: str, text: object, position: int, kind: type) -> OneText:
    if isinstance(text, str) and kind is str:
        return str.__str__(text)  # as in `_check_str`
    if not isinstance(text, Sequence) or isinstance(text, (bytes, bytearray)):
        raise ConfigurationError(f"{name}: item {position} is a {type(text).__name__}; expected text or token ids.")
    if isinstance(text, str) or kind is str:
        raise ConfigurationError(f"{name}: a list must hold only texts or only lists of token ids, not both.")
    if not text:
        raise ConfigurationError(f"{name}: item {position} is empty; expected token ids.")
    for token in text:
        if not is_int(token) or token < 0:
            raise ConfigurationError(f"{name}: item {position} holds {token!r}; token ids are integers of at least 0.")
    return [int(token) for token in text]


def is_int(value: object) -> bool:
    """True for an integer of any library, and not for a boolean."""
    return type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))


def _check_int(name: str, value: object, parameter: Parameter) -> int:
    if type(value) is not int and not is_int(value):
        raise _wrong(name, value, "an integer", parameter)
    number: int = int(value)  # type: ignore[call-overload] # an Integral
    _check_range(name, number, parameter, "an integer")
    return number


def _check_float(name: str, value: object, parameter: Parameter) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong(name, value, "a number", parameter)
    number = int(value) if isinstance(value, Integral) else float(value)
    if number != number:  # noqa: PLR0124 - NaN; `math.isnan` can't take huge integers
        raise _wrong(name, value, "a number", parameter)
    _check_range(name, number, parameter, "a number")
    return number


def _check_range(name: str, value: float, parameter: Parameter, kind: str) -> None:
    low, high = parameter.low, parameter.high
    if (low is not None and value < low) or (high is not None and value > high):
        raise _wrong(name, value, kind, parameter, _wider(name))


def _wider(name: str) -> str:
    """Say how a value beyond the API's range reaches a server that takes it."""
    return f" For a server that takes it, pass it as extra_body={{{name.partition('[')[0]!r}: ...}}."


def _check_bool(name: str, value: object, parameter: Parameter) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False", parameter)
    return value


def _check_str(name: str, value: object, parameter: Parameter) -> str | None:
    if not isinstance(value, str):
        raise _wrong(name, value, "a string", parameter)
    if name == "model" and not value.strip():
        raise ConfigurationError("model: an empty string; pass the model's id.")
    return str.__str__(value)  # what it is, not what a class made of it says it is (an Enum its name)


def _check_stop(name: str, value: object, parameter: Parameter) -> list[str] | None:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, (Sequence, set, frozenset)) or not all(isinstance(s, str) for s in stops):
        raise _wrong(name, value, "a string or a sequence of up to 4 strings", parameter)
    if not all(stops):
        raise ConfigurationError(f"stop: {value!r} holds an empty string, which would end every answer at once.")
    if parameter.high is not None and len(stops) > parameter.high:
        raise ConfigurationError(
            f"stop: {len(stops)} sequences; the API takes at most {parameter.high:g}.{_wider(name)}"
        )
    return list(stops) or None


def _check_logit_bias(name: str, value: object, parameter: Parameter) -> dict[str, float] | None:
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a mapping of token ids to numbers", parameter)
    biases: dict[str, float] = {}
    for token, bias in value.items():
        if not ((is_int(token) and token >= 0) or (isinstance(token, str) and token.isascii() and token.isdigit())):
            raise ConfigurationError(f"logit_bias: the key {token!r} isn't a token id (an integer of at least 0).")
        biases[str(token)] = _check_float(f"logit_bias[{token}]", bias, parameter)
    return biases or None


def _wrong(name: str, value: object, kind: str, parameter: Parameter, more: str = "") -> ConfigurationError:
    low, high = parameter.low, parameter.high
    span = "" if low is None else f" of at least {low}" if high is None else f" from {low} to {high}"
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integer of thousands of digits
        shown = f"this {type(value).__name__}"
    shown = shown if len(shown) <= 60 else shown[:60] + "..."  # noqa: PLR2004 - the width of a message
    return ConfigurationError(f"{name}: {shown} must be {kind}{span}.{more}")


CHECKS: dict[type, Any] = {
    int: _check_int,
    float: _check_float,
    bool: _check_bool,
    str: _check_str,
    list: _check_stop,
    dict: _check_logit_bias,
}

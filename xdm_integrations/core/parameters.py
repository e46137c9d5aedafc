"""The sixteen parameters of `POST /v1/completions`: names, types, ranges, and their checks.

Sources: the gateway's page of the endpoint, mended where its columns slipped (`user` is an
optional string, `top_p` a number from 0 to 1, `temperature` a number, `stop` a string or up to
four), and OpenAI's specification of the same endpoint for the ranges that the page leaves out.

`None` means "not given" and is never sent; zero is a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict

from .errors import ConfigurationError

if TYPE_CHECKING:
    from .wire import Timeout

Prompt: TypeAlias = "str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]"
"""A text, several texts, one text as token ids, or several of them."""

OnePrompt: TypeAlias = "str | list[int]"


class SharedParams(TypedDict, total=False):
    """What every call may say, whichever arguments its method has of its own. Unset means: the default."""

    best_of: int | None
    """1 to 20, at least `n`: candidates generated, of which the best `n` come back. Not in
    streams. Each is billed. Many gateways drop it."""
    echo: bool | None
    """Put the prompt in front of the answer. Many gateways drop it."""
    frequency_penalty: float | None
    """-2 to 2: lowers the odds of tokens by how often they have appeared."""
    logit_bias: Mapping[int, float] | Mapping[str, float] | None
    """Token id to -100 (never) ... 100 (always)."""
    logprobs: int | None
    """0 to 5: log probabilities of this many likeliest tokens beside the sampled one."""
    max_tokens: int | None
    """At least 1 (0 with `echo`, to score a prompt): tokens generated per choice."""
    model: str | None
    """The model's id."""
    n: int | None
    """1 to 128: choices per prompt. Each is billed."""
    presence_penalty: float | None
    """-2 to 2: lowers the odds of tokens that have appeared at all."""
    seed: int | None
    """Makes sampling repeatable, as far as the backend stays the same (`system_fingerprint`)."""
    temperature: float | None
    """0 to 2: how random the sampling is."""
    top_p: float | None
    """0 to 1: sample from the likeliest tokens that add up to this probability."""
    user: str | None
    """An id of the end user, for the provider's abuse detection."""

    extra_body: Mapping[str, Any] | None
    """More fields of the body, for servers that know them. They win over parameters."""
    extra_headers: Mapping[str, str] | None
    """More headers for this request."""
    timeout: Timeout | float | tuple[float | None, ...] | None
    """Instead of the client's; see `Timeout`."""


class ParamsBesideStop(SharedParams, total=False):
    """What a call may say where `stop` is an argument of its own."""

    suffix: str | None
    """Text that comes after the answer (fill in the middle); few models can."""


class ParamsBesideSuffix(SharedParams, total=False):
    """What a call may say where `suffix` is an argument of its own."""

    stop: str | Sequence[str] | None
    """Up to 4 texts at which generation ends; they aren't part of the answer."""


class CompletionParams(ParamsBesideStop, ParamsBesideSuffix, total=False):
    """What a call may say: the parameters of the endpoint, and how this one request is sent."""


class Parameter(NamedTuple):
    """How one parameter is checked: `kind` with an inclusive range."""

    kind: type
    low: float | None = None
    high: float | None = None


PARAMETERS: dict[str, Parameter] = {
    "best_of": Parameter(int, 1, 20),
    "echo": Parameter(bool),
    "frequency_penalty": Parameter(float, -2, 2),
    "logit_bias": Parameter(dict, -100, 100),
    "logprobs": Parameter(int, 0, 5),
    "max_tokens": Parameter(int, 0),
    "model": Parameter(str),
    "n": Parameter(int, 1, 128),
    "presence_penalty": Parameter(float, -2, 2),
    "seed": Parameter(int, -(2**63), 2**63 - 1),
    "stop": Parameter(list, None, 4),
    "suffix": Parameter(str),
    "temperature": Parameter(float, 0, 2),
    "top_p": Parameter(float, 0, 1),
    "user": Parameter(str),
}
"""All but `prompt` and `stream`, which the method called decides."""

OPTIONS = ("extra_body", "extra_headers", "timeout")


def check_parameters(given: Mapping[str, Any], *, streaming: bool = False) -> dict[str, Any]:
    """Return the fields of the body for the parameters that were given, each checked.

    Raises:
        ConfigurationError: A parameter is unknown (the message suggests the near name), of the
            wrong type or out of its range, or two of them contradict each other.
    """
    body: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        parameter = PARAMETERS.get(name)
        if parameter is None:
            raise unknown_parameter(name, [*PARAMETERS, *OPTIONS])
        checked = _CHECKS[parameter.kind](name, value, parameter)
        if checked is not None:
            body[name] = checked
    _check_together(body, streaming=streaming)
    return body


def _check_together(body: Mapping[str, Any], *, streaming: bool) -> None:
    best_of = body.get("best_of")
    if best_of is not None:
        if best_of < body.get("n", 1):
            raise ConfigurationError(f"best_of: {best_of} must be at least n ({body['n']}).")
        if streaming and best_of > 1:
            raise ConfigurationError(f"best_of: {best_of} can't be used in a stream; leave it out or don't stream.")
    if body.get("max_tokens") == 0 and not body.get("echo"):
        raise ConfigurationError(
            "max_tokens: 0 must be at least 1; 0 is only allowed with echo=True, to score the prompt."
        )


def unknown_parameter(name: str, known: Sequence[str]) -> ConfigurationError:
    """Return the error for a misspelt or unknown parameter, with the near name."""
    from difflib import get_close_matches  # noqa: PLC0415 - only on the way to an error

    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " Fields of a server's own go into `extra_body`."
    return ConfigurationError(f"{name}: unknown parameter.{hint}")


def split_prompts(prompt: object) -> list[OnePrompt]:
    """Return the prompts that `prompt` stands for, in order: strings or lists of token ids.

    Raises:
        ConfigurationError: It is empty, mixed, or none of the four forms.
    """
    if isinstance(prompt, str) and prompt:
        return [prompt]
    if isinstance(prompt, str):
        prompts: list[Any] = [prompt]
    elif isinstance(prompt, Sequence) and not isinstance(prompt, (bytes, bytearray)):
        if not prompt:
            raise ConfigurationError("prompt: an empty list; pass at least one prompt.")
        prompts = [list(prompt)] if _is_int(prompt[0]) else list(prompt)
    else:
        raise ConfigurationError(
            f"prompt: expected a string, a list of strings, a list of token ids or a list of those, "
            f"got {type(prompt).__name__}."
        )
    if not all(isinstance(one, str) and one for one in prompts):
        prompts = [_check_prompt(one, i, type(prompts[0])) for i, one in enumerate(prompts)]
    return prompts


def _check_prompt(prompt: object, index: int, kind: type) -> OnePrompt:
    if not isinstance(prompt, Sequence) or isinstance(prompt, (bytes, bytearray)):
        raise ConfigurationError(f"prompt: item {index} is a {type(prompt).__name__}; expected text or token ids.")
    if isinstance(prompt, str) != issubclass(kind, str):
        raise ConfigurationError("prompt: a list must hold only texts or only lists of token ids, not both.")
    if not len(prompt):
        raise ConfigurationError(f"prompt: item {index} is empty; the gateway refuses empty prompts.")
    if isinstance(prompt, str):
        return prompt
    for token in prompt:
        if not _is_int(token) or token < 0:
            raise ConfigurationError(f"prompt: item {index} holds {token!r}; token ids are integers of at least 0.")
    return [int(token) for token in prompt]


def _is_int(value: object) -> bool:
    return type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))


def _check_int(name: str, value: object, parameter: Parameter) -> int:
    if not _is_int(value):
        raise _wrong(name, value, "an integer", parameter)
    number = int(value)  # type: ignore[call-overload] # an Integral
    _check_range(name, number, parameter, "an integer")
    return int(number)


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
        raise _wrong(name, value, kind, parameter)


def _check_bool(name: str, value: object, parameter: Parameter) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False", parameter)
    return value


def _check_str(name: str, value: object, parameter: Parameter) -> str | None:
    if not isinstance(value, str):
        raise _wrong(name, value, "a string", parameter)
    if name == "model" and not value.strip():
        raise ConfigurationError("model: an empty string; pass the model's id.")
    return value


def _check_stop(name: str, value: object, parameter: Parameter) -> list[str] | None:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, (Sequence, set, frozenset)) or not all(isinstance(s, str) for s in stops):
        raise _wrong(name, value, "a string or a sequence of up to 4 strings")
    if not all(stops):
        raise ConfigurationError(f"stop: {value!r} holds an empty string, which would end every answer at once.")
    if parameter.high is not None and len(stops) > parameter.high:
        raise ConfigurationError(f"stop: {len(stops)} sequences; the API takes at most {parameter.high:g}.")
    return list(stops) or None


def _check_logit_bias(name: str, value: object, parameter: Parameter) -> dict[str, float] | None:
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a mapping of token ids to numbers", parameter)
    biases: dict[str, float] = {}
    for token, bias in value.items():
        if not ((_is_int(token) and token >= 0) or (isinstance(token, str) and token.isascii() and token.isdigit())):
            raise ConfigurationError(f"logit_bias: the key {token!r} isn't a token id (an integer of at least 0).")
        biases[str(token)] = _check_float(f"logit_bias[{token}]", bias, parameter)
    return biases or None


def _wrong(name: str, value: object, kind: str, parameter: Parameter | None = None) -> ConfigurationError:
    span = ""
    if parameter is not None and parameter.low is not None:
        span = (
            f" from {parameter.low} to {parameter.high}"
            if parameter.high is not None
            else f" of at least {parameter.low}"
        )
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integer of thousands of digits
        shown = f"this {type(value).__name__}"
    shown = shown if len(shown) <= 60 else shown[:60] + "..."  # noqa: PLR2004 - the width of a message
    return ConfigurationError(f"{name}: {shown} must be {kind}{span}.")


_CHECKS: dict[type, Any] = {
    int: _check_int,
    float: _check_float,
    bool: _check_bool,
    str: _check_str,
    list: _check_stop,
    dict: _check_logit_bias,
}

"""The sixteen parameters of `POST /v1/completions`, and their checks.

Sources: the gateway's page of the endpoint, corrected where its columns slipped (`user` is an
optional string, `top_p` a number from 0 to 1, `temperature` a number, `stop` a string or up to
four), and OpenAI's specification of the same endpoint for the ranges that the page leaves out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import OneText, Parameter, Texts, check_each, split_texts
from xdm_integrations.core.protocol.sampling import SAMPLING, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Prompt: TypeAlias = Texts
OnePrompt: TypeAlias = OneText


class SharedParams(SamplingParams, total=False):
    """What every call may say, whichever arguments its method has of its own. Unset means the default.

    Each is described in `PARAMETERS`.
    """

    best_of: int | None
    echo: bool | None
    logprobs: int | None
    max_tokens: int | None
    n: int | None


class ParamsBesideStop(SharedParams, total=False):
    """What a call may say where `stop` is an argument of its own."""

    suffix: str | None


class ParamsBesideSuffix(SharedParams, total=False):
    """What a call may say where `suffix` is an argument of its own."""

    stop: str | Sequence[str] | None


class CompletionParams(ParamsBesideStop, ParamsBesideSuffix, total=False):
    """What a call may say: the parameters of the endpoint, and how this one request is sent."""


PARAMETERS: dict[str, Parameter] = {
    **SAMPLING,
    "best_of": Parameter(
        int,
        1,
        20,
        "1 to 20, at least `n`: candidates generated, of which the best `n` come back. Each is billed. Not in streams. "
        "Many gateways drop it.",
    ),
    "echo": Parameter(bool, doc="Put the prompt in front of the answer. Many gateways drop it."),
    "logprobs": Parameter(int, 0, 5, "0 to 5: log probabilities of this many likeliest tokens beside the sampled one."),
    "max_tokens": Parameter(int, 0, doc="At least 1 (0 with `echo`, to score a prompt): tokens generated per choice."),
    "n": Parameter(int, 1, 128, "1 to 128: choices per prompt. Each is billed."),
    "suffix": Parameter(str, doc="Text that comes after the answer (fill in the middle); few models can."),
}
"""All but `prompt` and `stream`, which the method called decides."""


def check_parameters(given: Mapping[str, Any], *, streaming: bool = False) -> dict[str, Any]:
    """Return the fields of the body for the parameters that were given: see `check_each`; and as a whole."""
    body = check_each(given, PARAMETERS)
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
    return body


def split_prompts(prompt: object) -> list[OnePrompt]:
    """Return the prompts that `prompt` stands for, in order: strings or lists of token ids.

    Raises:
        ConfigurationError: It is empty, mixed, or none of the four forms.
    """
    prompts = split_texts("prompt", prompt)
    if not prompts:
        raise ConfigurationError("prompt: an empty list; pass at least one prompt.")
    if not all(prompts):
        position = [bool(one) for one in prompts].index(False)
        raise ConfigurationError(f"prompt: item {position} is empty; the gateway refuses empty prompts.")
    return prompts

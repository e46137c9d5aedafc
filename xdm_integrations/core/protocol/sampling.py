"""The parameters that text completions and chat have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .checks import OptionParams, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping


class SamplingParams(OptionParams, total=False):
    """What every call that generates text may say; each is described in `SAMPLING`."""

    frequency_penalty: float | None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None
    model: str | None
    presence_penalty: float | None
    seed: int | None
    temperature: float | None
    top_p: float | None
    user: str | None


MODEL = Parameter(str, doc="The model's id.")
USER = Parameter(str, doc="An id of the end user, for the provider's abuse detection.")

SAMPLING: dict[str, Parameter] = {
    "frequency_penalty": Parameter(float, -2, 2, "-2 to 2: lowers the odds of tokens by how often they have appeared."),
    "logit_bias": Parameter(dict, -100, 100, "Token id to -100 (never) ... 100 (always)."),
    "model": MODEL,
    "presence_penalty": Parameter(float, -2, 2, "-2 to 2: lowers the odds of tokens that have appeared at all."),
    "seed": Parameter(
        int,
        -(2**63),
        2**63 - 1,
        "Makes sampling repeatable, as far as the backend stays the same (`system_fingerprint`).",
    ),
    "stop": Parameter(list, None, 4, "Up to 4 texts at which generation ends; they aren't part of the answer."),
    "temperature": Parameter(float, 0, 2, "0 to 2: how random the sampling is."),
    "top_p": Parameter(float, 0, 1, "0 to 1: sample from the likeliest tokens that add up to this probability."),
    "user": USER,
}

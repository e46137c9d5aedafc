"""The fields of `XDMLLM` that belong to text completions: their parameters, and how prompts are sent."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations

from pydantic import BaseModel, Field

from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS, DEFAULT_MODEL


class CompletionSettings(BaseModel):
    """The parameters of the endpoint, sent under these names, and how many requests carry the prompts."""

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    best_of: int | None = None
    """1 to 20, at least `n`: candidates generated, of which the best `n` come back. Each is billed. Not in streams.
    Many gateways drop it."""
    echo: bool | None = None
    """Put the prompt in front of the answer. Many gateways drop it."""
    frequency_penalty: float | None = None
    """-2 to 2: lowers the odds of tokens by how often they have appeared."""
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = None
    """Token id to -100 (never) ... 100 (always)."""
    logprobs: int | None = None
    """0 to 5: log probabilities of this many likeliest tokens beside the sampled one."""
    max_tokens: int | None = DEFAULT_MAX_TOKENS
    """At least 1 (0 with `echo`): tokens generated per choice. None leaves it to the server, whose own default is
    16."""
    n: int | None = None
    """1 to 128: choices per prompt. Each is billed."""
    presence_penalty: float | None = None
    """-2 to 2: lowers the odds of tokens that have appeared at all."""
    seed: int | None = None
    """Makes sampling repeatable, as far as the backend stays the same (`system_fingerprint`)."""
    stop: str | list[str] | None = None
    """Up to 4 texts at which generation ends; they aren't part of the answer."""
    suffix: str | None = None
    """Text that comes after the answer (fill in the middle); few models can."""
    temperature: float | None = None
    """0 to 2: how random the sampling is."""
    top_p: float | None = None
    """0 to 1: sample from the likeliest tokens that add up to this probability."""
    user: str | None = None
    """An id of the end user, for the provider's abuse detection."""

    streaming: bool = False
    """Let `invoke`, `generate` and `batch` stream, so that callbacks get each token."""
    stream_usage: bool = True
    """Ask for token counts in streams."""
    require_finish_reason: bool = True
    """Take a stream without a finish_reason as cut off. Switch it off for servers that never send one; then
    `[DONE]` is the end."""
    batch_size: int = Field(default=20, ge=1)
    """Prompts in one request, at most."""
    max_concurrency: int = Field(default=8, ge=1)
    """Requests in flight for one batch, at most; `config["max_concurrency"]` comes first."""

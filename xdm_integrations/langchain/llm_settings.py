"""The fields of `XDMLLM` that belong to text completions: their parameters, and how prompts are sent."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations

from pydantic import BaseModel, Field

from xdm_integrations.core.completions.parameters import PARAMETERS
from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS, DEFAULT_MODEL

from .settings import parameter_field


class CompletionSettings(BaseModel):
    """The parameters of the endpoint, sent under these names, and how many requests carry the prompts.

    Each parameter is described in `core.completions.parameters.PARAMETERS`; what is said here is what LangChain adds.
    """

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    best_of: int | None = parameter_field(PARAMETERS["best_of"])
    echo: bool | None = parameter_field(PARAMETERS["echo"])
    frequency_penalty: float | None = parameter_field(PARAMETERS["frequency_penalty"])
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = parameter_field(PARAMETERS["logit_bias"])
    logprobs: int | None = parameter_field(PARAMETERS["logprobs"])
    max_tokens: int | None = Field(default=DEFAULT_MAX_TOKENS, description=PARAMETERS["max_tokens"].doc)
    """At least 1 (0 with `echo`): tokens generated per choice. None leaves it to the server, whose own default is
    16."""
    n: int | None = parameter_field(PARAMETERS["n"])
    presence_penalty: float | None = parameter_field(PARAMETERS["presence_penalty"])
    seed: int | None = parameter_field(PARAMETERS["seed"])
    stop: str | list[str] | None = parameter_field(PARAMETERS["stop"])
    """Up to 4 texts at which generation ends; they aren't part of the answer. `stop_sequences` is accepted too."""
    suffix: str | None = parameter_field(PARAMETERS["suffix"])
    temperature: float | None = parameter_field(PARAMETERS["temperature"])
    top_p: float | None = parameter_field(PARAMETERS["top_p"])
    user: str | None = parameter_field(PARAMETERS["user"])

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

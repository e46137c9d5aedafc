"""The fields of the models: their endpoint's parameters, and how they are asked.

What is said here of a parameter is what LangChain adds to its description in `core`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - pydantic reads the annotations
from typing import Any

from pydantic import BaseModel, Field

from xdm_integrations.core.chat.parameters import PARAMETERS as ALL_OF_CHAT
from xdm_integrations.core.chat.request import DEFAULT_MODEL as CHAT_MODEL
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETIONS
from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS, DEFAULT_MODEL

from .settings import parameter_field

CHAT = {name: parameter for name, parameter in ALL_OF_CHAT.items() if name != "metadata"}
"""The parameters of chat but `metadata`, a name that LangChain takes for its traces: it goes into `model_kwargs`."""


class StreamSettings(BaseModel):
    """The settings of models that stream."""

    stream_usage: bool = True
    """Ask for token counts in streams."""
    require_finish_reason: bool = True
    """Take a stream without a finish_reason as cut off. Switch it off for servers that never send one (One API's
    channel of Gemini); then `[DONE]` is the end."""


class CompletionSettings(BaseModel):
    """The parameters of text completions, each described in `core.completions.parameters.PARAMETERS`."""

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    best_of: int | None = parameter_field(COMPLETIONS["best_of"])
    echo: bool | None = parameter_field(COMPLETIONS["echo"])
    frequency_penalty: float | None = parameter_field(COMPLETIONS["frequency_penalty"])
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = parameter_field(COMPLETIONS["logit_bias"])
    logprobs: int | None = parameter_field(COMPLETIONS["logprobs"])
    max_tokens: int | None = Field(default=DEFAULT_MAX_TOKENS, description=COMPLETIONS["max_tokens"].doc)
    """At least 1 (0 with `echo`): tokens generated per choice. None leaves it to the server, whose own default is
    16."""
    n: int | None = parameter_field(COMPLETIONS["n"])
    presence_penalty: float | None = parameter_field(COMPLETIONS["presence_penalty"])
    seed: int | None = parameter_field(COMPLETIONS["seed"])
    stop: str | list[str] | None = parameter_field(COMPLETIONS["stop"])
    """Up to 4 texts at which generation ends; they aren't part of the answer. `stop_sequences` is accepted too."""
    suffix: str | None = parameter_field(COMPLETIONS["suffix"])
    temperature: float | None = parameter_field(COMPLETIONS["temperature"])
    top_p: float | None = parameter_field(COMPLETIONS["top_p"])
    user: str | None = parameter_field(COMPLETIONS["user"])

    streaming: bool = False
    """Let `invoke`, `generate` and `batch` stream, so that callbacks get each token."""
    batch_size: int = Field(default=20, ge=1)
    """Prompts in one request, at most."""
    max_concurrency: int = Field(default=8, ge=1)
    """Requests in flight for one batch, at most; `config["max_concurrency"]` comes first."""


class ChatSettings(BaseModel):
    """The parameters of chat, sent under these names, each described in `core.chat.parameters.PARAMETERS`."""

    model: str = CHAT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    audio: Mapping[str, Any] | None = parameter_field(CHAT["audio"])
    frequency_penalty: float | None = parameter_field(CHAT["frequency_penalty"])
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = parameter_field(CHAT["logit_bias"])
    logprobs: bool | None = parameter_field(CHAT["logprobs"])
    max_completion_tokens: int | None = parameter_field(CHAT["max_completion_tokens"])
    max_tokens: int | None = parameter_field(CHAT["max_tokens"])
    """At least 1: tokens generated. Sent under this name, or under the other one where the server names that."""
    modalities: Sequence[str] | None = parameter_field(CHAT["modalities"])
    n: int | None = parameter_field(CHAT["n"])
    """1 to 128: answers. Each is billed; streams deliver the first one; many channels return one."""
    parallel_tool_calls: bool | None = parameter_field(CHAT["parallel_tool_calls"])
    prediction: Mapping[str, Any] | None = parameter_field(CHAT["prediction"])
    presence_penalty: float | None = parameter_field(CHAT["presence_penalty"])
    prompt_cache_key: str | None = parameter_field(CHAT["prompt_cache_key"])
    reasoning_effort: str | None = parameter_field(CHAT["reasoning_effort"])
    response_format: Mapping[str, Any] | None = parameter_field(CHAT["response_format"])
    """The answer's form; `with_structured_output` chooses and reads it by itself."""
    seed: int | None = parameter_field(CHAT["seed"])
    service_tier: str | None = parameter_field(CHAT["service_tier"])
    stop: str | list[str] | None = parameter_field(CHAT["stop"])
    """Up to 4 texts at which generation ends; they aren't part of the answer. `stop_sequences` is accepted too."""
    store: bool | None = parameter_field(CHAT["store"])
    stream_options: Mapping[str, Any] | None = parameter_field(CHAT["stream_options"])
    temperature: float | None = parameter_field(CHAT["temperature"])
    tool_choice: str | Mapping[str, Any] | None = parameter_field(CHAT["tool_choice"])
    tools: Sequence[Mapping[str, Any]] | None = parameter_field(CHAT["tools"])
    """Functions that the model may call, in the API's form; `bind_tools` takes them in any form."""
    top_logprobs: int | None = parameter_field(CHAT["top_logprobs"])
    top_p: float | None = parameter_field(CHAT["top_p"])
    user: str | None = parameter_field(CHAT["user"])
    verbosity: str | None = parameter_field(CHAT["verbosity"])
    web_search_options: Mapping[str, Any] | None = parameter_field(CHAT["web_search_options"])

    streaming: bool | None = None
    """True: `invoke` and `batch` stream, so that callbacks get each token. False: `stream` doesn't. By default
    each does what it says, and `invoke` streams where somebody listens (`astream_events`, LangGraph)."""
    think_tags: bool = False
    """Take a leading `<think>...</think>` of an answer as its reasoning: for engines without a reasoning parser."""
    max_concurrency: int | None = Field(default=None, ge=1)
    """Answers under way at a time, at most: of all threads together, and on each event loop. A stream counts until it
    is closed. Default: no limit of its own."""

"""The fields of `ChatXDM` that belong to chat: its parameters, and how answers come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - pydantic reads the annotations
from typing import Any

from pydantic import BaseModel, Field

from xdm_integrations.core.chat.parameters import PARAMETERS as ALL_PARAMETERS
from xdm_integrations.core.chat.request import DEFAULT_MODEL

PARAMETERS = {name: parameter for name, parameter in ALL_PARAMETERS.items() if name != "metadata"}
"""All but `metadata`, a name that LangChain takes for its traces: as a parameter it goes into `model_kwargs`."""


STRUCTURED = "structured_output"
"""The argument of a call that says which object is wanted, and how; `with_structured_output` binds it."""


class ChatSettings(BaseModel):
    """The parameters of the endpoint, sent under these names. None means "not given", and nothing is sent."""

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    audio: Mapping[str, Any] | None = None
    """Voice and format of a spoken answer; needs `modalities`."""
    frequency_penalty: float | None = None
    """-2 to 2: lowers the odds of tokens by how often they have appeared."""
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = None
    """Token id to -100 (never) ... 100 (always)."""
    logprobs: bool | None = None
    """Return the log probabilities of the answer's tokens."""
    max_completion_tokens: int | None = None
    """At least 1: tokens generated, reasoning included; newer models' name for `max_tokens`."""
    max_tokens: int | None = None
    """At least 1: tokens generated. Sent under this name, or under the other one where the server names that."""
    modalities: Sequence[str] | None = None
    """Kinds of answer that are wanted: ["text"], ["text", "audio"]."""
    n: int | None = None
    """1 to 128: answers. Each is billed; streams deliver the first one; many channels return one."""
    parallel_tool_calls: bool | None = None
    """Whether the model may call several tools at once."""
    prediction: Mapping[str, Any] | None = None
    """Text that much of the answer will repeat, for speed."""
    presence_penalty: float | None = None
    """-2 to 2: lowers the odds of tokens that have appeared at all."""
    prompt_cache_key: str | None = None
    """Groups requests with a common beginning, for the provider's cache."""
    reasoning_effort: str | None = None
    """How long a reasoning model thinks: "low", "medium", "high", or a model's own."""
    response_format: Mapping[str, Any] | None = None
    """The answer's form; `with_structured_output` chooses and reads it by itself."""
    seed: int | None = None
    """Makes sampling repeatable, as far as the backend stays the same (`system_fingerprint`)."""
    service_tier: str | None = None
    """The provider's class of service."""
    stop: str | list[str] | None = None
    """Up to 4 texts at which generation ends; they aren't part of the answer. `stop_sequences` is accepted too."""
    store: bool | None = None
    """Whether the provider keeps the answer."""
    stream_options: Mapping[str, Any] | None = None
    """Options of streams. Token counts are asked for anyway; see `stream_usage`."""
    temperature: float | None = None
    """0 to 2: how random the sampling is."""
    tool_choice: str | Mapping[str, Any] | None = None
    """"auto", "none", "required", or a named tool; `bind_tools` sets it for one chain."""
    tools: Sequence[Mapping[str, Any]] | None = None
    """Functions that the model may call, in the API's form; `bind_tools` takes them in any form."""
    top_logprobs: int | None = None
    """0 to 20: likeliest tokens at each position; needs `logprobs`."""
    top_p: float | None = None
    """0 to 1: sample from the likeliest tokens that add up to this probability."""
    user: str | None = None
    """An id of the end user, for the provider's abuse detection."""
    verbosity: str | None = None
    """How much the model writes: "low", "medium", "high"."""
    web_search_options: Mapping[str, Any] | None = None
    """Options of a search that the model may make."""

    streaming: bool | None = None
    """True: `invoke` and `batch` stream, so that callbacks get each token. False: `stream` doesn't. By default
    each does what it says, and `invoke` streams where somebody listens (`astream_events`, LangGraph)."""
    stream_usage: bool = True
    """Ask for token counts in streams."""
    require_finish_reason: bool = True
    """Take a stream without a finish_reason as cut off. Switch it off for servers that never send one (One API's
    channel of Gemini); then `[DONE]` is the end."""
    think_tags: bool = False
    """Take a leading `<think>...</think>` of an answer as its reasoning: for engines without a reasoning parser."""
    max_concurrency: int | None = Field(default=None, ge=1)
    """Answers under way at a time, at most: of all threads together, and on each event loop. A stream counts until it
    is closed. Default: no limit of its own."""

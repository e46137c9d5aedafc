"""The fields of `ChatXDM` that belong to chat: its parameters, and how answers come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - pydantic reads the annotations
from typing import Any

from pydantic import BaseModel, Field

from xdm_integrations.core.chat.parameters import PARAMETERS as ALL_PARAMETERS
from xdm_integrations.core.chat.request import DEFAULT_MODEL

from .settings import parameter_field

PARAMETERS = {name: parameter for name, parameter in ALL_PARAMETERS.items() if name != "metadata"}
"""All but `metadata`, a name that LangChain takes for its traces: as a parameter it goes into `model_kwargs`."""


STRUCTURED = "structured_output"
"""The argument of a call that says which object is wanted, and how; `with_structured_output` binds it."""


class ChatSettings(BaseModel):
    """The parameters of the endpoint, sent under these names. None means "not given", and nothing is sent.

    Each is described in `core.chat.parameters.PARAMETERS`; what is said here is what LangChain adds.
    """

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    audio: Mapping[str, Any] | None = parameter_field(PARAMETERS["audio"])
    frequency_penalty: float | None = parameter_field(PARAMETERS["frequency_penalty"])
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = parameter_field(PARAMETERS["logit_bias"])
    logprobs: bool | None = parameter_field(PARAMETERS["logprobs"])
    max_completion_tokens: int | None = parameter_field(PARAMETERS["max_completion_tokens"])
    max_tokens: int | None = parameter_field(PARAMETERS["max_tokens"])
    """At least 1: tokens generated. Sent under this name, or under the other one where the server names that."""
    modalities: Sequence[str] | None = parameter_field(PARAMETERS["modalities"])
    n: int | None = parameter_field(PARAMETERS["n"])
    """1 to 128: answers. Each is billed; streams deliver the first one; many channels return one."""
    parallel_tool_calls: bool | None = parameter_field(PARAMETERS["parallel_tool_calls"])
    prediction: Mapping[str, Any] | None = parameter_field(PARAMETERS["prediction"])
    presence_penalty: float | None = parameter_field(PARAMETERS["presence_penalty"])
    prompt_cache_key: str | None = parameter_field(PARAMETERS["prompt_cache_key"])
    reasoning_effort: str | None = parameter_field(PARAMETERS["reasoning_effort"])
    response_format: Mapping[str, Any] | None = parameter_field(PARAMETERS["response_format"])
    """The answer's form; `with_structured_output` chooses and reads it by itself."""
    seed: int | None = parameter_field(PARAMETERS["seed"])
    service_tier: str | None = parameter_field(PARAMETERS["service_tier"])
    stop: str | list[str] | None = parameter_field(PARAMETERS["stop"])
    """Up to 4 texts at which generation ends; they aren't part of the answer. `stop_sequences` is accepted too."""
    store: bool | None = parameter_field(PARAMETERS["store"])
    stream_options: Mapping[str, Any] | None = parameter_field(PARAMETERS["stream_options"])
    """Options of streams. Token counts are asked for anyway; see `stream_usage`."""
    temperature: float | None = parameter_field(PARAMETERS["temperature"])
    tool_choice: str | Mapping[str, Any] | None = parameter_field(PARAMETERS["tool_choice"])
    """"auto", "none", "required", or a named tool; `bind_tools` sets it for one chain."""
    tools: Sequence[Mapping[str, Any]] | None = parameter_field(PARAMETERS["tools"])
    """Functions that the model may call, in the API's form; `bind_tools` takes them in any form."""
    top_logprobs: int | None = parameter_field(PARAMETERS["top_logprobs"])
    top_p: float | None = parameter_field(PARAMETERS["top_p"])
    user: str | None = parameter_field(PARAMETERS["user"])
    verbosity: str | None = parameter_field(PARAMETERS["verbosity"])
    web_search_options: Mapping[str, Any] | None = parameter_field(PARAMETERS["web_search_options"])

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

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


def _parameter(name: str) -> Any:  # noqa: ANN401 - stands for a value of the field's type
    return Field(default=None, description=PARAMETERS[name].doc)


class ChatSettings(BaseModel):
    """The parameters of the endpoint, sent under these names. None means "not given", and nothing is sent.

    Each is described in `core.chat.parameters.PARAMETERS`; what is said here is what LangChain adds.
    """

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    audio: Mapping[str, Any] | None = _parameter("audio")
    frequency_penalty: float | None = _parameter("frequency_penalty")
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = _parameter("logit_bias")
    logprobs: bool | None = _parameter("logprobs")
    max_completion_tokens: int | None = _parameter("max_completion_tokens")
    max_tokens: int | None = _parameter("max_tokens")
    """At least 1: tokens generated. Sent under this name, or under the other one where the server names that."""
    modalities: Sequence[str] | None = _parameter("modalities")
    n: int | None = _parameter("n")
    """1 to 128: answers. Each is billed; streams deliver the first one; many channels return one."""
    parallel_tool_calls: bool | None = _parameter("parallel_tool_calls")
    prediction: Mapping[str, Any] | None = _parameter("prediction")
    presence_penalty: float | None = _parameter("presence_penalty")
    prompt_cache_key: str | None = _parameter("prompt_cache_key")
    reasoning_effort: str | None = _parameter("reasoning_effort")
    response_format: Mapping[str, Any] | None = _parameter("response_format")
    """The answer's form; `with_structured_output` chooses and reads it by itself."""
    seed: int | None = _parameter("seed")
    service_tier: str | None = _parameter("service_tier")
    stop: str | list[str] | None = _parameter("stop")
    """Up to 4 texts at which generation ends; they aren't part of the answer. `stop_sequences` is accepted too."""
    store: bool | None = _parameter("store")
    stream_options: Mapping[str, Any] | None = _parameter("stream_options")
    """Options of streams. Token counts are asked for anyway; see `stream_usage`."""
    temperature: float | None = _parameter("temperature")
    tool_choice: str | Mapping[str, Any] | None = _parameter("tool_choice")
    """"auto", "none", "required", or a named tool; `bind_tools` sets it for one chain."""
    tools: Sequence[Mapping[str, Any]] | None = _parameter("tools")
    """Functions that the model may call, in the API's form; `bind_tools` takes them in any form."""
    top_logprobs: int | None = _parameter("top_logprobs")
    top_p: float | None = _parameter("top_p")
    user: str | None = _parameter("user")
    verbosity: str | None = _parameter("verbosity")
    web_search_options: Mapping[str, Any] | None = _parameter("web_search_options")

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

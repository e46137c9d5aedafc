"""Chat, embeddings and text completions of the XDM gateway, for Python programs, LangChain and LlamaIndex.

    >>> from xdm_integrations import Client                                         # plain Python
    >>> from xdm_integrations.langchain import ChatXDM, XDMEmbeddings, XDMLLM       # LangChain
    >>> from xdm_integrations.llama_index import XDMChat, XDMEmbedding, XDM         # LlamaIndex

This front door imports neither framework, and neither requests nor aiohttp before the first call.
"""

import importlib
import typing

from ._version import __version__
from .client.awaiting import AsyncClient
from .client.batches import Batch
from .client.blocking import Client
from .client.streams import AsyncChatStream, AsyncCompletionStream, ChatStream, CompletionStream
from .client.tools import ToolRun, TooManyTurnsError
from .core.chat.results import ChatChoice, ChatChunk, ChatCompletion
from .core.chat.tool_calls import ToolCall
from .core.completions.results import Choice, Completion, CompletionChunk
from .core.embeddings.results import Embeddings
from .core.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthExceededError,
    GatewayTimeoutError,
    InsufficientQuotaError,
    ModelUnavailableError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    UnsupportedParameterError,
    XDMError,
)
from .core.gateway.models import Model
from .core.protocol.results import Logprobs, Usage
from .core.protocol.wire import Limits, Timeout

if typing.TYPE_CHECKING:
    from .core.gateway.quota import Quota

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncChatStream",
    "AsyncClient",
    "AsyncCompletionStream",
    "AuthenticationError",
    "BadRequestError",
    "Batch",
    "ChatChoice",
    "ChatChunk",
    "ChatCompletion",
    "ChatStream",
    "Choice",
    "Client",
    "Completion",
    "CompletionChunk",
    "CompletionStream",
    "ConfigurationError",
    "ContentFilterError",
    "ContextLengthExceededError",
    "Embeddings",
    "GatewayTimeoutError",
    "InsufficientQuotaError",
    "Limits",
    "Logprobs",
    "Model",
    "ModelUnavailableError",
    "NotFoundError",
    "PermissionDeniedError",
    "Quota",
    "RateLimitError",
    "ServerError",
    "StreamInterruptedError",
    "Timeout",
    "TooManyTurnsError",
    "ToolCall",
    "ToolRun",
    "UnsupportedParameterError",
    "Usage",
    "XDMError",
    "__version__",
]

_LATER = {"Quota": "gateway.quota"}
"""Files of `core` that few programs need, by what they give: loaded when it is named."""


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - whatever has that name
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.core.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_LATER]

"""Text completions of the XDM gateway, for Python programs, LangChain and LlamaIndex.

    >>> from xdm_integrations import Client                # plain Python
    >>> from xdm_integrations.langchain import XDMLLM      # LangChain
    >>> from xdm_integrations.llama_index import XDM       # LlamaIndex

This front door imports neither framework, and neither requests nor aiohttp before the first call.
"""

import importlib
import typing

from ._version import __version__
from .batches import Batch
from .client import AsyncClient, Client
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
from .core.results import Choice, Completion, CompletionChunk, Logprobs, Usage
from .core.wire import Limits, Timeout
from .streams import AsyncCompletionStream, CompletionStream

if typing.TYPE_CHECKING:
    from .core.models import Model
    from .core.quota import Quota

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncClient",
    "AsyncCompletionStream",
    "AuthenticationError",
    "BadRequestError",
    "Batch",
    "Choice",
    "Client",
    "Completion",
    "CompletionChunk",
    "CompletionStream",
    "ConfigurationError",
    "ContentFilterError",
    "ContextLengthExceededError",
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
    "UnsupportedParameterError",
    "Usage",
    "XDMError",
    "__version__",
]

_LATER = {"Model": "models", "Quota": "quota"}
"""Rooms of `core` that few programs need, by what they give: loaded when it is named."""


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - whatever has that name
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.core.{_LATER[name]}"), name)

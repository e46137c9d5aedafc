"""Text completions of the XDM gateway, for Python programs, LangChain and LlamaIndex.

    from xdm_integrations import Client                    # plain Python
    from xdm_integrations.langchain import XDMLLM          # LangChain
    from xdm_integrations.llama_index import XDM           # LlamaIndex

This front door imports neither framework, and neither requests nor aiohttp before the first call.
"""

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
from .core.models import Model
from .core.quota import Quota
from .core.results import Choice, Completion, CompletionChunk, Logprobs, Usage
from .core.wire import Limits, Timeout
from .streams import AsyncCompletionStream, CompletionStream

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

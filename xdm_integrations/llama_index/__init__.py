"""LlamaIndex: `XDMChat`, the gateway's chat as an LLM, `XDM`, its text completions, and `XDMEmbedding`.

    >>> from xdm_integrations.llama_index import XDMChat
    >>> llm = XDMChat(temperature=0)        # key from XDM_API_KEY
    >>> print(llm.complete("What is the capital of France?"))
    The capital of France is Paris.

Importing this registers them with LlamaIndex, so that `load_llm` and `load_embed_model` know them.
"""

from __future__ import annotations

try:
    import llama_index.core.llms  # noqa: F401 - is it there?
except ModuleNotFoundError as error:
    if error.name not in ("llama_index", "llama_index.core"):
        raise
    raise ImportError(
        'LlamaIndex isn\'t installed. Run: pip install "xdm-integrations[llama-index]"', name=error.name
    ) from error

from .chat import XDMChat
from .embeddings import XDMEmbedding
from .llms import XDM
from .registry import register

register("llama_index.core.llms.loading", "RECOGNIZED_LLMS", XDM, XDMChat)
register("llama_index.core.embeddings.loading", "RECOGNIZED_EMBEDDINGS", XDMEmbedding)

__all__ = ["XDM", "XDMChat", "XDMEmbedding"]

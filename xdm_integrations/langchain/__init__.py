"""LangChain: `ChatXDM`, the gateway's chat, `XDMLLM`, its text completions, and `XDMEmbeddings`.

>>> from xdm_integrations.langchain import ChatXDM
>>> llm = ChatXDM(temperature=0)        # key from XDM_API_KEY
>>> print(llm.invoke("What is the capital of France?").text)
The capital of France is Paris.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import langchain_core.language_models.llms  # noqa: F401 - here, where it finds the stack flat: a fifth faster
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "langchain_core":
        raise
    raise ImportError(
        'LangChain is not installed. Install it with: pip install "xdm-integrations[langchain]"'
    ) from error

if TYPE_CHECKING:
    from .chat_models import ChatXDM
    from .embeddings import XDMEmbeddings
    from .llms import XDMLLM

__all__ = ["XDMLLM", "ChatXDM", "XDMEmbeddings"]

_FROM = {"ChatXDM": "chat_models", "XDMEmbeddings": "embeddings", "XDMLLM": "llms"}
"""Where each class is: loaded when it is named, since what LangChain has for chat is slow to import."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has that name
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)

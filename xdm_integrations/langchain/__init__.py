"""LangChain: `ChatXDM`, the gateway's chat, `XDMLLM`, its text completions, and `XDMEmbeddings`.

>>> from xdm_integrations.langchain import ChatXDM
>>> llm = ChatXDM(temperature=0)        # key from XDM_API_KEY
>>> print(llm.invoke("What is the capital of France?").text)
The capital of France is Paris.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import langchain_core  # noqa: F401 - is it there?
except ModuleNotFoundError as error:
    if error.name != "langchain_core":
        raise
    raise ImportError(
        'LangChain is not installed. Install it with: pip install "xdm-integrations[langchain]"'
    ) from error

if TYPE_CHECKING:
    from .chat_models import ChatXDM
    from .embeddings import XDMEmbeddings
    from .llms import XDMLLM

__all__ = ["XDMLLM", "ChatXDM", "XDMEmbeddings"]

_CLASSES = {
    # Class: its module, and LangChain's that it is made from.
    "ChatXDM": ("chat_models", "language_models.chat_models"),
    "XDMEmbeddings": ("embeddings", "embeddings"),
    "XDMLLM": ("llms", "language_models.llms"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Load a class when it is named: LangChain's part for each is slow to import."""
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, langchains = _CLASSES[name]
    import_module(f"langchain_core.{langchains}")  # here, where it finds the stack flat: a fifth faster
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_CLASSES]

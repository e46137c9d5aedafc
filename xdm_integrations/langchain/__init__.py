"""LangChain: `ChatXDM`, the gateway's chat, `XDMLLM`, its text completions, and `XDMEmbeddings`.

>>> from xdm_integrations.langchain import XDMLLM
>>> llm = XDMLLM(temperature=0)         # key from XDM_API_KEY
>>> print(llm.invoke("The capital of France is"))
 Paris.
"""

try:
    import langchain_core.language_models.llms  # noqa: F401 - here, where it finds the stack flat: a fifth faster

    from .chat_models import ChatXDM
    from .embeddings import XDMEmbeddings
    from .llms import XDMLLM
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "langchain_core":
        raise
    raise ImportError(
        'LangChain is not installed. Install it with: pip install "xdm-integrations[langchain]"'
    ) from error

__all__ = ["XDMLLM", "ChatXDM", "XDMEmbeddings"]

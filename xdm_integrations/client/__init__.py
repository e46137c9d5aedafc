"""Clients that plan a call in `core` and drive it over a transport.

    >>> from xdm_integrations import Client
    >>> client = Client()                   # key from XDM_API_KEY
    >>> print(client.complete("The capital of France is", temperature=0).text)
     Paris.
    >>> for chunk in client.stream("The capital of France is", temperature=0):
    ...     print(chunk.text, end="")
     Paris.
    >>> client.close()

`Client` blocks, `AsyncClient` awaits; everything else about them is the same, because both only
drive the same flows.
"""

from .awaiting import AsyncClient
from .batches import Batch
from .blocking import Client
from .streams import AsyncCompletionStream, CompletionStream

__all__ = ["AsyncClient", "AsyncCompletionStream", "Batch", "Client", "CompletionStream"]

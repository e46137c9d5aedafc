"""`XDMEmbeddings`: the gateway's embeddings, wherever LangChain takes an `Embeddings`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from pydantic import Field

from xdm_integrations.core.embeddings.parameters import DEFAULT_MODEL, PARAMETERS, check_parameters, listed

from .settings import GatewaySettings, parameter_field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from xdm_integrations.core.embeddings.parameters import EmbeddingParams
    from xdm_integrations.core.embeddings.results import Embeddings as Vectors

_MANY = 2**16
"""Numbers that take longer to be made into lists than to be handed over to a thread."""


class XDMEmbeddings(GatewaySettings, Embeddings):
    """Embeddings of the XDM gateway.

    Setup:
        `pip install "xdm-integrations[langchain]"`, and set the environment variable `XDM_API_KEY`.

    Example:
        >>> from xdm_integrations.langchain import XDMEmbeddings
        >>> embeddings = XDMEmbeddings(model="text-embedding-3-small")
        >>> vectors = embeddings.embed_documents(["a cat", "a dog"])
        >>> [len(vector) for vector in vectors] == [len(embeddings.embed_query("a pet"))] * 2
        True
        >>> embeddings.close()

    One vector for each text, in their order, or an error that says which text was refused: never a shorter list, never
    the vector of another text. Texts are sent as they are, several per request and several requests at once; a request
    that is too large for the server is split, and what goes through is remembered. Fields are documented here and in
    `GatewaySettings`. One instance serves any number of threads and event loops.
    """

    PARAMETERS = PARAMETERS
    CHECK_PARAMETERS = check_parameters
    DECIDED = ("input",)

    model: str = DEFAULT_MODEL
    """The model's id. `model_name` is accepted, and readable, too."""
    dimensions: int | None = parameter_field(PARAMETERS["dimensions"])
    encoding_format: str | None = parameter_field(PARAMETERS["encoding_format"])
    user: str | None = parameter_field(PARAMETERS["user"])
    query_instruction: str = ""
    """What is put in front of a query, as models like E5 ("query: ") and BGE need it."""
    text_instruction: str = ""
    """What is put in front of a document's text, as models like E5 ("passage: ") need it."""
    batch_size: int = Field(default=128, ge=1)
    """Texts in one request, at most. Requests are bounded by the length of the texts too."""
    max_concurrency: int = Field(default=8, ge=1)
    """Requests in flight for one call, at most."""

    def embed_documents(self, texts: Iterable[str], **kwargs: Unpack[EmbeddingParams]) -> list[list[float]]:
        """Return the vectors of texts, one for each, in their order.

        Args:
            texts: The texts. Token ids go through too, for servers that take them.
            **kwargs: Parameters of the endpoint, for this call.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            XDMError: A text has no vector. `.position` is its number, where the server refused just this one.
        """
        return self._embed(listed(texts, self.text_instruction), kwargs).vectors

    async def aembed_documents(self, texts: Iterable[str], **kwargs: Unpack[EmbeddingParams]) -> list[list[float]]:
        """See `embed_documents`."""
        made = await self._aembed(listed(texts, self.text_instruction), kwargs)
        if len(made) * made.dimensions > _MANY:
            return await asyncio.to_thread(lambda: made.vectors)
        return made.vectors

    def embed_query(self, text: str, **kwargs: Unpack[EmbeddingParams]) -> list[float]:
        """Return the vector of a query; see `embed_documents`."""
        return self._embed(listed([text], self.query_instruction), kwargs)[0]

    async def aembed_query(self, text: str, **kwargs: Unpack[EmbeddingParams]) -> list[float]:
        """See `embed_query`."""
        return (await self._aembed(listed([text], self.query_instruction), kwargs))[0]

    def _embed(self, texts: list[str], kwargs: EmbeddingParams) -> Vectors:
        return self._sync_client().embed(
            texts, batch_size=self.batch_size, max_concurrency=self.max_concurrency, **self._params(kwargs)
        )

    async def _aembed(self, texts: list[str], kwargs: EmbeddingParams) -> Vectors:
        return await self._async_client().embed(
            texts, batch_size=self.batch_size, max_concurrency=self.max_concurrency, **self._params(kwargs)
        )

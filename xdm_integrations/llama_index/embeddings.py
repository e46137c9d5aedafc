"""`XDMEmbedding`: the gateway's embeddings, wherever LlamaIndex takes an embedding model."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003 - Pydantic reads it
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import Field, ValidationInfo, field_validator

from xdm_integrations.client.batches import run_batch, run_batch_async
from xdm_integrations.core.embeddings.parameters import DEFAULT_MODEL, PARAMETERS, check_parameters, listed
from xdm_integrations.core.errors.tree import ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import PackResult
from xdm_integrations.core.protocol.checks import Parameter  # noqa: TC001 - Pydantic reads it

from .calls import params_of
from .embedding_batches import EmbeddingCall
from .settings import GatewaySettings, parameter_field

if TYPE_CHECKING:
    from .embedding_batches import EmbeddingPart

_COLLECTION, _COLLECTION_OF_TEXTS = "embeddings", "text_embeddings"
"""Where LlamaIndex keeps vectors in an `embeddings_cache`, and where batches do whose words mean another vector."""


class XDMEmbedding(GatewaySettings, BaseEmbedding):
    """Embeddings of the XDM gateway, wherever LlamaIndex takes an embedding model.

    Example:
        >>> from xdm_integrations.llama_index import XDMEmbedding
        >>> embed_model = XDMEmbedding(model_name="text-embedding-3-small")
        >>> vectors = embed_model.get_text_embedding_batch(["a cat", "a dog"])
        >>> [len(vector) for vector in vectors] == [len(embed_model.get_query_embedding("a pet"))] * 2
        True

    One vector for each text, in their order, or an error that says which text was refused: never a shorter list, never
    the vector of another text. Texts are sent as they are, `embed_batch_size` per request and several requests at once,
    sync and async; a request that is too large for the server is split, and what goes through is remembered. The parts
    of a split request go one after the other: set `embed_batch_size` to what your server takes.

    LlamaIndex keeps vectors in `embeddings_cache` by their text alone: have one for each model and `dimensions`. Where
    queries and texts have different instructions, batches keep theirs apart; `get_text_embedding` doesn't.
    """

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        name: parameter for name, parameter in PARAMETERS.items() if name != "model"
    }
    CHECK_PARAMETERS: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]] = staticmethod(check_parameters)

    model_name: str = Field(default=DEFAULT_MODEL, description="The model's id, as the gateway lists it.")
    embed_batch_size: int = Field(
        default=128, gt=0, le=2048, description="Texts in one request, and of one pair of events, at most."
    )
    dimensions: int | None = parameter_field(PARAMETERS["dimensions"])
    encoding_format: str | None = parameter_field(PARAMETERS["encoding_format"])
    user: str | None = parameter_field(PARAMETERS["user"])
    query_instruction: str = Field(
        default="", description='What is put in front of a query, as models like E5 ("query: ") and BGE need it.'
    )
    text_instruction: str = Field(
        default="", description='What is put in front of a text, as models like E5 ("passage: ") need it.'
    )
    max_concurrency: int = Field(
        default=8, ge=1, description="Requests in flight for one call, at most; `num_workers` may lower it."
    )

    if not TYPE_CHECKING:  # type checkers read the constructor from the fields

        def __init__(self, *unnamed: Any, **settings: Any) -> None:
            if "model" in settings:  # as OpenAIEmbedding calls it
                if "model_name" in settings:
                    raise ConfigurationError("model: given twice, as `model` and as `model_name`.")
                settings["model_name"] = settings.pop("model")
            super().__init__(*unnamed, **settings)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores and loads this class."""
        return "XDMEmbedding"

    @field_validator("model_name", "dimensions", "encoding_format", "user", mode="before")
    @classmethod
    def _check_parameter(cls, value: object, info: ValidationInfo) -> object:
        name = str(info.field_name).removesuffix("_name")
        return check_parameters({name: value}).get(name)

    # What LlamaIndex calls, sync and async

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._embed(listed([query], self.query_instruction))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._aembed(listed([query], self.query_instruction)))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed(listed(texts, self.text_instruction))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._aembed(listed(texts, self.text_instruction))

    def get_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **_: Any,
    ) -> list[Embedding]:
        """Return the vectors of texts, one for each, in their order, several requests at once.

        A total timeout holds for each `embed_batch_size` of them.

        Args:
            texts: The texts.
            show_progress: Show a bar while they are worked off.
            **_: What other models take.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            XDMError: A text has no vector. `.position` is its number, where the server refused just this one.
        """
        with EmbeddingCall(self, texts, self.text_instruction, show_progress=show_progress) as call:
            batch = run_batch(
                call.packs,
                lambda pack: self._work(call.part(pack)),
                max_concurrency=self._at_once,
                on_result=call.on_result,
                stop_on_error=True,
                abort=self._sync_client().abort,
            )
            return call.vectors(batch.completions)

    async def aget_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **_: Any,
    ) -> list[Embedding]:
        """See `get_text_embedding_batch`."""
        with EmbeddingCall(self, texts, self.text_instruction, show_progress=show_progress) as call:
            batch = await run_batch_async(
                call.packs,
                lambda pack: self._awork(call.part(pack)),
                max_concurrency=self._at_once,
                on_result=call.on_result,
                stop_on_error=True,
            )
            return call.vectors(batch.completions)

    def _work(self, part: EmbeddingPart) -> PackResult:
        """Return the vectors of some texts, of which the cache may know some."""
        cache, limiter = self.embeddings_cache, self.rate_limiter
        if cache is not None:
            part.know([cache.get(key=text, collection=self._collection) for text in part.texts])
        if part.missing:
            if limiter is not None:
                limiter.acquire()
            try:
                part.fill(self._get_text_embeddings(part.missing_texts))
            except XDMError as error:
                return part.failed(error)
            if cache is not None:
                for text, entry in part.entries():
                    cache.put(key=text, val=entry, collection=self._collection)
        return PackResult(part.found)

    async def _awork(self, part: EmbeddingPart) -> PackResult:
        """See `_work`."""
        cache, limiter = self.embeddings_cache, self.rate_limiter
        if cache is not None:
            part.know([await cache.aget(key=text, collection=self._collection) for text in part.texts])
        if part.missing:
            if limiter is not None:
                await limiter.async_acquire()
            try:
                part.fill(await self._aget_text_embeddings(part.missing_texts))
            except XDMError as error:
                return part.failed(error)
            if cache is not None:
                for text, entry in part.entries():
                    await cache.aput(key=text, val=entry, collection=self._collection)
        return PackResult(part.found)

    def _embed(self, texts: list[str]) -> list[Embedding]:
        return self._sync_client().embed(texts, **self._sent()).vectors

    async def _aembed(self, texts: list[str]) -> list[Embedding]:
        return (await self._async_client().embed(texts, **self._sent())).vectors

    def _sent(self) -> dict[str, Any]:
        """Return the arguments of the client: one request after the other, since parts of a call go at once."""
        one_by_one = {"batch_size": self.embed_batch_size, "max_concurrency": 1}
        return {"model": self.model_name, **params_of(self, {}), **one_by_one}

    @property
    def _collection(self) -> str:
        return _COLLECTION if self.query_instruction == self.text_instruction else _COLLECTION_OF_TEXTS

    @property
    def _at_once(self) -> int:
        return min(self.max_concurrency, self.num_workers or self.max_concurrency)

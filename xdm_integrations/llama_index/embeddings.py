"""`XDMEmbedding`: the gateway's embeddings, wherever LlamaIndex takes an embedding model."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping  # noqa: TC003 - Pydantic reads it
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import Field, ValidationInfo, field_validator
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.utils import get_tqdm_iterable

from xdm_integrations.client.batches import run_batch, run_batch_async
from xdm_integrations.core.embeddings.parameters import DEFAULT_MODEL, PARAMETERS, check_parameters
from xdm_integrations.core.embeddings.refusals import name_input
from xdm_integrations.core.errors.tree import APIResponseError, ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, packs_of
from xdm_integrations.core.protocol.checks import Parameter  # noqa: TC001 - Pydantic reads it

from .instrumentation import dispatcher, has_no_listeners
from .settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLLECTION = "embeddings"
"""Where LlamaIndex keeps vectors in an `embeddings_cache`."""


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
    sync and async; a request that is too large for the server is split, and what goes through is remembered.

    LlamaIndex keeps vectors in `embeddings_cache` by their text alone: have one for each model and `dimensions`.
    """

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        name: parameter for name, parameter in PARAMETERS.items() if name != "model"
    }
    CHECK_PARAMETERS: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]] = staticmethod(check_parameters)

    model_name: str = Field(default=DEFAULT_MODEL, description="The model's id, as the gateway lists it.")
    embed_batch_size: int = Field(
        default=128, gt=0, le=2048, description="Texts in one request, and of one pair of events, at most."
    )
    dimensions: int | None = Field(
        default=None,
        description="Numbers per vector, for models that can shorten theirs. A server that ignores it is an error.",
    )
    encoding_format: str | None = Field(
        default=None, description='"base64" (the default) or "float": how vectors travel. They come back the same.'
    )
    user: str | None = Field(default=None, description="An id of the end user, for the provider's abuse detection.")
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

        def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - of whatever type the field has
            if "model" in settings:  # as OpenAIEmbedding calls it
                if "model_name" in settings:
                    raise ConfigurationError("model: given twice, as `model` and as `model_name`.")
                settings["model_name"] = settings.pop("model")
            super().__init__(**settings)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores and loads this class."""
        return "XDMEmbedding"

    @field_validator("model_name")
    @classmethod
    def _check_model(cls, value: str) -> str:
        return str(check_parameters({"model": value})["model"])

    @field_validator("dimensions", "encoding_format", "user", mode="before")
    @classmethod
    def _check_parameter(cls, value: object, info: ValidationInfo) -> object:
        return check_parameters({str(info.field_name): value}).get(str(info.field_name))

    # What LlamaIndex calls, sync and async

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._embed([self.query_instruction + query])[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._aembed([self.query_instruction + query]))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed([self.text_instruction + text for text in texts])

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._aembed([self.text_instruction + text for text in texts])

    def get_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **_: Any,  # noqa: ANN401 - LlamaIndex's signature
    ) -> list[Embedding]:
        """Return the vectors of texts, one for each, in their order, several requests at once.

        Args:
            texts: The texts.
            show_progress: Show a bar while they are worked off.
            **_: What other models take.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            XDMError: A text has no vector. `.position` is its number, where the server refused just this one.
        """
        call = _Call(self, texts, show_progress=show_progress)
        return call.vectors(
            run_batch(
                call.packs,
                lambda pack: self._work(call.part(pack)),
                max_concurrency=self._at_once,
                on_result=call.on_result,
                stop_on_error=True,
            ).completions
        )

    async def aget_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **_: Any,  # noqa: ANN401 - LlamaIndex's signature
    ) -> list[Embedding]:
        """See `get_text_embedding_batch`."""
        call = _Call(self, texts, show_progress=show_progress)
        batch = await run_batch_async(
            call.packs,
            lambda pack: self._awork(call.part(pack)),
            max_concurrency=self._at_once,
            on_result=call.on_result,
            stop_on_error=True,
        )
        return call.vectors(batch.completions)

    def _work(self, part: _Part) -> PackResult:
        """Return the vectors of some texts, of which the cache may know some."""
        cache, limiter = self.embeddings_cache, self.rate_limiter
        if cache is not None:
            part.know([cache.get(key=text, collection=_COLLECTION) for text in part.texts])
        if part.missing:
            if limiter is not None:
                limiter.acquire()
            try:
                part.fill(self._get_text_embeddings(part.missing_texts))
            except XDMError as error:
                return part.failed(error)
            if cache is not None:
                for text, entry in part.entries():
                    cache.put(key=text, val=entry, collection=_COLLECTION)
        return PackResult(part.found)

    async def _awork(self, part: _Part) -> PackResult:
        """See `_work`."""
        cache, limiter = self.embeddings_cache, self.rate_limiter
        if cache is not None:
            part.know([await cache.aget(key=text, collection=_COLLECTION) for text in part.texts])
        if part.missing:
            if limiter is not None:
                await limiter.async_acquire()
            try:
                part.fill(await self._aget_text_embeddings(part.missing_texts))
            except XDMError as error:
                return part.failed(error)
            if cache is not None:
                for text, entry in part.entries():
                    await cache.aput(key=text, val=entry, collection=_COLLECTION)
        return PackResult(part.found)

    def _embed(self, texts: list[str]) -> list[Embedding]:
        return self._sync_client().embed(texts, **self._sent()).vectors

    async def _aembed(self, texts: list[str]) -> list[Embedding]:
        return (await self._async_client().embed(texts, **self._sent())).vectors

    def _sent(self) -> dict[str, Any]:
        """Return the arguments of the client: one request after the other, since parts of a call go at once."""
        one_by_one = {"batch_size": self.embed_batch_size, "max_concurrency": 1}
        return {"model": self.model_name, **self._params({}), **one_by_one}

    @property
    def _at_once(self) -> int:
        return min(self.max_concurrency, self.num_workers or self.max_concurrency)


class _Call:
    """A call for many texts: its parts, LlamaIndex's events of each, and a bar of progress."""

    def __init__(self, model: XDMEmbedding, texts: list[str], *, show_progress: bool) -> None:
        self.packs = packs_of(len(texts), model.embed_batch_size)
        self._texts = list(texts)
        self._manager = model.callback_manager
        self._progress: Iterator[Any] = iter(get_tqdm_iterable(texts, show_progress, "Generating embeddings"))
        self._event_ids: list[str] = []
        about = model.to_payload()
        for _ in self.packs:
            dispatcher.event(EmbeddingStartEvent(model_dict=about))
            payload: dict[str, Any] = {EventPayload.SERIALIZED: about}
            self._event_ids.append(self._manager.on_event_start(CBEventType.EMBEDDING, payload=payload))

    def part(self, pack: Pack) -> _Part:
        return _Part(pack, [self._texts[i] for i in pack.positions], alone=len(self._texts) == 1)

    def on_result(self, _position: int, _outcome: object) -> None:
        next(self._progress, None)

    def vectors(self, vectors: list[Embedding]) -> list[Embedding]:
        """Return them, after the events that say that they are there.

        Raises:
            APIResponseError: They are of different lengths.
        """
        lengths = sorted({len(vector) for vector in vectors})
        if len(lengths) > 1:
            raise APIResponseError(
                f"The vectors of one call are of different lengths: {lengths} numbers. The gateway serves different "
                f"models under one name, or `embeddings_cache` holds vectors of another model."
            )
        for event_id, pack in zip(self._event_ids, self.packs, strict=True):
            chunks, made = [self._texts[i] for i in pack.positions], [vectors[i] for i in pack.positions]
            if not has_no_listeners(dispatcher):  # the event checks and copies every number
                dispatcher.event(EmbeddingEndEvent(chunks=chunks, embeddings=made))
            payload: dict[str, Any] = {EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: made}
            self._manager.on_event_end(CBEventType.EMBEDDING, payload=payload, event_id=event_id)
        next(self._progress, None)  # ends the bar
        return vectors


class _Part:
    """The texts of one request: what the cache knows of them, and what is asked for."""

    def __init__(self, pack: Pack, texts: list[str], *, alone: bool) -> None:
        self.texts = texts
        self.found: list[Any] = [None] * len(texts)
        self.missing = list(range(len(texts)))
        self._pack = pack
        self._alone = alone

    @property
    def missing_texts(self) -> list[str]:
        return [self.texts[i] for i in self.missing]

    def know(self, entries: list[Mapping[str, Embedding] | None]) -> None:
        """Take what the cache has: per text, the vector under a name that means nothing."""
        self.found = [next(iter(entry.values()), None) if entry else None for entry in entries]
        self.missing = [i for i, vector in enumerate(self.found) if vector is None]

    def fill(self, vectors: list[Embedding]) -> None:
        """Take what was asked for."""
        for i, vector in zip(self.missing, vectors, strict=True):
            self.found[i] = vector

    def entries(self) -> Iterator[tuple[str, dict[str, Embedding]]]:
        """Return what the cache is to know of the texts that it didn't."""
        return ((self.texts[i], {str(uuid.uuid4()): self.found[i]}) for i in self.missing)

    def failed(self, error: XDMError) -> PackResult:
        """Return the error as the outcome of all, with the number of its text in the whole call."""
        if error.position is not None and not self._alone:
            name_input(error, self._pack.positions[self.missing[error.position]])
        return PackResult([error] * len(self.texts))

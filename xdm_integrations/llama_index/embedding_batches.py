"""Many texts in one call of LlamaIndex's: the parts that are worked on at once, with events, cache and progress."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.utils import get_tqdm_iterable

from xdm_integrations.core.embeddings.parameters import listed
from xdm_integrations.core.embeddings.refusals import name_input
from xdm_integrations.core.errors.tree import APIResponseError, XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, packs_of
from xdm_integrations.core.protocol.checks import split_texts

from .calls import dispatcher, has_no_listeners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
    from typing_extensions import Self


class EmbeddingCall:
    """A call for many texts. Used in a `with` block, at whose end no event and no bar of progress is left open."""

    def __init__(self, model: BaseEmbedding, texts: list[str], instruction: str, *, show_progress: bool) -> None:
        self._texts: list[Any] = listed(texts)
        split_texts("input", listed(self._texts, instruction))  # all of them, before the first are sent
        self.packs = packs_of(len(self._texts), model.embed_batch_size)
        self._manager = model.callback_manager
        self._progress: Iterator[Any] = iter(get_tqdm_iterable(self._texts, show_progress, "Generating embeddings"))
        self._open_events: deque[str] = deque()
        about = model.to_payload()
        for _ in self.packs:
            dispatcher.event(EmbeddingStartEvent(model_dict=about))
            payload: dict[str, Any] = {EventPayload.SERIALIZED: about}
            self._open_events.append(self._manager.on_event_start(CBEventType.EMBEDDING, payload=payload))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(self._progress, Generator):
            self._progress.close()
        payload: dict[str, Any] | None = {EventPayload.EXCEPTION: error} if isinstance(error, Exception) else None
        for event_id in self._open_events:
            self._manager.on_event_end(CBEventType.EMBEDDING, payload=payload, event_id=event_id)

    def part(self, pack: Pack) -> EmbeddingPart:
        """Return the texts of a pack."""
        return EmbeddingPart(pack, [self._texts[i] for i in pack.positions], alone=len(self._texts) == 1)

    def on_result(self, _position: int, _outcome: object) -> None:
        """Move the bar on: a text is done."""
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
        for pack in self.packs:
            chunks, made = [self._texts[i] for i in pack.positions], [vectors[i] for i in pack.positions]
            if not has_no_listeners(dispatcher):  # the event checks and copies every number
                dispatcher.event(EmbeddingEndEvent(chunks=chunks, embeddings=made))
            payload: dict[str, Any] = {EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: made}
            event_id = self._open_events.popleft()
            self._manager.on_event_end(CBEventType.EMBEDDING, payload=payload, event_id=event_id)
        next(self._progress, None)  # counts the last text
        return vectors


class EmbeddingPart:
    """The texts of one request: what the cache knows of them, and what is asked for."""

    def __init__(self, pack: Pack, texts: list[str], *, alone: bool) -> None:
        self.texts = texts
        self.found: list[Any] = [None] * len(texts)
        self.missing = list(range(len(texts)))
        self._pack = pack
        self._alone = alone

    @property
    def missing_texts(self) -> list[str]:
        """What is to be asked for."""
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

"""Many prompts in one call: the client's batches with LlamaIndex's events, rate limiter and progress bar.

For LlamaIndex's callbacks a batch is one event, whose token counts are the sum over its requests.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.utils import get_tqdm_iterable

from .convert.completions import completion_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xdm_integrations.client.batches import Batch
    from xdm_integrations.core.completions.packing import Outcome
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.errors.tree import XDMError

    from .calls import Instrumented


def summary(call: Instrumented, batch: Batch[Completion], *, return_exceptions: bool) -> Summary:
    """Return what the event of a batch shows; or raise its first error, after an event for what was answered.

    The event of a batch that fails ends with the error and has no counts. What was answered is
    billed all the same, so it gets an event of its own, for the token counters.
    """
    made = Summary.of(batch)
    if return_exceptions or not batch.errors:
        return made
    if batch.usage is not None:
        callbacks = call.llm.callback_manager
        payload: dict[str, Any] = {EventPayload.PROMPT: call.asked, EventPayload.SERIALIZED: {}}
        event_id = callbacks.on_event_start(CBEventType.LLM, payload=payload)
        payload = {EventPayload.PROMPT: call.asked, EventPayload.COMPLETION: made}
        callbacks.on_event_end(CBEventType.LLM, payload=payload, event_id=event_id)
    raise batch.errors[0]


class Summary(CompletionResponse):
    """What the event of a batch shows: the texts of all answers, and the counts over all requests."""

    _outcomes: list[CompletionResponse | XDMError] = PrivateAttr(default_factory=list)

    @classmethod
    def of(cls, batch: Batch[Completion]) -> Summary:
        """Return it for a batch that is over."""
        outcomes = [o if isinstance(o, Exception) else completion_response(o) for o in batch.outcomes]
        text = "\n\n".join(outcome.text for outcome in outcomes if isinstance(outcome, CompletionResponse))
        usage = None if batch.usage is None else batch.usage.as_dict()
        made = cls(text=text, raw={"usage": usage}, additional_kwargs=usage or {})
        made._outcomes = outcomes
        return made

    @property
    def outcomes(self) -> list[CompletionResponse | XDMError]:
        """What came of each prompt, in order."""
        return self._outcomes


class Turns:
    """LlamaIndex's rate limiter as the client asks for turns: one for each request of a batch."""

    def __init__(self, limiter: Any) -> None:  # noqa: ANN401 - LlamaIndex's field takes anything
        self._limiter = limiter
        self._paid = iter((True,))  # the callback around the batch has taken the first turn

    def acquire(self) -> None:
        """Wait for a turn, blocking."""
        if not next(self._paid, False):
            self._limiter.acquire()

    async def aacquire(self) -> None:
        """Wait for a turn."""
        if not next(self._paid, False):
            await self._limiter.async_acquire()


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[Callable[[int, Outcome], None]]:
    """Show LlamaIndex's progress bar, and yield what to call with each outcome."""
    bar = iter(get_tqdm_iterable(range(total), show_progress=shown, desc="Generating completions"))
    next(bar)  # a bar counts an item when it is asked for the next one
    try:
        yield lambda _position, _outcome: next(bar, None)
    finally:
        if isinstance(bar, Generator):
            bar.close()

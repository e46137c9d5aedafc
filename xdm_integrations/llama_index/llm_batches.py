"""Many prompts in one call: the client's batches with one event of LlamaIndex's, its rate limiter and its bar."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import CompletionResponse
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


def summary(call: Instrumented, batch: Batch[Completion], *, return_exceptions: bool) -> CompletionResponse:
    """Return what the event of a batch shows: the texts of all answers, and the counts over all requests.

    Raises:
        XDMError: A prompt failed, and exceptions aren't returned. The event then has no counts; what was answered is
            billed all the same, so it gets an event of its own, for the token counters.
    """
    text = "\n\n".join(outcome.text for outcome in batch.outcomes if not isinstance(outcome, Exception))
    usage = None if batch.usage is None else batch.usage.as_dict()
    made = CompletionResponse(text=text, raw={"usage": usage}, additional_kwargs=usage or {})
    if return_exceptions or not batch.errors:
        return made
    if usage is not None:
        callbacks = call.llm.callback_manager
        payload: dict[str, Any] = {EventPayload.PROMPT: call.asked, EventPayload.SERIALIZED: {}}
        event_id = callbacks.on_event_start(CBEventType.LLM, payload=payload)
        payload = {EventPayload.PROMPT: call.asked, EventPayload.COMPLETION: made}
        callbacks.on_event_end(CBEventType.LLM, payload=payload, event_id=event_id)
    raise batch.errors[0]


def responses(batch: Batch[Completion]) -> list[CompletionResponse | XDMError]:
    """Return what came of each prompt, in order."""
    return [outcome if isinstance(outcome, Exception) else completion_response(outcome) for outcome in batch.outcomes]


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

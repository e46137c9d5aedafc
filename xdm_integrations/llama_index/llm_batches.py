"""Many prompts in one call: the client's batches, for LlamaIndex.

For LlamaIndex's callbacks a batch is one event, whose token counts are the sum over its requests.
"""

# ruff: noqa: ANN401 # LlamaIndex's own signatures

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.utils import get_tqdm_iterable

from xdm_integrations.client import AsyncClient, Client
from xdm_integrations.core.errors.tree import ConfigurationError

from .clients import XDMConnected
from .convert.completions import completion_response
from .instrumentation import completion_events, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Unpack

    from xdm_integrations.client.batches import Batch
    from xdm_integrations.core.completions.packing import Outcome
    from xdm_integrations.core.completions.parameters import CompletionParams, OnePrompt
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.errors.tree import XDMError


class Batches(XDMConnected):
    """`complete_batch` and `acomplete_batch`."""

    @span
    def complete_batch(
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        show_progress: bool = False,
        return_exceptions: bool = False,
        **kwargs: Unpack[CompletionParams],
    ) -> list[CompletionResponse | XDMError]:
        """Answer many prompts, several per request and several requests at once.

        Args:
            prompts: Texts (`completion_to_prompt` is applied), or lists of token ids.
            batch_size: Prompts per request, at most.
            max_concurrency: Requests in flight, at most.
            show_progress: Show a progress bar.
            return_exceptions: Give a prompt that fails its error as its result. Otherwise the first
                error ends the batch, and is raised.
            **kwargs: Parameters of the calls, as for `complete`.

        Returns:
            A response per prompt, in order. Prompts that shared a request have no counts of their
            own (`raw["usage"]` is None); LlamaIndex's token counters get the sum.

        Raises:
            XDMError: A prompt failed, and `return_exceptions` is False.
        """
        if not prompts:
            return []
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "max_concurrency": max_concurrency,
            "stop_on_error": not return_exceptions,
        }
        asked = self._asked(prompts)
        with _progress(len(asked), shown=show_progress) as on_result:
            options["on_result"] = on_result
            return self._batch(_shown(asked), asked, options, **kwargs).outcomes

    @span
    async def acomplete_batch(
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        show_progress: bool = False,
        return_exceptions: bool = False,
        **kwargs: Unpack[CompletionParams],
    ) -> list[CompletionResponse | XDMError]:
        """See `complete_batch`."""
        if not prompts:
            return []
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "max_concurrency": max_concurrency,
            "stop_on_error": not return_exceptions,
        }
        asked = self._asked(prompts)
        with _progress(len(asked), shown=show_progress) as on_result:
            options["on_result"] = on_result
            return (await self._abatch(_shown(asked), asked, options, **kwargs)).outcomes

    def _asked(self, prompts: Sequence[OnePrompt]) -> list[OnePrompt]:
        if isinstance(prompts, str):
            raise ConfigurationError(
                "prompts: expected a list of texts or of token ids, got one text; call `complete`."
            )
        return [self._templated(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]

    @completion_events
    def _batch(self, shown: str, prompts: list[OnePrompt], options: dict[str, Any], **kwargs: Any) -> _Summary:
        params = {**options, **self._params(kwargs)}
        limiter = self.rate_limiter
        if limiter is None:
            return self._summary(shown, self._sync_client().complete_batch(prompts, **params), options)
        with Client(**self._client_settings(), rate_limiter=_Turns(limiter)) as client:
            return self._summary(shown, client.complete_batch(prompts, **params), options)

    @completion_events
    async def _abatch(self, shown: str, prompts: list[OnePrompt], options: dict[str, Any], **kwargs: Any) -> _Summary:
        params = {**options, **self._params(kwargs)}
        limiter = self.rate_limiter
        if limiter is None:
            return self._summary(shown, await self._async_client().complete_batch(prompts, **params), options)
        async with AsyncClient(**self._client_settings(), rate_limiter=_Turns(limiter)) as client:
            return self._summary(shown, await client.complete_batch(prompts, **params), options)

    def _summary(self, shown: str, batch: Batch[Completion], options: dict[str, Any]) -> _Summary:
        """Return what the event of a batch shows; or raise its first error, after telling what was answered.

        The event of a batch that fails ends with the error and has no counts. What was answered is
        billed all the same, so it gets an event of its own, for the token counters.
        """
        summary = _Summary.of(batch)
        if not (options["stop_on_error"] and batch.errors):
            return summary
        if batch.usage is not None:
            callbacks = self.callback_manager
            payload: dict[str, Any] = {EventPayload.PROMPT: shown, EventPayload.SERIALIZED: {}}
            event_id = callbacks.on_event_start(CBEventType.LLM, payload=payload)
            payload = {EventPayload.PROMPT: shown, EventPayload.COMPLETION: summary}
            callbacks.on_event_end(CBEventType.LLM, payload=payload, event_id=event_id)
        raise batch.errors[0]


class _Summary(CompletionResponse):
    """What the event of a batch shows: the texts of all answers, and the counts over all requests."""

    _outcomes: list[CompletionResponse | XDMError] = PrivateAttr(default_factory=list)

    @classmethod
    def of(cls, batch: Batch[Completion]) -> _Summary:
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


class _Turns:
    """LlamaIndex's rate limiter as the client asks for turns: one for each request of a batch."""

    def __init__(self, limiter: Any) -> None:
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
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[int, Outcome], None]]:
    """Show LlamaIndex's progress bar, and yield what to call with each outcome."""
    bar = iter(get_tqdm_iterable(range(total), show_progress=shown, desc="Generating completions"))
    next(bar)  # a bar counts an item when it is asked for the next one
    try:
        yield lambda _position, _outcome: next(bar, None)
    finally:
        if isinstance(bar, Generator):
            bar.close()


def _shown(prompts: Sequence[OnePrompt]) -> str:
    """Return the prompts as events show them: they hold one text."""
    return "\n\n".join(map(str, prompts))

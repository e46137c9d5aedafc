"""Asking the client for the answers to LangChain's prompts, and what each input of a batch came to.

What both worlds do is in `Question`, before the asking, and in `BatchCall`, around it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.outputs import Generation, LLMResult

from xdm_integrations.client.batches import Batch
from xdm_integrations.core.completions.results import Completion
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.results import total_usage

from .convert import completions as _convert
from .prompts import as_sent
from .streams import aask_streaming, ask_streaming, retries_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.runnables import RunnableConfig

    from xdm_integrations import AsyncClient, Client
    from xdm_integrations.core.completions.packing import Outcome


@dataclass(frozen=True)
class Question:
    """Prompts with what is asked of them."""

    prompts: Sequence[str]
    params: Mapping[str, Any]
    model: str
    """The model asked for: its name stands in where the server doesn't say which one served."""
    streaming: bool = False
    batch_size: int = 20
    max_concurrency: int = 8
    stop_on_error: bool = False
    """Ask nothing more once a prompt has failed."""

    def named(self, outcome: Outcome) -> Outcome:
        """Return the outcome with a model name."""
        if isinstance(outcome, Completion) and not outcome.model:
            return replace(outcome, model=self.model)
        return outcome

    def batch(self, outcomes: Sequence[Outcome]) -> Batch[Completion]:
        """Return single outcomes as a batch."""
        usages = [one.usage for one in outcomes if isinstance(one, Completion)]
        return Batch([self.named(one) for one in outcomes], total_usage(usages))


def ask(client: Client, question: Question, runs: Sequence[CallbackManagerForLLMRun | None]) -> Batch[Completion]:
    """Return the outcome of each prompt. `runs` are their run managers, or shorter, or empty."""
    prompts = question.prompts
    if not prompts:
        return Batch()
    if question.streaming:
        return ask_streaming(client, question, runs)
    on_retry = retries_to(runs)
    if len(prompts) == 1:
        try:
            return question.batch([client.complete(as_sent(prompts[0]), on_retry=on_retry, **question.params)])
        except XDMError as error:
            return Batch([error])
    batch = client.complete_batch(
        [as_sent(prompt) for prompt in prompts],
        batch_size=question.batch_size,
        max_concurrency=question.max_concurrency,
        stop_on_error=question.stop_on_error,
        on_retry=on_retry,
        **question.params,
    )
    return Batch([question.named(one) for one in batch.outcomes], batch.usage)


async def aask(
    client: AsyncClient, question: Question, runs: Sequence[AsyncCallbackManagerForLLMRun | None]
) -> Batch[Completion]:
    """See `ask`."""
    prompts = question.prompts
    if not prompts:
        return Batch()
    if question.streaming:
        return await aask_streaming(client, question, runs)
    on_retry = retries_to(runs)
    if len(prompts) == 1:
        try:
            return question.batch([await client.complete(as_sent(prompts[0]), on_retry=on_retry, **question.params)])
        except XDMError as error:
            return Batch([error])
    batch = await client.complete_batch(
        [as_sent(prompt) for prompt in prompts],
        batch_size=question.batch_size,
        max_concurrency=question.max_concurrency,
        stop_on_error=question.stop_on_error,
        on_retry=on_retry,
        **question.params,
    )
    return Batch([question.named(one) for one in batch.outcomes], batch.usage)


Answer: TypeAlias = "list[Generation] | Exception | None"


class BatchCall:
    """The state of one `batch` or `abatch`.

    Attributes:
        prompts: The inputs as prompts; "" for one that can't be a prompt.
        missing: The prompts to ask for, in order.
        max_concurrency: What the configuration says, or None.
        return_exceptions: Whether a failed input is an exception among the texts.
    """

    def __init__(
        self,
        to_prompt: Callable[[Any], str],
        inputs: Sequence[Any],
        configs: Sequence[RunnableConfig],
        *,
        return_exceptions: bool,
    ) -> None:
        """Turn the inputs into prompts. One that isn't valid fails alone with `return_exceptions`."""
        self.max_concurrency: int | None = configs[0].get("max_concurrency")
        self.return_exceptions = return_exceptions
        self.prompts: list[str] = []
        self._configs = configs
        self._answers: list[Answer] = [None] * len(inputs)
        for i, one in enumerate(inputs):
            try:
                self.prompts.append(to_prompt(one))
            except Exception as error:
                if not return_exceptions:
                    raise
                self._answers[i] = error
                self.prompts.append("")
        self._asked = [i for i, answer in enumerate(self._answers) if answer is None]

    @property
    def missing(self) -> list[str]:
        """The prompts that are still to be asked, in order."""
        return [self.prompts[i] for i in self._asked]

    def take_cached(self, cached: Mapping[int, list[Generation]]) -> None:
        """Take the answers that a cache holds, by position."""
        for i in self._asked:
            self._answers[i] = cached.get(i)
        self._asked = [i for i in self._asked if self._answers[i] is None]

    def asked(self) -> list[tuple[str, RunnableConfig]]:
        """Return each prompt that is asked, with its configuration."""
        return [(self.prompts[i], self._configs[i]) for i in self._asked]

    def take(self, batch: Batch[Completion]) -> None:
        """Take the outcomes of what was asked."""
        for i, outcome in zip(self._asked, batch.outcomes, strict=True):
            self._answers[i] = outcome if isinstance(outcome, XDMError) else _convert.generations(outcome)

    def take_failure(self, error: Exception) -> None:
        """Take an error that concerns the whole call; raise it unless exceptions are to be returned."""
        if not self.return_exceptions:
            raise error
        for i in self._asked:
            self._answers[i] = error

    def learnt(self) -> tuple[list[int], LLMResult, list[str]]:
        """Return what a cache may keep, as the arguments of LangChain's `update_cache`."""
        known = {i: answer for i in self._asked if isinstance(answer := self._answers[i], list)}
        return list(known), LLMResult(generations=list(known.values())), self.prompts

    def texts(self) -> list[Any]:
        """Return the texts, and with `return_exceptions` the errors, in the order of the inputs.

        Raises:
            Exception: An input failed, and exceptions aren't to be returned: the first one's.
        """
        texts: list[Any] = []
        for answer in self._answers:
            if isinstance(answer, Exception):
                if not self.return_exceptions:
                    raise answer
                texts.append(answer)
            elif answer:
                texts.append(answer[0].text)
        return texts

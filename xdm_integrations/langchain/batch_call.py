"""One `batch` or `abatch` of `XDMLLM`: which inputs become requests, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.outputs import Generation, LLMResult
from langchain_core.runnables.config import get_config_list

from xdm_integrations.core.completions.parameters import split_prompts
from xdm_integrations.core.errors.tree import XDMError

from .convert import completions as convert
from .prompt_requests import as_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig

    from xdm_integrations.client import Batch
    from xdm_integrations.core.completions.results import Completion


class BatchCall:
    """The state of one `batch` or `abatch`.

    Attributes:
        prompts: The inputs as prompts; "" for one that can't be a prompt.
        max_concurrency: What the configuration says, or None.
        return_exceptions: Whether a failed input is an exception among the texts.
    """

    def __init__(
        self,
        to_prompt: Callable[[Any], str],
        inputs: Sequence[Any],
        config: RunnableConfig | list[RunnableConfig] | None,
        *,
        return_exceptions: bool,
    ) -> None:
        """Turn the inputs into prompts; with `return_exceptions` one that isn't valid fails alone."""
        self._configs = get_config_list(config, len(inputs))
        self.max_concurrency: int | None = self._configs[0].get("max_concurrency")
        self.return_exceptions = return_exceptions
        self.prompts: list[str] = []
        self._answers: list[list[Generation] | Exception | None] = [None] * len(inputs)
        for i, one in enumerate(inputs):
            try:
                prompt = to_prompt(one)
                split_prompts(as_sent(prompt))  # an empty one fails here, alone
                self.prompts.append(prompt)
            except Exception as error:
                if not return_exceptions:
                    raise
                self._answers[i] = error
                self.prompts.append("")
        self._open = [i for i, answer in enumerate(self._answers) if answer is None]

    @property
    def uncached(self) -> list[tuple[str, RunnableConfig]]:
        """The prompts that no cache has answered, each with its configuration."""
        return [(self.prompts[i], self._configs[i]) for i in self._open]

    def add_cached(self, cached: Mapping[int, list[Generation]]) -> None:
        """Add the answers that a cache holds, by position."""
        for i in self._open:
            self._answers[i] = cached.get(i)
        self._open = [i for i in self._open if self._answers[i] is None]

    def add_outcomes(self, batch: Batch[Completion]) -> None:
        """Add what came of the prompts that were sent."""
        for i, outcome in zip(self._open, batch.outcomes, strict=True):
            self._answers[i] = outcome if isinstance(outcome, XDMError) else convert.generations(outcome)

    def add_failure(self, error: Exception) -> None:
        """Add an error that concerns the complete call; raise it unless exceptions are to be returned."""
        if not self.return_exceptions:
            raise error
        for i in self._open:
            self._answers[i] = error

    def cacheable(self) -> tuple[list[int], LLMResult, list[str]]:
        """Return what a cache may keep, as the arguments of LangChain's `update_cache`."""
        known = {i: answer for i in self._open if isinstance(answer := self._answers[i], list)}
        return list(known), LLMResult(generations=list(known.values())), self.prompts

    def texts(self) -> list[Any]:
        """Return the texts in the order of the inputs, and the errors; without `return_exceptions` raise the first."""
        texts: list[Any] = []
        for answer in self._answers:
            if isinstance(answer, Exception):
                if not self.return_exceptions:
                    raise answer
                texts.append(answer)
            elif answer:
                texts.append(answer[0].text)
        return texts

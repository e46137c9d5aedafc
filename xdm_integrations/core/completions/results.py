"""What comes back: completions and chunks. Plain values; those made once per token or choice are tuples, for speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core.protocol.results import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from xdm_integrations.core.protocol.results import Logprobs


class Choice(NamedTuple):
    """One answer.

    Attributes:
        text: The generated text.
        index: `prompt_number * n + choice_number`.
        finish_reason: "stop", "length", "content_filter" or a server's own; None if not given.
        logprobs: Log probabilities, if they were asked for and given.
        extra: What the server added to the choice (`stop_reason`, `token_ids`, ...); in a stream, lists are joined.
    """

    text: str
    index: int = 0  # type: ignore[assignment] # the API's own name; it hides `tuple.index`
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    extra: Mapping[str, Any] = {}


def numbered(choices: Iterable[Choice]) -> tuple[Choice, ...]:
    """Return choices with the indices of their order."""
    return tuple(choice._replace(index=i) for i, choice in enumerate(choices))


class CompletionChunk(NamedTuple):
    """One piece of a stream, for one choice.

    Attributes:
        text: The new text; may be "" (the piece with the finish reason often is).
        index: The choice it belongs to, numbered as in `Choice`.
        finish_reason: Given once for each choice, on its last piece; else None.
        logprobs: Log probabilities of the tokens in this piece, if asked for and given.
    """

    text: str
    index: int = 0  # type: ignore[assignment] # the API's own name; it hides `tuple.index`
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True)
class Completion(Answer):
    """A complete answer, of a call or of a stream that has ended; see `Answer` too.

    Attributes:
        choices: `len(prompts) * n` choices, ordered by index.
        n: Choices per prompt.
    """

    choices: tuple[Choice, ...]
    n: int = 1

    @property
    def text(self) -> str:
        """The text of the first choice; "" if there is none (yet)."""
        return self.choices[0].text if self.choices else ""

    @property
    def finish_reason(self) -> str | None:
        """The finish reason of the first choice."""
        return self.choices[0].finish_reason if self.choices else None

    @property
    def logprobs(self) -> Logprobs | None:
        """The log probabilities of the first choice."""
        return self.choices[0].logprobs if self.choices else None

    def by_prompt(self) -> list[tuple[Choice, ...]]:
        """Group the choices by prompt, in the order of the prompts."""
        return [self.choices[i : i + self.n] for i in range(0, len(self.choices), self.n)]

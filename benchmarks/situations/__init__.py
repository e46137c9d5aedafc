"""What is put before the integrations: a misbehaving server, one call, and what was seen of it.

A situation is a function of one contender that returns its observation in a few words, all of them
taken from what happened: the text or error that came, the requests that the server saw, the seconds.
benchmarks/elsewhere.py runs each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.contenders import CONTENDERS, Contender

LANGCHAIN = ("LangChain",)
LLAMA_INDEX = ("LlamaIndex",)
BOTH = ("LangChain", "LlamaIndex")
Observe = Callable[[Contender], str]


class Situation(NamedTuple):
    """One line of the table: the README's row, what is done, who is asked, and for how many seconds at most."""

    row: str
    what: str
    frameworks: tuple[str, ...]
    limit: float
    observe: Observe

    @property
    def contenders(self) -> list[Contender]:
        return [contender for contender in CONTENDERS if contender.framework in self.frameworks]


ROWS = (
    "A stream that is cut", "Token counts of streams", "LangChain's cache", "A batch", "Lists of prompts",
    "Leaving a stream", "One object for all", "Errors", "Limits", "Async methods", "The second turn of a chat",
    "Several choices in a stream", "Misspelt parameters", "The key",
)  # fmt: skip
"""The README's rows, in its order."""
SITUATIONS: list[Situation] = []


def situation(
    row: str, what: str, frameworks: tuple[str, ...] = BOTH, limit: float = 40.0
) -> Callable[[Observe], Observe]:
    """Register a situation. One that takes longer than `limit` is observed to be still waiting."""

    def register(observe: Observe) -> Observe:
        SITUATIONS.append(Situation(row, what, frameworks, limit, observe))
        return observe

    return register


from . import answers, connections, mistakes  # noqa: E402, F401 - they register theirs

SITUATIONS.sort(key=lambda s: ROWS.index(s.row))

"""What is put before the integrations: a misbehaving server, one call, and what was seen of it.

A situation is a function of one contender that returns its observation in a few words, all of them
taken from what happened: the text or error that came, the requests that the server saw, the seconds.
benchmarks/elsewhere.py runs each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.contenders.chat import CHAT
from benchmarks.contenders.completions import COMPLETIONS
from benchmarks.contenders.embeddings import EMBEDDINGS

LANGCHAIN = ("LangChain",)
LLAMA_INDEX = ("LlamaIndex",)
BOTH = ("LangChain", "LlamaIndex")
CONTENDERS = {"Chat": CHAT, "Embeddings": EMBEDDINGS, "Text completions": COMPLETIONS}
"""Whom each table is about, in the README's order."""
ROWS = {
    "Chat": (
        "Shapes of answers", "Tool calls in odd pieces", "Tool calls that are cut", "A stream that is cut",
        "Errors in a stream", "A 200 that is no answer", "Token counts", "Reasoning", "Objects", "Several choices",
        "Requests", "Names of models", "Leaving a stream", "One object for all", "Errors", "Limits",
        "Misspelt parameters", "The key",
    ),
    "Embeddings": (
        "Pairing", "What is sent", "Limits of servers", "Many requests", "A 200 that is no answer",
        "One object for all", "Errors", "Misspelt parameters", "The key",
    ),
    "Text completions": (
        "A stream that is cut", "Token counts of streams", "LangChain's cache", "A batch", "Lists of prompts",
        "Leaving a stream", "One object for all", "Errors", "Limits", "Async methods", "The second turn of a chat",
        "Several choices in a stream", "Misspelt parameters", "The key",
    ),
}  # fmt: skip
"""The README's rows for each, in its order."""
Observe = Callable[[Any], str]
"""Takes a contender of the situation's endpoint."""


class Situation(NamedTuple):
    """One line of a table: the README's row, what is done, who is asked, and for how many seconds at most."""

    endpoint: str
    row: str
    what: str
    frameworks: tuple[str, ...]
    limit: float
    observe: Observe

    @property
    def contenders(self) -> list[Any]:
        return [contender for contender in CONTENDERS[self.endpoint] if contender.framework in self.frameworks]


SITUATIONS: list[Situation] = []


def situation(
    row: str, what: str, *endpoints: str, frameworks: tuple[str, ...] = BOTH, limit: float = 40.0
) -> Callable[[Observe], Observe]:
    """Register a situation, for each endpoint. One that takes longer than `limit` is observed to be still waiting."""

    def register(observe: Observe) -> Observe:
        SITUATIONS.extend(Situation(endpoint, row, what, frameworks, limit, observe) for endpoint in endpoints)
        return observe

    return register


from . import chat, completions, connections, cuts, embeddings, mistakes  # noqa: E402, F401 - they register theirs

SITUATIONS.sort(key=lambda s: (list(ROWS).index(s.endpoint), ROWS[s.endpoint].index(s.row)))

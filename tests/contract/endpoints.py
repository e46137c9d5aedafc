"""The endpoints, one row each: a fourth one gets a row, and is red until it keeps the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.wire import chat, completions, embeddings
from xdm_integrations import Client

if TYPE_CHECKING:
    from collections.abc import Callable


class Endpoint(NamedTuple):
    """One endpoint.

    Attributes:
        name: Its name, which parametrised tests show.
        path: Where its requests go.
        ask: The client's method for a complete answer.
        streams: The client's method for a stream; None if it has none.
        given: What is asked.
        good: The body of a good reply.
        beginning: The first events of a good stream, which hold "alpha".
        rest: The other events.
        seen: What of an answer must be the same whichever way it came.
        misspelt: A parameter with a letter missing, and its name.
        zero: A parameter for which zero is a value; None if there is none.
    """

    name: str
    path: str
    ask: str
    streams: str | None
    given: Any
    good: dict[str, Any]
    beginning: list[Any]
    rest: list[Any]
    seen: Callable[[Any], Any]
    misspelt: tuple[str, str]
    zero: str | None


ENDPOINTS = [
    Endpoint(
        "completions", "/v1/completions", "complete", "stream", "hello",
        completions.GOOD, completions.BEGINNING, completions.REST,
        lambda answer: answer.text, ("temprature", "temperature"), "temperature",
    ),
    Endpoint(
        "chat", "/v1/chat/completions", "chat", "stream_chat", "hello",
        chat.GOOD, chat.BEGINNING, chat.REST,
        lambda answer: answer.text, ("temprature", "temperature"), "temperature",
    ),
    Endpoint(
        "embeddings", "/v1/embeddings", "embed", None, "hello",
        embeddings.GOOD, [], [],
        lambda answer: [list(vector) for vector in answer.vectors], ("dimension", "dimensions"), None,
    ),
]  # fmt: skip
STREAMING = [endpoint for endpoint in ENDPOINTS if endpoint.streams]

_OTHERS = {
    "abort",
    "chat_batch",
    "chat_structured",
    "close",
    "complete_batch",
    "complete_pack",
    "config",
    "models",
    "quota",
    "run_tools",
    "stream_structured",
}
"""What a client has beside the methods of endpoints."""


def methods_without_a_row() -> set[str]:
    """Return the methods of clients that no row names: those of an endpoint that nobody has bound by the laws."""
    public = {name for name in dir(Client) if not name.startswith("_")}
    return public - _OTHERS - {method for row in ENDPOINTS for method in (row.ask, row.streams) if method}

"""What an error's advice calls things, by the endpoint that was asked.

No error tells a user of embeddings about max_tokens, or a user of chat about text completions.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

Endpoint: TypeAlias = Literal["completions", "chat", "embeddings"]


class Words(NamedTuple):
    """One endpoint's words for the names in braces (`{less}`) that the catalogue's texts hold."""

    task: str
    """What the endpoint does."""
    better: str
    """A model that can do it."""
    shorten: str
    """How to come within the model's context."""
    less: str
    """How to need a smaller reserve of the budget."""
    reserve: str
    """What the gateway reserves in advance."""
    sooner: str
    """How to get an answer before a proxy gives up."""
    fewer: str
    """How to make the request's body smaller."""
    parts: str
    """What an answer consists of."""
    one: str
    """What an answer is."""


WORDS: dict[Endpoint, Words] = {
    "completions": Words(
        task="text completions",
        better="a completions model such as gpt-3.5-turbo-instruct, or ask a chat model through chat",
        shorten="Shorten the prompt or use a smaller max_tokens: together they must fit into the model's context.",
        less="use a smaller max_tokens",
        reserve="prompt + max_tokens",
        sooner="stream the answer or ask for less in one request",
        fewer="fewer or shorter prompts at once",
        parts="choices",
        one="a completion",
    ),
    "chat": Words(
        task="chat",
        better="a chat model such as gpt-4o-mini",
        shorten="Shorten the messages or allow a shorter answer: together they must fit into the model's context.",
        less="allow a shorter answer",
        reserve="the messages + the longest answer",
        sooner="stream the answer or ask for less in one request",
        fewer="fewer or shorter messages, and smaller images",
        parts="choices",
        one="a chat completion",
    ),
    "embeddings": Words(
        task="embeddings",
        better="an embedding model such as text-embedding-3-small",
        shorten="Shorten the text: it must fit into the model's context.",
        less="send fewer texts at once",
        reserve="the tokens of all texts",
        sooner="send fewer texts in one request",
        fewer="fewer or shorter texts at once",
        parts="vectors",
        one="a list of embeddings",
    ),
}


def endpoint_of(url: str) -> Endpoint:
    """Return the endpoint that a request to `url` asks; "completions" for any other path."""
    path = urlsplit(url).path.rstrip("/")
    if path.endswith("/chat/completions"):
        return "chat"
    return "embeddings" if path.endswith("/embeddings") else "completions"

"""What the engine says about itself, besides the API: its slots, and the tokens of a text."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

LONG = "Count to two hundred:"
ENDLESS: dict[str, Any] = {"temperature": 0, "max_tokens": 3900, "logit_bias": {2: -100}}
"""Parameters with which the engine ends only after thousands of tokens, however fast it is."""
ENDLESS_TOKENS = 3900
ENDLESS_CHAT: dict[str, Any] = {"temperature": 0, "max_tokens": 3900, "ignore_eos": True}
"""The same for chat, where an answer has another end token."""


def ask(engine: Any, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=240)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def tokens_of(engine: Any, text: str) -> list[int]:
    """Return the tokens of a prompt, as the engine counts them."""
    return list(ask(engine, "POST", "/tokenize", {"content": text, "add_special": True})["tokens"])


def busy_slots(engine: Any) -> list[dict[str, Any]]:
    return [slot for slot in ask(engine, "GET", "/slots") if slot["is_processing"]]


def decoded(slot: dict[str, Any]) -> int:
    """Return how many tokens a slot has generated."""
    return int(slot["next_token"][0]["n_decoded"])


def is_freed_early(engine: Any) -> bool:
    """Wait until no slot is busy any more, and say whether none has come to the end of an `ENDLESS` answer.

    Only streams are ended by a client that goes away: an answer that isn't streamed is generated to its end.
    """
    pause = threading.Event()
    while busy_slots(engine):
        pause.wait(0.005)
    # What an idle slot calls its prompt includes what it has generated.
    return all(slot.get("n_prompt_tokens", 0) < ENDLESS_TOKENS for slot in ask(engine, "GET", "/slots"))


async def is_freed_by_cancelling(
    read: Callable[[], Coroutine[Any, Any, None]], begun: asyncio.Event, engine: Any
) -> bool:
    """Cancel a task in the middle of the `ENDLESS` answer that it reads, and say whether that ended the answer.

    Args:
        read: Reads the answer, to its end if it is let.
        begun: Set by `read` when some of it has arrived.
        engine: An engine with one slot.
    """
    task = asyncio.ensure_future(read())
    await begun.wait()
    (slot,) = await asyncio.to_thread(busy_slots, engine)
    assert decoded(slot) < ENDLESS_TOKENS
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return await asyncio.to_thread(is_freed_early, engine)

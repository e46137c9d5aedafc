"""What the engine says about itself, besides the API: its slots, and the tokens of a text."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any

LONG = "Count to two hundred:"
ENDLESS: dict[str, Any] = {"temperature": 0, "max_tokens": 3900, "logit_bias": {2: -100}}
"""Parameters with which the engine ends only after thousands of tokens, however fast it is."""
ENDLESS_TOKENS = 3900


def ask(engine: Any, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=5)
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

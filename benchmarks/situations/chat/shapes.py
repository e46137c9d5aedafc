"""Every shape of an answer that the tests know, sent to everybody: how many are read as they are meant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.contenders.chat import Chat
from benchmarks.situations import situation
from tests.scripted import ScriptedServer, http
from tests.unit.chat.shapes import COMPLETE, STREAMS, Row, body, stream

ROW = "Shapes of answers"


def read(contender: Chat, llm: Any, row: Row, *, streamed: bool) -> str:
    """Say what becomes of the text and the calls of one shape."""
    noticed = bool(row.error or row.invalid)
    try:
        said = contender.said(llm, contender.ask(llm, streamed=streamed))
    except Exception:  # noqa: BLE001 - whatever comes is the observation
        return "right" if noticed else "an error in place of an answer"
    right = (said.text, [(name, arguments) for name, arguments, _ in said.calls]) == (row.text, row.calls)
    return "right" if right and not row.error else "wrong in silence"


def complete(row: Row) -> dict[str, Any]:
    """Return a complete answer with what the table leaves out for brevity, and every server sends."""
    answer = json.loads(body(row))
    if "object" in answer:
        answer["object"] = "chat.completion"
    for choice in answer.get("choices") or ():
        if choice.get("message"):
            choice["message"].setdefault("role", "assistant")
    return answer


def tally(contender: Chat, rows: Iterable[Row], *, streamed: bool) -> str:
    """Ask once for each shape, and say how many were read how."""
    outcomes: Counter[str] = Counter()
    reply: list[Any] = []
    with ScriptedServer(lambda _: reply) as server:
        llm = contender.make(server.url, max_retries=0, timeout=10)
        for row in rows:
            reply = (
                http(stream(row), headers={"Content-Type": "text/event-stream"}) if streamed else http(complete(row))
            )
            outcomes[read(contender, llm, row, streamed=streamed)] += 1
    order = ("right", "wrong in silence", "an error in place of an answer")
    return ", ".join(f"{outcomes[name]} {name}" for name in order if outcomes[name])


@situation(ROW, f"{len(COMPLETE)} complete answers, as gateways and engines send them", "Chat", limit=120)
def _(contender: Chat) -> str:
    return tally(contender, COMPLETE, streamed=False)


@situation(ROW, f"{len(STREAMS)} streams", "Chat", limit=120)
def _(contender: Chat) -> str:
    return tally(contender, STREAMS, streamed=True)

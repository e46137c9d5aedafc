"""Streams of text that don't end as they should: what of them passes for an answer."""

from __future__ import annotations

from typing import Any

from tests.scripted import CLOSE, DONE, ScriptedServer, stream

from . import situation
from .words import error_name

STREAMS = ("Chat", "Text completions")


def cut(contender: Any, *steps: Any, end: bool = True) -> str:
    """Say what becomes of a stream that says "one two", and then `steps`."""
    words = [contender.word("one"), contender.word(" two")]
    with ScriptedServer([stream(*words, *steps, end=end)]) as server:
        text = ""
        try:
            for piece in contender.stream(contender.make(server.url, max_retries=0)):
                text += contender.text_of(piece)
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            partial = getattr(error, "text", None)
            return f"{error_name(error)}, " + (
                f"holding `{partial!r}`" if isinstance(partial, str) else "without the text so far"
            )
        return f"returned `{text!r}` as a whole answer"


@situation("A stream that is cut", "ends after two words, without `finish_reason` and `[DONE]`", *STREAMS)
def _(contender: Any) -> str:
    return cut(contender)


@situation("A stream that is cut", "ends after two words, with `[DONE]` but no `finish_reason`", *STREAMS)
def _(contender: Any) -> str:
    return cut(contender, DONE)


@situation("A stream that is cut", "the connection closes after two words, amid the body", *STREAMS)
def _(contender: Any) -> str:
    return cut(contender, CLOSE, end=False)

r"""Reasoning that leads the answer, between `<think>` and `</think>`, told apart while it streams.

New API's ThinkingToContent writes `<think>\n...\n</think>\n`; engines without a reasoning parser
hand on what the model writes.
"""

from __future__ import annotations

_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkTags:
    """Text in, text and reasoning out. What may be a part of a tag waits for the next piece."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def take(self, piece: str) -> tuple[str, str]:
        """Return the text and the reasoning that `piece` completes."""
        if self._state == "text":
            return piece, ""
        self._held += piece
        reasoning = ""
        if self._state == "start":
            lead = self._held.lstrip()
            if len(lead) < len(_OPEN) and _OPEN.startswith(lead):
                return "", ""
            if not lead.startswith(_OPEN):
                return self._all_text(), ""
            self._held, self._state = lead[len(_OPEN) :], "thinking-begins"
        if self._state == "thinking-begins":
            self._held = self._held.lstrip()
            self._state = "thinking" if self._held else self._state
        if self._state == "thinking":
            inner, tag, rest = self._held.partition(_CLOSE)
            if tag:
                reasoning, self._held, self._state = inner.rstrip(), rest, "after"
            else:
                keep = len(_sure(self._held))
                reasoning, self._held = self._held[:keep], self._held[keep:]
        if self._state == "after":
            self._held = self._held.lstrip()
            if self._held:
                return self._all_text(), reasoning
        return "", reasoning

    def waiting(self, last: str) -> tuple[str, str]:
        """Return what waits, with `last` behind it, as the text or the reasoning that it is if no other piece comes."""
        held = self._held + last
        return ("", held.rstrip()) if self._state.startswith("thinking") else (held, "")

    def _all_text(self) -> str:
        text, self._held, self._state = self._held, "", "text"
        return text


def _sure(text: str) -> str:
    """Return `text` without what may begin the closing tag, and without white space before that."""
    at = text.rfind("<", max(0, len(text) - len(_CLOSE) + 1))
    if at >= 0 and _CLOSE.startswith(text[at:]):
        text = text[:at]
    return text.rstrip()

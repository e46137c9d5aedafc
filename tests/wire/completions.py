"""Text completions on the wire."""

from __future__ import annotations

from tests.scripted import DONE, chunk, completion, usage_chunk

GOOD = completion("alpha beta")
BEGINNING = [chunk("alpha")]
REST = [chunk(" beta"), chunk("", finish="stop"), usage_chunk(), DONE]

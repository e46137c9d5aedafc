"""The vectors of a recording, read in the plainest way."""

from __future__ import annotations

import base64
import struct
from typing import Any

from tests.replay.recorded import bodies, json_of


def told_vectors(vcr: Any) -> dict[str, list[float]]:
    """Return the vectors of a recording by text."""
    told = {}
    for body, response in zip(bodies(vcr), vcr.responses, strict=True):
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        for item in json_of(response)["data"]:
            value = item["embedding"]
            if isinstance(value, str):
                data = base64.b64decode(value)
                value = list(struct.unpack(f"<{len(data) // 4}f", data))
            told[texts[item["index"]]] = value
    return told

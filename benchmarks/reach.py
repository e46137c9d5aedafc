"""What each row has to reach: ours as a ratio to the floor, at most; and its unit."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.on_chat import NAMES
from benchmarks.on_embeddings import SUBJECTS, TEXTS, VECTORS


class Reach(NamedTuple):
    """None: nothing is asked for."""

    ratio: float | None
    unit: str


CPU, TOKEN, VECTOR, US, S, S_CPU, MB = "us CPU", "us CPU per token", "us CPU per vector", "us", "s", "s CPU", "MB"

REACH = {
    "langchain invoke": Reach(0.70, CPU),
    "langchain ainvoke, 64 at once": Reach(1.0, CPU),
    "langchain stream": Reach(1.0, TOKEN),
    "langchain astream": Reach(1.0, TOKEN),
    "langchain 100 astreams at once": Reach(1.0, TOKEN),
    "langchain batch of 1000, 50 ms each": Reach(1.0, S),
    "langchain abatch of 1000, 50 ms each": Reach(1.0, S),
    "langchain import": Reach(1.1, S_CPU),
    "langchain chat import": Reach(1.1, S_CPU),
    "llama_index complete": Reach(0.70, CPU),
    "llama_index acomplete, 64 at once": Reach(1.0, CPU),
    "llama_index stream_complete": Reach(1.0, TOKEN),
    "llama_index astream_complete": Reach(1.0, TOKEN),
    "llama_index import": Reach(1.1, S_CPU),
    "llama_index chat import": Reach(1.1, S_CPU),
    "time to first token, sync": Reach(None, US),
    "time to first token, async": Reach(None, US),
    "time to first token, 64 at once": Reach(None, US),
    "token lag, sync: median": Reach(1.3, US),
    "token lag, sync: p99": Reach(1.3, US),
    "token lag, async: median": Reach(1.3, US),
    "token lag, async: p99": Reach(1.3, US),
    "langchain memory of 1000 streams at once": Reach(None, MB),
    "llama_index memory of 1000 streams at once": Reach(None, MB),
}
_CALLS = {"client chat": (0.6, 0.6), "langchain chat": (0.75, 1.0), "llama_index chat": (0.70, 1.0)}
"""For a call, and for one of 64 at once."""
_TOOLS = {"client chat": 1.4, "langchain chat": None, "llama_index chat": None}
for _group, _names in NAMES.items():
    _call, _acall = _CALLS[_group]
    REACH[f"{_group}: {_names.call}"] = Reach(_call, CPU)
    REACH[f"{_group}: {_names.acall}, 64 at once"] = Reach(_acall, CPU)
    for _stream in (_names.stream, _names.astream):
        REACH[f"{_group}: {_stream}"] = Reach(1.0, TOKEN)
        REACH[f"{_group}: {_stream}, a tool's arguments"] = Reach(_TOOLS[_group], TOKEN)
        REACH[f"{_group}: {_stream}, first token"] = Reach(None, US)
        REACH[f"{_group}: lag of a token, {_stream}: median"] = Reach(1.3, US)
        REACH[f"{_group}: lag of a token, {_stream}: p99"] = Reach(1.3, US)
    REACH[f"{_group}: 100 {_names.astream}s at once"] = Reach(1.0, TOKEN)
    REACH[f"{_group}: {_names.astream}, first token, 64 at once"] = Reach(None, US)
    for _batch in filter(None, (_names.batch, _names.abatch)):
        REACH[f"{_group}: {_batch}"] = Reach(1.3, S)
for _group in SUBJECTS:
    for _how in ("", ", async"):
        REACH[f"{_group}: {VECTORS:,} vectors{_how}"] = Reach(0.5, VECTOR)
        REACH[f"{_group}: {TEXTS:,} texts, 50 ms a request{_how}"] = Reach(1.2, S)

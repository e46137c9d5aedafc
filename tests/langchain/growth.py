"""How much CPU a token of a stream costs on our side, for streams of different lengths."""

from __future__ import annotations

import time

from tests.scripted import DONE, ScriptedServer, chunk, stream
from xdm_integrations.langchain import XDMLLM


def cost_per_token(count: int) -> float:
    """Return the thread's CPU seconds per token, the best of three streams."""
    block = b"".join(b"data: %s\n\n" % _event(i) for i in range(1000))
    steps = stream(*[block] * (count // 1000), chunk("", finish="stop"), DONE)
    best = 1.0
    with ScriptedServer([steps]) as server, XDMLLM(base_url=server.url) as llm:
        for _ in range(3):
            start = time.thread_time()
            assert sum(1 for _ in llm.stream("x")) == count
            best = min(best, (time.thread_time() - start) / count)
    return best


def _event(i: int) -> bytes:
    import json

    return json.dumps(chunk(f" token{i}")).encode()

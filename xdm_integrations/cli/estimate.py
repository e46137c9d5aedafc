"""What a run would do and cost, estimated without sending anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xdm_integrations import Usage

from .endpoints import COMPLETIONS, EMBEDDINGS
from .progress import cost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .prompts import Task

_CHARACTERS, _OTHERS = 4.0, 1.5
"""Characters per token: of ASCII text, and of other scripts. Rules of thumb: no tokenizer is at hand."""


def estimate(packs: Iterable[list[Task]], max_tokens: int | None, price: tuple[float, float] | None) -> dict[str, Any]:
    """Estimate what the requests of these tasks would take.

    Returns:
        The requests, about how many tokens the prompts have, how many the answers have at most (`max_tokens` each,
        where a task doesn't say; None: no limit is set), and what that costs at most.
    """
    requests, prompt_tokens, answers = 0, 0, 0
    limited = True
    for pack in packs:
        requests += 1
        for task in pack:
            prompt_tokens += _tokens(task.content)
            if task.endpoint is not EMBEDDINGS:
                default = max_tokens if task.endpoint is COMPLETIONS else None
                limit = task.params.get("max_tokens", task.params.get("max_completion_tokens", default))
                limited = limited and limit is not None
                answers += (limit or 0) * (task.params.get("n") or 1)
    counts: dict[str, Any] = {
        "requests": requests,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": answers if limited else None,
    }
    if price is not None:
        counts["cost"] = round(cost(Usage(prompt_tokens, answers), price), 6) if limited else None
    return counts


def _tokens(content: object) -> int:
    if isinstance(content, list) and content and isinstance(content[0], int):
        return len(content)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    ascii_count = len(text.encode("ascii", "ignore"))
    return round(ascii_count / _CHARACTERS + (len(text) - ascii_count) / _OTHERS)

"""What is measured: rows of the table for one subject, in a process of its own.

    python -m benchmarks.subjects SUBJECT URL ROW...      prints their figures as a list of JSON

A row is a task, such as "langchain stream". Its subjects are

- `plain`: the same bytes by plain requests or aiohttp, as a careful user would write it;
- `framework`: the framework alone, over a model that answers from memory;
- `best`: where a row is mostly waiting, the least that it can take: the same waits with nothing to do in between;
- `ours`: this package;
- `peer`: the integration that people use today.

The floor of a row is plain + framework, or the best. CPU figures are this process's own, in microseconds per
call or per token; figures of batches and imports are seconds. Rows with the same words before a colon share a process.
"""

from __future__ import annotations

import json
import sys

from benchmarks import (  # noqa: F401 - each registers its rows
    growth,
    on_chat,
    on_embeddings,
    on_langchain,
    on_llama_index,
    plain,
    waits,
)
from benchmarks.rows import ROWS

__all__ = ["ROWS"]

if __name__ == "__main__":
    subject, url, *names = sys.argv[1:]
    print(json.dumps([ROWS[name, subject](url) for name in names]))

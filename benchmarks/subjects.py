"""What is measured: one row of the table for one subject, in a process of its own.

    python -m benchmarks.subjects ROW SUBJECT URL      prints one number

A row is a task, such as "langchain stream". Its subjects are

- `plain`: the same bytes by plain requests or aiohttp, as a careful user would write it;
- `framework`: the framework alone, over an LLM that answers from memory;
- `ours`: this package;
- `peer`: the integration that people use today.

The floor of a row is plain + framework. CPU figures are this process's own, in microseconds per
call or per token; figures of batches and imports are seconds.
"""

from __future__ import annotations

import sys

from benchmarks import growth, on_chat, on_langchain, on_llama_index, plain, waits  # noqa: F401 - each registers its rows
from benchmarks.rows import ROWS

__all__ = ["ROWS"]

if __name__ == "__main__":
    print(ROWS[sys.argv[1], sys.argv[2]](sys.argv[3]))

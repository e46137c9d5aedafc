"""What is recorded of the two adapters: each of their ways to ask, each with parameters, and each error."""

from __future__ import annotations

from tests.replay.langchain_ways import LANGCHAIN
from tests.replay.llama_index_ways import LLAMA_INDEX

ROOMS = {"langchain": LANGCHAIN, "llama_index": LLAMA_INDEX}


def framework_cassettes() -> set[str]:
    """Return the names of the cassettes that `test_frameworks` plays."""
    return {f"{room}/{name}" for room, ways in ROOMS.items() for name in {*ways, "batch_apart"}}

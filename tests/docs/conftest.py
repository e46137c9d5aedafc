"""One address for the programs of the pages: exact sentences from the tiny model, and real vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from local_engine.door import Door
from local_engine.serving import free_port


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    port: int

    @property
    def base_url(self) -> str:
        """The root URL."""
        return f"http://127.0.0.1:{self.port}/v1"


@pytest.fixture(scope="session")
def engine_with_vectors(engine: Any, chat_engine: Any) -> Address:
    """The tiny model, and the embeddings of the real one; skipped where its weights aren't installed."""
    port = free_port()
    Door(engine.port, chat_engine.port).open(port)
    return Address(port)

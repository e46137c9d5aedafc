"""The doors, a healthy server of vectors, and embedders that ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.client.conftest import waits
from tests.embeddings.doors import DOORS
from tests.vectors import embedding
from tests.worlds import KINDS, worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.scripted import ScriptedServer

__all__ = ["waits"]


@pytest.fixture(params=[(room, kind) for room in DOORS for kind in KINDS], ids="-".join)
def door(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A way to vectors: a test that uses this runs with each of the six."""
    room, kind = request.param
    yield from worlds(DOORS[room], kind)


@pytest.fixture
def server(server: ScriptedServer) -> ScriptedServer:
    server.script = embedding
    return server


@pytest.fixture
def made(door: Any, server: ScriptedServer) -> Callable[..., Any]:
    """Make an embedder that asks the server."""

    def make(**settings: Any) -> Any:
        return door.embedder(**{"base_url": server.url, **settings})

    return make

"""Recordings: how they are made, where they lie, and that each is played to its end.

Replaying (the default) blocks the network. `make record` records everything again from the local
engine, on the fixed ports below, and `make record-gateway` from the gateway. Only the blocking half
of each test records; the other half replays what it left behind: one cassette serves sync and async.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from local_engine import EMBEDDING_MODEL, MODEL, running_chat_engine, running_engine

from tests.replay import provenance
from tests.replay.scrubbing import clean_request, clean_response

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CASSETTES = HERE.parents[1] / "cassettes"
ENGINE, GATEWAY = "engine", "gateway"
PORT, PORT_WITH_KEY, PORT_OF_VECTORS = 18080, 18081, 18082
LOCAL_KEY = "key-of-the-local-engine"
WRONG_KEY = "sk-wrong-0123456789"
GATEWAY_KEY = os.environ.get("XDM_API_KEY")
"""Read before the tests' own environment hides it; only used for recording."""

_recorded: set[Path] = set()


@dataclass(frozen=True)
class RecordedFrom:
    """The server that a cassette was recorded from, and how a client reaches it."""

    name: str
    model: str
    chat_model: str
    embedding_model: str
    folder: Path
    recording: bool

    def settings(self, key: str = "right", path: str = "/v1", *, vectors: bool = False) -> dict[str, Any]:
        """Return the arguments of a client; `vectors`: of the engine that has them."""
        if self.name == GATEWAY:
            right: str | None = (GATEWAY_KEY if self.recording else None) or "not-needed-for-replay"
            base = "https://xuedingmao.online"
        else:
            right = LOCAL_KEY
            port = PORT_OF_VECTORS if vectors else PORT if key == "right" else PORT_WITH_KEY
            base = f"http://127.0.0.1:{port}"
        settings = {"base_url": base + path, "model": self.model, "max_retries": 0}
        if vectors:
            settings["model"] = self.embedding_model
        # The gateway is never called without a key; what a missing one gives is asked of the engine.
        keys = {"right": right, "wrong": WRONG_KEY, "none": WRONG_KEY if self.name == GATEWAY else None}
        return settings | {"api_key": keys[key]}


def _recording(config: pytest.Config) -> bool:
    return config.getoption("--record-mode") not in (None, "none")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "recorded_from" not in metafunc.fixturenames:
        return
    if _recording(metafunc.config):
        names = [os.environ.get("XDM_RECORD_FROM", ENGINE)]
    else:
        names = [ENGINE, *([GATEWAY] if (CASSETTES / GATEWAY).is_dir() else [])]
    metafunc.parametrize("recorded_from", names, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """While recording, leave out what only replays, and what looks at the recordings."""
    if not _recording(config):
        return
    mine = [item for item in items if item.path.is_relative_to(HERE)]
    replay_only = {item for item in mine if "async" in item.name or item.get_closest_marker("vcr") is None}
    items[:] = [item for item in items if item not in replay_only]
    config.hook.pytest_deselected(items=list(replay_only))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After a recording, write down what was recorded from where."""
    if _recorded:
        provenance.write(CASSETTES, _recorded)


@pytest.fixture
def recorded_from(request: pytest.FixtureRequest) -> RecordedFrom:
    """The server whose recordings a test plays."""
    gateway = request.param == GATEWAY
    return RecordedFrom(
        request.param,
        "gpt-3.5-turbo-instruct" if gateway else MODEL,
        "gpt-4o-mini" if gateway else MODEL,
        "text-embedding-3-small" if gateway else EMBEDDING_MODEL,
        CASSETTES / GATEWAY if gateway else CASSETTES,
        _recording(request.config),
    )


@pytest.fixture(scope="session", autouse=True)
def servers_to_record(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the engines of a recording: one open, one that asks for a key, one with vectors that does too."""
    with ExitStack() as stack:
        if _recording(request.config):
            if os.environ.get("XDM_RECORD_FROM", ENGINE) == ENGINE:
                stack.enter_context(running_engine(port=PORT))
                stack.enter_context(running_engine(api_key=LOCAL_KEY, port=PORT_WITH_KEY))
                stack.enter_context(running_chat_engine(api_key=LOCAL_KEY, port=PORT_OF_VECTORS))
            elif not GATEWAY_KEY:
                pytest.exit("Recording from the gateway needs XDM_API_KEY.", 2)
        yield


@pytest.fixture
def vcr_config() -> dict[str, Any]:
    return {
        "match_on": ["method", "scheme", "host", "port", "path", "query", "body"],
        "decode_compressed_response": True,
        "filter_headers": [("authorization", "REDACTED"), ("cookie", None)],
        "before_record_request": clean_request,
        "before_record_response": clean_response,
    }


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    return str(CASSETTES)


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """Return `[gateway/]<room>/<name>`, from the test's `cassette` parameter: the same for sync and async."""
    server: RecordedFrom = request.getfixturevalue("recorded_from")
    name = request.node.callspec.params["cassette"]
    return name if server.name == ENGINE else f"{GATEWAY}/{name}"


@pytest.fixture(autouse=True)
def played_to_the_end(request: pytest.FixtureRequest, vcr: Any) -> Iterator[None]:
    """Each test plays the whole of its cassette, or leaves one behind."""
    yield
    if vcr is None:
        return
    if _recording(request.config):
        _recorded.add(Path(vcr._path))
    else:
        assert vcr.all_played, f"{vcr.play_count} of {len(vcr)} recorded replies were played"


@pytest.fixture
def at_once(request: pytest.FixtureRequest) -> int:
    """How many requests run at a time: vcrpy loses some when several threads record."""
    return 1 if _recording(request.config) else 8

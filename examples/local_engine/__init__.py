"""Real servers on this machine: no key, no internet.

``running_engine`` starts llama.cpp with a model of 1.5 MB for the length of a ``with`` block, for exact sentences;
``running_chat_engine`` starts a small real chat model and a small real embedding model, for real answers and vectors::

    from local_engine import running_engine

    with running_engine() as engine:
        print(engine.base_url)
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_engine.weights import what_is_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CHAT_MODEL",
    "EMBEDDING_MODEL",
    "MODEL",
    "Engine",
    "running_chat_engine",
    "running_engine",
    "what_is_missing",
]

MODEL = "xdm-local"
CHAT_MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "multilingual-e5-small-q4"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0
POLL = 0.05
READY = re.compile(r"listening http://127\.0\.0\.1:(\d+)/v1\n")


@dataclass(frozen=True)
class Engine:
    """A server that is running.

    Attributes:
        port: The port on 127.0.0.1 it listens on.
        pid: The id of its process.
    """

    port: int
    pid: int

    @property
    def base_url(self) -> str:
        """The address to give to a client, ending in ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def kill(self) -> None:
        """End the server at once, in the middle of whatever it is sending."""
        os.kill(self.pid, signal.SIGKILL)


@contextmanager
def running_engine(api_key: str | None = None, slots: int = 4, port: int = 0) -> Iterator[Engine]:
    """Run the model of 1.5 MB, `MODEL`, in a process of its own.

    Args:
        api_key: The only key that it accepts. None means that it asks for none.
        slots: How many requests it answers at a time.
        port: The port on 127.0.0.1; 0 picks a free one.

    Yields:
        The running engine, once it is ready to answer.

    Raises:
        ImportError: If llama.cpp's server is not installed.
        RuntimeError: If the server ends, or isn't ready within a minute.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ImportError('the local engine needs xllamacpp: pip install "xdm-integrations[local]"')
    with _running("serve.py", api_key, slots, port) as engine:
        yield engine


@contextmanager
def running_chat_engine(
    api_key: str | None = None, slots: int = 2, port: int = 0, *, cache: bool = True
) -> Iterator[Engine]:
    """Run a small real chat model, `CHAT_MODEL`, and an embedding model, `EMBEDDING_MODEL`, in a process of their own.

    Args:
        api_key: The only key that it accepts. None means that it asks for none.
        slots: How many requests the chat model answers at a time. Exact text wants 1: two are computed together, which
            may change a token.
        port: The port on 127.0.0.1; 0 picks a free one.
        cache: Whether a prompt that begins like the last one is computed only from where it differs. Exact text wants
            one setting.

    Yields:
        The running engine, once both models are ready to answer.

    Raises:
        ImportError: If a server or the weights are not installed; the message is `what_is_missing()`.
        RuntimeError: If the server ends, or isn't ready within a minute.
    """
    if missing := what_is_missing():
        raise ImportError(missing)
    with _running("serve_chat.py", api_key, slots, port, *([] if cache else ["--no-cache"])) as engine:
        yield engine


@contextmanager
def _running(program: str, api_key: str | None, slots: int, port: int, *more: str) -> Iterator[Engine]:
    script = str(Path(__file__).with_name(program))
    command = [sys.executable, script, "--slots", str(slots), "--parent", str(os.getpid()), "--port", str(port), *more]
    if api_key:
        command += ["--api-key", api_key]
    # Files, since a pipe that nobody reads would fill up and block the server.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
        try:
            yield Engine(_wait_until_ready(process, out.fileno(), log.fileno()), process.pid)
        finally:
            _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], out: int, log: int) -> int:
    """Return the port of the server, once it says that it is ready."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if found := READY.match(os.pread(out, 200, 0).decode()):
            return int(found[1])
        time.sleep(POLL)
    size = os.fstat(log).st_size
    tail = os.pread(log, 2000, max(0, size - 2000)).decode(errors="replace")
    raise RuntimeError(f"the local engine did not start (exit status {process.poll()}): {tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process that was started here, politely first."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

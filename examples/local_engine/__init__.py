"""A real completions server on this machine: llama.cpp with a small model, no key, no internet.

``running_engine`` starts it for the length of a ``with`` block::

    from local_engine import running_engine

    with running_engine() as engine:
        print(engine.base_url)
"""

from __future__ import annotations

import http
import http.client
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MODEL", "Engine", "running_engine"]

MODEL = "xdm-local"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
POLL = 0.05


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
    """Run the local engine in a process of its own.

    Args:
        api_key: The only key that it accepts. None means that it asks for none.
        slots: How many requests it answers at a time.
        port: The port on 127.0.0.1; 0 picks a free one.

    Yields:
        The running engine, once it is ready to answer.

    Raises:
        ImportError: If llama.cpp's server is not installed.
        RuntimeError: If the server ends, or isn't ready within 30 seconds.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        message = 'the local engine needs xllamacpp: pip install "xdm-integrations[local]"'
        raise ImportError(message)
    script = str(Path(__file__).with_name("serve.py"))
    command = [sys.executable, script, "--slots", str(slots), "--parent", str(os.getpid())]
    command += ["--port", str(port)]
    if api_key:
        command += ["--api-key", api_key]
    # Files, since a pipe that nobody reads would fill up and block the server.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
        try:
            yield Engine(_wait_until_ready(process, out.fileno(), log.fileno()), process.pid)
        finally:
            _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], out: int, log: int) -> int:
    """Return the port of the server, once it says that it is healthy."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        said = os.pread(out, 200, 0).decode()
        if said.endswith("\n"):
            port = int(said.strip().removesuffix("/v1").rpartition(":")[2])
            if _healthy(port):
                return port
        time.sleep(POLL)
    size = os.fstat(log).st_size
    tail = os.pread(log, 2000, max(0, size - 2000)).decode(errors="replace")
    message = f"the local engine did not start (exit status {process.poll()}): {tail}"
    raise RuntimeError(message)


def _healthy(port: int) -> bool:
    # Not urllib, which would send this through a proxy if the environment names one.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process that was started here, politely first."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

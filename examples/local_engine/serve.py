"""Serve the local model with llama.cpp's own server, on 127.0.0.1 only.

``python examples/local_engine/serve.py [--port 0] [--api-key KEY] [--model PATH] [--slots 4]``
prints one line, ``listening http://127.0.0.1:PORT/v1``, and serves until SIGTERM, SIGINT or the end
of the process that started it. The server's log goes to standard error.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

HOST = "127.0.0.1"
CONTEXT = 4096
POLL = 0.25


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def start(model: Path, port: int, api_key: str | None, slots: int) -> Any:  # noqa: ANN401
    """Start the server in threads of this process and return it once it listens.

    Args:
        model: The GGUF file to serve.
        port: The port on 127.0.0.1.
        api_key: The only key that is accepted, or None for a server that asks for none.
        slots: How many requests are answered at a time. Each has the whole context for itself.

    Returns:
        The server object, which serves for as long as it is referred to.
    """
    engine: Any = importlib.import_module("xllamacpp")
    options = engine.CommonParams()
    options.model.path = str(model)
    options.model_alias = {"xdm-local"}
    options.hostnames = [HOST]
    options.port = port
    options.n_ctx = CONTEXT * slots
    options.n_parallel = slots
    options.cpuparams.n_threads = 1
    options.cpuparams_batch.n_threads = 2
    if api_key:
        options.api_keys = [api_key]
    return engine.Server(options)


def main() -> None:
    """Read the command line and serve until told to stop."""
    parser = argparse.ArgumentParser(description="Serve the local model on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--api-key", default=None, help="ask for this key")
    parser.add_argument("--model", type=Path, default=Path(__file__).with_name("model.gguf"))
    parser.add_argument("--slots", type=int, default=4, help="requests answered at a time")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="stop when it is gone")
    arguments = parser.parse_args()
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    port = arguments.port or free_port()
    _server = start(arguments.model, port, arguments.api_key, arguments.slots)
    sys.stdout.write(f"listening http://{HOST}:{port}/v1\n")
    sys.stdout.flush()
    while os.getppid() == arguments.parent and not stop.wait(POLL):
        pass
    # Destroying the server object would wait for streams that nobody reads any more.
    os._exit(0)


if __name__ == "__main__":
    main()

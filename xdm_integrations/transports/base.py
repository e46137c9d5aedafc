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

from xdm_integrations.core.errors import ConfigurationError, XDMError
from xdm_integrations.core.wire import Read, Reply, Request, Send, Sleep

if TYPE_CHECKING:
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


def drive(flow: Flow[T], transport: Transport, hooks: Hooks) -> T:
    """Run a flow to its end by blocking calls, and return what it returns."""
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
                    start = time.monotonic()
                    result = transport.send(command.request)
                    _log_reply(command.request, result, start)
                    if hooks.on_response is not None:
                        _finish_now(hooks.on_response(command.request, result))
                else:
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


async def drive_async(flow: Flow[T], transport: AsyncTransport, hooks: Hooks) -> T:
    """Run a flow to its end from an event loop, and return what it returns."""
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
                    start = time.monotonic()
                    result = await transport.send(command.request)
                    _log_reply(command.request, result, start)
                    if hooks.on_response is not None:
                        await _finish(hooks.on_response(command.request, result))
                else:
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


def _log_reply(request: Request, reply: Reply, start: float) -> None:
    if log.isEnabledFor(logging.DEBUG):
        log.debug(
            "%s %s: status %d in %.3f s, request id %s",
            request.method,
            request.url,
            reply.status,
            time.monotonic() - start,
            reply.headers.get("x-oneapi-request-id") or reply.headers.get("x-request-id"),
        )


def _log_retry(pause: Sleep) -> None:
    log.debug("retry %d in %.2f s: %s", pause.attempt, pause.seconds, pause.error)

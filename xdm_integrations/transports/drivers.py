"""What a transport owes, and the two drivers that run a flow over one.

They carry out commands and call the hooks; they decide nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from logging import DEBUG
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from xdm_integrations.core.errors.tree import ConfigurationError, XDMError
from xdm_integrations.core.protocol.wire import Compute, Key, Read, Reply, Request, Send, Sleep, Wait

from .log_lines import log, log_retry, send_logged, send_logged_async

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Thread

    from xdm_integrations.core.protocol.flow import Flow

T = TypeVar("T")


class Transport(Protocol):
    """Carries requests by blocking calls."""

    def send(self, request: Request) -> Reply:
        """Send and return the reply; see `core.protocol.wire` for what it holds.

        Raises:
            APIConnectionError: No usable reply came.
            APIResponseError: The reply is larger than the limits allow.
        """

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def close(self) -> None:
        """Close every connection. The transport may be used again afterwards."""

    def abort(self, threads: Iterable[Thread]) -> None:
        """End what these threads wait for, as far as there is a socket to be shut down, and let them send no more.

        A loop cancels its tasks; threads have no other way.
        """


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


class Hooks(NamedTuple):
    """What is called around each HTTP request. In async code hooks may be coroutines.

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


def drive(  # noqa: C901, PLR0912, PLR0915 - each command, and its hooks
    flow: Flow[T], transport: Transport, hooks: Hooks, key: Callable[[], str | None]
) -> T:
    """Run a flow to its end by blocking calls, and return what it returns.

    Only what the transport raises goes into the flow, which may send again. An exception of a hook
    ends the call. `key` returns the key, or None if there is none.
    """
    attempt, sent = 1, None
    try:
        command = next(flow)
        while True:
            result: Any = None
            if isinstance(command, Read):
                try:
                    result = command.body.read(command.within)
                except XDMError as error:
                    command = flow.throw(error)
                    continue
            elif isinstance(command, Send):
                sent = command.request
                if hooks.rate_limiter is not None:
                    _call(hooks.rate_limiter.acquire)
                if hooks.on_request is not None:
                    _call(hooks.on_request, command.request)
                try:
                    if log.isEnabledFor(DEBUG):
                        result = send_logged(transport.send, command.request, attempt)
                    else:
                        result = transport.send(command.request)
                except XDMError as error:
                    command = flow.throw(error)
                    continue
                attempt = 1
                if hooks.on_response is not None:
                    with _ClosedOnError(result):
                        _call(hooks.on_response, command.request, result)
            elif isinstance(command, Key):
                result = key()
            elif isinstance(command, Compute):
                try:
                    result = command.work()
                except XDMError as error:
                    command = flow.throw(error)
                    continue
            elif isinstance(command, Wait):
                transport.sleep(command.seconds)
            else:
                attempt = command.attempt + 1
                log_retry(command)
                if hooks.on_retry is not None:
                    _call(hooks.on_retry, command)
                transport.sleep(command.seconds)
            command = flow.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # the flow's T
    except XDMError as error:  # also one that the flow made of an answer, which may echo the key
        if sent is not None:
            error.hide(sent.secret)
        raise
    finally:
        flow.close()


async def drive_async(  # noqa: C901, PLR0912, PLR0915 - each command, and its hooks
    flow: Flow[T], transport: AsyncTransport, hooks: Hooks, key: Callable[[], Awaitable[str | None]]
) -> T:
    """Run a flow to its end from an event loop, and return what it returns; see `drive`."""
    attempt, sent = 1, None
    try:
        command = next(flow)
        while True:
            result: Any = None
            if isinstance(command, Read):
                try:
                    result = await command.body.read(command.within)
                except XDMError as error:
                    command = flow.throw(error)
                    continue
            elif isinstance(command, Send):
                sent = command.request
                if hooks.rate_limiter is not None:
                    await _call_async(hooks.rate_limiter.aacquire)
                if hooks.on_request is not None:
                    await _call_async(hooks.on_request, command.request)
                try:
                    if log.isEnabledFor(DEBUG):
                        result = await send_logged_async(transport.send, command.request, attempt)
                    else:
                        result = await transport.send(command.request)
                except XDMError as error:
                    command = flow.throw(error)
                    continue
                attempt = 1
                if hooks.on_response is not None:
                    with _ClosedOnError(result):
                        await _call_async(hooks.on_response, command.request, result)
            elif isinstance(command, Key):
                result = await key()
            elif isinstance(command, Compute):
                try:
                    result = await asyncio.to_thread(command.work)
                except XDMError as error:
                    command = flow.throw(error)
                    continue
            elif isinstance(command, Wait):
                await transport.sleep(command.seconds)
            else:
                attempt = command.attempt + 1
                log_retry(command)
                if hooks.on_retry is not None:
                    await _call_async(hooks.on_retry, command)
                await transport.sleep(command.seconds)
            command = flow.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # the flow's T
    except XDMError as error:  # also one that the flow made of an answer, which may echo the key
        if sent is not None:
            error.hide(sent.secret)
        raise
    finally:
        flow.close()


def outcome_of(function: Callable[..., T], *about: Any) -> T:
    """Return what a function of the user's returns."""
    try:
        return function(*about)
    except StopIteration as error:  # the driver would take it for the end of the flow
        raise RuntimeError("a hook, or the function for the key, raised StopIteration") from error


def _call(hook: Callable[..., Any], *about: Any) -> None:
    outcome = outcome_of(hook, *about)
    if inspect.iscoroutine(outcome):
        outcome.close()
        raise ConfigurationError("hooks: a coroutine function can't be a hook of a blocking client.")


async def _call_async(hook: Callable[..., Any], *about: Any) -> None:
    outcome = hook(*about)  # a StopIteration can't leave a coroutine
    if isinstance(outcome, Awaitable):
        await outcome


class _ClosedOnError:
    """Closes the open body of a reply that the flow will never get, because a hook raised or was cancelled."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._reply.stream is not None:
            self._reply.stream.close()

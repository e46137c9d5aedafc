"""Sending a request until it succeeds or must not be sent again: all retries, written once for sync and async.

`send_flow` retries around the complete attempt: sending, and receiving up to the first chunk of the
answer. What comes after that is never retried, because the flow has ended by then. `get_json` is what the gateway's
other questions (models, quota) are asked with.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urljoin, urlsplit

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.catalogue import error_for, not_an_answer
from xdm_integrations.core.errors.endpoints import WORDS, endpoint_of
from xdm_integrations.core.errors.tree import APITimeoutError, XDMError

from .wire import Command, Reply, Request, Send, Sleep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .retry import RetryPolicy, Runtime
    from .wire import Timeout

T = TypeVar("T")
Flow: TypeAlias = Generator[Command, Any, T]
"""See `wire`."""
Receive: TypeAlias = Callable[[Reply], Flow[T]]

MAX_REDIRECTS = 3
PATIENCE = 5.0
"""Seconds that an answer may wait for what it can do without."""
_OK = range(200, 300)
_REDIRECTS = (307, 308)
"""Those that keep method and body."""


def send_flow(
    request: Request,
    receive: Receive[T],
    policy: RetryPolicy,
    runtime: Runtime,
    handled_by_caller: Callable[[XDMError], bool] | None = None,
) -> Flow[T]:
    """Send `request`, give the first 2xx reply to `receive`, and return what that returns.

    If `receive` raises, the attempt has failed. Errors for which `handled_by_caller` is true aren't retried.

    Raises:
        XDMError: The last attempt's error.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            reply: Reply = yield Send(request)
            if reply.status in _REDIRECTS:
                reply = yield from _follow(request, reply)
            if reply.status not in _OK:
                raise _refusal(request, reply, runtime)
            return (yield from receive(reply))
        except XDMError as error:
            error.hide(request.secret)
            if handled_by_caller is not None and handled_by_caller(error):
                raise
            seconds = policy.delay(attempt, error, runtime.random())
            if seconds is None or _past_deadline(request, runtime, seconds):
                raise
            pause = Sleep(seconds, attempt, error)
        yield pause


def get_json(  # noqa: PLR0913 - all that a request needs
    url: str,
    headers: Mapping[str, str],
    runtime: Runtime,
    *,
    timeout: Timeout,
    deadline: float | None,
    policy: RetryPolicy,
    handled_by_caller: Callable[[XDMError], bool] | None = None,
) -> Flow[tuple[Any, Reply]]:
    """Ask `url` and return the JSON it answers with, and the reply that brought it.

    The header of a client's that describes a body stays behind. See `send_flow` for policy and `handled_by_caller`.

    Raises:
        APIResponseError: A 2xx that isn't JSON.
        XDMError: The request failed.
    """

    def receive(reply: Reply) -> Flow[tuple[Any, Reply]]:
        yield from ()  # a flow like any other, with nothing left to wait for
        payload = jsontext.read(reply.body)
        if payload is None:
            raise not_an_answer(reply.status, reply.headers, reply.body)
        return payload, reply

    bare = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    request = Request(url, bare, method="GET", timeout=timeout, deadline=deadline)
    return (yield from send_flow(request, receive, policy, runtime, handled_by_caller))


def _refusal(request: Request, reply: Reply, runtime: Runtime) -> XDMError:
    """Return the error that a reply stands for; it names the proxy that it came through."""
    error = error_for(reply.status, reply.headers, reply.body, endpoint_of(request.url), now=runtime.time())
    if reply.way:
        error.message = f"{error.message} {reply.way}"
        error.args = (error.message, *error.args[1:])
    return error


def _follow(request: Request, reply: Reply) -> Flow[Reply]:
    """Follow redirects within the same origin, so that the key goes nowhere else; return the first other reply."""
    for _ in range(MAX_REDIRECTS):
        location = reply.headers.get("location")
        if reply.status not in _REDIRECTS or not location:
            return reply
        try:
            target = urljoin(request.url, location)
        except ValueError:  # no URL at all
            return reply
        if _origin(target) != _origin(request.url) or target == request.url or "@" in target:
            return reply
        request = replace(request, url=target)
        reply = yield Send(request)
    return reply


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def deadline_of(timeout: Timeout, runtime: Runtime) -> float | None:
    """Return the moment at which a call that begins now must be over, by `runtime.monotonic`; None if there is none."""
    return None if timeout.total is None else runtime.monotonic() + timeout.total


def soon(deadline: float | None, runtime: Runtime) -> float:
    """Return when `PATIENCE` is over, or the call's own deadline if that is earlier."""
    patience = runtime.monotonic() + PATIENCE
    return patience if deadline is None else min(patience, deadline)


def _past_deadline(request: Request, runtime: Runtime, seconds: float) -> bool:
    """True if too little would be left of the deadline for an answer, which would be paid for without use."""
    if request.deadline is None:
        return False
    least = min(1.0, 0.1 * (request.timeout.total or 0.0))
    return runtime.monotonic() + seconds + least >= request.deadline


def timeout_error(timeout_of: str, seconds: float, url: str | None = None) -> APITimeoutError:
    """Return the error for a limit of `Timeout` that passed; no `url` for a stream, of which part may have come."""
    limit = f"{timeout_of} limit of {seconds:g} s"
    passed, sooner = f"The {limit} has passed", ""
    if url is not None:
        passed, sooner = f"No answer within the {limit}", f" or {WORDS[endpoint_of(url)].sooner}"
    return APITimeoutError(f"{passed}. The request may still have been processed, and billed; raise `timeout`{sooner}.")

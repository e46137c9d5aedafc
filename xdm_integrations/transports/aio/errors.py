"""Which failure an exception of aiohttp or the socket is; `blocking.errors` is its twin."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.transports import failures

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.wire import Request

# LineTooLong is no ClientError; RuntimeError comes from a loop or session that was closed meanwhile.
FAILURES = (
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    asyncio.TimeoutError,
    ValueError,
    EOFError,
    RuntimeError,
)


def raise_translated(error: BaseException, request: Request, *, reused: bool | None = None) -> NoReturn:
    """Raise our own error for one of aiohttp or the socket; `reused` is None in the middle of a body."""
    if isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str):
        # It holds the half-parsed reply, which says nothing to a reader and can't be pickled.
        error.message = "the server closed the connection in the middle of its headers"
        error.args = (error.message,)
    failures.without_locals(error)
    failures.without_secrets(error, request)  # first, since what they say is cut to a length
    own = _translate(error, request, reused=reused)
    try:
        raise own from own.__cause__ or (None if own is error else error)
    finally:
        del own, error  # this frame is in their tracebacks: a cycle, which would outlive the call


def _translate(error: BaseException, request: Request, *, reused: bool | None) -> XDMError:  # noqa: PLR0911 - a table
    if isinstance(error, XDMError):
        return error
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return failures.not_connected(request)
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return failures.limit_passed(request)
    if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)):
        return failures.tls_failed(request, error)
    if reused is None:
        return failures.broken_off(request, error)
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return failures.not_sendable(request, error)
    return failures.no_answer(request, error, reused=reused and not isinstance(error, aiohttp.ClientConnectorError))

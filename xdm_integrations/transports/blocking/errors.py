"""Which failure an exception of requests, urllib3, `http.client` or the socket is.

They wrap one another: requests reports a timeout in the middle of a body as a `ConnectionError`,
urllib3 a refused connection as a kind of timeout. So the innermost decides.
"""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING, NoReturn

import requests
from urllib3 import exceptions as urllib3_errors

from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.transports import failures

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.wire import Request

    from .header_deadline import HeaderDeadline

FAILURES = (requests.RequestException, urllib3_errors.HTTPError, HTTPException, OSError, ValueError)


def raise_translated(error: Exception, request: Request, deadline: HeaderDeadline | None = None) -> NoReturn:
    """Raise our own error for one of requests, urllib3 or the socket."""
    failures.without_locals(error)
    failures.without_secrets(error, request)  # first, since what they say is cut to a length
    reason = _reason(error)
    own = _translate(error, reason, request, deadline)
    try:  # what wraps the reason says the same again, at the length of a screen each
        raise own from own.__cause__ or (None if own is reason else reason)
    finally:
        del own, reason, error  # this frame is in their tracebacks: a cycle, which would outlive the call


def _translate(  # noqa: PLR0911 - a table
    error: Exception, reason: BaseException, request: Request, deadline: HeaderDeadline | None
) -> XDMError:
    if isinstance(reason, XDMError):  # from `environment`
        return reason
    if deadline is not None and deadline.expired:
        return failures.limit_passed(request) if deadline.connected else failures.not_connected(request)
    if isinstance(reason, urllib3_errors.NewConnectionError):  # refused, unknown host: a "timeout" in urllib3
        return failures.no_answer(request, reason)
    if isinstance(reason, urllib3_errors.ConnectTimeoutError):
        return failures.not_connected(request)
    if isinstance(reason, (TimeoutError, urllib3_errors.ReadTimeoutError)):
        connected = deadline is None or deadline.connected
        return failures.limit_passed(request) if connected else failures.not_connected(request)
    if isinstance(error, requests.exceptions.SSLError) or isinstance(reason, urllib3_errors.SSLError):
        return failures.tls_failed(request, reason)
    if deadline is None:
        return failures.broken_off(request, reason)
    if isinstance(reason, (ValueError, urllib3_errors.LocationValueError)):
        return failures.not_sendable(request, reason)
    return failures.no_answer(request, reason, reused=deadline.reused)


def _reason(error: BaseException) -> BaseException:
    """Return the innermost of wrapped exceptions."""
    for _ in range(6):
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in error.args if isinstance(part, BaseException)), None)
        if inner is None:
            return error
        error = inner
    return error

"""What a failing network is called, and what its limits are: the same words, sync and async.

A transport finds out which of these cases an exception of its library is, and raises what is made
here, with that as its cause.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import time
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from xdm_integrations.core.errors.tree import APIConnectionError, APIResponseError, APITimeoutError
from xdm_integrations.core.protocol.config import is_private_host
from xdm_integrations.core.protocol.flow import timeout_error

from .environment import proxy_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdm_integrations.core.protocol.wire import Request

    from .environment import Proxy

E = TypeVar("E", bound=BaseException)
_NO_PROXY = "set NO_PROXY=localhost,127.0.0.1."
_CLOCK_STEP = 0.01
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_FILES_OF_A_CONNECTION = 4
"""Its socket, and what its host's name is looked up with: a table, a socket per name server."""
LONGEST_WORDS = 300


class Aborted(Exception):  # noqa: N818 - no error: nobody waits for this thread any more
    """The thread's work isn't wanted any more. Not an `XDMError`, so that nothing is sent again."""


def time_left(request: Request, limit: float | None) -> float | None:
    """Return `limit` in seconds, or less where the deadline of the call is nearer; raise where that has passed."""
    deadline = request.deadline
    if deadline is None:
        return limit
    left = deadline - time.monotonic()
    if left <= 0:
        raise limit_passed(request)
    return left if limit is None else min(limit, left)


def limit_for_headers(request: Request) -> float | None:
    """Return the seconds for everything up to the end of the headers, however slowly they drip in."""
    connect, read, *_ = request.timeout
    limit = None if connect is None or read is None else connect + read
    return limit if request.deadline is None else time_left(request, limit)


def limit_passed(request: Request) -> APITimeoutError:
    """The deadline of the call, or else the limit for one wait, has passed."""
    which = "total" if _is_over(request) else "read"
    url = None if request.streaming else request.url
    return timeout_error(which, getattr(request.timeout, which) or 0.0, url)


def _is_over(request: Request) -> bool:
    return request.deadline is not None and time.monotonic() >= request.deadline - _CLOCK_STEP


def not_connected(request: Request) -> APITimeoutError:
    """No connection came about in time."""
    if _is_over(request):
        return limit_passed(request)
    limit = request.timeout.connect or 0.0
    return APITimeoutError(f"Could not connect to {_way_to(request)} within {limit:g} s. {_advice(request)}")


def no_answer(request: Request, error: BaseException, *, reused: bool = False) -> APIConnectionError:
    """The connection failed before the headers were there; `reused` if it had served before."""
    own = APIConnectionError(f"No answer from {_way_to(request)}: {words(error)}. {_advice(request, error)}")
    own.stale = reused
    return own


def broken_off(request: Request, error: BaseException) -> APIConnectionError:
    """The connection failed in the middle of a body."""
    return APIConnectionError(f"The answer from {_way_to(request)} broke off: {words(error)}.")


def tls_failed(request: Request, error: BaseException) -> APIConnectionError:
    """TLS failed. A certificate that can't be trusted won't be trusted at the next attempt either."""
    own = APIConnectionError(f"TLS to {_way_to(request)} failed: {words(error)}.")
    if re.search("certificate|hostname", words(error), re.IGNORECASE):
        advice = "Set REQUESTS_CA_BUNDLE to a file with the certificate authority to trust, if that server is yours."
        return APIConnectionError(f"{own.message} {advice}", retry="never")
    return own


def not_sendable(request: Request, error: BaseException) -> APIConnectionError:
    """The library refuses the request as it is: its URL, a header, or the proxy of the environment."""
    return APIConnectionError(f"The request to {host_of(request)} can't be sent: {words(error)}.", retry="never")


def too_large(limit: int) -> APIResponseError:
    """A body that isn't a stream is larger than `Limits.body`."""
    return APIResponseError(
        f"The server sent a body of more than {limit:,} bytes; raise `limits.body` if you expect that."
    )


def host_of(request: Request) -> str:
    """Return host and port for a message."""
    try:
        return urlsplit(request.url).netloc.rpartition("@")[2]
    except ValueError:
        return repr(request.url)


def _way_to(request: Request) -> str:
    """Return host and port, and the proxy in between, if any."""
    proxy = _proxy_of(request)
    return host_of(request) + (f" through the proxy {proxy}" if proxy else "")


def way_of(request: Request) -> str:
    """Return what an error that was answered through a proxy says of it; "" if there is none in between."""
    proxy = _proxy_of(request)
    if proxy is None:
        return ""
    local = f", but this server is local: {_NO_PROXY}" if _is_local(request) else "."
    return f"It came through the proxy {proxy}{local}"


def _is_local(request: Request) -> bool:
    return is_private_host(urlsplit(request.url).hostname or "")


def _proxy_of(request: Request) -> Proxy | None:
    try:
        return proxy_for(request.url)
    except ValueError:  # no URL, or no proxy: another error says so
        return None


def _advice(request: Request, error: BaseException | None = None) -> str:
    """Return what to look at first."""
    if error is not None and _is_out_of_files(error):
        return "Too many files are open: raise the limit (`ulimit -n`), or send fewer requests at once."
    if _proxy_of(request) is not None and _is_local(request):
        return f"This server is local, and the proxy can't reach it: {_NO_PROXY}"
    return "Check `base_url`, the network and the proxy settings."


def _is_out_of_files(error: BaseException) -> bool:
    return any(getattr(link, "errno", None) in _OUT_OF_FILES for link in _chain(error)) or _no_file_is_left()


def _no_file_is_left() -> bool:
    """True if files can't be opened: the resolver says "Name or service not known" where it can't open its own."""
    opened: list[int] = []
    try:
        opened += (os.open(os.devnull, os.O_RDONLY) for _ in range(_FILES_OF_A_CONNECTION))
    except OSError as error:
        return error.errno in _OUT_OF_FILES
    finally:
        for number in opened:
            os.close(number)
    return False


def words(error: BaseException) -> str:
    """Return the kind of an exception and what it says, in one line; what the system says of a host, by itself."""
    system = getattr(error, "os_error", error.__cause__)
    if isinstance(system, socket.gaierror):
        return str(system.strerror)
    if isinstance(system, ConnectionRefusedError):
        return "connection refused"
    text = " ".join(str(error).split()).rstrip(".")
    if len(text) > LONGEST_WORDS:  # aiohttp quotes what it couldn't parse
        text = text[:LONGEST_WORDS] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def without_locals(error: BaseException) -> None:
    """Clear the variables of the library's frames in the tracebacks of `error` and what caused it.

    They hold headers, with the key, which tools that show tracebacks would print; and exceptions that
    stand in frames of their own tracebacks (aiohappyeyeballs, aiohttp's connector) live until the
    collector runs.
    """
    for seen in _chain(error):
        traceback.clear_frames(seen.__traceback__)


def _chain(error: BaseException | None) -> Iterator[Any]:
    """Yield an exception and those behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def without_secrets(error: E, request: Request) -> E:
    """Take the request, and whatever else shows the key, out of a library's exception and its causes.

    requests hangs the request on its exceptions, aiohttp puts it into their `args`, and a server
    may echo the key in what its parser then quotes.
    """
    secret = request.secret
    for seen in _chain(error):
        if getattr(seen, "request", None) is not None:
            seen.request = None
        about = getattr(seen, "request_info", None)
        if about is not None:
            seen.request_info = SimpleNamespace(method=about.method, url=about.url, real_url=about.real_url)
            seen.args = (seen.request_info, *seen.args[1:])
        if secret:
            seen.args = tuple(_masked(value, secret) for value in seen.args)
            for name, value in list(vars(seen).items()):
                if isinstance(value, (str, bytes)):
                    setattr(seen, name, _masked(value, secret))
    return error


def _masked(value: Any, secret: str) -> Any:  # noqa: ANN401 - any argument of an exception
    if isinstance(value, str):
        return value.replace(secret, "***")
    if isinstance(value, bytes):
        return value.replace(secret.encode("latin-1", "replace"), b"***")
    return value

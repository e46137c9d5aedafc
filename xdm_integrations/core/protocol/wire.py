"""What crosses the border between decisions (core) and transports.

A flow (see `flow`) is a generator. It yields a command, the driver in `transports.drivers`
carries it out on a transport, and sends the outcome back in:

    Key()          -> str | None    the key; the first command of a call
    Send(request)  -> Reply         or an XDMError is thrown in
    Read(body)     -> bytes         b"" at the end of the body; or an XDMError is thrown in
    Compute(work)  -> Any           what `work` returns; or the XDMError that it raises is thrown in
    Sleep(...)     -> None          before another attempt
    Wait(seconds)  -> None          for what another call does

A transport reads the body completely and frees the connection before it returns a `Reply`, except
for a 2xx reply to a streaming request: then `Reply.stream` is the open body, and whoever
holds it must `close()` it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xdm_integrations.core.errors.tree import XDMError


class Timeout(NamedTuple):
    """How long to wait, in seconds. A limit of None never passes.

    `connect` bounds the TCP and TLS handshakes. `read` bounds the wait for the reply's headers and
    for the next bytes of a body, be they keep-alive comments. `total` bounds the complete call, its
    retries and the waits between them. `event` bounds the time without an event of a stream although
    bytes come; the gateway sends comments for 30 minutes at most (New API relay/helper/common.go).
    """

    connect: float | None = 10.0
    read: float | None = 300.0
    total: float | None = None
    event: float | None = 1800.0


class Limits(NamedTuple):
    """How much of a reply is taken, in bytes after decompression, before it is refused as too large."""

    line: int = 16 * 2**20
    """One line of an event stream."""
    event: int = 32 * 2**20
    """All data lines of one event."""
    body: int = 64 * 2**20
    """One complete body that isn't a stream."""


ERROR_BODY = 2**20
"""So much of an error's body is taken: it is classified by its status and its beginning."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete but for the connection that carries it."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    """Every header but Content-Length; holds the key, so it stays out of `repr`."""
    body: bytes | None = field(default=None, repr=False)
    method: str = "POST"
    streaming: bool = False
    timeout: Timeout = Timeout()
    deadline: float | None = None
    """The moment, by the monotonic clock of the driver, at which the complete call must be over."""

    @property
    def secret(self) -> str | None:
        """What must not be shown of this request: the key, or None if it has none."""
        return secret_of(self.headers)


def secret_of(headers: Mapping[str, str]) -> str | None:
    """Return the credentials in the Authorization header, without their scheme; None if too short to be any."""
    for name, value in headers.items():
        if name.lower() == "authorization":
            secret = value.rpartition(" ")[2]
            return secret if len(secret) >= 8 else None  # noqa: PLR2004 - shorter text is in too many words
    return None


class Body(Protocol):
    """The open body of a streaming reply. Read from an event loop, `read` and `drain` are coroutines."""

    def read(self, within: float | None = None) -> bytes:
        """Return the bytes that have arrived, waiting for at least one; b"" at the end.

        Waits `within` seconds at most, where that is less than the request's own limits.
        """

    def drain(self) -> None:
        """After the last event: read the rest within a bound, to reuse the connection."""

    def close(self) -> None:
        """Give the connection up. Never blocks, may be called twice; never a coroutine: a finalizer can call it."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; repeated headers joined with ", "."""
    body: bytes = b""
    stream: Any = None
    """An open `Body`, for a 2xx reply to a streaming request; else None."""
    way: str = ""
    """Of an error: a sentence about the proxy that it came through, without its password; "" if there is none."""


class RequestHeaders(dict[str, str]):
    """The headers of a request, the key among them, which `repr` doesn't show. Not to be changed once made."""

    def __repr__(self) -> str:
        return f"<headers: {', '.join(self)}>"


class ExtraBody(dict[str, Any]):
    """Fields of a body that may be secret, which `repr` doesn't show."""

    def __repr__(self) -> str:
        return f"<body: {', '.join(self)}>"


class Secret(str):
    """A text that `repr` doesn't show, so that neither attributes nor tuples printed by a crash reporter do."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Key(NamedTuple):
    """Report the key to call with, or None if there is none."""


class Send(NamedTuple):
    """Send this request and report the reply."""

    request: Request


class Read(NamedTuple):
    """Report the next bytes of an open body."""

    body: Any
    within: float | None = None


class Compute(NamedTuple):
    """Do this work, for which an event loop must not wait: megabytes to be decoded."""

    work: Callable[[], Any]


class Sleep(NamedTuple):
    """Wait before another attempt; `error` is why, `attempt` counts the retries from 1."""

    seconds: float
    attempt: int
    error: XDMError


class Wait(NamedTuple):
    """Wait for what another call of the client is about to learn."""

    seconds: float


Command: TypeAlias = "Key | Send | Read | Compute | Sleep | Wait"

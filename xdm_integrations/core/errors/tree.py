"""Everything that can go wrong, by what the caller can do about it.

    XDMError                       .partial .request_id .retry
    ├─ ConfigurationError          the caller's mistake, before any byte was sent (a ValueError)
    ├─ APIConnectionError          no usable answer came back (a ConnectionError)
    │  ├─ APITimeoutError          (a TimeoutError too)
    │  └─ StreamInterruptedError   broke off after it began: `.partial` has the text so far
    ├─ APIStatusError              .status_code .type .code .param .scope .headers .body
    │  ├─ BadRequestError          400, 413, 422
    │  │  ├─ ContextLengthExceededError
    │  │  ├─ ContentFilterError
    │  │  └─ UnsupportedParameterError
    │  ├─ AuthenticationError      401
    │  ├─ PermissionDeniedError    403
    │  │  └─ InsufficientQuotaError   whatever the status was; `.scope` says whose quota
    │  ├─ NotFoundError            404
    │  │  └─ ModelUnavailableError    whatever the status was
    │  ├─ RateLimitError           429; `.retry_after`
    │  └─ ServerError              5xx
    │     └─ GatewayTimeoutError      504, 524: the work may have been billed
    └─ APIResponseError            a 2xx that isn't what the API promises

Which reply becomes which error is decided in `catalogue`, by text, code and param before status.
Every error survives pickling and copying (its `__cause__` doesn't), and none holds the API key.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Retry: TypeAlias = Literal["never", "once", "backoff"]
"""Whether the same request may be sent again; "once" is for what probably won't heal, or may be billed."""

Scope: TypeAlias = Literal["request", "token", "account", "model", "upstream", "gateway"]
"""What the error is about: the request's content, the key, the account behind it, the model, the provider, or the
gateway."""


_DEEPEST = 100  # levels of an answer that are searched for a secret; what lies deeper is left out


class XDMError(Exception):
    """Base of every error that this package raises.

    Attributes:
        message: What happened and, where it is known, what to do. Never holds a key.
        partial: What had arrived of the answer (a `Completion`, a `ChatCompletion`, ...), or None.
        request_id: The gateway's id of the request, to quote in a support request, or None.
        retry: See `Retry`.
        position: The number of the text that was refused, from 0; None where no single text is known to be at fault.
        usage: Token counts (`Usage`) of the requests of `embed`, of `run_tools`, or of those for an object, that were
            answered although the call failed; or None.
        messages: All messages of a `run_tools` that failed, with the calls that were carried out and their results:
            `run_tools(error.messages, tools)` goes on from there. Empty for every other call.
    """

    default_retry: ClassVar[Retry] = "never"
    position: int | None = None
    usage: Any = None  # the type is of a layer above
    messages: Sequence[dict[str, Any]] = ()

    def __init__(
        self,
        message: str,
        *,
        partial: object = None,
        request_id: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.partial: Any = partial  # whoever asked knows of which endpoint it is
        self.request_id = request_id
        self.retry: Retry = retry or self.default_retry

    @property
    def retryable(self) -> bool:
        """True if the same request may succeed when it is sent again."""
        return self.retry != "never"

    @property
    def text(self) -> str:
        """The text of the first choice as far as it had arrived; "" if none had."""
        return self.partial.text if self.partial is not None else ""

    def hide(self, secret: str | None) -> None:
        """Replace `secret` wherever this error and the errors behind it show it: a server may echo the key."""
        links: list[BaseException | None] = [self] if secret else []
        for error in links:  # which grows: a cause may stand beside another error in whose handling it came up
            if secret and isinstance(error, XDMError):
                error.args = tuple(_hidden(value, secret) for value in error.args)
                error.__dict__.update({name: _hidden(value, secret) for name, value in error.__dict__.items()})
                links += [link for link in (error.__cause__, error.__context__) if link not in links]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state, since `Exception` would call the constructor with `args` alone."""
        return _restore, (type(self), self.args, self.__dict__.copy())


def _hidden(value: Any, secret: str, depth: int = _DEEPEST) -> Any:  # noqa: ANN401 - any attribute
    if isinstance(value, str):
        return value.replace(secret, "***")
    if isinstance(value, (dict, list, tuple)) and not depth:
        return None  # a server may nest more deeply than Python can recurse
    if isinstance(value, dict):
        return {name: _hidden(inner, secret, depth - 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_hidden(inner, secret, depth - 1) for inner in value]
        return items if isinstance(value, list) else value._make(items) if hasattr(value, "_make") else tuple(items)
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.init]
        return replace(value, **{name: _hidden(getattr(value, name), secret, depth - 1) for name in names})
    return value


def _restore(cls: type[XDMError], args: tuple[Any, ...], state: dict[str, Any]) -> XDMError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(XDMError, ValueError):
    """The caller's mistake, found before any byte was sent."""


def settings_error(error: Any) -> ConfigurationError:  # noqa: ANN401 - core knows no pydantic
    """Return pydantic's `ValidationError` as one of ours, in one line that shows no values."""
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        cause = problem.get("ctx", {}).get("error")
        where = ".".join(map(str, problem["loc"]))
        problems.append(cause.message if isinstance(cause, ConfigurationError) else f"{where}: {problem['msg']}")
    return ConfigurationError(" ".join(problems))


class APIConnectionError(XDMError, ConnectionError):
    """No usable answer came back: refused, reset, closed early, TLS failure."""

    default_retry: ClassVar[Retry] = "backoff"

    stale = False
    """True if the server closed an idle connection just as it was used again: retried at once."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """A limit of `Timeout` passed. The request may have been processed, and billed."""


class StreamInterruptedError(APIConnectionError):
    """A stream broke off after it began. Never retried: its text has already been delivered."""

    default_retry: ClassVar[Retry] = "never"


class APIStatusError(XDMError):
    """The server answered with an error.

    Attributes:
        status_code: The HTTP status, or the upstream's own where the gateway hides it.
        type: `error.type` of the body, or None.
        code: `error.code` of the body as a string, or None.
        param: `error.param` of the body, or None.
        scope: What the error is about; see `Scope`.
        headers: The reply's headers, names in lower case.
        body: The reply's body as text, at most 4 kB of it.
        retry_after: Seconds the server asks to wait, or None.
    """

    def __init__(  # noqa: PLR0913 - each is a documented attribute
        self,
        message: str,
        *,
        status_code: int,
        type: str | None = None,  # noqa: A002 - the API's own name
        code: str | None = None,
        param: str | None = None,
        scope: Scope = "request",
        headers: Mapping[str, str] | None = None,
        body: str = "",
        retry_after: float | None = None,
        partial: object = None,
        request_id: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        super().__init__(message, partial=partial, request_id=request_id, retry=retry)
        self.status_code = status_code
        self.type = type
        self.code = code
        self.param = param
        self.scope: Scope = scope
        self.headers = dict(headers or {})
        self.body = body
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """The server refuses the request as it is (400, 413, 422)."""


class ContextLengthExceededError(BadRequestError):
    """The request, with the answer that it allows, doesn't fit into the model's context."""


class ContentFilterError(BadRequestError):
    """The gateway or the upstream refuses the content."""


class UnsupportedParameterError(BadRequestError):
    """The server can't take a parameter; `.param` names it where it is known.

    Attributes:
        instead: The name that the server wants in its place ("max_completion_tokens"), or None if it names none.
    """

    instead: str | None = None


class AuthenticationError(APIStatusError):
    """The key is missing, unknown, expired, disabled or used up."""


class PermissionDeniedError(APIStatusError):
    """The key is valid but may not do this (model list, IP list, group, ban)."""


class InsufficientQuotaError(PermissionDeniedError):
    """A budget is used up; `.scope` is "token", "account" or "upstream"."""


class NotFoundError(APIStatusError):
    """No such path or object."""


class ModelUnavailableError(NotFoundError):
    """The model isn't offered to this key, or not at this endpoint."""

    suggestions: tuple[str, ...] = ()
    """Offered names like the one that was asked for, the likest first; empty if none is known."""

    def suggest(self, names: tuple[str, ...]) -> None:
        """Put offered names into the error and its message."""
        if names:
            self.suggestions = names
            self.message = f"{self.message.rstrip('. ')}. Offered under a similar name: {', '.join(map(repr, names))}."
            self.args = (self.message,)


class RateLimitError(APIStatusError):
    """Too many requests, or the upstream is saturated."""

    default_retry: ClassVar[Retry] = "backoff"


class ServerError(APIStatusError):
    """The gateway or the upstream failed (5xx)."""

    default_retry: ClassVar[Retry] = "backoff"


class GatewayTimeoutError(ServerError):
    """A proxy gave up waiting (504, 524). The work may have been billed; streaming avoids it."""

    default_retry: ClassVar[Retry] = "once"


class APIResponseError(XDMError):
    """A 2xx reply that isn't what the API promises.

    Attributes:
        status_code: The HTTP status.
        headers: The reply's headers, names in lower case.
        body: The start of the reply's body as text, at most 4 kB.
        scope: "request" if another request may well be answered, "model" if none for the model will be as it was asked
            for; else "gateway".
    """

    scope: Scope = "gateway"

    def __init__(  # noqa: PLR0913 - each is a documented attribute
        self,
        message: str,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        partial: object = None,
        request_id: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        super().__init__(message, partial=partial, request_id=request_id, retry=retry)
        self.status_code = status_code
        self.headers = dict(headers or {})
        self.body = body

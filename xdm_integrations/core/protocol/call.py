"""One call of any endpoint, checked and ready to be sent; and what a client works with for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xdm_integrations._version import __version__
from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.tree import ConfigurationError

from .checks import OPTIONS
from .config import check_headers, merge_headers, normalize_timeout, require_key
from .wire import Limits, Request, RequestHeaders, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from .config import Config
    from .retry import RetryPolicy, Runtime


@dataclass
class ServerFacts:
    """What a client has learnt about its server, for the calls that come."""

    single_prompt_models: set[str] = field(default_factory=set)
    """Models that don't take a list of prompts."""
    refuses_stream_options: set[str] = field(default_factory=set)
    """Models that refuse `stream_options`."""
    token_limit_name: dict[str, str] = field(default_factory=dict)
    """By model, the name under which the server takes the limit of tokens, where it refused the other one."""
    structured_refused: dict[str, set[str]] = field(default_factory=dict)
    """By model, the methods of structured output that it refused or ignored."""
    makes_fewer_choices: set[str] = field(default_factory=set)
    """Models, as they name themselves, that gave fewer choices than were asked for."""
    refuses_encoding_format: set[str] = field(default_factory=set)
    """Models that refuse `encoding_format`."""
    texts_per_request: dict[str, int] = field(default_factory=dict)
    """By model, how many texts a request for vectors may hold, where more were refused."""
    characters_per_request: dict[str, int] = field(default_factory=dict)
    """By model, how many characters they may have together, where more were refused."""
    offered: tuple[str, ...] | None = None
    """The names on the server's list of models; None if it was never asked for."""
    asking: bool = False
    """True while a call asks for that list; others wait for it."""


class Setup:
    """What every flow of a client works with.

    Attributes:
        config: The client's settings.
        facts: What was learnt about the server.
        runtime: Randomness and clocks.
    """

    def __init__(self, config: Config, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.facts = ServerFacts()
        self._headers: tuple[str | None, RequestHeaders] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what was learnt: a copy may meet another server. The key goes with the settings."""
        return {"config": self.config, "runtime": self.runtime, "facts": ServerFacts(), "_headers": None}

    def headers(self, key: str | None) -> RequestHeaders:
        """Return the headers of a request with this key; the same object for the same key.

        Raises:
            ConfigurationError: There is no key, and the host is a public one.
        """
        known = self._headers  # read and written as a whole: threads may come with different keys
        if known is None or known[0] != key:
            headers = {
                "Accept": "application/json, text/event-stream",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": f"xdm-integrations/{__version__}",
            }
            if key is not None:
                headers["Authorization"] = f"Bearer {key}"
            headers = merge_headers(headers, self.config.headers)
            require_key(self.config.base_url, headers)
            known = self._headers = key, RequestHeaders(headers)
        return known[1]


@dataclass(slots=True, eq=False)
class Call:
    """One call, checked and ready to be sent."""

    body: dict[str, Any]
    """What all requests of the call have; the endpoint adds the rest."""
    n: int
    """Choices asked for (per prompt, where there are several)."""
    base_url: str
    path: str
    """The endpoint, below the base URL."""
    headers: RequestHeaders
    timeout: Timeout
    limits: Limits
    policy: RetryPolicy
    require_finish_reason: bool
    given: dict[str, Any]
    """What isn't in the body as it was given, by the arguments' names: for the message about what can't be written."""

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body["model"])

    def request(self, body: Mapping[str, Any], deadline: float | None, *, streaming: bool = False) -> Request:
        """Return the request with this body.

        Raises:
            ConfigurationError: It can't be written as JSON; the message names the place.
        """
        try:
            data = jsontext.dumps(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise _unwritable({**self.given, **body, **self.given}, error) from None
        return Request(
            self.base_url + self.path, self.headers, data, streaming=streaming, timeout=self.timeout, deadline=deadline
        )


def check_writable(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that can't be written as JSON.

    Raises:
        ConfigurationError: One can't; the message names the place, such as `messages[2]['content']`.
    """
    try:
        jsontext.dumps(arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise _unwritable(arguments, error) from None


def _unwritable(arguments: Mapping[str, Any], error: Exception) -> ConfigurationError:
    way, error = jsontext.misfit(arguments, error)
    name, *inner = way or ["request"]
    place = "".join(f"[{key!r}]" for key in inner)
    return ConfigurationError(f"{name}{place}: can't be written as JSON ({error}).")


def prepare(  # noqa: PLR0913 - all that a call is made of
    config: Config,
    headers: RequestHeaders,
    path: str,
    params: Mapping[str, Any],
    check: Callable[[Mapping[str, Any]], dict[str, Any]],
    *,
    decided: Sequence[str],
    streaming: bool = False,
) -> Call:
    """Check a call, which was given `params`. Precedence: `extra_body`, the call, the client's default.

    `check` returns the fields of the body for the endpoint's parameters, or refuses them; those that are `decided` by
    the method called must not be in `extra_body`.

    Raises:
        ConfigurationError: Something can't be sent; no byte was.
    """
    given: dict[str, Any] = {"model": config.model}
    given.update({name: value for name, value in params.items() if value is not None and name not in OPTIONS})
    extra_body, extra_headers, timeout = params.get("extra_body"), params.get("extra_headers"), params.get("timeout")
    body = check(given)
    if extra_body is not None and not isinstance(extra_body, Mapping):
        raise ConfigurationError(f"extra_body: expected a mapping of fields, got {type(extra_body).__name__}.")
    if extra := {**config.extra_body, **(extra_body or {})}:
        for name in decided:
            if name in extra:
                raise ConfigurationError(f"extra_body: must not hold {name!r}; the method called decides it.")
        if not streaming:
            extra.pop("stream_options", None)  # refused by servers where `stream` isn't set
        body |= extra
    if streaming:
        body["stream"] = True
        if config.stream_usage:
            body.setdefault("stream_options", {"include_usage": True})
    n = body.get("n", 1)
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ConfigurationError(f"extra_body: n={n!r} must be an integer of at least 1.")
    if extra_headers:
        headers = RequestHeaders(merge_headers(headers, check_headers(extra_headers, "extra_headers")))
    return Call(
        body,
        n,
        config.base_url,
        path,
        headers,
        config.timeout if timeout is None else normalize_timeout(timeout),
        config.limits,
        config.retry,
        config.require_finish_reason,
        {"extra_body": extra},
    )


def layered(
    parameters: Container[str],
    fields: Mapping[str, Any],
    more: Mapping[str, Any],
    extra_body: Mapping[str, Any] | None,
    call: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the parameters of a client's call, from an adapter's settings and one of its calls.

    Precedence: the call, then `more`, then `fields`; and `extra_body` over all of them, the call's over the adapter's.
    None means "not given", at each level. Of `more` (`model_kwargs`, `additional_kwargs`), what isn't one of the
    endpoint's `parameters` goes into the body as it is.
    """
    params = {name: value for name, value in fields.items() if value is not None}
    extra: dict[str, Any] = {}
    for name, value in more.items():
        if value is not None:
            (params if name in parameters else extra)[name] = value
    extra.update(extra_body or {})
    params.update({name: value for name, value in call.items() if value is not None})
    own = params.get("extra_body")
    if extra and (own is None or isinstance(own, Mapping)):  # the client refuses anything else
        params["extra_body"] = {**extra, **(own or {})}
    return params

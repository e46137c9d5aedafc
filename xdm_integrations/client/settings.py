"""What both clients are made of: settings, headers, hooks and what was learnt about the server."""

from __future__ import annotations

import inspect
import os
import random
import time
from copy import copy
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from xdm_integrations.core.chat.parameters import PARAMETERS as CHAT_PARAMETERS
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETION_PARAMETERS
from xdm_integrations.core.embeddings.parameters import PARAMETERS as EMBEDDING_PARAMETERS
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.call import Setup
from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS, Config
from xdm_integrations.core.protocol.retry import Runtime
from xdm_integrations.transports.drivers import Hooks, RateLimiter
from xdm_integrations.transports.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from xdm_integrations.core.protocol.wire import Limits, Reply, Request, Sleep, Timeout

KeySource: TypeAlias = "str | Callable[[], str] | Callable[[], Awaitable[str]] | None"
OnRetry: TypeAlias = "Callable[[Sleep], Any] | None"
Init = TypeVar("Init", bound="Callable[..., None]")

TRANSPORT_LOCK = ProcessLock()
"""Held while a client makes its transport, so that its threads share one."""
RUNTIME = Runtime(random.random, time.monotonic, time.time)


_OTHER_NAMES = dict.fromkeys(("api_base", "openai_api_base", "url", "host"), "base_url")
"""What other packages call a setting."""


def _unknown_setting(name: str, known: list[str]) -> ConfigurationError:
    """Return the error for a misspelt or unknown setting, with the near name or the place for it."""
    from difflib import get_close_matches  # noqa: PLC0415 - only on the way to an error

    near = [_OTHER_NAMES[name]] if name in _OTHER_NAMES else get_close_matches(name, known, n=1)
    if name in {*COMPLETION_PARAMETERS, *CHAT_PARAMETERS, *EMBEDDING_PARAMETERS}:
        return ConfigurationError(f"{name}: is a parameter of a call, such as `client.chat(messages, {name}=...)`.")
    hint = f" Did you mean {near[0]!r}?" if near else f" The settings are {', '.join(known)}."
    return ConfigurationError(f"{name}: unknown setting.{hint}")


def _names_settings(init: Init) -> Init:
    """Let a misspelt setting be an error that says which one was meant."""
    known = list(inspect.signature(init).parameters)[1:]

    @wraps(init)
    def checked(self: Settings, *api_key: KeySource, **settings: Any) -> None:
        for name in settings:
            if name not in known:
                raise _unknown_setting(name, known)
        init(self, *api_key, **settings)

    return cast("Init", checked)


class Settings:
    """What both clients are made of: configuration, headers, hooks and memory."""

    _awaits = False
    """Whether hooks may be coroutine functions."""

    @_names_settings
    def __init__(  # noqa: PLR0913 - one argument per setting
        self,
        api_key: KeySource = None,
        *,
        base_url: str | None = None,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        timeout: Timeout | float | tuple[float | None, ...] | None = None,
        max_retries: int = 2,
        default_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        stream_usage: bool = True,
        require_finish_reason: bool = True,
        think_tags: bool = False,
        limits: Limits | None = None,
        allow_http: bool = False,
        rate_limiter: RateLimiter | None = None,
        on_request: Callable[[Request], Any] | None = None,
        on_response: Callable[[Request, Reply], Any] | None = None,
        on_retry: OnRetry = None,
    ) -> None:
        """Check the settings. Opens nothing.

        Args:
            api_key: The key, or a function (a coroutine function for `AsyncClient`) that is
                asked for it before each call. Default: the environment variable `XDM_API_KEY`.
                Private hosts need none.
            base_url: Root URL of the API. Default: `XDM_BASE_URL`, else the gateway's.
            model: The model for calls that name none.
            max_tokens: Tokens per choice for calls that don't say; None leaves it to the server,
                whose own default is 16.
            timeout: Seconds for connecting and for each wait, or `(connect, read)`, or `(connect,
                read, total)`, or a `Timeout`.
                Default: 10 s to connect, 300 s between bytes, 1800 s between the events of a stream
                (keep-alive comments aren't events), no limit in total.
            max_retries: Requests after the first, at most.
            default_headers: Headers of every request.
            extra_body: Fields of every body, for servers that know more than the API.
            stream_usage: Ask for token counts in streams.
            require_finish_reason: Take a stream without a finish_reason as cut off. Switch it off
                for servers that never send one; then `[DONE]` is the end.
            think_tags: Take a leading `<think>...</think>` of a chat's answer as reasoning; it stays in the text
                otherwise.
            limits: How much of a reply is taken.
            allow_http: Accept plain http to a public host.
            rate_limiter: Asked for a turn before each HTTP request: LangChain's, or alike.
            on_request: See `Hooks`.
            on_response: See `Hooks`.
            on_retry: See `Hooks`.

        Raises:
            ConfigurationError: A setting can't be used; the message names it.
        """
        self._key_source = api_key if callable(api_key) else None
        config = Config.build(
            os.environ,
            api_key=None if callable(api_key) else api_key,
            base_url=base_url,
            model=model,
            max_tokens=max_tokens,
            timeout=timeout,
            max_retries=max_retries,
            headers=default_headers,
            extra_body=extra_body,
            stream_usage=stream_usage,
            require_finish_reason=require_finish_reason,
            think_tags=think_tags,
            limits=limits,
            allow_http=allow_http,
        )
        for name, hook in (("on_request", on_request), ("on_response", on_response), ("on_retry", on_retry)):
            if hook is not None and not callable(hook):
                raise ConfigurationError(f"{name}: expected a function, got {type(hook).__name__}.")
            if inspect.iscoroutinefunction(hook) and not self._awaits:
                raise ConfigurationError(f"{name}: a coroutine function can't be a hook of a blocking client.")
        turn = "aacquire" if self._awaits else "acquire"
        if rate_limiter is not None and not hasattr(rate_limiter, turn):
            raise ConfigurationError(f"rate_limiter: {type(rate_limiter).__name__} has no method `{turn}`.")
        self._hooks = Hooks(on_request, on_response, on_retry, rate_limiter)
        self._setup = Setup(config, RUNTIME)
        self._transport: Any = None

    @property
    def config(self) -> Config:
        """The settings, checked and in their normal form. Holds the key."""
        return self._setup.config

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.config.base_url!r}, model={self.config.model!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave connections behind, so that a client can be pickled and copied. The key goes with it."""
        return {**self.__dict__, "_setup": copy(self._setup), "_transport": None}

"""The hall: clients that plan a call in `core` and drive it over a transport.

    >>> from xdm_integrations import Client
    >>> client = Client()                   # key from XDM_API_KEY
    >>> print(client.complete("The capital of France is", temperature=0).text)
     Paris.
    >>> for chunk in client.stream("The capital of France is", temperature=0):
    ...     print(chunk.text, end="")
     Paris.
    >>> client.close()

`Client` blocks, `AsyncClient` awaits; everything else about them is the same, because both only
drive the same flows.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ._version import __version__
from .batches import Batch, run_batch, run_batch_async
from .core.completions import Memory, complete_flow, prepare, prepare_stream
from .core.config import DEFAULT_MAX_TOKENS, Config, merge_headers, normalize_key, require_key
from .core.errors import ConfigurationError
from .core.packing import pack_prompts
from .core.retry import Chance
from .core.streaming import stream_flow
from .streams import AsyncCompletionStream, CompletionStream
from .transports.base import AsyncTransport, Hooks, RateLimiter, Transport, drive, drive_async
from .transports.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from .core.flow import Flow
    from .core.models import Model
    from .core.packing import Outcome
    from .core.parameters import CompletionParams, OnePrompt, Prompt
    from .core.quota import Quota
    from .core.results import Completion
    from .core.wire import Limits, Reply, Request, Sleep, Timeout

T = TypeVar("T")
Key: TypeAlias = "str | Callable[[], str] | Callable[[], Awaitable[str]] | None"
OnRetry: TypeAlias = "Callable[[Sleep], Any] | None"

_OPENING = ProcessLock()
"""Held while a client makes its transport, so that its threads share one."""

_CHANCE = Chance(random.random, time.monotonic, time.time)


class _Settings:
    """What both clients are made of: configuration, headers, hooks and memory."""

    _awaits = False
    """Whether hooks may be coroutine functions."""

    def __init__(  # noqa: PLR0913 - one argument per setting
        self,
        api_key: Key = None,
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
                Default: 10 s to connect, 300 s between bytes, no limit in total.
            max_retries: Requests after the first, at most.
            default_headers: Headers of every request.
            extra_body: Fields of every body, for servers that know more than the API.
            stream_usage: Ask for token counts in streams.
            require_finish_reason: Take a stream without a finish_reason as cut off. Switch it off
                for servers that never send one; then `[DONE]` is the end.
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
        self.config = Config.from_env(
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
            limits=limits,
            allow_http=allow_http,
        )
        for name, hook in (("on_request", on_request), ("on_response", on_response), ("on_retry", on_retry)):
            if inspect.iscoroutinefunction(hook) and not self._awaits:
                raise ConfigurationError(f"{name}: a coroutine function can't be a hook of a blocking client.")
        self._hooks = Hooks(on_request, on_response, on_retry, rate_limiter)
        self._memory = Memory()
        self._transport: Any = None
        self._headers: tuple[str | None, dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.config.base_url!r}, model={self.config.model!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave connections behind, so that a client can be pickled and copied. The key goes with it."""
        return {**self.__dict__, "_transport": None, "_memory": Memory(), "_headers": None}

    def _with_key(self, key: str | None) -> dict[str, str]:
        """Return the headers of a request with this key; the same object for the same key."""
        known = self._headers  # read and written whole: threads may come with different keys
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
            known = self._headers = key, headers
        return known[1]

    def _hooks_with(self, on_retry: OnRetry) -> Hooks:
        if on_retry is None:
            return self._hooks
        hooks = self._hooks
        return Hooks(hooks.on_request, hooks.on_response, on_retry, hooks.rate_limiter)


class Client(_Settings):
    """Text completions by blocking calls. Threads may share one client.

    Example:
        >>> from xdm_integrations import Client
        >>> with Client() as client:
        ...     completion = client.complete("Say this is a test", max_tokens=20)
        >>> completion.finish_reason
        'stop'
    """

    def complete(self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]) -> Completion:
        """Return the answer to a prompt, or to several.

        Args:
            prompt: A text, a list of texts, token ids, or a list of lists of them.
            on_retry: Called before each retry of this call, instead of the client's hook.
            **params: See `CompletionParams`.

        Returns:
            `len(prompts) * n` choices in order; `Completion.by_prompt` groups them.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            XDMError: The call failed; see `core.errors`.
        """
        call = prepare(self.config, self._with_key(self._key()), prompt, params)
        return self._drive(complete_flow(call, self._memory, _CHANCE), on_retry)

    def stream(
        self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]
    ) -> CompletionStream:
        """Return the answer piece by piece. The first piece has arrived when this returns.

        Args:
            prompt: As for `complete`. The pieces of several prompts come interleaved.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `CompletionParams`.

        Returns:
            An iterator of `CompletionChunk`, which is a context manager too. Dropping it, closing it
            or leaving it closes the connection, and ends the generation.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            StreamInterruptedError: While iterating: the answer was cut off; see its `.partial`.
            XDMError: The call failed.
        """
        call = prepare_stream(self.config, self._with_key(self._key()), prompt, params)
        return CompletionStream(self._drive(stream_flow(call, self._memory, _CHANCE), on_retry))

    def complete_batch(  # noqa: PLR0913 - one argument per setting
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        stop_on_error: bool = False,
        on_result: Callable[[int, Outcome], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[CompletionParams],
    ) -> Batch:
        """Answer many prompts, several per request and several requests at once.

        A prompt that fails doesn't fail the others: a request that the server refuses because of
        its content is split, and asked prompt by prompt.

        Args:
            prompts: Texts, or lists of token ids.
            batch_size: Prompts per request, at most.
            max_concurrency: Requests in flight, at most.
            stop_on_error: Send nothing more once a prompt has failed; what wasn't asked gets that
                error as its outcome, without a call of `on_result`.
            on_result: Called with a prompt's number and its outcome, as each arrives; from several
                threads, one at a time, so that a slow one holds the others up.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `CompletionParams`. A total timeout holds for each request.

        Returns:
            One outcome per prompt, in order: a `Completion` or the `XDMError` it failed with.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
        """
        if not prompts:
            return Batch()
        call = prepare(self.config, self._with_key(self._key()), prompts, params)
        return run_batch(
            pack_prompts(call, self._memory, _CHANCE, batch_size),
            lambda flow: self._drive(flow, on_retry),
            max_concurrency=max_concurrency,
            on_result=on_result,
            stop_on_error=stop_on_error,
        )

    def models(self) -> list[Model]:
        """Return the models that the gateway offers to the key (`GET /v1/models`).

        Raises:
            XDMError: The call failed.
        """
        from .core.models import models_flow  # noqa: PLC0415 - few programs ask

        return self._drive(models_flow(self.config, self._with_key(self._key()), self._memory, _CHANCE), None)

    def quota(self) -> Quota:
        """Return what is left of the key's budget, in whatever unit the gateway counts.

        Best effort: read `Quota` before you show the numbers to anybody as money.

        Raises:
            NotFoundError: The server doesn't tell.
            XDMError: The call failed.
        """
        from .core.quota import quota_flow  # noqa: PLC0415 - few programs ask

        return self._drive(quota_flow(self.config, self._with_key(self._key()), _CHANCE), None)

    def close(self) -> None:
        """Close every connection. The client may be used again."""
        if self._transport is not None:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _key(self) -> str | None:
        if self._key_source is None:
            return self.config.api_key
        key = self._key_source()
        if inspect.iscoroutine(key):
            key.close()  # nobody will await it
            raise ConfigurationError("api_key: a blocking client needs a function that returns a string.")
        return normalize_key(key)

    def _drive(self, flow: Flow[T], on_retry: OnRetry) -> T:
        transport: Transport | None = self._transport
        if transport is None:
            from .transports._requests import RequestsTransport  # noqa: PLC0415 - loads requests on first use

            with _OPENING():
                transport = self._transport = self._transport or RequestsTransport(self.config.limits)
        return drive(flow, transport, self._hooks_with(on_retry))


class AsyncClient(_Settings):
    """Text completions from event loops. Any number of loops may share one client.

    Example:
        >>> import asyncio
        >>> from xdm_integrations import AsyncClient
        >>> async def main():
        ...     async with AsyncClient() as client:
        ...         return await client.complete("Say this is a test", max_tokens=20)
        >>> asyncio.run(main()).finish_reason
        'stop'
    """

    _awaits = True

    async def complete(
        self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]
    ) -> Completion:
        """See `Client.complete`."""
        call = prepare(self.config, self._with_key(await self._key()), prompt, params)
        return await self._drive(complete_flow(call, self._memory, _CHANCE), on_retry)

    async def stream(
        self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]
    ) -> AsyncCompletionStream:
        """See `Client.stream`; the stream is an async iterator and context manager."""
        call = prepare_stream(self.config, self._with_key(await self._key()), prompt, params)
        return AsyncCompletionStream(await self._drive(stream_flow(call, self._memory, _CHANCE), on_retry))

    async def complete_batch(  # noqa: PLR0913 - one argument per setting
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        stop_on_error: bool = False,
        on_result: Callable[[int, Outcome], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[CompletionParams],
    ) -> Batch:
        """See `Client.complete_batch`; `on_result` is called in the event loop."""
        if not prompts:
            return Batch()
        call = prepare(self.config, self._with_key(await self._key()), prompts, params)
        return await run_batch_async(
            pack_prompts(call, self._memory, _CHANCE, batch_size),
            lambda flow: self._drive(flow, on_retry),
            max_concurrency=max_concurrency,
            on_result=on_result,
            stop_on_error=stop_on_error,
        )

    async def models(self) -> list[Model]:
        """See `Client.models`."""
        headers = self._with_key(await self._key())
        from .core.models import models_flow  # noqa: PLC0415 - few programs ask

        return await self._drive(models_flow(self.config, headers, self._memory, _CHANCE), None)

    async def quota(self) -> Quota:
        """See `Client.quota`."""
        from .core.quota import quota_flow  # noqa: PLC0415 - few programs ask

        return await self._drive(quota_flow(self.config, self._with_key(await self._key()), _CHANCE), None)

    async def aclose(self) -> None:
        """Close the connections of this event loop. The client may be used again."""
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _key(self) -> str | None:
        if self._key_source is None:
            return self.config.api_key
        key = self._key_source()
        return normalize_key(await key if inspect.isawaitable(key) else key)

    async def _drive(self, flow: Flow[T], on_retry: OnRetry) -> T:
        transport: AsyncTransport | None = self._transport
        if transport is None:
            name = f"{__package__}.transports._aiohttp"
            # aiohttp is loaded on first use, in a thread: it takes long enough for a loop to notice.
            module: Any = await asyncio.to_thread(import_module, name)
            with _OPENING():
                transport = self._transport = self._transport or module.AiohttpTransport(self.config.limits)
        return await drive_async(flow, transport, self._hooks_with(on_retry))

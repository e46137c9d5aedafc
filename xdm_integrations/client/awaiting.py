"""The async client: every method plans a call in `core` and drives it over aiohttp."""

from __future__ import annotations

import asyncio
import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import Self, Unpack

from xdm_integrations.core.completions.packing import pack_prompts
from xdm_integrations.core.completions.request import complete_flow, prepare, prepare_stream
from xdm_integrations.core.protocol.config import normalize_key
from xdm_integrations.core.protocol.reading import stream_flow
from xdm_integrations.transports.drivers import AsyncTransport, drive_async

from .batches import Batch, run_batch_async
from .settings import _TRANSPORT_LOCK, RUNTIME, OnRetry, _Settings
from .streams import AsyncCompletionStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from xdm_integrations.core.completions.parameters import CompletionParams, OnePrompt, Prompt
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.gateway.models import Model
    from xdm_integrations.core.gateway.quota import Quota
    from xdm_integrations.core.protocol.batching import Outcome
    from xdm_integrations.core.protocol.flow import Flow

T = TypeVar("T")


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
        return await self._drive(complete_flow(call, self._facts, RUNTIME), on_retry)

    async def stream(
        self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]
    ) -> AsyncCompletionStream:
        """See `Client.stream`; the stream is an async iterator and context manager."""
        call = prepare_stream(self.config, self._with_key(await self._key()), prompt, params)
        return AsyncCompletionStream(await self._drive(stream_flow(call, self._facts, RUNTIME), on_retry))

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
            pack_prompts(call, self._facts, RUNTIME, batch_size),
            lambda flow: self._drive(flow, on_retry),
            max_concurrency=max_concurrency,
            on_result=on_result,
            stop_on_error=stop_on_error,
        )

    async def models(self) -> list[Model]:
        """See `Client.models`."""
        headers = self._with_key(await self._key())
        from xdm_integrations.core.gateway.models import models_flow  # noqa: PLC0415 - few programs ask

        return await self._drive(models_flow(self.config, headers, self._facts, RUNTIME), None)

    async def quota(self) -> Quota:
        """See `Client.quota`."""
        from xdm_integrations.core.gateway.quota import quota_flow  # noqa: PLC0415 - few programs ask

        return await self._drive(quota_flow(self.config, self._with_key(await self._key()), RUNTIME), None)

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
            name = "xdm_integrations.transports.aio.transport"
            # aiohttp is loaded on first use, in a thread: it takes long enough for a loop to notice.
            module: Any = await asyncio.to_thread(import_module, name)
            with _TRANSPORT_LOCK():
                transport = self._transport = self._transport or module.AiohttpTransport(self.config.limits)
        return await drive_async(flow, transport, self._hooks_with(on_retry))

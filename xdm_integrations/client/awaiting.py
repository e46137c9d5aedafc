"""The async client: every method plans a call in `core` and drives it over aiohttp."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from xdm_integrations.core.chat.request import stream_chat
from xdm_integrations.core.chat.structured_stream import stream_structured
from xdm_integrations.core.completions.packing import plan_prompts
from xdm_integrations.core.completions.request import ask_completion, stream_completion
from xdm_integrations.core.embeddings.request import plan_embeddings
from xdm_integrations.core.embeddings.results import Embeddings
from xdm_integrations.core.gateway.models import models_flow
from xdm_integrations.core.protocol.batching import holds_nothing
from xdm_integrations.core.protocol.config import normalize_key
from xdm_integrations.transports.drivers import AsyncTransport, drive_async

from . import chats
from .batches import Batch, run_batch_async
from .objects import AsyncObjectStream
from .settings import TRANSPORT_LOCK, OnRetry, Settings
from .streams import AsyncChatStream, AsyncCompletionStream
from .tools import ToolLoop, ToolRun, carry_out_async

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self, Unpack

    from xdm_integrations.core.chat.messages import Messages
    from xdm_integrations.core.chat.parameters import ChatParams, TurnParams
    from xdm_integrations.core.chat.results import ChatCompletion
    from xdm_integrations.core.completions.parameters import CompletionParams, OnePrompt, Prompt
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.embeddings.parameters import EmbeddingParams
    from xdm_integrations.core.errors.tree import XDMError
    from xdm_integrations.core.gateway.models import Model
    from xdm_integrations.core.gateway.quota import Quota
    from xdm_integrations.core.protocol.checks import Texts
    from xdm_integrations.core.protocol.flow import Flow

    from .objects import Schema

T = TypeVar("T")


class AsyncClient(Settings):
    """Chat, embeddings and text completions from event loops. Any number of loops may share one client.

    Example:
        >>> import asyncio
        >>> from xdm_integrations import AsyncClient
        >>> async def main():
        ...     async with AsyncClient() as client:
        ...         return await client.chat("What is the capital of France?", temperature=0)
        >>> asyncio.run(main()).text
        'The capital of France is Paris.'
    """

    _awaits = True

    async def complete(
        self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]
    ) -> Completion:
        """See `Client.complete`."""
        return await self._run(ask_completion(self._setup, prompt, params), on_retry)

    async def stream(
        self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]
    ) -> AsyncCompletionStream:
        """See `Client.stream`; the stream is an async iterator and context manager."""
        return AsyncCompletionStream(await self._run(stream_completion(self._setup, prompt, params), on_retry))

    async def complete_batch(  # noqa: PLR0913 - one argument per setting
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        stop_on_error: bool = False,
        on_result: Callable[[int, Completion | XDMError], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[CompletionParams],
    ) -> Batch[Completion]:
        """See `Client.complete_batch`; `on_result` is called in the event loop."""
        if holds_nothing(prompts):
            return Batch()
        plan = await self._run(plan_prompts(self._setup, prompts, params, batch_size), on_retry)
        return await run_batch_async(
            plan.packs,
            lambda pack: self._run(plan.flow(pack), on_retry),
            max_concurrency=max_concurrency,
            on_result=on_result,
            stop_on_error=stop_on_error,
        )

    async def chat(
        self, messages: Messages, *, on_retry: OnRetry = None, **params: Unpack[ChatParams]
    ) -> ChatCompletion:
        """See `Client.chat`."""
        return await self._run(chats.chat(self._setup, messages, params), on_retry)

    async def stream_chat(
        self, messages: Messages, *, on_retry: OnRetry = None, **params: Unpack[ChatParams]
    ) -> AsyncChatStream:
        """See `Client.stream_chat`; the stream is an async iterator and context manager."""
        streaming = await self._run(stream_chat(self._setup, messages, params), on_retry)
        return AsyncChatStream(streaming, partial(chats.note_choices, facts=self._setup.facts))

    async def chat_structured(
        self,
        messages: Messages,
        schema: Schema,
        *,
        method: str | None = "auto",
        strict: bool | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[ChatParams],
    ) -> ChatCompletion:
        """See `Client.chat_structured`."""
        return await self._run(chats.structured(self._setup, messages, params, schema, method, strict), on_retry)

    async def stream_structured(
        self,
        messages: Messages,
        schema: Mapping[str, Any],
        *,
        method: str | None = "auto",
        strict: bool | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[ChatParams],
    ) -> AsyncObjectStream:
        """See `Client.stream_structured`."""
        flow = stream_structured(self._setup, messages, params, schema, method=method, strict=strict)
        return AsyncObjectStream(*(await self._run(flow, on_retry)))

    async def chat_batch(
        self,
        conversations: Sequence[Messages],
        *,
        max_concurrency: int = 8,
        stop_on_error: bool = False,
        on_result: Callable[[int, ChatCompletion | XDMError], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[ChatParams],
    ) -> Batch[ChatCompletion]:
        """See `Client.chat_batch`; `on_result` is called in the event loop."""
        if holds_nothing(conversations):
            return Batch()
        plan = chats.chats(self._setup, conversations, params)
        return await run_batch_async(
            plan.packs,
            lambda pack: self._run(plan.flow(pack), on_retry),
            max_concurrency=max_concurrency,
            on_result=on_result,
            stop_on_error=stop_on_error,
        )

    async def run_tools(
        self,
        messages: Messages,
        tools: Sequence[Callable[..., Any]],
        *,
        max_turns: int = 10,
        on_retry: OnRetry = None,
        **params: Unpack[TurnParams],
    ) -> ToolRun:
        """See `Client.run_tools`; functions may be coroutine functions, the others run in threads."""
        loop = ToolLoop(messages, tools, max_turns, params, awaits=True)
        while True:
            completion = await self._run(loop.ask(self._setup), on_retry)
            tasks = loop.take(completion)
            if not tasks:
                return loop.result(completion)
            loop.add(tasks, await carry_out_async(tasks))

    async def embed(  # noqa: PLR0913 - one argument per setting
        self,
        texts: Texts,
        *,
        batch_size: int = 128,
        max_concurrency: int = 8,
        stop_on_error: bool = True,
        on_result: Callable[[int, list[float] | XDMError], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[EmbeddingParams],
    ) -> Embeddings:
        """See `Client.embed`; `on_result` is called in the event loop."""
        if holds_nothing(texts):
            return Embeddings()
        plan = await self._run(plan_embeddings(self._setup, texts, params, batch_size), on_retry)
        batch = await run_batch_async(
            plan.packs,
            lambda pack: self._run(plan.flow(pack), on_retry),
            max_concurrency=max_concurrency,
            on_result=plan.on_result(on_result),
            stop_on_error=stop_on_error,
        )
        return plan.result(batch.outcomes, batch.usage)

    async def models(self) -> list[Model]:
        """See `Client.models`."""
        return await self._run(models_flow(self._setup), None)

    async def quota(self) -> Quota:
        """See `Client.quota`."""
        from xdm_integrations.core.gateway.quota import quota_flow  # noqa: PLC0415 - few programs ask

        return await self._run(quota_flow(self._setup), None)

    async def aclose(self) -> None:
        """Close the connections of this event loop. The client may be used again."""
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _key(self) -> str | None:
        if self._key_source is None:
            return self._setup.config.api_key
        key = self._key_source()
        return normalize_key(await key if inspect.isawaitable(key) else key)

    async def _run(self, flow: Flow[T], on_retry: OnRetry) -> T:
        transport: AsyncTransport | None = self._transport
        if transport is None:
            name = "xdm_integrations.transports.aio.transport"
            # aiohttp is loaded on first use, in a thread: it takes long enough for a loop to notice.
            module: Any = await asyncio.to_thread(import_module, name)
            with TRANSPORT_LOCK.held:
                transport = self._transport = self._transport or module.AiohttpTransport(self.config.limits)
        return await drive_async(
            flow, transport, self._hooks if on_retry is None else self._hooks._replace(on_retry=on_retry), self._key
        )

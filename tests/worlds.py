"""Sync and async in one test: a world calls a method, or awaits its async twin on an event loop of its own."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from xdm_integrations import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ["sync", "async"]
"""What fixtures of worlds are parametrised with."""


class World:
    """One way to use a thing.

    Attributes:
        is_async: Whether it awaits.
        prefix: What the names of async methods begin with: "" for clients, "a" in both frameworks.
    """

    prefix = "a"

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self.loop = asyncio.new_event_loop() if is_async else None
        self._kept: list[Any] = []

    def run(self, outcome: Any) -> Any:
        """Return what a call returned, awaited where that is needed."""
        return self.loop.run_until_complete(outcome) if self.loop is not None else outcome

    def method(self, target: Any, name: str) -> Callable[..., Any]:
        """Return a method of `target`, or its async twin; of a private name too (`_astream`)."""
        if self.is_async:
            name = f"_{self.prefix}{name[1:]}" if name.startswith("_") else self.prefix + name
        return getattr(target, name)

    def call(self, target: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method, and return what it returns."""
        return self.run(self.method(target, name)(*args, **kwargs))

    def items(self, target: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Return all items of what a method iterates over, or of the stream that it returns."""
        if not self.is_async:
            return list(self.method(target, name)(*args, **kwargs))

        async def consume() -> list[Any]:
            stream = self.method(target, name)(*args, **kwargs)
            return [item async for item in (await stream if inspect.isawaitable(stream) else stream)]

        return self.run(consume())

    def keep(self, target: Any) -> Any:
        """Return `target`, which is closed after the test."""
        self._kept.append(target)
        return target

    def close_kept(self) -> None:
        """Close what was kept."""
        for target in self._kept:
            self.run(target.aclose()) if self.is_async else target.close()

    def close(self) -> None:
        """Close what was kept, and the loop."""
        self.close_kept()
        if self.loop is not None:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()


def worlds(cls: type[World], kind: str) -> Iterator[World]:
    """Yield a world of this kind, and close it: what a fixture returns."""
    made = cls(is_async=kind == "async")
    yield made
    made.close()


class ClientWorld(World):
    """Clients, sync and async."""

    prefix = ""

    def client(self, **settings: Any) -> Any:
        """Return a client, which is closed after the test."""
        return self.keep((AsyncClient if self.is_async else Client)(**settings))

    def complete(self, client: Any, prompt: Any, **params: Any) -> Any:
        return self.call(client, "complete", prompt, **params)

    def batch(self, client: Any, prompts: Any, **params: Any) -> Any:
        return self.call(client, "complete_batch", prompts, **params)

    def embed(self, client: Any, texts: Any, **params: Any) -> Any:
        return self.call(client, "embed", texts, **params)

    def stream(self, client: Any, prompt: Any, **params: Any) -> Any:
        """Return the chunks and the complete answer."""
        return self.streamed(client, "stream", prompt, **params)

    def streamed(self, client: Any, name: str, *args: Any, **params: Any) -> Any:
        """Return the chunks of a method's stream, and the complete answer."""
        if not self.is_async:
            with getattr(client, name)(*args, **params) as stream:
                return list(stream), stream.completion

        async def consume() -> Any:
            async with await getattr(client, name)(*args, **params) as stream:
                return [chunk async for chunk in stream], stream.completion

        return self.run(consume())

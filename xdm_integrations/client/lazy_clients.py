"""What the adapters of both frameworks have: a blocking and an async client, made when they are first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.transports.locks import ProcessLock

from .awaiting import AsyncClient
from .blocking import Client

if TYPE_CHECKING:
    from typing_extensions import Self

SAME_NAMES = (
    "allow_http",
    "default_headers",
    "limits",
    "max_retries",
    "require_finish_reason",
    "stream_usage",
    "think_tags",
    "timeout",
)
"""What adapters call as the clients do, of the fields that clients are made of; not every class has all."""
_CLIENT_LOCK = ProcessLock()
"""Held while a client is made, so that an adapter's threads share one."""


class Connected:
    """Clients for an adapter, which says what they are made of. Threads and event loops may share it.

    The adapter is a Pydantic model that has `_client_settings`, and declares `_made_sync` and `_made_async` as private
    attributes that are None. Its copies make clients of their own.
    """

    if TYPE_CHECKING:
        _made_sync: Client | None
        _made_async: AsyncClient | None
        __pydantic_private__: dict[str, Any] | None

        def _client_settings(self) -> dict[str, Any]:
            """Return the arguments of the clients."""

    def _sync_client(self) -> Client:
        client: Client | None = (self.__pydantic_private__ or {}).get("_made_sync")  # Pydantic's own way is slow
        if client is None:
            with _CLIENT_LOCK.held:
                client = self._made_sync = self._made_sync or Client(**self._client_settings())
        return client

    def _async_client(self) -> AsyncClient:
        client: AsyncClient | None = (self.__pydantic_private__ or {}).get("_made_async")
        if client is None:
            with _CLIENT_LOCK.held:
                client = self._made_async = self._made_async or AsyncClient(**self._client_settings())
        return client

    def _forget_clients(self) -> None:
        """Let the next calls make new ones; those that are running keep theirs."""
        self._made_sync = None
        self._made_async = None

    def __copy__(self) -> Self:
        copied: Self = super().__copy__()  # type: ignore[misc] # Pydantic's
        copied._forget_clients()
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings; a rate limiter is shared, since both copies spend the same budget."""
        memo = {} if memo is None else memo
        limiter = getattr(self, "rate_limiter", None)
        memo[id(limiter)] = limiter
        copied: Self = super().__deepcopy__(memo)  # type: ignore[misc] # Pydantic's
        copied._forget_clients()
        return copied

    def close(self) -> None:
        """Close the connections of blocking calls. The LLM may be used again; nobody has to call this."""
        if self._made_sync is not None:
            self._made_sync.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop, and those of blocking calls. See `close`."""
        if self._made_async is not None:
            await self._made_async.aclose()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

"""The clients of an `XDMLLM`: made when first needed, left behind by copies, closed on request."""

from __future__ import annotations

import threading
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from langchain_core import __version__ as core_version
from pydantic import PrivateAttr, SecretStr

from xdm_integrations._version import __version__
from xdm_integrations.client import AsyncClient, Client

from .fields import XDMFields

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from typing_extensions import Self

_MAKING = threading.Lock()
_USER_AGENT = f"xdm-integrations/{__version__} langchain-core/{core_version}"


class XDMConnected(XDMFields):
    """`XDMFields` with a blocking and an async client. Threads and event loops may share it."""

    _client: Client | None = PrivateAttr(default=None)
    _async_client: AsyncClient | None = PrivateAttr(default=None)

    def _blocking(self) -> Client:
        client = self._client
        if client is None:
            with _MAKING:
                client = self._client = self._client or Client(**self._client_settings())
        return client

    def _awaiting(self) -> AsyncClient:
        client = self._async_client
        if client is None:
            with _MAKING:
                client = self._async_client = self._async_client or AsyncClient(**self._client_settings())
        return client

    def _client_settings(self) -> dict[str, Any]:
        return {
            "api_key": _plain_key(self.xdm_api_key),
            "base_url": self.xdm_api_base,
            "model": self.model,
            "max_tokens": None,  # each call says what it wants
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "default_headers": {"User-Agent": _USER_AGENT, **(self.default_headers or {})},
            "stream_usage": self.stream_usage,
            "require_finish_reason": self.require_finish_reason,
            "limits": self.limits,
            "allow_http": self.allow_http,
            "rate_limiter": self.rate_limiter,
        }

    def _forget(self) -> None:
        super()._forget()
        self._client = None
        self._async_client = None

    def close(self) -> None:
        """Close the connections of blocking calls. The LLM may be used again."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop, and those of blocking calls. See `close`."""
        if self._async_client is not None:
            await self._async_client.aclose()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __eq__(self, other: object) -> bool:
        """Compare the settings."""
        if not isinstance(other, XDMConnected) or type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).model_fields)

    __hash__ = None  # type: ignore[assignment] # settings can change

    def __copy__(self) -> Self:
        """Copy the settings; the copy makes clients of its own."""
        copied = super().__copy__()
        copied._forget()  # noqa: SLF001 - of this class
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings; the rate limiter is shared, since both copies spend the same budget."""
        memo = {} if memo is None else memo
        memo[id(self.rate_limiter)] = self.rate_limiter
        copied = super().__deepcopy__(memo)
        copied._forget()  # noqa: SLF001 - of this class
        return copied


def _plain_key(key: object) -> Any:  # noqa: ANN401 - a string, or a function that the client knows how to call
    """Return the key as the client takes it: without pydantic's wrapping, from a function too."""
    if key is None or isinstance(key, str):
        return key
    if isinstance(key, SecretStr):
        return key.get_secret_value()
    return _Unwrapped(key)


class _Unwrapped:
    """A function that returns the key as a string, whether the user's returns that or a SecretStr."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401 - blocking or async
        self._function: Callable[[], Any] = function

    def __call__(self) -> Any:  # noqa: ANN401 - a string, or what awaits one
        key = self._function()
        return _Later(key) if isawaitable(key) else _plain_key(key)


class _Later:
    """The key of an async function: awaited by async clients, closed unused by blocking ones."""

    def __init__(self, key: Any) -> None:  # noqa: ANN401 - a coroutine as a rule
        self._key = key

    def __await__(self) -> Generator[Any, Any, Any]:
        return _plain_key((yield from self._key.__await__()))

    def close(self) -> None:
        if hasattr(self._key, "close"):
            self._key.close()

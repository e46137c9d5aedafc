"""The clients of an `XDMLLM`: made when first needed, left behind by copies, closed on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core import __version__ as core_version
from pydantic import PrivateAttr

from xdm_integrations._version import __version__
from xdm_integrations.client.lazy_clients import Connected

from .settings import XDMFields

if TYPE_CHECKING:
    from typing_extensions import Self

    from xdm_integrations import AsyncClient, Client

_OF_CLIENTS = frozenset(
    {
        "xdm_api_key",
        "xdm_api_base",
        "timeout",
        "max_retries",
        "default_headers",
        "stream_usage",
        "require_finish_reason",
        "limits",
        "allow_http",
        "rate_limiter",
    }
)
"""The fields that clients are made of. Any other can change, and connections and what was learnt are kept."""
_USER_AGENT = f"xdm-integrations/{__version__} langchain-core/{core_version}"


class XDMConnected(Connected, XDMFields):
    """`XDMFields` with a blocking and an async client. Threads and event loops may share it."""

    _made_sync: Client | None = PrivateAttr(default=None)
    _made_async: AsyncClient | None = PrivateAttr(default=None)

    def _client_settings(self) -> dict[str, Any]:
        return {
            "api_key": self.xdm_api_key,
            "base_url": self.xdm_api_base,
            "max_tokens": None,  # each call says what it wants, and of which model
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "default_headers": {"User-Agent": _USER_AGENT, **(self.default_headers or {})},
            "stream_usage": self.stream_usage,
            "require_finish_reason": self.require_finish_reason,
            "limits": self.limits,
            "allow_http": self.allow_http,
            "rate_limiter": self.rate_limiter,
        }

    def _forget(self, name: str | None = None) -> None:
        super()._forget(name)
        if name is None or name in _OF_CLIENTS:
            self._forget_clients()

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

"""The clients behind an LLM: made at the first call, and anew when a setting of theirs is assigned."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import PrivateAttr, SecretStr

from xdm_integrations._version import __version__
from xdm_integrations.client.lazy_clients import Connected

from .settings import XDMFields

if TYPE_CHECKING:
    from xdm_integrations import AsyncClient, Client

USER_AGENT = f"xdm-integrations/{__version__} llama-index-core/{version('llama-index-core')}"

_CLIENT_FIELDS = frozenset(
    {
        "allow_http",
        "api_base",
        "api_key",
        "default_headers",
        "limits",
        "max_retries",
        "require_finish_reason",
        "stream_usage",
        "timeout",
    }
)


class XDMConnected(Connected, XDMFields):
    """Settings with a client for each world. Threads and event loops may share an instance."""

    _made_sync: Client | None = PrivateAttr(default=None)
    _made_async: AsyncClient | None = PrivateAttr(default=None)

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - of whatever type the field has
        super().__setattr__(name, value)
        if name in _CLIENT_FIELDS:
            self._forget_clients()

    def _forget(self) -> None:
        super()._forget()
        self._forget_clients()

    def _client_settings(self) -> dict[str, Any]:
        key = self.api_key
        return {
            "api_key": key.get_secret_value() if isinstance(key, SecretStr) else key,
            "base_url": self.api_base,
            "max_tokens": None,  # sent with each call, if at all
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "default_headers": {"User-Agent": USER_AGENT, **self.default_headers},
            "stream_usage": self.stream_usage,
            "require_finish_reason": self.require_finish_reason,
            "limits": self.limits,
            "allow_http": self.allow_http,
        }

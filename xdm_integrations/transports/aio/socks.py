"""Connections of event loops through a SOCKS proxy; needs aiohttp-socks, of the extra `socks`."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp_socks import ProxyConnector, ProxyError, ProxyType

from .connector import Connector

_DEFAULT_PORT = 1080


class SocksConnector(Connector, ProxyConnector):
    """aiohttp-socks's connector, with our rule for idle connections."""

    def __init__(self, proxy: str, **settings: Any) -> None:
        parts = urlsplit(proxy)
        super().__init__(
            host=parts.hostname or "",
            port=parts.port or _DEFAULT_PORT,
            proxy_type=ProxyType.SOCKS4 if parts.scheme.startswith("socks4") else ProxyType.SOCKS5,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            rdns=parts.scheme in ("socks5h", "socks4a"),
            **settings,
        )

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - aiohttp-socks's
        try:
            return await super()._wrap_create_connection(*args, **kwargs)
        except ProxyError as error:  # no error of aiohttp
            raise aiohttp.ClientConnectionError(str(error)) from error

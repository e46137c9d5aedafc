"""Retries without waiting: random is 1, and a wait is written down instead of waited for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from xdm_integrations.client import settings
from xdm_integrations.core.protocol.retry import Runtime
from xdm_integrations.transports.aio.transport import AiohttpTransport
from xdm_integrations.transports.blocking.transport import RequestsTransport


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited, in order."""
    waited: list[float] = []

    def sleep(transport: Any, seconds: float) -> None:
        waited.append(seconds)

    async def sleep_async(transport: Any, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(RequestsTransport, "sleep", sleep)
    monkeypatch.setattr(AiohttpTransport, "sleep", sleep_async)
    monkeypatch.setattr(settings, "RUNTIME", Runtime(lambda: 1.0, time.monotonic, time.time))
    return waited

"""Clients that don't wait before they retry."""

from __future__ import annotations

import time

import pytest

from tests.programs import Programs
from xdm_integrations.client import settings
from xdm_integrations.core.protocol.retry import Runtime


@pytest.fixture(autouse=True)
def no_luck(monkeypatch):
    """Luck 0 makes every wait of our own 0 seconds long."""
    monkeypatch.setattr(settings, "RUNTIME", Runtime(lambda: 0.0, time.monotonic, time.time))


@pytest.fixture(scope="module")
def programs():
    with Programs() as running:
        yield running

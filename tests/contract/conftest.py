"""Waits of the laws are written down instead of waited for."""

from __future__ import annotations

from tests.client.conftest import waits

__all__ = ["waits"]

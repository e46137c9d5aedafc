"""Chat: tool calls, reasoning, objects, and what else only chat has."""

from __future__ import annotations

from . import answers, calls, faults, objects, requests, shapes

__all__ = ["answers", "calls", "faults", "objects", "requests", "shapes"]

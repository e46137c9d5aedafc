"""Embeddings: whose vector it is, what is sent, and what becomes of the limits of servers."""

from __future__ import annotations

from . import pairing, sending

__all__ = ["pairing", "sending"]

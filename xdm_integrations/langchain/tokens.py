"""Counting tokens without the network: with tiktoken, where its vocabulary is already on this machine."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.tree import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_FRAME = 3
"""Tokens around each message, and in front of the answer."""
_BESIDE_TEXT = 1000
"""What an image, a recording or a file counts as; it depends on the model."""

_VOCABULARIES = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
"""Where tiktoken takes its vocabularies from; it keeps each under the SHA-1 of this address."""
_ADVICE = (
    "Pass `custom_get_token_ids`, a function from a text to its token ids, to count with the tokenizer of the "
    "model that you use."
)


def token_ids(text: str, model: str) -> list[int]:
    """Return the token ids of a text by tiktoken's encoding for `model`.

    Raises:
        ConfigurationError: tiktoken can't do it without the network. The message says what to do.
    """
    try:
        import tiktoken  # noqa: PLC0415 - an optional package, slow to import
    except ImportError:
        raise ConfigurationError(f"Counting tokens needs a tokenizer: pip install tiktoken. {_ADVICE}") from None
    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        raise ConfigurationError(f"tiktoken doesn't know the tokenizer of the model {model!r}. {_ADVICE}") from None
    if name not in tiktoken.registry.ENCODINGS and not _is_cached(name):
        raise ConfigurationError(
            f"Counting tokens for {model!r} needs the vocabulary {name!r}, which isn't on this machine, and nothing "
            f"is downloaded without asking. Load it once with `tiktoken.get_encoding({name!r})`, or copy it into the "
            f"folder that TIKTOKEN_CACHE_DIR names. {_ADVICE}"
        )
    return tiktoken.get_encoding(name).encode_ordinary(text)


def _is_cached(name: str) -> bool:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    key = hashlib.sha1(_VOCABULARIES.format(name).encode(), usedforsecurity=False).hexdigest()
    return folder != "" and (Path(folder) / key).is_file()


def count_text(text: str, model: str, own: Callable[[str], list[int]] | None) -> int:
    """Return how many tokens a text has.

    Args:
        text: The text.
        model: Whose tokens.
        own: The user's own tokenizer, which is asked first. Without it tiktoken counts, where it can; else the
            number is estimated, rather too high: a token for three letters of Latin text, one for each other character.
    """
    if own is not None:
        return len(own(text))
    try:
        return len(token_ids(text, model))
    except ConfigurationError:
        plain = sum(map(str.isascii, text))
        return math.ceil(plain / 3) + len(text) - plain


def count_messages(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], count: Callable[[str], int]
) -> int:
    """Return how many tokens a request has, by the rule that OpenAI documents for its own models.

    Messages and tools are in the API's form; `count` returns the tokens of a text.
    """
    total = _FRAME if messages else 0
    for message in messages:
        total += _FRAME + count(message["role"])
        for name, value in message.items():
            if name == "content" and isinstance(value, list):
                total += sum(count(part["text"]) if part["type"] == "text" else _BESIDE_TEXT for part in value)
            elif name != "role" and value:
                total += count(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return total + sum(count(json.dumps(tool, ensure_ascii=False)) for tool in tools)

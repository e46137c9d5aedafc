"""Counting tokens without the network: with tiktoken, where its vocabulary is already on this machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from xdm_integrations.core.errors.tree import ConfigurationError

_VOCABULARIES = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
"""Where tiktoken takes its vocabularies from; it keeps each under the SHA-1 of this address."""
_ADVICE = (
    "Pass `custom_get_token_ids`, a function from a text to its token ids, to count with the tokenizer of the "
    "model that you use."
)


def token_ids(text: str, model: str) -> list[int]:
    """Return the token ids of a text by tiktoken's encoding for `model`.

    Raises:
        ConfigurationError: tiktoken isn't installed, doesn't know the model, or would have to download
            its vocabulary. The message says what to do.
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

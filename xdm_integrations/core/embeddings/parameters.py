"""The parameters of `POST /v1/embeddings`, and their checks.

Source: OpenAI's specification of the endpoint, which the gateway passes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import OptionParams, Parameter, check_each
from xdm_integrations.core.protocol.sampling import MODEL, USER

DEFAULT_MODEL = "text-embedding-3-small"

ENCODINGS = ("base64", "float")
OTHER_NUMBERS = frozenset({"embed_dtype", "endianness", "output_dtype"})
"""Fields of vLLM's and Voyage's that make base64 hold other numbers than float32; JSON says what they are."""


class EmbeddingParams(OptionParams, total=False):
    """What a call may say; unset means the default. The endpoint's own are described in `PARAMETERS`."""

    dimensions: int | None
    encoding_format: str | None
    model: str | None
    user: str | None


PARAMETERS: dict[str, Parameter] = {
    "dimensions": Parameter(
        int,
        1,
        doc="At least 1: numbers per vector, for models that can shorten theirs (text-embedding-3 and later). A server "
        "that ignores it is an error.",
    ),
    "encoding_format": Parameter(
        str,
        doc='"base64" (the default here) or "float": how the vectors travel. They come back the same; base64 is a '
        "quarter of the bytes and a tenth of the work. A server that refuses it is asked without it.",
    ),
    "model": MODEL,
    "user": USER,
}
"""All but `input`, which the method called decides."""


def check_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the body for the parameters that were given: see `check_each`."""
    body = check_each(given, PARAMETERS)
    if body.get("encoding_format") not in (None, *ENCODINGS):
        raise ConfigurationError(f"encoding_format: {body['encoding_format']!r} must be one of {', '.join(ENCODINGS)}.")
    return body


def listed(texts: Iterable[str], instruction: str = "") -> list[str]:
    """Return texts as a list, each with an instruction in front, if there is one.

    For callers that want a vector for each item: `[5, 6]` are two items, not the token ids of one text.

    Raises:
        ConfigurationError: It is a single text, or an item is neither text nor (without an instruction) token ids.
    """
    if isinstance(texts, (str, bytes, bytearray)):
        raise ConfigurationError("input: expected a list of texts, got a single one, whose characters are no texts.")
    items: list[Any] = list(texts)  # callers who are not typed give anything
    for position, item in enumerate(items):
        if not isinstance(item, str) and (instruction or not isinstance(item, Sequence)):
            expected = "text, which the instruction goes in front of" if instruction else "text or token ids"
            raise ConfigurationError(f"input: item {position} is a {type(item).__name__}; expected {expected}.")
    return [instruction + item for item in items] if instruction else items

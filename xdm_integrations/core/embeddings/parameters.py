"""The parameters of `POST /v1/embeddings`: names, types, ranges, and their checks.

Source: OpenAI's specification of the endpoint, which the gateway passes on. `None` means "not given" and is never
sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import _CHECKS, METHODS, OPTIONS, Parameter, _is_int, unknown_parameter

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.wire import Timeout

DEFAULT_MODEL = "text-embedding-3-small"

OneText: TypeAlias = "str | list[int]"
"""A text, or its token ids."""
Texts: TypeAlias = "str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]"
"""A text, several texts, one text as token ids, or several of them."""

ENCODINGS = ("base64", "float")


class EmbeddingParams(TypedDict, total=False):
    """What a call may say; unset means the default. The endpoint's own are described in `PARAMETERS`."""

    dimensions: int | None
    encoding_format: str | None
    model: str | None
    user: str | None

    extra_body: Mapping[str, Any] | None
    """More fields of the body, for servers that know them. They win over parameters."""
    extra_headers: Mapping[str, str] | None
    """More headers for these requests."""
    timeout: Timeout | float | tuple[float | None, ...] | None
    """Instead of the client's; see `Timeout`. A total timeout holds for each request."""


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
    "model": Parameter(str, doc="The model's id."),
    "user": Parameter(str, doc="An id of the end user, for the provider's abuse detection."),
}
"""All but `input`, which the method called decides."""


def check_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the body for the parameters that were given, each checked.

    Raises:
        ConfigurationError: A parameter is unknown (the message suggests the near name), of the wrong type or out of
            its range.
    """
    body: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        parameter = PARAMETERS.get(name)
        if parameter is None:
            raise unknown_parameter(name, [*PARAMETERS, *OPTIONS], METHODS)
        body[name] = _CHECKS[parameter.kind](name, value, parameter)
    if body.get("encoding_format") not in (None, *ENCODINGS):
        raise ConfigurationError(f"encoding_format: {body['encoding_format']!r} must be one of {', '.join(ENCODINGS)}.")
    return body


def split_texts(texts: object) -> list[OneText]:
    """Return the inputs that `texts` stands for, in order: strings or lists of token ids.

    An empty string is one like any other: some servers have a vector for it, the others say what they think of it.

    Raises:
        ConfigurationError: It is mixed, or none of the four forms.
    """
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, Sequence) or isinstance(texts, (bytes, bytearray)):
        raise ConfigurationError(
            f"input: expected a string, a list of strings, a list of token ids or a list of those, "
            f"got {type(texts).__name__}."
        )
    if texts and _is_int(texts[0]):
        return [_check_text(texts, 0, list)]
    inputs = list(texts)
    if all(type(one) is str for one in inputs):
        return inputs
    kind = str if isinstance(inputs[0], str) else list
    return [_check_text(one, position, kind) for position, one in enumerate(inputs)]


def listed(texts: Iterable[str], instruction: str = "") -> list[str]:
    """Return texts as a list, each with an instruction in front, if there is one.

    For callers that want a vector for each item: `[5, 6]` are two items, not the token ids of one text.

    Raises:
        ConfigurationError: It is a single text, whose characters would be taken for texts; or an item is no text, nor,
            where there is no instruction, token ids.
    """
    if isinstance(texts, (str, bytes, bytearray)):
        raise ConfigurationError("input: expected a list of texts, got a single one, whose characters are no texts.")
    items: list[Any] = list(texts)  # callers who are not typed give anything
    for position, item in enumerate(items):
        if not isinstance(item, str) and (instruction or not isinstance(item, Sequence)):
            expected = "text, which the instruction goes in front of" if instruction else "text or token ids"
            raise ConfigurationError(f"input: item {position} is a {type(item).__name__}; expected {expected}.")
    return [instruction + item for item in items] if instruction else items


def _check_text(text: object, position: int, kind: type) -> OneText:
    if isinstance(text, str) and kind is str:
        return str(text)
    if not isinstance(text, Sequence) or isinstance(text, (bytes, bytearray)):
        raise ConfigurationError(f"input: item {position} is a {type(text).__name__}; expected text or token ids.")
    if isinstance(text, str) or kind is str:
        raise ConfigurationError("input: a list must hold only texts or only lists of token ids, not both.")
    if not text:
        raise ConfigurationError(f"input: item {position} holds no token ids.")
    for token in text:
        if not _is_int(token) or token < 0:
            raise ConfigurationError(f"input: item {position} holds {token!r}; token ids are integers of at least 0.")
    return [int(token) for token in text]

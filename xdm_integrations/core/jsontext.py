"""JSON text to and from values: orjson where it is installed, the standard library otherwise; and broken characters.

orjson is several times faster and stricter: it refuses NaN and Infinity (vLLM's log
probabilities hold -Infinity), lone surrogates and a byte order mark. Whatever it refuses is
tried again with `json`, so that both give the same (but for integers beyond 64 bits, floats to orjson).
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

try:
    import orjson
except ImportError:  # llama-index-core doesn't bring it
    _fast_loads = None
    _fast_dumps = None
else:
    _fast_loads = orjson.loads
    # Dates and dataclasses aren't JSON, whatever orjson makes of them: refused with it as without it.
    _fast_dumps = partial(orjson.dumps, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS)


def _plain_loads(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    # The hook costs more than it is worth but for megabytes: there it lets other threads run between objects.
    hook = _as_it_is if len(data) > _LONG else None
    try:
        return json.loads(data.decode("utf-8-sig", "replace"), object_hook=hook)
    except json.JSONDecodeError as error:
        error.doc = ""  # the document may echo the key, and stays reachable from the error that this one causes
        raise


def _as_it_is(value: dict[str, Any]) -> dict[str, Any]:
    return value


_LONG = 2**17


def _careful_loads(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    try:
        return _fast_loads(data)  # type: ignore[misc] # only used where orjson is there
    except ValueError:
        pass  # outside of this block, since the error holds the document
    return _plain_loads(data)


loads = _careful_loads if _fast_loads else _plain_loads
"""Parse UTF-8 JSON; bytes that aren't UTF-8 become U+FFFD.

Raises:
    ValueError: The text isn't JSON. RecursionError: it is nested too deep.
"""


def read(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    """Return the value of JSON text; None for null, and for what isn't JSON or is nested too deep.

    For whoever refuses that with an error of its own, whose context a decoder's error, with the document, would be.
    """
    try:
        return loads(data)
    except (ValueError, RecursionError):
        return None


def dumps(value: object) -> bytes:
    """Return `value` as UTF-8 JSON.

    Raises:
        TypeError: It holds something that JSON can't express.
        ValueError: It holds NaN or an infinity.
    """
    if _fast_dumps is not None:
        try:
            text = _fast_dumps(value)
        except TypeError:
            pass  # a lone surrogate, a huge integer or an odd type: let json decide
        else:
            if b"null" in text:
                json.dumps(value, allow_nan=False, default=str)  # orjson writes null for what isn't a number
            return text
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # a lone surrogate travels as its escape
        return json.dumps(value, allow_nan=False).encode()


_DEEPEST = 20  # levels that are looked through: what lies deeper is named by what holds it


def misfit(value: object, error: Exception) -> tuple[list[Any], Exception]:
    """Return the keys and numbers that lead to what `dumps` refused in `value`, and the error that says why."""
    way: list[Any] = []
    while len(way) < _DEEPEST:
        listed = enumerate(value) if isinstance(value, (list, tuple)) else ()
        for key, inner in value.items() if isinstance(value, dict) else listed:
            try:
                dumps(inner)
            except (TypeError, ValueError, RecursionError) as its_own:
                way.append(key)
                value, error = inner, its_own
                break
        else:
            break
    return way, error


_SURROGATE = re.compile("[\ud800-\udfff]")


def join_surrogates(text: str) -> str:
    r"""Return `text` with the halves of surrogate pairs joined, and U+FFFD for each that is alone.

    JSON can hold such halves ("\ud83d"); hardly anything that text is passed on to takes them.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def has_surrogates(text: str) -> bool:
    """True if `text` holds a half of a surrogate pair."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def whole_characters(text: str) -> tuple[str, str]:
    """Return `text` with its surrogate pairs joined, and the half that ends it."""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    return join_surrogates(text[:-1] if half else text), half

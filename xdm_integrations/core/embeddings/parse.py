"""The body of a reply to vectors, tolerant of how they travel, strict about whose they are."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.catalogue import error_for
from xdm_integrations.core.errors.reply_text import request_id_of
from xdm_integrations.core.errors.tree import APIResponseError, XDMError
from xdm_integrations.core.protocol.results import Usage, label

if TYPE_CHECKING:
    from xdm_integrations.core.errors.tree import Scope
    from xdm_integrations.core.protocol.wire import Reply


class Vectors(NamedTuple):
    """What one reply brought: a vector per text, in the order of the texts; an error where it is no vector."""

    rows: list[array[float] | BadVectorError]
    usage: Usage | None
    model: str
    request_id: str | None


class WrongVectorsError(APIResponseError):
    """The server's vectors can't be paired with the texts: too few, too many, or wrong indices."""

    scope: Scope = "request"


class BadVectorError(APIResponseError):
    """A vector that can't be used: null, nested, empty, not finite, broken base64."""

    scope: Scope = "request"


def parse_vectors(reply: Reply, count: int, dimensions: object = None) -> Vectors:
    """Return the vectors that a 2xx reply holds for `count` texts, of `dimensions` numbers each, if that was asked for.

    They may travel as base64 of little-endian float32 or as JSON numbers, whatever was asked for.

    Raises:
        WrongVectorsError: They can't be paired with the texts.
        APIResponseError: The body is empty, isn't JSON, holds no vectors, or their lengths are wrong.
        APIStatusError: The body is an error in spite of the status.
    """
    status, headers, body, *_ = reply
    value = jsontext.read(body)
    value = value if isinstance(value, dict) else {}
    data, usage = value.get("data"), Usage.parse(value.get("usage"))
    try:
        if not data or not isinstance(data, list) or value.get("error"):
            raise error_for(status, headers, body, "embeddings")
        rows = _rows(data, count, dimensions, reply)
    except XDMError as error:
        error.usage = usage  # it is paid for all the same
        raise
    return Vectors(rows, usage, label(value.get("model")), request_id_of(headers))


def _rows(data: list[Any], count: int, dimensions: object, reply: Reply) -> list[Any]:
    """Return the vectors of an answer's `data`, each in the place of its text."""
    items = [item for item in data if isinstance(item, dict)]
    places = _places([item.get("index") for item in items], count)
    if places is None:
        raise WrongVectorsError(
            f"The server returned {len(items)} vectors with the indices {[i.get('index') for i in items][:20]} for "
            f"{count} texts: it can't be said whose they are.",
            **_about(reply),
        )
    rows: list[Any] = [None] * count
    for place, item in zip(places, items, strict=True):
        rows[place] = _row(item.get("embedding")) or BadVectorError(
            "The server's vector for this text holds something else than finite numbers.", **_about(reply)
        )
    _check_lengths([len(row) for row in rows if not isinstance(row, BadVectorError)], dimensions, reply)
    return rows


def _about(reply: Reply) -> dict[str, Any]:
    return {"status_code": reply.status, "headers": reply.headers, "request_id": request_id_of(reply.headers)}


def _places(indices: list[Any], count: int) -> list[int] | None:
    """Return whose each vector is, or None if that can't be said.

    By index, if the indices are 0 to count - 1. In the order of arrival, if none is given, or all are 0 (One API's
    Gemini channel). One missing index is the number that the others leave (Gemini leaves out the 0).
    """
    in_order = list(range(count))
    if len(indices) != count:
        return None
    if count == 1 or all(index is None for index in indices) or indices == [0] * count:
        return in_order
    given = [index for index in indices if type(index) is int]
    missing = set(in_order).difference(given)
    if not missing:
        return given
    if indices.count(None) == len(missing) == 1:
        left = missing.pop()
        return [left if index is None else index for index in indices]
    return None


def _row(embedding: Any) -> array[float] | None:  # noqa: ANN401 - JSON is any value
    """Return a vector; an empty one or None if it is none."""
    try:
        if isinstance(embedding, str):
            row = array("f", b64decode(embedding, validate=True))
            if sys.byteorder == "big":
                row.byteswap()
        else:
            row = array("d", embedding)
    except (TypeError, ValueError, OverflowError):
        return None
    return row if isfinite(sum(row)) else None


def _check_lengths(lengths: list[int], dimensions: object, reply: Reply) -> None:
    """Refuse vectors of other lengths than asked for, or of different ones."""
    scope: Scope = "gateway"
    wrong = next((length for length in lengths if length != dimensions), None)
    if type(dimensions) is int and wrong is not None:
        what, scope = f"of {wrong} numbers, not of {dimensions}: it ignores `dimensions`.", "model"
    elif len(set(lengths)) > 1:
        what = f"of different lengths in one answer: {sorted(set(lengths))} numbers."
    else:
        return
    error = APIResponseError(f"The server returned vectors {what}", **_about(reply))
    error.scope = scope
    raise error

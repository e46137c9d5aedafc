"""What a refusal says: how many texts a request may hold, that it was too large, or that base64 isn't known.

Every server has its own words for it, and relays wrap them.
"""

from __future__ import annotations

import re
from typing import TypeVar

from xdm_integrations.core.errors.reply_text import parsed
from xdm_integrations.core.errors.tree import (
    APIResponseError,
    BadRequestError,
    ContextLengthExceededError,
    ServerError,
    UnsupportedParameterError,
    XDMError,
)

from .parse import WrongVectorsError

E = TypeVar("E", bound=XDMError)

_ENCODING = r"(?i)encoding.?format|base64|unmarshal string into .{0,80}(?:embedding|\[\]float)"
_SINGLE = r"(?i)unmarshal array into .{0,60}input|input\W{1,6}(?:must|should|has to) be a (?:valid )?string(?! or)"
_SIZE = (
    r"(?i)tokens? per request|too many tokens|total (?:number of )?tokens|tokens in (?:the|this|a|one) request|"
    r"(?:payload|entity|request|body|content)(?: body| size| entity)?(?: is)? too large|too many bytes|"
    r"exceed.{0,60}\bbytes|max.{0,60}\bbytes"
)
_TEXTS = (
    r"(?i)batch|input|\b(?:items?|texts?|instances?|array|elements?|entries|documents?|sentences?|sequences?|prompts?|"
    r"strings?)\b|数组|批|条"
)
_COUNT = (
    r"(?i)(?:(?:larger|greater|more) than|less than or equal to|at most|up to|maximum|max|limit|allowed|exceeds?|"
    r"length|batch size \d{1,6} ?>|<=|≤|超过|大于|最多|最大|上限)"
    r"(?:(?!token|character|byte|word|retr|attempt|restart|timeout|concurren)[^\d'\"{}]){0,60}?"
    r"(?<![\d./a-z])(\d{1,5})(?![\d.]*\d)"
    r"(?!\s?(?:tokens?|characters?|chars?|words?|bytes?|[kmg]i?b\b|dimensions?|字|requests? per|concurrent|%|m?s\b|"
    r"sec(?:ond)?s?\b|min(?:ute)?s?\b|retries|attempts?|times|秒|分钟|次))|"
    r"(?<![\d.])(\d{1,5}) \w{4,12}(?:\(s\))? (?:is|are) allowed"
)
_ELSEWHERE = ("model", "dimensions", "encoding_format", "user")
"""Parameters that aren't about the texts."""


def refuses_encoding(error: XDMError) -> bool:
    """True if the server doesn't know base64, or not the parameter that asks for it."""
    return isinstance(error, (BadRequestError, ServerError)) and bool(re.search(_ENCODING, _words(error)))


def count_limit(error: XDMError, count: int) -> int | None:
    """Return how many texts a request may hold, where the refusal of `count` texts says it."""
    if isinstance(error, WrongVectorsError):
        return 1
    if not isinstance(error, (BadRequestError, ServerError)):
        return None
    words = _words(error)
    if re.search(_SINGLE, words):
        return 1
    if not re.search(_TEXTS, words):
        return None  # of other things there are limits too, such as of seconds, and a passing failure may name one
    limits = (int(found[1] or found[2]) for found in re.finditer(_COUNT, words))
    return next((limit for limit in limits if 0 < limit < count), None)


def is_about_size(error: XDMError) -> bool:
    """True if the request was too large in tokens or bytes, whatever the number of its texts."""
    if not isinstance(error, BadRequestError):
        return False
    too_large = error.status_code == 413  # noqa: PLR2004 - HTTP's own
    return too_large or isinstance(error, ContextLengthExceededError) or bool(re.search(_SIZE, _words(error)))


def is_about_texts(error: XDMError) -> bool:
    """True if the error may be the fault of one text, or of too many: other texts may well be answered."""
    if isinstance(error, UnsupportedParameterError) or getattr(error, "param", None) in _ELSEWHERE:
        return False
    return isinstance(error, (BadRequestError, APIResponseError)) and error.scope == "request"


def name_input(error: E, position: int) -> E:
    """Return the error with the number of the text that it is about, from 0."""
    known = "" if error.position is None else f"input {error.position}: "
    error.position = position
    error.message = f"input {position}: {error.message.removeprefix(known)}"
    error.args = (error.message,)
    return error


def _words(error: BadRequestError | ServerError) -> str:
    """Return all that the server said, escapes of JSON undone."""
    return str(parsed(error.body.encode()) or error.body)

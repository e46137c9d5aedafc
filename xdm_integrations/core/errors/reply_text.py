"""What a reply says, whatever its form.

JSON of every shape that gateways and servers send (whatever the content type claims: errors are
labelled as event streams), web pages, text, nothing: all become an `ErrorBody`. Nothing here raises,
whatever the bytes; patterns run over a bounded start of a text, and each takes linear time. Nothing
that looks like a key gets past `sanitize` and `excerpt`.
"""

from __future__ import annotations

import math
import re
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core import jsontext

from .catalogue_rows import EMPTY, HTML, PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = 16_384  # characters that are read: an error is short, and every pattern scans them all
_KEPT = 4_096  # bytes of a body that an error keeps
_LABEL = 120  # characters of a code, type, param or id
# Patterns are texts: `re` compiles one when it is first needed, and remembers it.
_KEY = r"(?i)sk-(?:[A-Za-z0-9*_-]{8,}|[A-Za-z0-9*_-]*\Z)|\b(bearer)\s+[^\s\"'<>\\]+"
"""A key, or the start of one where the text was cut. Matches inside words too: a key may follow a `\\n` of JSON."""
_REQUEST_ID = r"(?i) ?\(request id: ?([^()]{1,200})\)"
REQUEST_ID_HEADERS = ("x-oneapi-request-id", "x-request-id")
_STATUS = r"[45]\d\d"
_MESSAGES = ("message", "localized_message", "message_zh", "msg", "detail", "error_description")


class ErrorBody(NamedTuple):
    """What a reply says; clean, so that it may be shown."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    """A status that the payload itself names."""
    request_id: str | None = None
    format: str = ""
    """A sign of `catalogue_rows` if it wasn't JSON."""


def read(headers: Mapping[str, str], body: bytes) -> ErrorBody:
    """Read a body of any kind."""
    payload = parsed(body)
    if payload is not None:
        return read_payload(payload, body)
    text = excerpt(body).lstrip("\ufeff \t\r\n")
    if not text:
        return ErrorBody(format=EMPTY)
    start = text[:1_000].lower()
    if not start.startswith("<") or not ("html" in start or "html" in headers.get("content-type", "")):
        words, request_id = _split(text)
        return ErrorBody(words, format=PLAIN, request_id=request_id)
    title = re.search(r"<title[^<>]*>([^<]*)", text, re.IGNORECASE)
    words = sanitize(title[1]) if title else ""
    return ErrorBody(words or sanitize(re.sub(r"<[^<>]*>", " ", text)), format=HTML)


def parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    """Parse a body, also one that is a single `data:` line; None if it isn't JSON."""
    text = body.strip()
    if text.startswith(b"data:"):
        text = text[5:].partition(b"\n")[0]
    return jsontext.read(text)


def read_payload(payload: object, body: bytes) -> ErrorBody:
    """Read parsed JSON of any shape."""
    if isinstance(payload, list) and payload and isinstance(payload[0], dict):
        payload = payload[0]  # Google wraps its error objects in a list
    if not isinstance(payload, dict):
        words, request_id = _split(payload if isinstance(payload, str) else excerpt(body or to_json(payload)))
        return ErrorBody(words, request_id=request_id)
    fields: dict[str, Any] = payload
    texts: list[str] = []
    for _ in range(4):  # FastAPI servers and chained relays wrap an error object in another
        inner = fields.get("error") or fields.get("detail")
        if not isinstance(inner, dict) or not inner:
            break
        fields = inner
    if isinstance(fields.get("error"), str):
        texts.append(fields["error"])
    texts += [_text_of(fields.get(name)) for name in _MESSAGES]
    known = fields is not payload or any(texts) or fields.keys() & {"type", "code", "message", "success"}
    told = " | ".join(dict.fromkeys(text.strip() for text in texts if text.strip()))
    words, request_id = _split(told if known else excerpt(body or to_json(payload)))
    labels = [_label(fields.get(name)) or "" for name in ("code", "param", "status", "status_code")]
    named = next((int(label) for label in labels if re.fullmatch(_STATUS, label)), None)
    return ErrorBody(
        words,
        type=_label(fields.get("type")) or _label(fields.get("status") if fields is not payload else None),
        code=_label(fields.get("code")),
        param=_label(fields.get("param")) or _place(fields.get("detail")),
        status=named,
        request_id=request_id,
    )


def _text_of(value: object) -> str:
    """Return the text of a message field: a string, or FastAPI's list of `{"loc": [...], "msg": "..."}`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        items = [item for item in value if isinstance(item, dict) and isinstance(item.get("msg"), str)]
        return "; ".join(f"{place}: {item['msg']}" if (place := _place([item])) else item["msg"] for item in items)
    return to_json(value).decode() if value and isinstance(value, dict) else ""


def _place(detail: object) -> str | None:
    """Return the name that FastAPI's first complaint is about: the last string of its `loc`."""
    first = detail[0] if isinstance(detail, list) and detail else None
    loc = first.get("loc") if isinstance(first, dict) else None
    names = [part for part in loc if isinstance(part, str) and part != "body"] if isinstance(loc, list) else []
    return _label(names[-1]) if names else None


def _label(value: object) -> str | None:
    """Return a code, type, param or id as a string; None for the many ways to say nothing."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:  # longer ones are no codes
        value = str(value)
    if not isinstance(value, str):
        return None
    text = truncate(sanitize(value), _LABEL)
    return None if text.lower() in ("", "<nil>", "nil", "null", "none") else text


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the gateway's id of the request. A chained relay's own may follow the first."""
    ids = next(filter(None, map(headers.get, REQUEST_ID_HEADERS)), None)
    return _label(ids.partition(",")[0]) if ids else None


def _split(text: str) -> tuple[str, str | None]:
    """Part the words from the request ids that relays append; the last one is the nearest gateway's."""
    words = sanitize(text)
    ids = re.findall(_REQUEST_ID, words)
    return sanitize(re.sub(_REQUEST_ID, " ", words)), _label(ids[-1]) if ids else None


def lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `headers` with names in lower case and values without keys."""
    return {name.lower(): _mask(value) for name, value in headers.items()}


def _mask(text: str) -> str:
    return re.sub(_KEY, lambda found: f"{found[1]} ***" if found[1] else "sk-***", text)


def sanitize(text: str) -> str:
    """Return the start of `text` as one printable line without keys."""
    text = _mask(text[:_READ]).encode("utf-8", "replace").decode()  # a lone surrogate can't be printed
    return " ".join(re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", " ", text).split())


def truncate(text: str, length: int) -> str:
    """Return `text`, or its start and an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def bare_url(url: str) -> str:
    """Return a URL for a message: without a query or credentials, which may hold a key."""
    return re.sub(r"//[^/@]*@", "//", url.partition("?")[0].partition("#")[0])


def excerpt(body: bytes) -> str:
    """Return the start of a body as text without keys."""
    return _mask(body[:_READ].decode("utf-8", "replace"))


def error_excerpt(body: bytes) -> str:
    """Return what an error keeps of a body: text without keys, of at most 4 kB."""
    return excerpt(body).encode()[:_KEPT].decode("utf-8", "ignore")


def to_json(payload: object) -> bytes:
    """Return a payload as JSON, or text as it is; b"" for what JSON can't express."""
    if isinstance(payload, str):
        return payload.encode("utf-8", "replace")
    try:
        return jsontext.dumps(payload)
    except (TypeError, ValueError, RecursionError):
        return b""


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Read how long the server asks to wait, in seconds; None if it doesn't, or says nonsense.

    `retry-after-ms` (milliseconds) comes before `retry-after` (seconds or an HTTP date). A
    date counts from the reply's own `date` if it has one, since clocks differ, else from `now`
    (seconds since 1970). Names of `headers` are in lower case.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return seconds
    moment = _date(text)
    start = _date(headers.get("date")) or now
    if moment is None or start is None:
        return None
    return max(0.0, moment - start)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _date(text: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()  # HTTP has GMT only
    except (ValueError, OverflowError):
        return None

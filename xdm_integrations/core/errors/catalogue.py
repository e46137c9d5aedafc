"""From a reply to an error: which class, whose fault, whether to send again, what to do.

    error_for(status, headers, body)     any reply that isn't 2xx, or a 2xx without an answer
    error_in(payload)                    the error that a 2xx body or a stream event holds, if any
    not_an_answer(status, headers, body) a 2xx that holds neither an answer nor an error

What decides is the table in `catalogue_rows`, asked with what `reply_text` has read out of the
reply. The advice uses the words of the `endpoint` that was asked. None of the three ever raises,
whatever the bytes, and each takes time linear in them. A message is one line: a hint, the server's
own words, and status, code and request id. No message and no `.body` holds anything that looks like
a key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .catalogue_rows import CHALLENGE, DIRECT, EMPTY, GATEWAY, HTML, ROWS, STATUS_OF, UPSTREAM, Row
from .endpoints import WORDS
from .reply_text import (
    ErrorBody,
    bare_url,
    error_excerpt,
    excerpt,
    lower_names,
    parsed,
    read,
    read_payload,
    request_id_of,
    retry_after,
    sanitize,
    to_json,
    truncate,
)
from .tree import APIResponseError, APIStatusError, Retry, UnsupportedParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .endpoints import Endpoint

_SHOWN = 300  # characters of the server's words in the message
_PASSED_ON = ("upstream_error", "bad_response_status_code")
_ENDPOINT = r"/(?:(?:chat/)?completions|embeddings)/?$|^/?$"


def error_for(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    endpoint: Endpoint = "completions",
    now: float | None = None,
) -> APIStatusError | APIResponseError:
    """Return the error that a reply stands for: one other than 2xx, or a 2xx that holds no answer.

    `now` is in seconds since 1970, to read a `Retry-After` that is a date where the reply has none of its own.
    """
    headers = lower_names(headers)
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers, here and below
        error = error_in(parsed(body), status=status, headers=headers, body=body, endpoint=endpoint)
        return error or not_an_answer(status, headers, body, endpoint)
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own
        return _redirect(status, headers, body)
    reply = read(headers, body)
    passed_on = reply.type in _PASSED_ON or reply.code in _PASSED_ON
    upstream = reply.status if passed_on and reply.param == str(reply.status) else None
    return _error(upstream or status, status, reply, headers, body, endpoint, now)


def error_in(  # noqa: PLR0913 - all that an error keeps
    payload: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    kind: str = "",
    endpoint: Endpoint = "completions",
) -> APIStatusError | APIResponseError | None:
    """Return the error that a 2xx body or the event of a stream holds, or None if it holds none.

    `payload` is the parsed JSON, or the text where it isn't JSON, and `body` its bytes, which the error keeps.
    A `kind` of "error" (the `event` field) makes any payload one.
    """
    if kind != "error" and not _is_error(payload):
        return None
    reply = read_payload(payload, body)
    return _error(reply.status, status, reply, lower_names(headers or {}), body or to_json(payload), endpoint)


def not_an_answer(
    status: int, headers: Mapping[str, str], body: bytes, endpoint: Endpoint = "completions", *, what: str = ""
) -> APIResponseError:
    """Return the error for a 2xx body, or for a piece of a stream, that is no answer.

    Args:
        status: The reply's.
        headers: The reply's.
        body: The body, or the piece.
        endpoint: The request's.
        what: What went wrong, where it isn't the body that tells; such a failure passes.
    """
    headers = lower_names(headers)
    reply = read(headers, body)
    payload = parsed(body)
    words, parts = WORDS[endpoint], "data" if endpoint == "embeddings" else "choices"
    retry: Retry = "once"
    if what:
        retry = "backoff"
    elif reply.format == EMPTY:
        what, retry = "The server sent an empty body", "backoff"
    elif reply.format == HTML:
        what, retry = "The server sent a web page, not an answer: did you forget /v1 at the end of base_url?", "never"
    elif isinstance(payload, dict) and not payload.get(parts):
        what = f"The answer has no {words.parts}: the provider filtered it, or failed"
    elif payload is not None:
        what = f"The server sent JSON that isn't {words.one}"
    elif body.lstrip()[:1] in (b"{", b"["):
        what = "The server sent broken JSON"
    else:
        what = "The server sent text that isn't JSON"
    request_id = request_id_of(headers) or reply.request_id
    shown = reply.message if reply.format else sanitize(excerpt(body))
    kind = truncate(sanitize(headers.get("content-type", "")), 80)
    message = _message(what, shown, "It said", status, kind, request_id=request_id)
    error = APIResponseError(
        message, status_code=status, headers=headers, body=error_excerpt(body), request_id=request_id, retry=retry
    )
    if isinstance(payload, dict) and parts in payload:
        error.scope = "request"  # another one may well be answered
    return error


def _is_error(payload: object) -> bool:
    """Tell an error from an answer, and both from what is neither."""
    if isinstance(payload, list):
        payload = payload[0] if payload else None
    if not isinstance(payload, dict):
        return False
    if payload.get("error"):
        return True
    if payload.get("success") is False or payload.get("object") == "error":
        return not payload.get("choices")
    if payload.get("choices") or isinstance(payload.get("data"), list) or payload.get("success") is True:
        return False
    # A `message` that is an object is a chat answer (Ollama's own shape).
    texts = [payload.get(name) for name in ("message", "msg")]
    return bool(payload.get("detail")) or any(text and isinstance(text, str) for text in texts)


def _error(  # noqa: PLR0913, PLR0917 - all that an error keeps
    status: int | None,
    http_status: int,
    reply: ErrorBody,
    headers: dict[str, str],
    body: bytes,
    endpoint: Endpoint,
    now: float | None = None,
) -> APIStatusError:
    """Look the reply up in the table; `status` is the one that counts, None if nobody named one."""
    row, found = _find(status, reply, _source(headers, reply), headers)
    if status is None:
        status = next(number for error, number in STATUS_OF if issubclass(row.error, error))
    groups = {name: text for name, text in (found.groupdict() if found else {}).items() if text}
    param = groups.get("param") or row.param or reply.param
    wait = retry_after(headers, now)
    asked = f"retry after {round(wait, 1):g} s" if wait else None  # otherwise its words say it
    if wait is None and "minutes" in groups:
        wait = 60.0 * int(groups["minutes"])
    elif wait is None and "seconds" in groups:
        wait = float(groups["seconds"])
    request_id = request_id_of(headers) or reply.request_id
    hint = row.hint.format(param=f"`{param}`" if param else "a parameter", **WORDS[endpoint]._asdict())
    inner = f"the provider's status {status}" if http_status not in (status, 200) else None
    code = None if reply.code == str(http_status) else reply.code  # llama.cpp's says the status once more
    label = code or reply.type or {HTML: "a web page", EMPTY: "an empty body"}.get(reply.format)
    message = _message(hint, reply.message, "The gateway said", http_status, inner, label, asked, request_id=request_id)
    error = row.error(
        message,
        status_code=status,
        type=reply.type,
        code=reply.code,
        param=param,
        scope=row.scope,
        headers=headers,
        body=error_excerpt(body),
        retry_after=wait,
        request_id=request_id,
        retry=row.retry,
    )
    if isinstance(error, UnsupportedParameterError):
        error.instead = groups.get("instead")
    return error


def _find(
    status: int | None, reply: ErrorBody, source: str, headers: Mapping[str, str]
) -> tuple[Row, re.Match[str] | None]:
    """Return the first row that fits, by the rules that `catalogue_rows` begins with."""
    codes = {code.lower() for code in (reply.type, reply.code, reply.format) if code}
    if "cf-mitigated" in headers:
        codes.add(CHALLENGE)
    for row in ROWS:
        if row.sources and source not in row.sources.split():
            continue
        if status is None:
            if not (row.codes or row.text):
                continue
        elif row.status != () and status not in row.status:
            continue
        found = re.search(row.text, reply.message, re.IGNORECASE) if row.text else None
        if found or not (row.codes or row.text) or not codes.isdisjoint(row.codes.split()):
            return row, found
    return _find(500, reply, source, headers)  # of an error inside a 200 that says nothing of its kind


def _source(headers: Mapping[str, str], reply: ErrorBody) -> str:
    """Tell whose words these are: brands of gateways end in `_api_error` (`new_api_error`, `rix_api_error`, ...)."""
    kind = (reply.type or "").lower()
    if kind.endswith(("_api_error", "_api_panic")) or kind == "one_hub_error":
        return GATEWAY
    relayed = "x-oneapi-request-id" in headers or reply.request_id or reply.type in _PASSED_ON
    return UPSTREAM if relayed else DIRECT


def _redirect(status: int, headers: dict[str, str], body: bytes) -> APIStatusError:
    """Return the error for a redirect that must not be followed: it would lose the body, or carry the key away."""
    target = sanitize(bare_url(headers.get("location", "")))
    what = "The gateway redirects, without saying where: check base_url"
    if target:
        what = f"The gateway redirects to {truncate(target, _SHOWN)}, and a POST doesn't survive that: check base_url"
        root = _root_of(target)
        if root:
            what = f"{what}, perhaps it must be {root}"
    request_id = request_id_of(headers)
    return APIStatusError(
        _message(what, "", "", status, request_id=request_id),
        status_code=status,
        headers=headers,
        body=error_excerpt(body),
        request_id=request_id,
    )


def _root_of(target: str) -> str | None:
    """Return the base_url whose endpoint `target` is, or None if it is none that can be told."""
    try:
        url = urlsplit(target)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # no URL
        return None
    ending = re.search(_ENDPOINT, url.path)
    return f"{url.scheme}://{url.netloc}{url.path[: ending.start()] or '/v1'}" if usable and ending else None


def _message(what: str, words: str, says: str, status: int, *details: str | None, request_id: str | None) -> str:
    about = [f"HTTP {status}", *(detail for detail in details if detail)]
    if request_id:
        about.append(f"request id {request_id}")
    ending = f"({', '.join(about)})"
    if words:
        stop = " " if what[-1:] in (".", "?") else ". "
        return f'{what}{stop if what else ""}{says}: "{truncate(words, _SHOWN)}" {ending}'
    return f"{what.rstrip('.') or 'The gateway gave no reason'} {ending}"

"""From a reply to an error: which class, whose fault, whether to send again, what to do.

    error_for(status, headers, body)     any reply that isn't 2xx
    error_in(payload)                    the error that a 2xx body or a stream event holds, if any
    not_an_answer(status, headers, body) a 2xx that holds neither an answer nor an error

What decides is the table in `catalogue_rows`, asked with what `said` has read out of the reply.
None of the three ever raises, whatever the bytes, and each takes time linear in them. A message
is one line: a hint, the server's own words, and status, code and request id. No message and no
`.body` holds anything that looks like a key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from xdm_integrations.core.protocol.config import normalize_base_url

from .catalogue_rows import CHALLENGE, DIRECT, EMPTY, GATEWAY, HTML, OTHER, ROWS, STATUS_OF, UPSTREAM, Row
from .reply_text import (
    Said,
    clean,
    cut,
    dump,
    excerpt,
    kept,
    lower,
    parsed,
    read,
    read_payload,
    request_id_of,
    retry_after,
)
from .tree import APIResponseError, APIStatusError, Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.completions.results import Completion

_SHOWN = 300  # characters of the server's words in the message
_PASSED_ON = ("upstream_error", "bad_response_status_code")
_USER = r"//[^/@]*@"
_ENDPOINT = r"/(?:chat/)?completions/?$|^/?$"


def error_for(
    status: int, headers: Mapping[str, str], body: bytes, partial: Completion | None = None
) -> APIStatusError | APIResponseError:
    """Return the error that a reply other than 2xx stands for.

    Args:
        status: The HTTP status.
        headers: The reply's headers.
        body: The reply's body, of any kind.
        partial: What had arrived of the answer.
    """
    headers = lower(headers)
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers, here and below
        error = error_in(parsed(body), status=status, headers=headers, body=body, partial=partial)
        return error or not_an_answer(status, headers, body, partial)
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own
        return _redirect(status, headers, body, partial)
    said = read(headers, body)
    passed_on = said.type in _PASSED_ON or said.code in _PASSED_ON
    upstream = said.status if passed_on and said.param == str(said.status) else None
    return _error(upstream or status, status, said, headers, body, partial)


def error_in(  # noqa: PLR0913 - all that an error keeps
    payload: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    kind: str = "",
    partial: Completion | None = None,
) -> APIStatusError | APIResponseError | None:
    """Return the error that a 2xx body or the event of a stream holds, or None if it holds none.

    Args:
        payload: The parsed JSON; the text itself if it isn't JSON.
        status: The HTTP status.
        headers: The reply's headers.
        body: The bytes of `payload`, to be kept on the error.
        kind: The `event` field of the event; "error" makes any payload an error.
        partial: What had arrived of the answer.
    """
    if kind != "error" and not _is_error(payload):
        return None
    said = read_payload(payload, body)
    return _error(said.status, status, said, lower(headers or {}), body or dump(payload), partial)


def not_an_answer(
    status: int, headers: Mapping[str, str], body: bytes, partial: Completion | None = None
) -> APIResponseError:
    """Return the error for a 2xx body that is no completion: a web page, text, nothing, other JSON.

    Args:
        status: The HTTP status.
        headers: The reply's headers.
        body: The whole body, or the piece of a stream that can't be understood.
        partial: What had arrived of the answer.
    """
    headers = lower(headers)
    said = read(headers, body)
    payload = parsed(body)
    retry: Retry = "once"
    if said.form == EMPTY:
        what, retry = "The server sent an empty body", "backoff"
    elif said.form == HTML:
        what, retry = "The server sent a web page, not an answer: did you forget /v1 at the end of base_url?", "never"
    elif isinstance(payload, dict) and not payload.get("choices"):
        what = "The answer has no choices: the provider filtered it, or failed"
    elif payload is not None:
        what = "The server sent JSON that isn't a completion"
    elif body.lstrip()[:1] in (b"{", b"["):
        what = "The server sent broken JSON"
    else:
        what = "The server sent text that isn't JSON"
    request_id = request_id_of(headers) or said.request_id
    words = said.words if said.form else clean(excerpt(body))
    kind = cut(clean(headers.get("content-type", "")), 80)
    message = _message(what, words, "It said", status, kind, request_id=request_id)
    return APIResponseError(
        message,
        status_code=status,
        headers=headers,
        body=kept(body),
        partial=partial,
        request_id=request_id,
        retry=retry,
    )


def _is_error(payload: object) -> bool:
    """Tell an error from an answer, and both from what is neither."""
    if isinstance(payload, list):
        payload = payload[0] if payload else None
    if not isinstance(payload, dict):
        return False
    if payload.get("error"):
        return True
    if payload.get("choices") or payload.get("success") is True:
        return False
    if payload.get("success") is False or payload.get("object") == "error":
        return True
    # A `message` that is an object is a chat answer (Ollama's own shape).
    texts = [payload.get(name) for name in ("message", "msg")]
    return bool(payload.get("detail")) or any(text and isinstance(text, str) for text in texts)


def _error(  # noqa: PLR0913, PLR0917 - all that an error keeps
    status: int | None,
    http_status: int,
    said: Said,
    headers: dict[str, str],
    body: bytes,
    partial: Completion | None,
) -> APIStatusError:
    """Look the reply up in the table; `status` is the one that counts, None if nobody named one."""
    speaker = _speaker(headers, said)
    row, found = _find(status, said, speaker, headers)
    if status is None:
        status = next(number for error, number in STATUS_OF if issubclass(row.error, error))
    groups = {name: text for name, text in (found.groupdict() if found else {}).items() if text}
    param = groups.get("param") or said.param
    wait = retry_after(headers)
    if wait is None and "minutes" in groups:
        wait = 60.0 * int(groups["minutes"])
    elif wait is None and "seconds" in groups:
        wait = float(groups["seconds"])
    request_id = request_id_of(headers) or said.request_id
    hint = row.hint.replace("{param}", f"`{param}`" if param else "a parameter")
    inner = f"the provider's status {status}" if http_status not in (status, 200) else None
    label = said.code or said.type or {HTML: "a web page", EMPTY: "an empty body"}.get(said.form)
    message = _message(hint, said.words, "The gateway said", http_status, inner, label, request_id=request_id)
    return row.error(
        message,
        status_code=status,
        type=said.type,
        code=said.code,
        param=param,
        scope=row.scope,
        headers=headers,
        body=kept(body),
        retry_after=wait,
        partial=partial,
        request_id=request_id,
        retry=row.retry,
    )


def _find(status: int | None, said: Said, speaker: str, headers: Mapping[str, str]) -> tuple[Row, re.Match[str] | None]:
    """Return the first row that fits, by the rules that `catalogue_rows` begins with."""
    signs = {sign.lower() for sign in (said.type, said.code, said.form) if sign}
    if "cf-mitigated" in headers:
        signs.add(CHALLENGE)
    for row in ROWS:
        if row.by and speaker not in row.by.split():
            continue
        if status is None:
            if not (row.signs or row.text):
                continue
        elif row.status != () and status not in row.status:
            continue
        found = re.search(row.text, said.words, re.IGNORECASE) if row.text else None
        if found or not (row.signs or row.text) or not signs.isdisjoint(row.signs.split()):
            return row, found
    return _find(500, said, speaker, headers) if status is None else (OTHER, None)


def _speaker(headers: Mapping[str, str], said: Said) -> str:
    """Tell who speaks: brands of gateways end in `_api_error` (`new_api_error`, `rix_api_error`, ...)."""
    kind = (said.type or "").lower()
    if kind.endswith(("_api_error", "_api_panic")) or kind == "one_hub_error":
        return GATEWAY
    relayed = "x-oneapi-request-id" in headers or said.request_id or said.type in _PASSED_ON
    return UPSTREAM if relayed else DIRECT


def _redirect(status: int, headers: dict[str, str], body: bytes, partial: Completion | None) -> APIStatusError:
    """Return the error for a redirect that must not be followed: it would lose the body, or carry the key away."""
    target = re.sub(_USER, "//", clean(headers.get("location", "").partition("?")[0].partition("#")[0]))
    what = "The gateway redirects, without saying where: check base_url"
    if target:
        what = f"The gateway redirects to {cut(target, _SHOWN)}, and a POST doesn't survive that: check base_url"
        try:
            if re.search(_ENDPOINT, urlsplit(target).path) and urlsplit(target).netloc:
                what = f"{what}, perhaps it must be {normalize_base_url(target, allow_http=True)}"
        except ValueError:
            pass  # not a URL to propose
    request_id = request_id_of(headers)
    return APIStatusError(
        _message(what, "", "", status, request_id=request_id),
        status_code=status,
        headers=headers,
        body=kept(body),
        partial=partial,
        request_id=request_id,
    )


def _message(what: str, words: str, says: str, status: int, *details: str | None, request_id: str | None) -> str:
    about = [f"HTTP {status}", *(detail for detail in details if detail)]
    if request_id:
        about.append(f"request id {request_id}")
    ending = f"({', '.join(about)})"
    if words:
        stop = " " if what[-1:] in (".", "?") else ". "
        return f'{what}{stop if what else ""}{says}: "{cut(words, _SHOWN)}" {ending}'
    return f"{what.rstrip('.') or 'The gateway gave no reason'} {ending}"

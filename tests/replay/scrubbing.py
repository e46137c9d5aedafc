"""What must never be in a recording, and how it is taken out. Doing it twice changes nothing.

A key can stand in more places than the `Authorization` header: gateways quote it in their errors,
cookies carry sessions. vcrpy calls these functions when it records, and again when it loads.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

REDACTED = "REDACTED"
SECRET = re.compile(
    r"sk-(?!REDACTED)[A-Za-z0-9_*-]{6,}"  # keys, and what gateways leave of them: sk-ab***yz
    r"|(?<=Bearer )(?!(?:sk-)?REDACTED)[^\s\"',]+"
    r"|(?<=key-of-the-local-engine-)\w+"
)
"""Text that looks like a key, whoever wrote it."""

_PERSONAL = {"set-cookie", "set-cookie2", "cf-ray", "report-to", "nel", "cf-connecting-ip", "x-forwarded-for"}


def clean_text(text: str) -> str:
    """Replace every key in a text."""
    return SECRET.sub(lambda found: "sk-" + REDACTED if found[0].startswith("sk-") else REDACTED, text)


def clean_request(request: Any) -> Any:
    """Take keys out of a request's headers and body. Given a copy by vcrpy."""
    for name in list(request.headers):
        if name.lower() in ("authorization", "cookie"):
            request.headers[name] = REDACTED
        else:
            request.headers[name] = clean_text(str(request.headers[name]))
    if request.body:
        request.body = clean_text(request.body.decode("utf-8")).encode("utf-8")
    return request


def clean_response(response: dict[str, Any]) -> dict[str, Any]:
    """Take keys and cookies out of a reply, and mend its Content-Length."""
    response = copy.deepcopy(response)
    headers = {name: values for name, values in response["headers"].items() if name.lower() not in _PERSONAL}
    response["headers"] = {
        name: [clean_text(v) for v in values] if isinstance(values, list) else clean_text(str(values))
        for name, values in headers.items()
    }
    body = response["body"].get("string") or b""
    data = body.encode("utf-8") if isinstance(body, str) else body
    cleaned = clean_text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if cleaned != data:
        response["body"]["string"] = cleaned.decode("utf-8") if isinstance(body, str) else cleaned
        for name in response["headers"]:
            if name.lower() == "content-length":
                response["headers"][name] = [str(len(cleaned))]
    return response


def secrets_in(text: str) -> list[str]:
    """Return whatever in a recording looks like a key or a session."""
    found = SECRET.findall(text)
    for line in text.splitlines():
        name = line.strip().strip("-").strip().partition(":")[0].lower()
        if name in _PERSONAL:
            found.append(line.strip())
    return found


def as_json(body: bytes | str | None) -> Any:
    """Read the body of a recorded request."""
    return json.loads(body or b"null")

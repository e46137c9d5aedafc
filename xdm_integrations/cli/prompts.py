"""From lines to tasks: what each asks for, of which endpoint, with which parameters; or why it can't be asked."""

from __future__ import annotations

import json
from difflib import get_close_matches
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations import ConfigurationError
from xdm_integrations.core.protocol.checks import OPTIONS

from .endpoints import CHAT, COMPLETIONS, ENDPOINTS, Endpoint, endpoint_of
from .inputs import BadLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .inputs import Input

_ABOUT_A_LINE = ("id", "custom_id", "metadata")
_REQUEST = ("custom_id", "method", "url", "body")
_NEAR = 0.85
"""So alike are a name and its misspelling; `top_k` and `top_p`, which some servers both have, are less."""


class Task(NamedTuple):
    """What one line asks.

    Attributes:
        line: The line, counted from 1.
        id: Its own id, or None.
        endpoint: Whom it asks.
        content: The prompt (a text or token ids), the messages, or the input.
        params: What the client is called with.
        own: The parameters of the line itself, which are among `params`.
        metadata: What the line says about itself; it is written beside the answer.
        is_request: Whether it is a line of OpenAI's batch format, and its answer one too.
    """

    line: int
    id: Any
    endpoint: Endpoint
    content: Any
    params: dict[str, Any]
    own: dict[str, Any]
    metadata: Any = None
    is_request: bool = False

    @property
    def mark(self) -> bytes:
        """A short mark of what is asked, by which its answer is found again."""
        if self.is_request:
            return mark_of([self.id, self.endpoint.path, self.content, self.params])
        return mark_of([self.id, self.content, *([self.own] if self.own else [])])


def mark_of(value: object) -> bytes:
    """Return a short mark of a value of JSON."""
    return blake2b(json.dumps(value).encode(), digest_size=12).digest()


def read_tasks(source: Input, params: Mapping[str, Any], only: set[int] | None = None) -> Iterator[Task | BadLine]:
    """Read what the lines ask, with `params` where they don't say otherwise; see `Input.rows`."""
    ids: dict[Any, int] = {}
    for row in source.rows(only):
        if isinstance(row, BadLine):
            yield row
            continue
        value = row.value
        fields = value if isinstance(value, dict) else {"messages" if _are_messages(value) else "prompt": value}
        own_id = fields.get("custom_id", fields.get("id"))
        try:
            task = (_request if "body" in fields or "url" in fields else _plain)(row.line, own_id, fields, params)
        except (ConfigurationError, RecursionError) as error:
            yield BadLine(row.line, str(error), own_id)
            continue
        first = ids.setdefault(own_id, row.line) if task.is_request else row.line
        yield task if first == row.line else BadLine(row.line, f"custom_id: line {first} has the same.", own_id)


def _plain(line: int, own_id: Any, fields: Mapping[str, Any], params: Mapping[str, Any]) -> Task:  # noqa: ANN401 - JSON
    endpoint = CHAT if "messages" in fields else COMPLETIONS
    content = fields.get(endpoint.content)
    if endpoint is COMPLETIONS and not _is_one_prompt(content):
        raise ConfigurationError(
            'expected a JSON string, {"prompt": "...", "id": ...} or {"messages": [...], "id": ...}; a prompt is one '
            "text, or the token ids of one."
        )
    own = {name: v for name, v in fields.items() if name not in (endpoint.content, *_ABOUT_A_LINE)}
    if strange := [name for name in own if name not in endpoint.parameters and name not in OPTIONS]:
        told = ", ".join(_named(name, endpoint) for name in strange)
        raise ConfigurationError(
            f"{told}: no parameter of {endpoint.path}; what only belongs to you goes into `metadata` or `id`, and a "
            f"server's own field into `extra_body`."
        )
    return _checked(Task(line, own_id, endpoint, content, {**params, **own}, own, fields.get("metadata")))


def _request(line: int, own_id: Any, fields: Mapping[str, Any], params: Mapping[str, Any]) -> Task:  # noqa: ANN401 - JSON
    if strange := [name for name in fields if name not in _REQUEST]:
        raise ConfigurationError(f"{', '.join(strange)}: a line of a batch has only {', '.join(_REQUEST)}.")
    if not isinstance(own_id, str) or not own_id:
        raise ConfigurationError("custom_id: each line of a batch needs one, a text.")
    if str(fields.get("method", "POST")).upper() != "POST":
        raise ConfigurationError(f"method: {fields['method']!r} must be POST.")
    endpoint = endpoint_of(fields.get("url"))
    if endpoint is None:
        known = ", ".join(f"/v1{endpoint.path}" for endpoint in ENDPOINTS)
        raise ConfigurationError(f"url: {fields.get('url')!r} must be one of {known}.")
    body = fields.get("body")
    if not isinstance(body, dict):
        raise ConfigurationError("body: expected an object.")
    if body.get("stream"):
        raise ConfigurationError("stream: the answers of a batch don't come as streams.")
    own = {name: value for name, value in body.items() if name not in (endpoint.content, "stream")}
    extra = {name: own.pop(name) for name in list(own) if name not in endpoint.parameters}
    if near := [_named(name, endpoint) for name in extra if _near(name, endpoint)]:
        raise ConfigurationError(f"{', '.join(near)}: no parameter of {endpoint.path}.")
    merged = {**params, **own, **({"extra_body": extra} if extra else {})}
    return _checked(Task(line, own_id, endpoint, body.get(endpoint.content), merged, own, is_request=True))


def _checked(task: Task) -> Task:
    """Refuse what the client would refuse, before anything is sent."""
    endpoint = task.endpoint
    if task.content is None:
        raise ConfigurationError(f"{endpoint.content}: it is missing.")
    endpoint.check_content(task.content)
    endpoint.check({name: value for name, value in task.params.items() if name not in OPTIONS})
    return task


def _named(field: str, endpoint: Endpoint) -> str:
    """Return the name of a field, with the parameter that it seems to mean."""
    near = _near(field, endpoint)
    return f"{field} ({near}?)" if near else field


def _near(field: str, endpoint: Endpoint) -> str | None:
    known = {_bare(name): name for name in endpoint.parameters}
    near = get_close_matches(_bare(field), known, n=1, cutoff=_NEAR)
    return known[near[0]] if near else None


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _are_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _is_one_prompt(value: object) -> bool:
    return bool(value) and (isinstance(value, str) or (isinstance(value, list) and all(map(_is_token, value))))


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

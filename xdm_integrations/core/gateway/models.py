"""The endpoint `GET /v1/models`: what a key may use, and the names near to one that it may not.

The list has several families (read in their sources): One API sends `{"object", "data"}` whose
entries have a `permission`; New API before 0.9.25 `{"success", "data"}` without `object`; later
ones `supported_endpoint_types`; one-hub, vLLM and llama.cpp more keys. All that is needed is an id.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core.errors.catalogue import error_in
from xdm_integrations.core.errors.reply_text import error_excerpt, request_id_of
from xdm_integrations.core.errors.tree import APIResponseError, XDMError
from xdm_integrations.core.protocol.flow import deadline_of, get_json, soon
from xdm_integrations.core.protocol.retry import RetryPolicy
from xdm_integrations.core.protocol.wire import Key, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from xdm_integrations.core.errors.tree import ModelUnavailableError
    from xdm_integrations.core.protocol.call import Call, Setup
    from xdm_integrations.core.protocol.flow import Flow
    from xdm_integrations.core.protocol.retry import Runtime
    from xdm_integrations.core.protocol.wire import Reply

PATH = "/models"

_GLANCE = 0.05
"""Seconds between two looks at whether another call has brought them."""


class Model(NamedTuple):
    """A model that the gateway offers to a key.

    Attributes:
        id: The name to pass as `model`.
        owned_by: Who made it, as the gateway says ("custom" where it doesn't know); "" if it doesn't say.
        created: Seconds since 1970, often a placeholder; None if not given.
        endpoint_types: The APIs it can be used with ("openai", "anthropic", ...), as newer
            gateways say; empty where they don't. No gateway says whether a model takes text
            completions: ask `complete`.
        raw: The entry as it was sent.
    """

    id: str
    owned_by: str = ""
    created: int | None = None
    endpoint_types: tuple[str, ...] = ()
    raw: Mapping[str, Any] = {}


def models_flow(setup: Setup) -> Flow[list[Model]]:
    """Ask which models the key may use, and remember their names.

    Raises:
        APIResponseError: The answer isn't a list of models.
        XDMError: The call failed.
    """
    config, runtime = setup.config, setup.runtime
    headers = setup.headers((yield Key()))
    deadline = deadline_of(config.timeout, runtime)
    payload, reply = yield from get_json(
        config.base_url + PATH, headers, runtime, timeout=config.timeout, deadline=deadline, policy=config.retry
    )
    models = parse_models(payload, reply)
    setup.facts.offered = tuple(model.id for model in models)
    return models


def parse_models(payload: Any, reply: Reply) -> list[Model]:  # noqa: ANN401 - JSON is any value
    """Return the models that a reply lists, in its order, each id once.

    Raises:
        APIResponseError: It is no list of models.
        APIStatusError: It is an error in spite of its status, such as 200 `{"success": false}`.
    """
    entries = payload
    if isinstance(payload, dict):
        entries = payload.get("data", payload.get("models"))
        if entries is None and "data" in payload and payload.get("success", True) is True and not payload.get("error"):
            entries = []  # Go's nil slice: a key without any model
    if not isinstance(entries, list):
        raise error_in(payload, status=reply.status, headers=reply.headers, body=reply.body) or APIResponseError(
            "GET /models: the server sent JSON that isn't a list of models.",
            status_code=reply.status,
            headers=reply.headers,
            body=error_excerpt(reply.body),
            request_id=request_id_of(reply.headers),
        )
    models = (_model(entry) for entry in entries)
    return list({model.id: model for model in models if model.id}.values())


def _model(entry: object) -> Model:
    if not isinstance(entry, dict):
        return Model(entry if isinstance(entry, str) else "")
    created, types = entry.get("created"), entry.get("supported_endpoint_types")
    return Model(
        id=str(entry.get("id") or entry.get("name") or ""),
        owned_by=str(entry.get("owned_by") or ""),
        created=created if isinstance(created, int) else None,
        endpoint_types=tuple(str(kind) for kind in types) if isinstance(types, list) else (),
        raw=entry,
    )


def nearest(name: str, offered: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Return the offered names most like `name`, the likest first, whatever their case."""
    by_lower = {one.lower(): one for one in offered}
    return tuple(by_lower[near] for near in get_close_matches(name.lower(), by_lower, count, 0.6))


def suggest_models(error: ModelUnavailableError, call: Call, setup: Setup, deadline: float | None) -> Flow[None]:
    """Put the nearest offered names into an error about the model of `call`, which its flow raises again.

    The list is asked for once in a client's life, unless `Client.models` has brought it: by one request without
    retries, for `PATIENCE` seconds and within the call's own limits. Calls that fail meanwhile wait for it. A model
    that is on the list has nothing nearer than itself. Whatever comes of looking the names up, the error stays the
    call's.
    """
    facts, runtime = setup.facts, setup.runtime
    until = soon(deadline, runtime)
    while facts.asking and runtime.monotonic() < until:
        yield Wait(_GLANCE)
    if facts.offered is None and not facts.asking:
        facts.asking = True
        try:
            facts.offered = yield from _offered(call, runtime, until)
        except XDMError:  # the call's own error matters
            facts.offered = ()
        finally:  # if it was cancelled, the next call may ask
            facts.asking = False
    offered = facts.offered or ()
    if call.model not in offered:
        error.suggest(nearest(call.model, offered))


def _offered(call: Call, runtime: Runtime, until: float) -> Flow[tuple[str, ...]]:
    payload, reply = yield from get_json(
        call.base_url + PATH,
        call.headers,
        runtime,
        timeout=call.timeout,
        deadline=until,
        policy=RetryPolicy(max_retries=0),
    )
    return tuple(model.id for model in parse_models(payload, reply))


__all__ = ["Model", "models_flow", "nearest", "parse_models", "suggest_models"]

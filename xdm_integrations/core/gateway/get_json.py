"""A question to the gateway: one GET, answered with JSON. What `models` and `quota` ask with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.catalogue import not_an_answer
from xdm_integrations.core.protocol.flow import Flow, send_flow
from xdm_integrations.core.protocol.wire import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xdm_integrations.core.errors.tree import XDMError
    from xdm_integrations.core.protocol.retry import RetryPolicy, Runtime
    from xdm_integrations.core.protocol.wire import Timeout

PATIENCE = 5.0
"""Seconds that an answer may wait for what it can do without."""


def soon(deadline: float | None, runtime: Runtime) -> float:
    """Return when `PATIENCE` is over, or the call's own deadline if that is earlier."""
    patience = runtime.monotonic() + PATIENCE
    return patience if deadline is None else min(patience, deadline)


def get_json(  # noqa: PLR0913 - all that a request needs
    url: str,
    headers: Mapping[str, str],
    runtime: Runtime,
    *,
    timeout: Timeout,
    deadline: float | None,
    policy: RetryPolicy,
    handled_by_caller: Callable[[XDMError], bool] | None = None,
) -> Flow[tuple[Any, Reply]]:
    """Ask `url` and return the JSON it answers with, and the reply that brought it.

    The header of a client's that describes a body stays behind. See `send_flow` for policy and `handled_by_caller`.

    Raises:
        APIResponseError: A 2xx that isn't JSON.
        XDMError: The request failed.
    """

    def receive(reply: Reply) -> Flow[tuple[Any, Reply]]:
        yield from ()  # a flow like any other, with nothing left to wait for
        payload = jsontext.read(reply.body)
        if payload is None:
            raise not_an_answer(reply.status, reply.headers, reply.body)
        return payload, reply

    bare = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    request = Request(url, bare, method="GET", timeout=timeout, deadline=deadline)
    return (yield from send_flow(request, receive, policy, runtime, handled_by_caller))

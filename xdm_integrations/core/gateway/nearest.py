"""The names near to a model that isn't offered, in the error that says so."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from xdm_integrations.core.errors.tree import ModelUnavailableError
from xdm_integrations.core.protocol.flow import deadline_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations.core.protocol.call import Call, ServerFacts
    from xdm_integrations.core.protocol.flow import Flow
    from xdm_integrations.core.protocol.retry import Runtime

P = ParamSpec("P")
T = TypeVar("T")


def with_model_suggestions(
    flow_of: Callable[Concatenate[Call, ServerFacts, Runtime, P], Flow[T]],
) -> Callable[Concatenate[Call, ServerFacts, Runtime, P], Flow[T]]:
    """Decorate a flow: where it fails because of the model, its error names the nearest ones that are offered.

    Whatever comes of looking them up, the error raised is the flow's own.
    """

    @wraps(flow_of)
    def flow(call: Call, facts: ServerFacts, runtime: Runtime, /, *args: P.args, **kwargs: P.kwargs) -> Flow[T]:
        deadline = deadline_of(call.timeout, runtime)
        try:
            return (yield from flow_of(call, facts, runtime, *args, **kwargs))
        except ModelUnavailableError as error:
            from .models import suggestion_flow  # noqa: PLC0415 - loaded on the way to an error only

            yield from suggestion_flow(error, call, facts, runtime, deadline)
            raise

    return flow

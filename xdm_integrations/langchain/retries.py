"""What LangChain's `on_retry` handlers hear of a call's retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from xdm_integrations.core.protocol.wire import Sleep


def retries_to(run: Any) -> Callable[[Sleep], Any]:  # noqa: ANN401 - the manager of a run, sync or async
    """Return the hook that calls the `on_retry` handlers of a run that has some, once per HTTP retry."""
    return lambda pause: run.on_retry(_retry_state(pause))


def _retry_state(pause: Sleep) -> RetryCallState:
    """Return a retry in the form that the handlers expect."""
    from tenacity import Future, RetryCallState  # noqa: PLC0415 - only on the way to a retry

    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type] # there is no Retrying
    state.attempt_number = pause.attempt
    state.idle_for = pause.seconds
    state.upcoming_sleep = pause.seconds
    state.outcome = Future(pause.attempt)
    state.outcome.set_exception(pause.error)
    return state

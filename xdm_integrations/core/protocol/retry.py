"""When to try again, and after how long. A value: randomness and time are arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xdm_integrations.core.errors.tree import APIConnectionError, APIStatusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations.core.errors.tree import XDMError


class Runtime(NamedTuple):
    """What a decision can't know by itself, given by whoever drives the flow."""

    random: Callable[[], float]
    """A number from 0 to 1."""
    monotonic: Callable[[], float]
    """Seconds that only grow, for deadlines."""
    time: Callable[[], float]
    """Seconds since 1970, for HTTP dates."""


class RetryPolicy(NamedTuple):
    """Exponential backoff with full jitter; the server's own wish comes first.

    Attributes:
        max_retries: Requests after the first, at most.
        base: The longest wait before the first retry, in seconds; doubles with each.
        cap: The longest wait of our own, in seconds.
        longest_wait: If the server asks for more seconds than this, the error is raised at once.
    """

    max_retries: int = 2
    base: float = 0.5
    cap: float = 8.0
    longest_wait: float = 120.0

    def delay(self, attempt: int, error: XDMError, random: float) -> float | None:
        """Return the seconds to wait before retry number `attempt`, or None not to retry.

        Args:
            attempt: 1 for the first retry.
            error: Why the last attempt failed; its `retry` and `retry_after` decide.
            random: A number from 0 to 1.
        """
        if attempt > self.max_retries or error.retry == "never" or (error.retry == "once" and attempt > 1):
            return None
        if isinstance(error, APIConnectionError) and error.stale and attempt == 1:
            return 0.0
        wait = error.retry_after if isinstance(error, APIStatusError) else None
        if wait is None:
            return random * min(self.cap, self.base * 2.0 ** min(attempt - 1, 30))
        if wait > self.longest_wait:
            return None
        return wait + random * min(1.0, 0.1 * wait)

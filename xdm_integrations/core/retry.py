"""When to try again, and after how long. A value: the dice and the clock are arguments."""

from __future__ import annotations

import math
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from .errors import APIConnectionError, APIStatusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .errors import XDMError


class Chance(NamedTuple):
    """What a decision can't know by itself, given by whoever drives the flow."""

    luck: Callable[[], float]
    """A number from 0 to 1."""
    monotonic: Callable[[], float]
    """Seconds that only grow, for deadlines."""
    wall: Callable[[], float]
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

    def delay(self, attempt: int, error: XDMError, luck: float, now: float) -> float | None:
        """Return the seconds to wait before retry number `attempt`, or None not to retry.

        Args:
            attempt: 1 for the first retry.
            error: Why the last attempt failed; its `retry` and `retry_after` decide.
            luck: A number from 0 to 1.
            now: Seconds since 1970, to read an HTTP date.
        """
        if attempt > self.max_retries or error.retry == "never":
            return None
        if error.retry == "once" and attempt > 1:
            return None
        if isinstance(error, APIConnectionError) and error.stale and attempt == 1:
            return 0.0
        wait: float | None = None
        if isinstance(error, APIStatusError):
            wait = error.retry_after
            if wait is None:
                wait = retry_after(error.headers, now)
        if wait is None:
            return luck * min(self.cap, self.base * 2.0 ** min(attempt - 1, 30))
        if wait > self.longest_wait:
            return None
        return wait + luck * min(1.0, 0.1 * wait)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Read how long the server asks to wait, in seconds; None if it doesn't, or says nonsense.

    `retry-after-ms` (milliseconds) comes before `retry-after` (seconds or an HTTP date). A
    date counts from the reply's own `date` if it has one, since clocks differ, else from `now`.

    Args:
        headers: Names in lower case.
        now: Seconds since 1970, or None if unknown.
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

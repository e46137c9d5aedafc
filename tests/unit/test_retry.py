"""When to send again, and after how long: a table."""

from __future__ import annotations

import time

import pytest

from xdm_integrations.core.errors.reply_text import retry_after
from xdm_integrations.core.errors.tree import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    BadRequestError,
    GatewayTimeoutError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from xdm_integrations.core.protocol.retry import RetryPolicy

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.fixture
def in_shanghai(monkeypatch):
    """HTTP dates are GMT wherever we are."""
    tzset = getattr(time, "tzset", lambda: None)  # Windows has none
    monkeypatch.setenv("TZ", "CST-8")
    tzset()
    yield
    monkeypatch.undo()
    tzset()


def limited(retry_after=None):
    return RateLimitError("x", status_code=429, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error", "delays"),
    [
        (APIConnectionError("x"), [0.5, 1.0, None]),
        (APITimeoutError("x"), [0.5, 1.0, None]),
        (StreamInterruptedError("x"), [None]),
        (BadRequestError("x", status_code=400), [None]),
        (ServerError("x", status_code=500), [0.5, 1.0, None]),
        (ServerError("x", status_code=500, retry="never"), [None]),
        (ServerError("x", status_code=500, retry="once"), [0.5, None]),
        (GatewayTimeoutError("x", status_code=524), [0.5, None]),
        (APIResponseError("x"), [None]),
        (APIResponseError("x", retry="once"), [0.5, None]),
        (limited(), [0.5, 1.0, None]),
        (limited(retry_after=7.0), [7.7, 7.7, None]),
        (limited(retry_after=0.0), [0.0, 0.0, None]),
        (limited(retry_after=100.0), [101.0, 101.0, None]),
        (limited(retry_after=120.0), [121.0, 121.0, None]),
        (limited(retry_after=120.5), [None]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_delays(error, delays):
    policy = RetryPolicy(max_retries=2)
    assert [policy.delay(attempt, error, 1.0) for attempt in range(1, len(delays) + 1)] == pytest.approx(delays)


def test_jitter_is_full_and_the_wait_is_capped():
    policy = RetryPolicy(max_retries=99)
    error = APIConnectionError("x")
    assert policy.delay(1, error, 0.0) == 0.0
    assert policy.delay(3, error, 0.5) == 1.0
    assert policy.delay(50, error, 1.0) == 8.0
    assert policy.delay(99, error, 0.25) == 2.0


def test_two_retries_unless_said_otherwise():
    assert [RetryPolicy().delay(i, APIConnectionError("x"), 1.0) for i in (1, 2, 3)] == [0.5, 1.0, None]


def test_no_retries():
    assert RetryPolicy(max_retries=0).delay(1, APIConnectionError("x"), 1.0) is None


def test_a_stale_connection_is_tried_again_at_once_and_once():
    error = APIConnectionError("x")
    error.stale = True
    policy = RetryPolicy(max_retries=2)
    assert [policy.delay(i, error, 1.0) for i in (1, 2, 3)] == [0.0, 1.0, None]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0.0),
        ({"retry-after": "Tue Nov 14 22:13:50 2023"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT", "date": "Tue, 14 Nov 2023 22:13:45 GMT"}, 5.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT", "date": "?"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 23:13:50 +0100"}, 30.0),
        ({"retry-after": "Tue, 99 Nov 2023 22:13:50 GMT"}, None),
        ({"retry-after": f"Tue, 14 Nov {10**20} 22:13:50 GMT"}, None),
        ({"retry-after": "-0.5"}, None),
    ],
)
def test_retry_after(headers, seconds, in_shanghai):
    assert retry_after(headers, NOW) == seconds


def test_a_date_without_a_clock_says_nothing():
    assert retry_after({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}) is None
    assert retry_after({"retry-after": "3"}) == 3.0

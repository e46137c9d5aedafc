"""`Client.quota`: both families of answers, honest units, and what is said where nothing is told."""

from __future__ import annotations

import pytest

from tests.scripted import RESET, http
from xdm_integrations import APIConnectionError, AuthenticationError, NotFoundError, RateLimitError, ServerError
from xdm_integrations.core.gateway.quota import QUOTA_UNITS, SITE_UNITS, Quota

TOKEN = {
    "code": True,
    "message": "ok",
    "data": {
        "object": "token_usage",
        "name": "my key",
        "total_granted": 5_000_000,
        "total_used": 1_250_000,
        "total_available": 3_750_000,
        "unlimited_quota": False,
        "model_limits": {"gpt-4o": True, "gpt-3.5-turbo-instruct": True},
        "model_limits_enabled": True,
        "expires_at": 1893456000,
    },
}
SUBSCRIPTION = {
    "object": "billing_subscription",
    "has_payment_method": True,
    "soft_limit_usd": 20.5,
    "hard_limit_usd": 20.5,
    "system_hard_limit_usd": 20.5,
    "access_until": 0,
}
USAGE = {"object": "list", "total_usage": 1234.5}
STATUS = {"success": True, "data": {"quota_per_unit": 500000, "quota_display_type": "CNY", "version": "1"}}
UNKNOWN = {"error": {"message": "Invalid URL (GET /api/usage/token/)", "type": "invalid_request_error", "code": ""}}
BAD_KEY = {"success": False, "message": "无效的令牌"}


def serve(token=None, subscription=None, usage=None, status=None):
    """Answer the four questions; None is "unknown path"."""

    def script(seen):
        path = seen.path.partition("?")[0]
        answer = {
            "/api/usage/token/": token,
            "/v1/dashboard/billing/subscription": subscription,
            "/v1/dashboard/billing/usage": usage,
            "/api/status": status,
        }[path]
        if isinstance(answer, list):
            return answer
        return http(answer) if answer is not None else http(UNKNOWN, 404)

    return script


def quota(surface, server, **settings):
    return surface.run(surface.client(base_url=server.url, api_key="k", **settings).quota())


def paths(server):
    return [seen.path.partition("?")[0] for seen in server.requests]


def test_the_newer_answer_is_read_in_quota_units(surface, server):
    server.script = serve(token=TOKEN, status=STATUS)
    got = quota(surface, server)
    assert got == Quota(
        total=5_000_000,
        used=1_250_000,
        remaining=3_750_000,
        unit=QUOTA_UNITS,
        units_per_dollar=500_000,
        expires_at=1893456000,
        name="my key",
        models=("gpt-4o", "gpt-3.5-turbo-instruct"),
        of_key=True,
    )
    assert str(got) == "3,750,000 of 5,000,000 left (about $7.50), 1,250,000 used, in quota units"
    assert paths(server) == ["/api/usage/token/", "/api/status"]
    assert [seen.headers.get("authorization") for seen in server.requests] == ["Bearer k", None]


def test_without_a_rate_no_money_is_claimed(surface, server):
    server.script = serve(token=TOKEN)
    got = quota(surface, server)
    assert (got.unit, got.units_per_dollar) == (QUOTA_UNITS, None)
    assert "$" not in str(got)
    assert "USD" not in str(got)


def test_unlimited_makes_the_other_numbers_meaningless(surface, server):
    data = {
        **TOKEN["data"],
        "unlimited_quota": True,
        "total_available": -7,
        "expires_at": -1,
        "model_limits_enabled": False,
    }
    server.script = serve(token={**TOKEN, "data": data})
    got = quota(surface, server)
    assert (got.unlimited, got.total, got.remaining, got.used) == (True, None, None, 1_250_000)
    assert (got.expires_at, got.models) == (None, ())
    assert str(got) == "no limit on the key, 1,250,000 used, in quota units"


PAGE = http("<!doctype html><title>Console</title>", headers={"Content-Type": "text/html"})
EMPTY_429 = http(b"", 429)


@pytest.mark.parametrize("token", [None, PAGE, EMPTY_429], ids=["404", "page", "limiter"])
def test_the_older_answer_is_asked_for_where_the_newer_is_missing(surface, server, token):
    server.script = serve(token=token, subscription=SUBSCRIPTION, usage=USAGE, status=STATUS)
    got = quota(surface, server)
    assert (got.total, got.used, got.remaining) == (20.5, 12.345, 8.155)
    assert (got.unit, got.units_per_dollar, got.of_key, got.expires_at) == ("CNY", None, False, None)
    assert str(got) == "8.155 of 20.5 left, 12.345 used, in CNY; may be the account's, not the key's"
    assert paths(server) == [
        "/api/usage/token/",
        "/v1/dashboard/billing/subscription",
        "/v1/dashboard/billing/usage",
        "/api/status",
    ]


@pytest.mark.parametrize(
    ("status", "unit"),
    [
        (None, SITE_UNITS),
        (PAGE, SITE_UNITS),
        ([RESET], SITE_UNITS),
        ({"success": True, "data": {"display_in_currency": True}}, "USD"),
        ({"success": True, "data": {"display_in_currency": False}}, "TOKENS"),
        ({"success": True, "data": {}}, SITE_UNITS),
        ({"success": True}, SITE_UNITS),
        ([*http([1])], SITE_UNITS),
    ],
)
def test_the_unit_is_only_what_the_site_says(surface, server, status, unit):
    server.script = serve(subscription=SUBSCRIPTION, usage=USAGE, status=status)
    assert quota(surface, server, max_retries=0).unit == unit


def test_an_unlimited_key_in_the_older_answer(surface, server):
    server.script = serve(subscription={**SUBSCRIPTION, "hard_limit_usd": 100000000, "access_until": 99}, usage=USAGE)
    got = quota(surface, server)
    assert (got.unlimited, got.total, got.remaining, got.used, got.expires_at) == (True, None, None, 12.345, 99)


def test_a_server_that_tells_nothing_says_so(surface, server):
    server.script = serve()
    with pytest.raises(NotFoundError, match="doesn't tell what is left"):
        quota(surface, server)


def test_the_real_engine_tells_nothing(surface, engine):
    with pytest.raises(NotFoundError, match="doesn't tell"):
        surface.run(surface.client(base_url=engine.base_url).quota())


@pytest.mark.parametrize(
    "case",  # the newer answer, the older one, the error and its words
    [
        (
            http(BAD_KEY, 401),
            http({"error": {"message": "无效的令牌", "type": "new_api_error"}}, 401),
            AuthenticationError,
            "无效",
        ),
        (http(BAD_KEY, 401), None, AuthenticationError, "无效的令牌"),
        (None, http({"error": {"message": "无效的令牌", "type": "one_api_error"}}, 200), AuthenticationError, "无效"),
        (EMPTY_429, None, RateLimitError, ""),
        (http({"code": True, "message": "ok", "data": {}}), http("", 500), ServerError, ""),
    ],
)
def test_the_error_that_tells_more_is_raised(surface, server, case):
    token, billing, error, words = case
    server.script = serve(token=token, subscription=billing)
    with pytest.raises(error) as caught:
        quota(surface, server)
    assert words in str(caught.value)
    assert len(server.requests) <= 3


def test_a_network_failure_is_itself_and_not_asked_about_twice(surface, server):
    server.script = serve(token=[RESET])
    with pytest.raises(APIConnectionError):
        quota(surface, server, max_retries=0)
    assert set(paths(server)) == {"/api/usage/token/"}


def test_a_mount_under_a_path_keeps_the_api_at_the_root(surface, server):
    seen = []

    def script(request):
        seen.append(request.path.partition("?")[0])
        return http(UNKNOWN, 404)

    server.script = script
    with pytest.raises(NotFoundError):
        surface.run(surface.client(base_url=server.origin + "/openai/v1").quota())
    assert seen == ["/api/usage/token/", "/openai/v1/dashboard/billing/subscription"]


@pytest.mark.parametrize("value", [None, "12", True, float("inf")])
def test_nonsense_is_not_a_number(surface, server, value):
    server.script = serve(subscription={**SUBSCRIPTION, "hard_limit_usd": value if value != float("inf") else "inf"})
    with pytest.raises(NotFoundError):
        quota(surface, server)

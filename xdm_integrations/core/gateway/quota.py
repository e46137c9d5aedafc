"""What is left of a key's budget, as far as gateways of the One API family tell.

Two families of answers, both read in the gateways' sources, and tried in this order:

* `GET /api/usage/token/` at the root of the host (New API from 0.9.0): counts of the key itself,
  in quota units, of which the site's own price list makes money. Answers for used-up and expired keys too.
* `GET /v1/dashboard/billing/subscription` and `.../usage` (all of the family): amounts in the
  unit that the site displays. They may be the whole account's, if its admin chose so; the wire
  doesn't tell.

`GET /api/status` adds the unit, where it is public. All of this is best effort: no gateway promises it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from xdm_integrations.core.errors.catalogue import error_in
from xdm_integrations.core.errors.reply_text import error_excerpt, request_id_of
from xdm_integrations.core.errors.tree import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    NotFoundError,
    XDMError,
)
from xdm_integrations.core.protocol.flow import deadline_of, get_json, soon
from xdm_integrations.core.protocol.retry import RetryPolicy
from xdm_integrations.core.protocol.wire import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations.core.protocol.call import Setup
    from xdm_integrations.core.protocol.flow import Flow
    from xdm_integrations.core.protocol.wire import Reply

QUOTA_UNITS = "quota units"
SITE_UNITS = "the site's unit"
_UNLIMITED = 100_000_000  # what the billing answer says for a key without a limit
_TOKEN, _BILLING, _STATUS = "/api/usage/token/", "/dashboard/billing", "/api/status"
_LIFETIME = "?start_date=2020-01-01&end_date=2100-01-01"  # gateways ignore the dates; forks may want some


@dataclass(frozen=True, slots=True)
class Quota:
    """The budget of a key, in the unit that the gateway counts in.

    Attributes:
        total: Granted in all, what was used included; None if unlimited or not told.
        used: Used so far; None if not told.
        remaining: What is left; None if unlimited or not told.
        unlimited: True if the key has no budget of its own. The account behind it may have one.
        unit: What the numbers count. "quota units" are the gateway's own; "USD", "CNY" and
            "TOKENS" are the site's word for its display unit; "the site's unit" means that the
            site doesn't say. None of them is a promise about money.
        units_per_dollar: How many quota units the site takes for a dollar; None if it doesn't say.
        expires_at: When the key expires, in seconds since 1970; None if never or not told.
        name: The key's name on the site; "" if not told.
        models: The only models the key may use; empty if all or not told.
        of_key: True if the numbers are surely the key's own; False if they may be the account's.
    """

    total: float | None
    used: float | None
    remaining: float | None
    unlimited: bool = False
    unit: str = SITE_UNITS
    units_per_dollar: float | None = None
    expires_at: int | None = None
    name: str = ""
    models: tuple[str, ...] = ()
    of_key: bool = False

    def __str__(self) -> str:
        """One line for people: what is left, of how much, in which unit."""
        if self.unlimited:
            left = "no limit on the key"
        elif self.remaining is None:
            left = "what is left isn't told"
        else:
            total = "" if self.total is None else f" of {self.total:,.10g}"
            money = f" (about ${self.remaining / self.units_per_dollar:,.2f})" if self.units_per_dollar else ""
            left = f"{self.remaining:,.10g}{total} left{money}"
        used = "" if self.used is None else f", {self.used:,.10g} used"
        return f"{left}{used}, in {self.unit}" + ("" if self.of_key else "; may be the account's, not the key's")


def quota_flow(setup: Setup) -> Flow[Quota]:
    """Ask for the key's budget: the newer way, then the older one.

    Raises:
        NotFoundError: The server offers neither.
        XDMError: The call failed; of two failures the one that tells more.
    """
    config, runtime = setup.config, setup.runtime
    headers = setup.headers((yield Key()))
    deadline = deadline_of(config.timeout, runtime)

    def ask(url: str) -> Flow[tuple[Any, Reply]]:
        return get_json(
            url,
            headers,
            runtime,
            timeout=config.timeout,
            deadline=deadline,
            policy=config.retry,
            handled_by_caller=_is_answered,
        )

    parts = urlsplit(config.base_url)
    root = f"{parts.scheme}://{parts.netloc}"
    try:
        quota = yield from _of_token(ask, root + _TOKEN)
    except APIConnectionError:
        raise
    except XDMError as first:
        try:
            quota = yield from _of_billing(ask, config.base_url + _BILLING)
        except APIConnectionError:
            raise
        except XDMError as second:
            raise _the_telling_one(first, second) from first
    try:
        payload, _ = yield from get_json(
            root + _STATUS,
            {name: value for name, value in headers.items() if name.lower() != "authorization"},
            runtime,
            timeout=config.timeout,
            deadline=soon(deadline, runtime),
            policy=RetryPolicy(max_retries=0),
        )
    except XDMError:
        return quota  # it only names the unit
    return _with_unit(quota, payload.get("data") if isinstance(payload, dict) else None)


def _is_answered(error: XDMError) -> bool:
    """Each of these calls is rate limited on the gateway; an answer, even a bad one, is enough."""
    return isinstance(error, (APIStatusError, APIResponseError))


def _the_telling_one(first: XDMError, second: XDMError) -> XDMError:
    unknown = [isinstance(error, (NotFoundError, APIResponseError)) for error in (first, second)]
    if all(unknown):
        return NotFoundError(
            "This server doesn't tell what is left of a key's budget: it knows neither GET /api/usage/token/ nor "
            "GET /v1/dashboard/billing/subscription.",
            status_code=404,
            request_id=second.request_id,
        )
    return first if unknown[1] else second


def _of_token(ask: Callable[[str], Flow[tuple[Any, Reply]]], url: str) -> Flow[Quota]:
    payload, reply = yield from ask(url)
    data = payload.get("data") if isinstance(payload, dict) else None
    if not isinstance(data, dict) or _number(data.get("total_used")) is None:
        raise _not_a_budget(payload, reply)
    unlimited = data.get("unlimited_quota") is True  # then the other numbers mean nothing, and may be negative
    limits = data.get("model_limits") if data.get("model_limits_enabled") else None
    return Quota(
        total=None if unlimited else _number(data.get("total_granted")),
        used=_number(data.get("total_used")),
        remaining=None if unlimited else _number(data.get("total_available")),
        unlimited=unlimited,
        unit=QUOTA_UNITS,
        expires_at=_moment(data.get("expires_at")),
        name=str(data.get("name") or ""),
        models=tuple(str(name) for name in limits) if isinstance(limits, (dict, list)) else (),
        of_key=True,
    )


def _of_billing(ask: Callable[[str], Flow[tuple[Any, Reply]]], url: str) -> Flow[Quota]:
    payload, reply = yield from ask(f"{url}/subscription")
    total = _number(payload.get("hard_limit_usd")) if isinstance(payload, dict) else None
    if total is None:
        raise _not_a_budget(payload, reply)
    usage, reply = yield from ask(f"{url}/usage{_LIFETIME}")
    hundredths = _number(usage.get("total_usage")) if isinstance(usage, dict) else None
    if hundredths is None:
        raise _not_a_budget(usage, reply)
    used = hundredths / 100
    unlimited = total >= _UNLIMITED
    return Quota(
        total=None if unlimited else total,
        used=used,
        remaining=None if unlimited else round(total - used, 10),
        unlimited=unlimited,
        expires_at=_moment(payload.get("access_until")),
    )


def _not_a_budget(payload: object, reply: Reply) -> XDMError:
    return error_in(payload, status=reply.status, headers=reply.headers, body=reply.body) or APIResponseError(
        "The server sent JSON that isn't a key's budget.",
        status_code=reply.status,
        headers=reply.headers,
        body=error_excerpt(reply.body),
        request_id=request_id_of(reply.headers),
    )


def _with_unit(quota: Quota, status: object) -> Quota:
    if not isinstance(status, dict):
        return quota
    if quota.unit == QUOTA_UNITS:
        rate = _number(status.get("quota_per_unit"))
        return replace(quota, units_per_dollar=rate if rate and rate > 0 else None)
    unit = status.get("quota_display_type")
    if not unit and status.get("display_in_currency") is not None:
        unit = "USD" if status["display_in_currency"] else "TOKENS"
    return replace(quota, unit=str(unit)) if unit else quota


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _moment(value: object) -> int | None:
    """Read a time in seconds since 1970; 0 and -1 mean never."""
    number = _number(value)
    return int(number) if number is not None and number > 0 else None


__all__ = ["Quota", "quota_flow"]

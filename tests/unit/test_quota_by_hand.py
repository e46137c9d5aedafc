"""The budget's flow driven by hand, where a server breaks off halfway or leaves a number out."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.unit.flows import Clock, play, refused, setup_of
from xdm_integrations.core.errors.tree import APIConnectionError, APIResponseError, NotFoundError, XDMError
from xdm_integrations.core.gateway.quota import QUOTA_UNITS, Quota, quota_flow
from xdm_integrations.core.protocol.wire import Reply, Timeout


def answer(value):
    return Reply(200, {}, json.dumps(value).encode())


def ask(*answers):
    return play(quota_flow(setup_of(max_retries=0)), answers)[0]


def test_a_connection_lost_at_the_second_question_is_its_error():
    with pytest.raises(APIConnectionError, match="reset"):
        ask(refused(404), APIConnectionError("reset."))


@pytest.mark.parametrize("usage", [{"object": "list"}, {"total_usage": "?"}, [1]])
def test_a_total_without_what_was_used_is_no_budget(usage):
    with pytest.raises((APIResponseError, NotFoundError)) as caught:
        ask(refused(404), answer({"hard_limit_usd": 5}), answer(usage))
    assert isinstance(caught.value, XDMError)


def test_what_is_not_told_is_not_invented():
    assert str(Quota(None, 2.5, None)).startswith("what is left isn't told, 2.5 used")


@pytest.mark.parametrize(
    ("quota", "line"),
    [
        (Quota(None, None, 5), "5 left, in the site's unit; may be the account's, not the key's"),
        (Quota(9, 4, 5, of_key=True), "5 of 9 left, 4 used, in the site's unit"),
        (Quota(None, None, None, unlimited=True, of_key=True), "no limit on the key, in the site's unit"),
    ],
)
def test_a_budget_is_one_line(quota, line):
    assert str(quota) == line
    with pytest.raises(dataclasses.FrozenInstanceError):
        quota.total = 1


def test_the_least_that_the_newer_answer_may_say():
    got = ask(answer({"data": {"total_used": 1, "total_available": 2}}), refused(404))
    assert got == Quota(None, 1, 2, unit=QUOTA_UNITS, of_key=True)
    assert (got.name, got.expires_at) == ("", None)
    assert ask(answer({"data": {"total_used": 1, "expires_at": 1}}), refused(404)).expires_at == 1


@pytest.mark.parametrize("payload", [{"data": [1]}, {"data": None}, {"data": {"total_used": True}}, [1], 5])
def test_what_is_no_budget_is_asked_for_in_the_older_way(payload):
    got = ask(answer(payload), answer({"hard_limit_usd": 99_999_999}), answer({"total_usage": 100}), refused(404))
    assert (got.total, got.used, got.remaining, got.unlimited) == (99_999_999, 1, 99_999_998, False)


@pytest.mark.parametrize("total", ["true", "Infinity", "NaN", '"5"', "null"])
def test_a_total_that_is_no_number_is_no_budget(total):
    with pytest.raises(NotFoundError, match="doesn't tell") as caught:
        ask(refused(404), Reply(200, {}, f'{{"hard_limit_usd": {total}}}'.encode()))
    assert caught.value.status_code == 404


def test_the_last_answers_request_id_is_kept():
    with pytest.raises(NotFoundError) as caught:
        ask(refused(404, x_request_id="r-1"), refused(404, x_request_id="r-2"))
    assert caught.value.request_id == "r-2"


@pytest.mark.parametrize("body", [b'{"success":  false, "message": "m"}', b'{"object":  "list"}'])
def test_an_answer_that_is_no_budget_is_kept_whole(body):
    reply = Reply(201, {"x-request-id": "r-1"}, body)
    with pytest.raises(XDMError) as caught:
        ask(reply, refused(500))
    error = caught.value.__cause__ or caught.value
    assert (error.body, error.headers, error.request_id) == (body.decode(), {"x-request-id": "r-1"}, "r-1")
    assert error.status_code == (201 if b"list" in body else 500)
    assert ("(HTTP 201" in error.message) == (b"list" not in body)


@pytest.mark.parametrize(("sent", "rate"), [(5e5, 5e5), (1, 1), (0.5, 0.5), (0, None), (-0.5, None), (None, None)])
def test_a_rate_is_more_than_nothing(sent, rate):
    got = ask(answer({"data": {"total_used": 1}}), answer({"data": {"quota_per_unit": sent}}))
    assert got.units_per_dollar == rate


def test_the_unit_by_name_comes_before_the_flag():
    status = answer({"data": {"quota_display_type": "CNY", "display_in_currency": True}})
    assert ask(refused(404), answer({"hard_limit_usd": 5}), answer({"total_usage": 1}), status).unit == "CNY"


def test_only_the_question_about_the_unit_goes_without_the_key():
    headers = {"Authorization": "Bearer k", "X": "1"}
    _, commands = play(quota_flow(setup_of(headers=headers)), [answer({"data": {"total_used": 1}}), refused(404)])
    with_key, without = [command.request.headers for command in commands]
    assert (with_key["Authorization"], with_key["X"]) == ("Bearer k", "1")
    assert "Authorization" not in without
    assert without["X"] == "1"


@pytest.mark.parametrize(("total", "until"), [(None, 1005.0), (60, 1005.0), (2, 1002.0)])
def test_a_budget_waits_five_seconds_for_its_unit_and_asks_once(total, until):
    setup = setup_of(None, Clock(), timeout=Timeout(total=total), max_retries=2)
    answers = [answer({"data": {"total_used": 1}}), APIConnectionError("reset.")]
    quota, commands = play(quota_flow(setup), answers)
    assert quota.used == 1
    assert commands[-1].request.deadline == until

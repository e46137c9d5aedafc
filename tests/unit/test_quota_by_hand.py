"""The budget's flow driven by hand, where a server breaks off halfway or leaves a number out."""

from __future__ import annotations

import json

import pytest

from tests.unit.flows import Clock, play, refused
from xdm_integrations.core.config import Config
from xdm_integrations.core.errors import APIConnectionError, APIResponseError, NotFoundError, XDMError
from xdm_integrations.core.quota import Quota, quota_flow
from xdm_integrations.core.wire import Reply


def answer(value):
    return Reply(200, {}, json.dumps(value).encode())


def ask(*answers):
    return play(quota_flow(Config.build(base_url="http://localhost", max_retries=0), {}, Clock().chance), answers)[0]


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

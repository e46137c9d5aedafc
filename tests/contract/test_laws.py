"""What every endpoint promises, sync and async: see `endpoints` for the rows."""

# ruff: noqa: S301 - only our own bytes are unpickled

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import traceback
from typing import Any

import pytest

from tests.contract.endpoints import ENDPOINTS, methods_without_a_row
from tests.scripted import CLOSE, HANG, RESET, http
from xdm_integrations import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    ModelUnavailableError,
    RateLimitError,
    XDMError,
)
from xdm_integrations.core.protocol.checks import SETTINGS

KEY = "secret-of-the-test-1234567890"
MODELS = {"data": [{"id": "gpt-4o-mini"}, {"id": "bge-m3"}]}


@pytest.fixture(params=ENDPOINTS, ids=lambda row: row.name)
def row(request):
    return request.param


@pytest.fixture
def client(surface, server):
    return surface.client(base_url=server.url, api_key=KEY)


def ask(surface, client, row, **params):
    return surface.call(client, row.ask, row.given, **params)


def failing(surface, client, row, kind=XDMError, **params):
    with pytest.raises(kind) as caught:
        ask(surface, client, row, **params)
    return caught.value


def refusal(message="no", status=400, **more):
    return http({"error": {"message": message, "type": "invalid_request_error", **more}}, status)


def test_every_method_of_an_endpoint_has_a_row():
    assert methods_without_a_row() == set()


def test_a_good_reply_is_an_answer_with_its_counts_and_its_model(surface, server, client, row):
    server.script = [http(row.good)]
    answer = ask(surface, client, row)
    assert row.seen(answer)
    assert answer.usage.total_tokens == 10
    assert answer.model == "served-model"
    (seen,) = server.requests
    assert (seen.method, seen.path, seen.headers["authorization"]) == ("POST", row.path, f"Bearer {KEY}")


def test_none_is_not_sent_and_zero_is(surface, server, client, row):
    server.script = [http(row.good)]
    ask(surface, client, row, user=None, timeout=None, extra_body=None, **({row.zero: 0} if row.zero else {}))
    body = server.requests[0].json
    assert None not in body.values()
    assert "user" not in body
    if row.zero:
        assert body[row.zero] == 0


def test_a_misspelt_parameter_is_named_with_the_near_name_before_a_byte_is_sent(surface, server, client, row):
    wrong, right = row.misspelt
    error = failing(surface, client, row, ConfigurationError, **{wrong: 1})
    assert error.message.startswith(f"{wrong}: ")
    assert right in error.message
    assert server.requests == []


@pytest.mark.parametrize(
    ("extra_body", "place"),
    [
        ({"a": [1, {"b": {2}}]}, "extra_body['a'][1]['b']: "),
        ({"a": {"b": math.nan}}, "extra_body['a']['b']: "),
        ({"a": {(1, 2): 3}}, "extra_body['a']: "),
        ({(1, 2): 3}, "extra_body: "),
    ],
)
def test_what_is_no_json_is_named_before_a_byte_is_sent(  # noqa: PLR0913, PLR0917 - a table
    surface, server, client, row, extra_body, place
):
    error = failing(surface, client, row, ConfigurationError, user="a", extra_body=extra_body)
    assert error.message.startswith(f"{place}can't be written as JSON (")
    assert server.requests == []


def test_what_is_nested_without_end_is_no_json(surface, server, client, row):
    ring: dict[str, Any] = {}
    ring["a"] = ring
    error = failing(surface, client, row, ConfigurationError, extra_body=ring)
    assert error.message.startswith("extra_body['a']['a']")
    assert server.requests == []


@pytest.mark.parametrize("name", ["api_key", "base_url", "max_retries"])
def test_a_setting_in_a_call_is_sent_to_its_place_and_never_into_the_body(surface, server, client, row, name):
    error = failing(surface, client, row, ConfigurationError, **{name: "sk-x"})
    assert error.message == f"{name}: unknown parameter. {SETTINGS[name]}"
    assert server.requests == []


def test_an_empty_model_name_is_refused_before_a_byte_is_sent(surface, server, client, row):
    assert failing(surface, client, row, ConfigurationError, model=" ").message.startswith("model: ")
    assert server.requests == []


def test_extra_body_wins_and_extra_headers_go_along(surface, server, client, row):
    server.script = [http(row.good)]
    ask(surface, client, row, user="a", extra_body={"user": "b", "top_k": 0}, extra_headers={"X-Trace": "7"})
    (seen,) = server.requests
    assert (seen.json["user"], seen.json["top_k"], seen.headers["x-trace"]) == ("b", 0, "7")


def test_the_clients_own_fields_and_headers_go_along(surface, server, row):
    server.script = [http(row.good)]
    client = surface.client(base_url=server.url, extra_body={"top_k": 1}, default_headers={"X-Team": "a"}, model="m")
    ask(surface, client, row)
    (seen,) = server.requests
    assert (seen.json["top_k"], seen.json["model"], seen.headers["x-team"]) == (1, "m", "a")


def test_what_was_handed_in_is_not_changed(surface, server, client, row):
    server.script = [http(row.good)]
    given = {"extra_body": {"a": [1]}, "extra_headers": {"X-A": "b"}}
    before = copy.deepcopy(given)
    ask(surface, client, row, **given)
    assert given == before


def test_a_timeout_of_the_call_holds(surface, server, client, row):
    server.script = [[HANG]]
    failing(surface, surface.client(base_url=server.url, max_retries=0), row, APITimeoutError, timeout=0.2)


@pytest.mark.parametrize("body", [{"error": {"message": "用户额度不足"}}, {"success": False, "message": "no"}])
def test_an_error_in_a_200_is_an_error(surface, server, row, body):
    server.script = [http(body)]
    failing(surface, surface.client(base_url=server.url, max_retries=0), row)


@pytest.mark.parametrize("body", [b"", "<html><title>Login</title></html>", '{"a": ', "[]", "null", "{}"])
def test_a_body_that_is_no_answer_is_a_typed_error_without_the_decoders(surface, server, row, body):
    server.script = [http(body)]
    error = failing(surface, surface.client(base_url=server.url, max_retries=0), row, APIResponseError)
    assert error.__context__ is None
    assert error.__cause__ is None


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_connection_that_breaks_is_a_typed_error(surface, server, row, end):
    server.script = [[end]]
    failing(surface, surface.client(base_url=server.url, max_retries=0), row, APIConnectionError)


def test_the_request_id_is_on_the_answers_errors(surface, server, client, row):
    server.script = [http({"error": {"message": "no"}}, 400, headers={"X-Oneapi-Request-Id": "r-1"})]
    assert failing(surface, client, row).request_id == "r-1"


def test_the_key_is_in_nothing_that_is_shown(surface, server, row):
    server.script = [refusal(f"Incorrect API key provided: {KEY}", 401), http(row.good)]
    client = surface.client(base_url=server.url, api_key=KEY)
    error = failing(surface, client, row, AuthenticationError)
    shown = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    shown += [repr(client), str(client.config), repr(ask(surface, client, row))]
    assert all(KEY not in text for text in shown)


def test_a_rate_limit_is_waited_for_reported_and_answered_once(surface, server, client, row, waits):
    server.script = [http({"error": {"message": "slow"}}, 429, headers={"Retry-After": "3"}), http(row.good)]
    reported = []
    client = surface.client(base_url=server.url)
    assert row.seen(ask(surface, client, row, on_retry=reported.append))
    assert len(server.requests) == 2
    assert [int(seconds) for seconds in waits] == [3]
    assert [(pause.attempt, type(pause.error)) for pause in reported] == [(1, RateLimitError)]


def test_retries_come_to_an_end_and_a_refusal_is_not_repeated(surface, server, client, row, waits):
    server.script = [refusal("busy", 503)]
    failing(surface, surface.client(base_url=server.url, max_retries=1), row)
    assert len(server.requests) == 2
    server.script = [refusal()]
    failing(surface, client, row)
    assert len(server.requests) == 3


def test_the_limiter_is_asked_once_for_each_request(surface, server, row, waits):
    class Limiter:
        turns = 0

        def acquire(self, *, blocking=True):
            self.turns += 1
            return True

        async def aacquire(self, *, blocking=True):
            self.turns += 1
            return True

    limiter = Limiter()
    server.script = [refusal("busy", 503), http(row.good)]
    ask(surface, surface.client(base_url=server.url, rate_limiter=limiter), row)
    assert limiter.turns == len(server.requests) == 2


def test_hooks_see_the_request_and_its_reply_and_no_key(surface, server, row):
    seen = []
    server.script = [http(row.good)]
    client = surface.client(
        base_url=server.url,
        api_key=KEY,
        on_request=seen.append,
        on_response=lambda request, reply: seen.append(reply.status),
    )
    ask(surface, client, row)
    request, status = seen
    assert request.url.endswith(row.path)
    assert status == 200
    assert KEY not in repr(request)


def test_an_unknown_model_brings_the_nearest_names(surface, server, client, row):
    def script(seen):
        return (
            http(MODELS) if seen.method == "GET" else refusal("The model does not exist", 404, code="model_not_found")
        )

    server.script = script
    error = failing(surface, client, row, ModelUnavailableError, model="gpt-4o-mimi")
    assert error.suggestions == ("gpt-4o-mini",)


def test_clients_and_errors_survive_pickling(surface, server, client, row):
    server.script = [http(row.good), refusal("no", 400)]
    again = surface.keep(pickle.loads(pickle.dumps(client)))
    assert row.seen(ask(surface, again, row))
    error = failing(surface, again, row)
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin)) == (type(error), str(error))


def test_answers_can_be_pickled_and_copied(surface, server, client, row):
    server.script = [http(row.good)]
    answer = ask(surface, client, row)
    for twin in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
        assert row.seen(twin) == row.seen(answer)
        assert twin.usage == answer.usage


def test_cancelling_a_call_closes_its_connection(surface, server, client, row):
    if not surface.is_async:
        pytest.skip("a blocking call isn't cancelled")
    server.script = [[HANG]]

    async def cancel():
        call = asyncio.ensure_future(getattr(client, row.ask)(row.given))
        await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)

    surface.run(cancel())


def test_a_closed_client_may_be_used_again(surface, server, client, row):
    server.script = [http(row.good)]
    first = row.seen(ask(surface, client, row))
    surface.run(client.aclose()) if surface.is_async else client.close()
    assert row.seen(ask(surface, client, row)) == first

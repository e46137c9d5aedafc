"""The error catalogue: every row of it, and what becomes of what it doesn't know."""

from __future__ import annotations

import copy
import json
import pickle
import re
import time
from datetime import datetime, timezone
from string import Formatter

import pytest

from tests.gateway_errors import CASES, ID, KEY, WEB, Case
from xdm_integrations.core.completions.text_so_far import TextSoFar
from xdm_integrations.core.errors.catalogue import error_for, error_in, not_an_answer
from xdm_integrations.core.errors.catalogue_rows import ROWS
from xdm_integrations.core.errors.endpoints import Words, endpoint_of
from xdm_integrations.core.errors.tree import (
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    GatewayTimeoutError,
    InsufficientQuotaError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    XDMError,
)
from xdm_integrations.core.protocol.decoder import StreamDecoder
from xdm_integrations.core.protocol.wire import Limits

COUNTS = {"A": 8, "P": 7, "Q": 6, "M": 8, "L": 6, "B": 11, "N": 4, "U": 7, "G": 6, "S": 6, "C": 26, "E": 6}
IN_STREAM_TESTS = {"S2", "S3", "S4"}  # tests/unit/test_stream.py
CATALOGUE = {f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)}
KEY_LIKE = re.compile(r"sk-[A-Za-z0-9_-]{8,}|Bearer [^*]")


def error_of(case: Case) -> XDMError:
    if not case.stream:
        return error_for(case.status, case.headers, case.body, case.endpoint)
    (line,) = [line for line in case.body.splitlines() if b"{" in line]
    kind = "error" if b"event: error" in case.body else ""
    error = error_in(
        json.loads(line.removeprefix(b"data: ")), headers=case.headers, body=line, kind=kind, endpoint=case.endpoint
    )
    assert error is not None
    return error


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_reply_becomes_the_error_that_the_catalogue_names(case):
    error = error_of(case)
    assert type(error) is case.error
    assert error.retry == case.retry
    assert error.retryable == (case.retry != "never")
    assert error.request_id == case.request_id
    assert case.says in error.message
    if isinstance(error, APIStatusError):
        assert error.scope == case.scope
        assert (error.type, error.code, error.param) == (case.type, case.code, case.param)
        assert error.retry_after == case.retry_after
        assert getattr(error, "instead", None) == case.instead
    assert error.status_code == (case.status_code or case.status)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_message_is_one_line_without_keys_and_request_id_suffix(case):
    error = error_of(case)
    assert str(error) == error.message
    assert "\n" not in error.message
    assert "(request id:" not in error.message
    assert error.message.count("request id") <= 1
    assert f"(HTTP {case.status}" in error.message
    for shown in (error.message, error.body, repr(error.headers), repr(error)):
        assert not KEY_LIKE.search(shown)
        assert KEY not in shown
    assert len(error.body.encode()) <= 4096


@pytest.mark.parametrize("case", CASES[::10], ids=lambda case: case.id)
def test_errors_survive_pickling_and_copying(case):
    error = error_of(case)
    for twin in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):  # noqa: S301 - our own bytes
        assert type(twin) is type(error)
        assert vars(twin) == vars(error)


def test_every_row_of_the_catalogue_has_a_case():
    tested = {case.id.split(maxsplit=1)[0] for case in CASES if not case.id.startswith("other")}
    assert tested | IN_STREAM_TESTS == CATALOGUE


def test_case_ids_are_unique():
    assert len({case.id for case in CASES}) == len(CASES)


def test_the_table_names_only_rows_of_the_catalogue():
    assert {name for row in ROWS for name in row.ids.split()} <= CATALOGUE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ids or "other")
def test_a_row_is_well_made(row):
    re.compile(row.text)
    assert row.codes == row.codes.lower()
    assert row.hint.endswith((".", "{shorten}")) or not row.hint
    named = {name for _, name, _, _ in Formatter().parse(row.hint) if name}
    assert named <= {"param", *Words._fields}
    assert row.codes or row.text or row.status or row is ROWS[-1], "it would fit everything"


@pytest.mark.parametrize(
    "row", [row for row in ROWS if issubclass(row.error, BadRequestError)], ids=lambda row: row.ids
)
def test_a_request_that_was_refused_for_what_it_is_is_never_sent_again_as_it_is(row):
    assert row.retry == "never"


TABLE = "xdm_integrations.core.errors.catalogue.ROWS"


@pytest.fixture(scope="module")
def decided_by():
    """The cases that each row decides: told by hints that number the rows."""
    cases = {number: [] for number in range(len(ROWS))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TABLE, tuple(row._replace(hint=f"row {number}:") for number, row in enumerate(ROWS)))
        for case in CASES + EXTRA:
            found = re.match(r"row (\d+):", error_of(case).message)
            if found:
                cases[int(found[1])].append(case)
    return cases


@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda number: f"{number} {ROWS[number].ids or 'other'}")
def test_no_row_is_dead(number, decided_by, monkeypatch):
    """Without the row, some case ends elsewhere: in another class, scope, retry or hint."""
    before = [vars(error_of(case)) | {"class": type(error_of(case))} for case in decided_by[number]]
    monkeypatch.setattr(TABLE, ROWS[:number] + ROWS[number + 1 :])
    after = [vars(error_of(case)) | {"class": type(error_of(case))} for case in decided_by[number]]
    assert before != after


EXTRA = [
    Case("no status of HTTP", 600, {}, b"?", APIStatusError, "never"),
    Case("quota code alone", 403, {}, b'{"error":{"code":"insufficient_user_quota"}}', InsufficientQuotaError, "never"),
    Case("challenge", 401, {}, b"<html>firewall</html>", PermissionDeniedError, "never"),
    Case("firewall", 403, {"content-type": "text/html"}, b"<html>blocked</html>", PermissionDeniedError, "never"),
    *(
        Case(f"stream {kind}", 200, {}, json.dumps({"error": {"type": kind}}).encode(), XDMError, "never", stream=True)
        for kind in ("invalid_request_error", "authentication_error", "permission_error", "not_found_error")
    ),
    Case("stream 501", 200, {}, b'{"error":{"code":"api_not_implemented"}}', ServerError, "never", stream=True),
    Case("stream text", 200, {}, b'{"error":"Rate limit reached"}', RateLimitError, "backoff", stream=True),
    Case("bad request as 500", 500, {}, b'{"error":{"code":"invalid_request","message":"x"}}', XDMError, "never"),
    Case("limiter", 500, {}, b'{"error":{"code":"rate_limit_check_failed","message":"x"}}', ServerError, "backoff"),
    Case(
        "denied", 200, {}, b'{"error":{"type":"new_api_error","code":"access_denied"}}', XDMError, "never", stream=True
    ),
    Case("parameter", 400, {}, b'{"error":{"code":"unsupported_parameter","message":"x"}}', XDMError, "never"),
]


class TestErrorIn:
    @pytest.mark.parametrize(
        "payload",
        [
            None,
            1,
            "text",
            [],
            [1],
            {},
            {"choices": [{"text": "x"}]},
            {"choices": [], "usage": {}},
            {"error": None, "choices": []},
            {"error": {}},
            {"error": ""},
            {"message": {"content": "chat"}},
            {"message": ""},
            {"success": True, "message": "ok"},
            {"choices": [{}], "message": "aside"},
        ],
    )
    def test_no_error(self, payload):
        assert error_in(payload) is None

    @pytest.mark.parametrize(
        "payload",
        [
            {"error": {"message": "m"}},
            {"error": "m"},
            {"error": True},
            {"error": {"message": "m"}, "choices": [{}]},
            {"success": False},
            {"success": False, "message": "m"},
            {"message": "m"},
            {"msg": "m"},
            {"detail": "m"},
            {"detail": [{"msg": "m"}]},
            {"object": "error"},
            [{"error": {"message": "m"}}],
        ],
    )
    def test_unknown_errors_are_errors_of_the_server(self, payload):
        error = error_in(payload)
        assert type(error) is ServerError
        assert error.status_code == 500
        assert error.retry == "backoff"

    @pytest.mark.parametrize("payload", [None, 1, "boom", "", [], {}, {"choices": [{"text": "x"}]}, [[[]]]])
    def test_an_event_named_error_is_one_whatever_it_holds(self, payload):
        assert type(error_in(payload, kind="error")) is ServerError

    @pytest.mark.parametrize(
        ("payload", "status"),
        [
            ({"error": {"code": 429}}, 429),
            ({"error": {"code": "503"}}, 503),
            ({"error": {"code": "bad_response_status_code", "param": "524"}}, 524),
            ({"message": "m", "status": 404}, 404),
            ({"error": {"code": 200}}, 500),
            ({"error": {"code": 10**30}}, 500),
            ({"error": {"code": {"a": 1}, "type": ["x"], "param": True}}, 500),
        ],
    )
    def test_the_payload_may_name_its_status(self, payload, status):
        assert error_in(payload).status_code == status

    @pytest.mark.parametrize(
        ("payload", "kind", "status"),
        [
            ({"error": {"message": "无效的令牌"}}, AuthenticationError, 401),
            ({"error": {"code": "insufficient_user_quota"}}, InsufficientQuotaError, 403),
            ({"error": {"code": "sensitive_words_detected"}}, ContentFilterError, 400),
            ({"error": {"message": "当前分组上游负载已饱和"}}, RateLimitError, 429),
            ({"error": {"type": "rate_limit_error"}}, RateLimitError, 429),
            ({"error": {"code": "bad_response_status_code"}}, ServerError, 500),
            ({"error": {"param": "504"}}, GatewayTimeoutError, 504),
            ({"error": {"type": "invalid_request_error"}}, BadRequestError, 400),
            ({"error": {"type": "permission_error"}}, PermissionDeniedError, 403),
            ({"error": {"type": "not_found_error"}}, NotFoundError, 404),
            ({"error": "Please try again in 20s"}, RateLimitError, 429),
            ([{"error": {"type": "not_found_error"}}, 5], NotFoundError, 404),
        ],
    )
    def test_a_known_error_without_a_status_gets_that_of_its_class(self, payload, kind, status):
        error = error_in(payload)
        assert type(error) is kind
        assert error.status_code == status
        assert "the provider's status" not in error.message

    def test_it_keeps_everything(self):
        error = error_in({"error": {"message": "m"}}, headers={"X-Request-Id": ID}, body=b"raw")
        assert (error.request_id, error.body, error.partial, error.text) == (ID, "raw", None, "")
        assert error.headers == {"x-request-id": ID}
        assert json.loads(error_in({"error": "m"}).body) == {"error": "m"}


class TestNotAnAnswer:
    @pytest.mark.parametrize(
        ("body", "retry", "says"),
        [
            (b"", "backoff", "empty body"),
            (b"\n\n\n", "backoff", "empty body"),
            (b"<!DOCTYPE html><title>X</title>", "never", "did you forget /v1 at the end of base_url?"),
            (b"plain", "once", "text that isn't JSON"),
            (b'{"a"', "once", "broken JSON"),
            (b' {"a"', "once", "broken JSON"),
            (b"[1,", "once", "broken JSON"),
            (b'{"choices": []}', "once", "no choices"),
            (b'{"object": "list", "data": []}', "once", "no choices"),
            (b'{"choices": [3]}', "once", "isn't a completion"),
            (b"[1]", "once", "isn't a completion"),
        ],
    )
    def test_what_came_and_whether_to_try_again(self, body, retry, says):
        error = not_an_answer(200, {"content-type": "text/x", "x-oneapi-request-id": ID}, body)
        assert type(error) is APIResponseError
        assert error.retry == retry
        assert says in error.message
        assert f"(HTTP 200, text/x, request id {ID})" in error.message
        assert (error.status_code, error.body) == (200, body.decode())
        assert error.headers == {"content-type": "text/x", "x-oneapi-request-id": ID}

    def test_the_request_id_may_be_in_the_text(self):
        error = not_an_answer(201, {}, b"oops (request id: r-9)")
        assert (error.request_id, error.status_code) == ("r-9", 201)
        assert 'It said: "oops" (HTTP 201, request id r-9)' in error.message


@pytest.mark.parametrize("status", [200, 204, 299])
def test_a_2xx_is_taken_too(status):
    error = error_for(status, {}, b'{"error":  "m"}')
    assert type(error) is ServerError
    assert f"(HTTP {status}" in error.message
    assert error.body == '{"error":  "m"}'
    assert type(error_for(status, {}, b"")) is APIResponseError


@pytest.mark.parametrize(
    ("status", "redirects"), [(199, False), (299, False), (300, True), (301, True), (399, True), (400, False)]
)
def test_which_statuses_are_redirects(status, redirects):
    error = error_for(status, {"location": "https://x.example/v1/completions"}, b'{"error": "m"}')
    assert ("redirects to" in error.message) == redirects
    assert error.retry == ("backoff" if status == 299 else "never")


@pytest.mark.parametrize(
    ("inner", "status"),
    [
        ({"type": "upstream_error", "param": "429"}, 429),
        ({"type": "upstream_error", "code": "bad_response_status_code", "param": "404"}, 404),
        ({"type": "x_api_error", "code": "bad_response_status_code", "param": "404"}, 404),
        ({"type": "invalid_request_error", "param": "404"}, 500),
        ({"type": "upstream_error", "code": "429"}, 500),
        ({"type": "upstream_error", "param": "temperature"}, 500),
    ],
)
def test_the_providers_own_status_counts_where_the_gateway_passes_it_on(inner, status):
    error = error_for(500, {}, json.dumps({"error": {"message": "m", **inner}}).encode())
    assert error.status_code == status
    assert "(HTTP 500" in error.message
    assert (f"the provider's status {status}" in error.message) == (status != 500)


WEB_PAGE = "The server sent a web page, not an answer: did you forget /v1 at the end of base_url?"
NO_CHOICES = "The answer has no choices: the provider filtered it, or failed"


def failed(status, headers=None, **inner):
    return error_for(status, headers or {}, json.dumps({"error": inner}).encode())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (failed(400, message="m"), 'The gateway said: "m" (HTTP 400)'),
        (failed(400, message="m", code="c", type="t"), 'The gateway said: "m" (HTTP 400, c)'),
        (failed(400, message="m", type="t"), 'The gateway said: "m" (HTTP 400, t)'),
        (error_for(400, {}, b""), "The gateway gave no reason (HTTP 400, an empty body)"),
        (error_for(402, {}, b""), "Somebody must pay first (HTTP 402, an empty body)"),
        (failed(402, message="m"), 'Somebody must pay first. The gateway said: "m" (HTTP 402)'),
        (
            error_for(502, {"x-request-id": "r"}, b"<html><title>Oops</title>"),
            'The gateway is down or being restarted. The gateway said: "Oops" (HTTP 502, a web page, request id r)',
        ),
        (not_an_answer(200, {}, b"plain"), 'The server sent text that isn\'t JSON. It said: "plain" (HTTP 200)'),
        (not_an_answer(200, {}, b""), "The server sent an empty body (HTTP 200)"),
        (
            not_an_answer(200, {}, b"<html><title>X</title>"),
            f'{WEB_PAGE} It said: "X" (HTTP 200)',
        ),
        (
            not_an_answer(200, {"content-type": "x" * 81}, b'{"id":  1}'),
            f'{NO_CHOICES}. It said: "{{"id": 1}}" (HTTP 200, {"x" * 79}…)',
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_message_says_what_it_is_then_the_servers_words_then_the_facts(error, message):
    assert error.message == message


def test_how_much_of_the_servers_words_is_shown():
    for length in (300, 301):
        shown = re.search("x+…?", error_for(400, {}, b'{"error":"' + b"x" * length + b'"}').message)[0]
        assert shown == ("x" * 300 if length == 300 else "x" * 299 + "…")


def test_an_own_key_in_every_place_is_masked():
    inner = {"message": f"m {KEY}", "type": KEY, "code": KEY, "param": KEY}
    for body in (json.dumps({"error": inner}).encode(), f"<html>{KEY}".encode(), KEY.encode() * 500):
        error = error_for(400, {"X-Key": KEY, "x-request-id": KEY}, body)
        assert KEY[3:] not in repr(vars(error))


def test_a_key_at_the_cut_is_masked():
    for size in range(16_384 - len(KEY), 16_384 + 1):
        error = error_for(500, {}, b" " * size + KEY.encode())
        assert KEY[:6] not in error.body + error.message


def test_the_hint_names_the_parameter_where_it_is_known():
    assert "can't take `seed` as it was sent" in failed(400, code="unsupported_parameter", param="seed").message
    assert "can't take a parameter as it was sent" in failed(400, code="unsupported_parameter").message


def test_the_header_counts_before_the_words():
    minutes, seconds = "您已达到总请求数限制：3分钟内最多请求9次", "Please try again in 20s"  # noqa: RUF001 - as said
    assert [failed(429, message=words).retry_after for words in (minutes, seconds)] == [180.0, 20.0]
    for words in (minutes, seconds):
        assert failed(429, {"retry-after": "7"}, message=words).retry_after == 7.0


def test_the_case_of_codes_doesnt_matter():
    assert type(failed(400, message="m", code="Content_Filter")) is ContentFilterError


@pytest.mark.parametrize("status", [400, 401, 402, 403, 429, 503])
def test_a_budget_is_a_budget_whatever_status_the_gateway_gives_it(status):
    assert type(failed(status, type="new_api_error", message="账户余额太少")) is InsufficientQuotaError


@pytest.mark.parametrize(
    ("error", "kind", "retry", "scope", "says"),
    [
        (failed(403, message="不支持指定渠道"), PermissionDeniedError, "never", "token", "fixed channel"),
        (failed(403, message="该渠道已被禁用"), PermissionDeniedError, "never", "token", "fixed channel"),
        (failed(500, message="Panic detected, error: x"), ServerError, "once", "gateway", "has a bug"),
        (
            failed(500, code="bad_response_status_code", param="422"),
            BadRequestError,
            "never",
            "request",
            "The provider refuses the request",
        ),
        (error_for(403, WEB, b"<html>blocked"), PermissionDeniedError, "never", "gateway", "A firewall"),
    ],
    ids=lambda value: value.message[:20] if isinstance(value, XDMError) else "",
)
def test_words_that_no_reply_above_has(error, kind, retry, scope, says):
    assert (type(error), error.retry, error.scope) == (kind, retry, scope)
    assert says in error.message


def test_a_bot_check_is_known_by_its_header():
    page = b"<html><title>Wait</title></html>"
    assert type(error_for(503, {}, page)) is ServerError
    assert type(error_for(503, {"CF-Mitigated": "challenge"}, page)) is PermissionDeniedError


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("new_api_error", "gateway"),
        ("Rix_API_Error", "gateway"),
        ("rix_api_panic", "gateway"),
        ("one_hub_error", "gateway"),
        ("server_error", "upstream"),
    ],
)
def test_gateways_are_known_by_the_type_of_their_errors(kind, scope):
    assert failed(500, message="m", type=kind).scope == scope


def test_a_key_that_the_provider_refused_is_the_gateways_own():
    assert type(failed(401, message="bad api key", type="invalid_request_error")) is AuthenticationError
    assert type(failed(401, message="bad api key", type="upstream_error")) is ServerError
    assert type(failed(401, {"x-oneapi-request-id": ID}, message="bad api key")) is ServerError


def test_long_words_are_cut_and_long_bodies_too():
    error = error_for(400, {}, json.dumps({"error": {"message": "长" * 50_000}}, ensure_ascii=False).encode())
    assert len(error.message) < 400
    assert len(error.body.encode()) <= 4096


@pytest.mark.parametrize(
    "location",
    [
        "",
        "https://x.example/v1/completions/",
        "//x.example",
        "https://[bad",
        "https://me:secret@x.example/v1/completions",
        "ftp://x",
        "https://x.example/?token=secret",
        "\x00",
    ],
)
def test_redirects_say_where_to_without_secrets(location):
    error = error_for(302, {"location": location}, b"")
    assert type(error) is APIStatusError
    assert "secret" not in error.message
    assert "base_url" in error.message


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "The gateway redirects, without saying where: check base_url (HTTP 302)"),
        ({"location": "https://x.example/#secret"}, "to https://x.example/, and"),
        ({"location": "https://me:secret@x.example/login"}, "to https://x.example/login, and"),
        ({"location": "https://x.example/login"}, "doesn't survive that: check base_url (HTTP 302)"),
        ({"location": "/v1/completions"}, "doesn't survive that: check base_url (HTTP 302)"),
        ({"location": "v1/completions"}, "doesn't survive that: check base_url (HTTP 302)"),
        ({"location": "https://x.example/v1/completions/"}, "perhaps it must be https://x.example/v1 (HTTP 302)"),
        ({"location": "http://x.example/v1/completions"}, "perhaps it must be http://x.example/v1 (HTTP 302)"),
        ({"location": "https://x.example/"}, "perhaps it must be https://x.example/v1 (HTTP 302)"),
        ({"location": "https://x.example:x/"}, "doesn't survive that: check base_url (HTTP 302)"),
    ],
)
def test_redirects_propose_a_base_url_where_it_can_be_told(headers, says):
    error = error_for(302, headers, b"moved")
    assert says in error.message
    assert "secret" not in error.message
    assert (error.body, error.headers) == ("moved", headers)
    error = error_for(302, {"x-request-id": "r-1"}, b"")
    assert error.request_id == "r-1"
    assert error.message.endswith("(HTTP 302, request id r-1)")


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://x.example/v1/completions", "completions"),
        ("https://x.example/v1/chat/completions", "chat"),
        ("https://x.example/openai/v1/chat/completions?api-version=1", "chat"),
        ("https://x.example/v1/embeddings/", "embeddings"),
        ("https://x.example/v1/models", "completions"),
    ],
)
def test_the_url_tells_the_endpoint(url, endpoint):
    assert endpoint_of(url) == endpoint


OTHER_WORDS = {
    "chat": r"max_tokens|text completion|\bprompts?\b|a completion\b",
    "embeddings": r"max_tokens|completion|\bprompts?\b|\bchat\b|\bmessages?\b|\bstream|\bchoices\b",
}


@pytest.mark.parametrize("endpoint", OTHER_WORDS)
def test_no_advice_is_another_endpoints(endpoint):
    for case in CASES:
        advice = re.sub(r'said: ".*|`[^`]*`|https?://\S+', "", error_of(case._replace(endpoint=endpoint)).message)
        if case.id[:2] not in ("C3", "C4", "C5", "C6"):  # about messages, which chat alone has
            assert not re.search(OTHER_WORDS[endpoint], advice), (case.id, advice)


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (b'data: {"error": {"message": "prompt is too long: 9 > 8"}}\n\n', "Shorten the messages"),
        (b"event: error\ndata: prompt is too long\n\n", "Shorten the messages"),
        (b"data: [1]\n\n", "JSON that isn't a chat completion"),
    ],
)
def test_an_error_in_a_stream_speaks_of_its_endpoint_too(body, advice):
    decoder = StreamDecoder(TextSoFar(1, 1), {}, Limits(), endpoint="chat")
    decoder.feed(body)
    assert advice in decoder.failure.message


def test_a_wait_that_a_header_asks_for_is_said():
    assert error_for(429, {"retry-after": "1800"}, b"busy").message.endswith("(HTTP 429, retry after 1800 s)")
    assert "retry after" not in error_for(429, {}, b"Rate limit reached. Please try again in 20s").message


def test_a_retry_after_that_is_a_date_is_read_against_the_clock():
    headers = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    moment = datetime(2026, 10, 21, 7, 27, 30, tzinfo=timezone.utc).timestamp()
    assert error_for(429, headers, b"", now=moment).retry_after == 30.0
    assert error_for(429, {**headers, "Date": "Wed, 21 Oct 2026 07:27:50 GMT"}, b"", now=moment).retry_after == 10.0
    assert error_for(429, headers, b"").retry_after is None


@pytest.mark.parametrize("body", [b"{not JSON KEY", b'{"error": KEY', b"<html>KEY", b"data: KEY"])
def test_nothing_behind_an_error_holds_the_reply(body):
    for error in (error_for(500, {}, body), error_for(200, {}, body), not_an_answer(200, {}, body)):
        assert error.__cause__ is None
        assert error.__context__ is None


@pytest.mark.parametrize("status", [-1, 0, 100, 199, 600, 999])
def test_no_status_at_all(status):
    error = error_for(status, {}, b"{}")
    assert (type(error), error.retry, error.status_code) == (APIStatusError, "never", status)


@pytest.mark.parametrize(
    "piece",
    [
        b"<",
        b"sk-",
        b"bearer ",
        b" ",
        b"model ",
        b"group ",
        b"\xe5\x88\x86\xe7\xbb\x84 ",
        b"(request id: ",
        b"<title",
        b"[",
        b'{"a":',
        b"exceeds the ",
        b"cannot unmarshal ",
        b"a" * 50,
        b"unknown parameter ",
        b"data:",
        b"{",
        b"exceeds your ",
        b"use ",
        b"is not supported ",
        b"response_format ",
        b"batch size ",
        b"input tokens ",
        b"tool_use ",
    ],
)
def test_time_is_linear(piece):
    body = piece * (2_000_000 // len(piece))
    start = time.thread_time()
    for reply in (body, b'{"error":{"message":"' + body.replace(b'"', b"") + b'"}}'):
        error_for(400, {}, reply)
    assert time.thread_time() - start < 2


def test_a_code_that_is_the_status_is_not_written_twice():
    body = {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}
    error = error_for(401, {}, json.dumps(body).encode(), "chat")
    assert error.message.endswith("(HTTP 401, authentication_error)")
    assert error.code == "401"

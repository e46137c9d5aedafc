"""Every error of the gateway's catalogue, with what must become of it.

    from tests.gateway_errors import CASES

One case is one reply: a status, headers and a body, as the gateway's versions and forks and the
servers of other makers send them, in both languages where both exist. What it must become is
in the rest of the tuple. The same table runs through the catalogue itself, the clients and both
frameworks. `id` begins with the catalogue's row; cases named "other" are no rows of it.

Rows S2 (a stream of text), S3 (a stream cut short) and S4 (a stream of nothing) concern whole
streams: tests/unit/test_stream.py proves them.
"""

# ruff: noqa: RUF001 - the gateway's own words are Chinese, and so is their punctuation

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core.errors.tree import (
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthExceededError,
    GatewayTimeoutError,
    InsufficientQuotaError,
    ModelUnavailableError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnsupportedParameterError,
    XDMError,
)

if TYPE_CHECKING:
    from xdm_integrations.core.errors.endpoints import Endpoint

ID = "20261124120000123456789abcdEFGH"
KEY = "sk-Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56Qr78St90Uv12Wx34"
GATEWAY = {"content-type": "application/json", "x-oneapi-request-id": ID}
"""Every reply of the gateway's own has its request id."""
PLAIN = {"content-type": "application/json"}
"""Some proxies take the id away, and other servers never had one."""
WEB = {"content-type": "text/html; charset=utf-8"}
STREAM = {"content-type": "text/event-stream", "x-oneapi-request-id": ID}


class Case(NamedTuple):
    """One reply, and the error it must become."""

    id: str
    status: int
    headers: dict[str, str]
    body: bytes
    error: type[XDMError]
    retry: str
    scope: str = "request"
    status_code: int = 0
    """The effective status; 0 where it is the HTTP status."""
    request_id: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    says: str = ""
    """Found in the message: the gateway's own words, or part of the hint."""
    endpoint: Endpoint = "completions"
    """What was asked."""
    instead: str | None = None
    """The name that the server wants in place of `param`."""
    stream: bool = False
    """The body is an event stream that answers a streaming request."""


CASES: list[Case] = []


def _add(  # noqa: PLR0913, PLR0917 - a row of a table
    id: str,  # noqa: A002 - the field's name
    status: int,
    type: str | None,  # noqa: A002 - the field's name
    code: Any,
    message: str,
    error: type[XDMError],
    retry: str,
    scope: str,
    *,
    param: Any = "",
    headers: dict[str, str] = GATEWAY,
    suffix: bool = True,
    **expected: Any,
) -> None:
    """Add a JSON error of the relay's shape; `suffix` appends the request id to the text, as most do."""
    text = f"{message} (request id: {ID})" if suffix else message
    body: dict[str, Any] = {"message": text, "type": type}
    if param is not None:
        body["param"] = param
    if code is not None:
        body["code"] = code
    expected.setdefault("says", message)
    expected.setdefault("request_id", ID if suffix or "x-oneapi-request-id" in headers else None)
    expected.setdefault("code", code if code and code != "<nil>" else None)
    expected.setdefault("param", param or None)
    raw = json.dumps({"error": body}, ensure_ascii=False).encode()
    CASES.append(Case(id, status, headers, raw, error, retry, scope, type=type, **expected))


def _raw(  # noqa: PLR0913, PLR0917 - a row of a table
    id: str,  # noqa: A002 - the field's name
    status: int,
    headers: dict[str, str],
    body: bytes | object,
    error: type[XDMError],
    retry: str,
    scope: str = "request",
    **expected: Any,
) -> None:
    """Add a reply of any shape."""
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    expected.setdefault("request_id", headers.get("x-oneapi-request-id"))
    CASES.append(Case(id, status, headers, raw, error, retry, scope, **expected))


def _said(  # noqa: PLR0913, PLR0917 - a row of a table
    id: str,  # noqa: A002 - the field's name
    status: int,
    message: str,
    error: type[XDMError],
    retry: str = "never",
    scope: str = "request",
    *,
    sent: Any = None,
    code: Any = None,
    type: str | None = "invalid_request_error",  # noqa: A002 - the field's name
    endpoint: Endpoint = "chat",
    headers: dict[str, str] = GATEWAY,
    **expected: Any,
) -> None:
    """Add an error in OpenAI's shape, without the gateway's brand and suffix; `sent` is the reply's own `param`."""
    body = {"error": {"message": message, "type": type, "param": sent, "code": code}}
    expected.setdefault("says", message[:200])
    expected.setdefault("code", code)
    _raw(id, status, headers, body, error, retry, scope, type=type, endpoint=endpoint, **expected)


_BRANDS = ("one_api_error", "new_api_error", "one_hub_error", "shell_api_error", "rix_api_error", "v_api_error")

# A table, to be read by row.
# fmt: off
# A: the key.
for _brand in (*_BRANDS, "Aihubmix_api_error"):
    _add(f"A1 {_brand}", 401, _brand, None, "未提供令牌", AuthenticationError, "never", "token", param=None)
    _add(f"A2 {_brand}", 401, _brand, "", "无效的令牌", AuthenticationError, "never", "token")
    _add(f"A2 {_brand} en", 401, _brand, "", "Invalid token", AuthenticationError, "never", "token")
    _add(f"A7 {_brand}", 401, _brand, "", "该令牌额度已用尽", InsufficientQuotaError, "never", "token")
_add("A2 id only in the text", 401, "new_api_error", "<nil>", "无效的令牌", AuthenticationError, "never", "token",
     headers=PLAIN)
_add("A2 two ids", 401, "new_api_error", "", "无效的令牌 (request id: 1234)", AuthenticationError, "never", "token",
     says='said: "无效的令牌" (', headers=PLAIN)
_add("A3", 401, "one_api_error", None, "令牌验证失败", AuthenticationError, "once", "gateway", param=None)
_add("A4", 401, "new_api_error", "", "无效的令牌，数据库查询出错，请联系管理员", ServerError, "once", "gateway")
_add("A4 en", 401, "new_api_error", "", "Invalid token, database query error, please contact administrator",
     ServerError, "once", "gateway")
_add("A4 1.0", 500, "new_api_error", "", "Invalid token, database query error, please contact administrator",
     ServerError, "once", "gateway")
_add("A5", 401, "one_api_error", None, "该令牌已过期", AuthenticationError, "never", "token", param=None)
_add("A5 en", 401, "new_api_error", "", "This token has expired", AuthenticationError, "never", "token")
_add("A6", 401, "one_api_error", None, "该令牌状态不可用", AuthenticationError, "never", "token", param=None)
_add("A6 en", 401, "new_api_error", "", "This token status is unavailable", AuthenticationError, "never", "token")
_add("A7 named", 401, "one_api_error", None, "令牌 default（#12）额度已用尽", InsufficientQuotaError, "never", "token",
     param=None)
_add("A7 masked key", 401, "new_api_error", "", "该令牌额度已用尽 TokenStatusExhausted[sk-abc***xyz]",
     InsufficientQuotaError, "never", "token", says="TokenStatusExhausted[sk-***]")
_add("A7 en", 401, "new_api_error", "", "This token quota is exhausted TokenStatusExhausted[sk-abc***xyz]",
     InsufficientQuotaError, "never", "token", says="TokenStatusExhausted[sk-***]")
_add("A7 debug text", 401, "new_api_error", "",
     "[sk-abc***xyz] 该令牌额度已用尽 !token.UnlimitedQuota && token.RemainQuota = -5", InsufficientQuotaError, "never",
     "token", says="[sk-***] 该令牌额度已用尽")
_add("A8", 401, "invalid_request_error", "invalid_api_key", f"Incorrect API key provided: {KEY}.", ServerError, "once",
     "upstream", param=None, suffix=False, says="Incorrect API key provided: sk-***.")
_add("A8 suffix only", 401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-abc***xyz.",
     ServerError, "once", "upstream", headers=PLAIN, says="provided: sk-***.")

# P: what a valid key may not do.
for _brand in _BRANDS:
    _add(f"P1 {_brand}", 403, _brand, "", "用户已被封禁", PermissionDeniedError, "never", "account")
    _add(f"P1 {_brand} en", 403, _brand, "", "User has been banned", PermissionDeniedError, "never", "account")
    _add(f"P4 {_brand}", 403, _brand, "", "该令牌无权访问模型 gpt-4o", PermissionDeniedError, "never", "token")
_add("P2", 403, "one_api_error", None, "该令牌只能在指定网段使用：10.0.0.0/8，当前 ip：1.2.3.4", PermissionDeniedError,
     "never", "token", param=None)
_add("P3", 403, "new_api_error", "access_denied", "您的 IP 不在令牌允许访问的列表中", PermissionDeniedError, "never",
     "token")
_add("P3 unknown ip", 403, "new_api_error", "access_denied", "无法解析客户端 IP 地址", PermissionDeniedError, "never",
     "token")
_add("P3 code", 403, "new_api_error", "access_denied", "IP not allowed", PermissionDeniedError, "never", "token")
_add("P4 one_api", 403, "one_api_error", None, "该令牌无权使用模型：gpt-4o", PermissionDeniedError, "never", "token",
     param=None)
_add("P4 en", 403, "new_api_error", "", "This token has no access to model gpt-4o", PermissionDeniedError, "never",
     "token")
_add("P4 any", 403, "new_api_error", "", "该令牌无权访问任何模型", PermissionDeniedError, "never", "token")
_add("P4 any en", 403, "new_api_error", "", "This token has no access to any models", PermissionDeniedError, "never",
     "token")
_add("P5", 403, "new_api_error", "", "令牌分组 vip 已被禁用", PermissionDeniedError, "never", "token")
_add("P5 no access", 403, "new_api_error", "", "无权访问 vip 分组", PermissionDeniedError, "never", "token")
_add("P5 en", 403, "new_api_error", "", "No permission to access this group", PermissionDeniedError, "never", "token")
_add("P5 deprecated", 403, "new_api_error", "", "分组 vip 已被弃用", PermissionDeniedError, "never", "token")
_add("P6", 403, "one_api_error", None, "普通用户不支持指定渠道", PermissionDeniedError, "never", "token", param=None)
_add("P6 disabled", 403, "new_api_error", "", "该渠道已被禁用", PermissionDeniedError, "never", "token")
_add("P6 en", 403, "new_api_error", "", "This channel has been disabled", PermissionDeniedError, "never", "token")
_add("P7", 400, "one_api_error", None, "无效的渠道 Id", BadRequestError, "never", "token", param=None)
_add("P7 en", 400, "new_api_error", "", "Invalid channel ID", BadRequestError, "never", "token")

# Q: quota.
for _brand in ("one_api_error", "new_api_error"):
    _add(f"Q1 {_brand}", 403, _brand, "insufficient_user_quota", "user quota is not enough", InsufficientQuotaError,
         "never", "account")
for _n, _text in enumerate(("预扣费额度失败, 用户剩余额度: ＄0.01, 需要预扣费额度: ＄0.12",
    "预扣费额度失败, 用户剩余额度: ¥0.01, 需要预扣费额度: ¥0.12", "用户额度不足, 剩余额度: ＄-0.002",
    "chat pre-consumed quota failed, user quota: ＄0.01, need quota: ＄0.12",
    "pre-consume quota failed, user's remaining quota: 0.01")):
    _add(f"Q2 text {_n}", 403, "new_api_error", "insufficient_user_quota", _text, InsufficientQuotaError, "never",
         "account")
    _add(f"Q2 text {_n} without code", 403, "new_api_error", "", _text, InsufficientQuotaError, "never", "account")
_add("Q3", 403, "new_api_error", "insufficient_user_quota", "订阅额度不足或未配置订阅", InsufficientQuotaError, "never",
     "account")
_raw("Q4", 403, GATEWAY,
     {"error": {"message": f"user [12] quota [100] preConsumedQuota [5000] is not enough (request id: {ID})",
     "localized_message": "用户配额不足", "type": "shell_api_error", "param": "", "code": None}},
     InsufficientQuotaError, "never", "account", type="shell_api_error", says="is not enough | 用户配额不足")
_add("Q5", 403, "new_api_error", "pre_consume_token_quota_failed",
     "token quota is not enough, token remain quota: ＄0.01, need quota: ＄0.12", InsufficientQuotaError, "never",
     "token")
_add("Q5 one_api", 403, "one_api_error", "pre_consume_token_quota_failed", "令牌额度不足", InsufficientQuotaError,
     "never", "token")
_add("Q5 one_api, the account's", 403, "one_api_error", "pre_consume_token_quota_failed", "用户额度不足",
     InsufficientQuotaError, "never", "account")
_add("Q1 429 of a gateway's own", 429, "rix_api_error", None, "Your quota is not enough", InsufficientQuotaError,
     "never", "account", param=None)
_add("Q6", 429, "insufficient_quota", "insufficient_quota",
     "You exceeded your current quota, please check your plan and billing details.", InsufficientQuotaError, "once",
     "upstream", param=None, suffix=False)
_add("Q6 deepseek", 402, "unknown_error", "invalid_request_error", "Insufficient Balance", InsufficientQuotaError,
     "once", "upstream", param=None, suffix=False)

# M: the model.
for _brand in ("one_api_error", "one_hub_error", "shell_api_error"):
    _add(f"M1 {_brand}", 503, _brand, None, "当前分组 default 下对于模型 gpt-x 无可用渠道", ModelUnavailableError,
         "never", "model", param=None)
_add("M2", 503, "new_api_error", "model_not_found", "分组 default 下模型 gpt-x 无可用渠道（distributor）",
     ModelUnavailableError, "never", "model", param=None)
_add("M2 en", 503, "new_api_error", "model_not_found",
     "No available channel for model gpt-x under group default (distributor)", ModelUnavailableError, "never", "model")
_add("M3", 503, "new_api_error", "model_not_found",
     "获取分组 default 下模型 gpt-x 的可用渠道失败（distributor）: timeout", ModelUnavailableError, "once", "model")
_add("M3 en", 503, "new_api_error", "model_not_found",
     "Failed to get available channel for model gpt-x under group default (distributor): timeout",
     ModelUnavailableError, "once", "model")
_add("M3 one_api", 503, "one_api_error", None, "数据库一致性已被破坏，请联系管理员", ModelUnavailableError, "once",
     "model", param=None)
_add("M4", 503, "new_api_error", None, "No available channels for model gpt-x in group default", ModelUnavailableError,
     "never", "model", suffix=False)
_add("M5", 503, "one_api_error", None, "当前分组 default 下对于模型  无可用渠道", BadRequestError, "never", "request",
     param=None, says="当前分组 default 下对于模型 无可用渠道")
_add("M6", 500, "new_api_error", "get_channel_failed", "获取重试渠道失败: record not found", ServerError, "backoff",
     "upstream")
_add("M6 text", 500, "new_api_error", "", "分组 default 下模型 gpt-x 的可用渠道不存在（retry）", ServerError, "backoff",
     "upstream")
_add("M7", 404, "invalid_request_error", None,
     "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?",
     ModelUnavailableError, "never", "model", param="model", suffix=False)
_add("M8", 404, "invalid_request_error", "model_not_found",
     "The model `gpt-x` does not exist or you do not have access.", ModelUnavailableError, "never", "model", param=None,
     suffix=False)
_add("M8 rix", 400, "rix_api_error", None, "Model not support", ModelUnavailableError, "never", "model", param=None,
     suffix=False)

# L: limits.
_BUSY = "当前分组上游负载已饱和，请稍后再试"
_add("L1 passed on", 429, "upstream_error", "bad_response_status_code", _BUSY, RateLimitError, "backoff", "upstream",
     param="429")
_add("L1 openai", 429, "requests", "rate_limit_exceeded", _BUSY, RateLimitError, "backoff", "upstream", param=None)
_add("L1 null", 429, "new_api_error", None, _BUSY, RateLimitError, "backoff", "upstream", param=None)
_add("L1 proxy's wish", 429, "new_api_error", None, _BUSY, RateLimitError, "backoff", "upstream", param=None,
     headers={**GATEWAY, "retry-after": "7"}, retry_after=7.0)
_add("L1 milliseconds", 429, "new_api_error", None, _BUSY, RateLimitError, "backoff", "upstream", param=None,
     headers={**GATEWAY, "retry-after-ms": "1500", "retry-after": "7"}, retry_after=1.5)
_add("L2 400", 429, "upstream_error", "bad_response_status_code", _BUSY, BadRequestError, "never", "request",
     param="400", status_code=400)
_add("L2 401", 429, "upstream_error", "bad_response_status_code", _BUSY, ServerError, "once", "upstream", param="401",
     status_code=401)
_add("L2 404", 429, "upstream_error", "bad_response_status_code", _BUSY, NotFoundError, "never", "upstream",
     param="404", status_code=404)
_add("L3", 429, "new_api_error", "", "您已达到请求数限制：1分钟内最多请求60次", RateLimitError, "backoff", "account",
     retry_after=60.0)
_add("L3 total", 429, "new_api_error", "",
     "您已达到总请求数限制：5分钟内最多请求100次，包括失败次数，请检查您的请求是否正确", RateLimitError, "backoff",
     "account", retry_after=300.0)
_raw("L4", 429, {"x-oneapi-request-id": ID}, b"", RateLimitError, "backoff", "account", says="an empty body")
for _type in ("one_hub_error", "system_error"):
    _add(f"L5 {_type}", 429, _type, "system_error", "重试超时，上游负载已饱和，请稍后再试", RateLimitError, "backoff",
         "upstream", param=None)
    _add(f"L5 {_type} short", 429, _type, "system_error", "上游负载已饱和，请稍后再试", RateLimitError, "backoff",
         "upstream", param=None)
_add("L6", 500, "new_api_error", "", "rate_limit_check_failed", ServerError, "backoff", "gateway")
_add("L6 code", 500, "new_api_error", "rate_limit_check_failed", "redis: nil", ServerError, "backoff", "gateway")

# B: the request.
_BOOL = "json: cannot unmarshal number into Go struct field GeneralOpenAIRequest.logprobs of type bool"
for _id, _status, _brand, _code in (("B1 one_api", 400, "one_api_error", "invalid_text_request"), ("B1 new_api", 500,
    "new_api_error", "invalid_request")):
    _add(_id, _status, _brand, _code, _BOOL, UnsupportedParameterError, "never", "request", param="")
    CASES[-1] = CASES[-1]._replace(param="logprobs")
    for _text, _param in (("field prompt is required", "prompt"), ("model is required", None), ("max_tokens is invalid",
        None)):
        _add(f"B2 {_brand} {_text}", _status, _brand, _code, _text, BadRequestError, "never", "request")
        CASES[-1] = CASES[-1]._replace(param=_param)
_add("B3", 400, "one_api_error", None, "common.UnmarshalBodyReusable failed: unexpected end of JSON input",
     BadRequestError, "never", "request", param=None)
_add("B3 both", 400, "new_api_error", "", "Invalid request, 无效的请求, unexpected EOF", BadRequestError, "never",
     "request")
_add("B3 zh", 400, "new_api_error", "", "无效的请求，unexpected EOF", BadRequestError, "never", "request")
_add("B3 en", 400, "new_api_error", "", "Invalid request: unexpected EOF", BadRequestError, "never", "request")
_add("B4", 400, "new_api_error", "", "未指定模型名称，模型名称不能为空", BadRequestError, "never", "request")
_add("B4 en", 400, "new_api_error", "", "Model name not specified, model name cannot be empty", BadRequestError,
     "never", "request")
_add("B5", 400, "new_api_error", "sensitive_words_detected", "sensitive words detected", ContentFilterError, "never",
     "request")
_add("B5 0.9", 500, "new_api_error", "sensitive_words_detected", "sensitive_words_detected", ContentFilterError,
     "never", "request")
_add("B6", 400, "invalid_request_error", "context_length_exceeded",
     "This model's maximum context length is 4097 tokens, "
     "however you requested 5000 tokens (1000 in your prompt; 4000 for the completion).", ContextLengthExceededError,
     "never", "request", param="messages", suffix=False)
for _code in ("content_filter", "content_policy_violation", "prompt_blocked"):
    _add(f"B7 {_code}", 400, "invalid_request_error", _code, "Your request was rejected.", ContentFilterError, "never",
         "request", param=None, suffix=False)
_add("B8", 400, "one_hub_error", "invalid_request",
     "the 'stream_options' parameter is only allowed when 'stream' is enabled", BadRequestError, "never", "request")
CASES[-1] = CASES[-1]._replace(param="stream_options")
for _status in (500, 400):
    _add(f"B9 {_status}", _status, "new_api_error", "model_price_error",
         "模型 gpt-x 倍率或价格未配置，请联系管理员设置", ModelUnavailableError, "never", "model")
    _add(f"B9 {_status} en", _status, "new_api_error", "", "Model gpt-x ratio or price not set, please set it",
         ModelUnavailableError, "never", "model")
for _code in ("convert_request_failed", "invalid_api_type"):
    _add(f"B10 {_code}", 500, "new_api_error", _code, "not implemented", ModelUnavailableError, "never", "model")
for _code in ("count_token_failed", "json_marshal_failed", "gen_relay_info_failed", "channel:model_mapped_error"):
    _add(f"B10 {_code}", 500, "new_api_error", _code, "some detail", ServerError, "never", "gateway")
_add("B10 one_hub", 503, "one_hub_error", "channel_error", "channel not implemented", ModelUnavailableError, "never",
     "model")
_add("B11", 413, "new_api_error", "read_request_body_failed", "request body too large", BadRequestError, "never",
     "request")
_raw("B11 nginx", 413, WEB, b"<html><head><title>413 Request Entity Too Large</title></head></html>", BadRequestError,
     "never", says='"413 Request Entity Too Large"')

# N: the path.
_add("N1", 404, "invalid_request_error", "", "Invalid URL (POST /v1/v1/completions)", NotFoundError, "never", "request",
     suffix=False)
_add("N1 GET", 404, "invalid_request_error", "", "Invalid URL (GET /v1/completions)", NotFoundError, "never", "request",
     suffix=False)
CASES[-1] = CASES[-1]._replace(says="use https://")
_raw("N1 nginx", 404, WEB, b"<html><head><title>404 Not Found</title></head><body>nginx</body></html>", NotFoundError,
     "never", says="ending in /v1")
_raw("N2", 200, WEB,
     b'<!doctype html><html lang="zh"><head><title>XDM</title></head><body><div id="root"></div></body></html>',
     APIResponseError, "never", says="did you forget /v1")
_add("N3", 501, "new_api_error", "api_not_implemented", "API not implemented", ServerError, "never", "gateway",
     suffix=False)
_raw("N4", 307, {"location": "https://other.example/v1/completions"}, b"", APIStatusError, "never",
     says="perhaps it must be https://other.example/v1 ")

# U: the provider.
_add("U1 one_api", 500, "one_api_error", "do_request_failed",
     'do request failed: Post "https://api.openai.com/v1/completions": dial tcp: i/o timeout', ServerError, "backoff",
     "upstream")
_add("U1 0.6", 500, "new_api_error", "do_request_failed", "请求上游地址失败", ServerError, "backoff", "upstream")
_add("U1 0.8", 500, "upstream_error", "do_request_failed", "upstream error: do request failed", ServerError, "backoff",
     "upstream")
for _id, _type, _param, _text in (("one_api", "upstream_error", "502", ""), ("new_api", "bad_response_status_code", "",
    "bad response status code 502"), ("one_hub", "upstream_error", "",
    "Provider API error: bad response status code 502"), ("1.0", "bad_response_status_code", "", "openai_error")):
    _add(f"U2 {_id}", 502, _type, "bad_response_status_code", _text, ServerError, "backoff", "upstream", param=_param,
         suffix=False)
_add("U2 hidden 400", 500, "upstream_error", "bad_response_status_code", "", BadRequestError, "never", "request",
     param="400", status_code=400, suffix=False)
_add("U2 hidden 401", 500, "upstream_error", "bad_response_status_code", "", ServerError, "once", "upstream",
     param="401", status_code=401, suffix=False)
_add("U2 hidden 429", 500, "upstream_error", "bad_response_status_code", "", RateLimitError, "backoff", "upstream",
     param="429", status_code=429, suffix=False)
for _code in ("read_response_body_failed", "unmarshal_response_body_failed", "bad_response_body", "empty_response"):
    _add(f"U3 {_code}", 500, "new_api_error", _code, "unexpected EOF", ServerError, "once", "upstream")
_add("U3 bad_response", 500, "one_api_error", "bad_response", "resp is nil", ServerError, "once", "upstream")
for _code in ("channel:no_available_key", "channel:invalid_key", "channel:response_time_exceeded",
    "channel:aws_client_error", "aws_invoke_error"):
    _add(f"U4 {_code}", 500, "new_api_error", _code, "some detail", ServerError, "backoff", "upstream")
for _type in ("one_api_panic", "new_api_panic"):
    _add(f"U5 {_type}", 500, _type, None, "Panic detected, error: runtime error: invalid memory address or nil pointer "
         "dereference. Please submit a issue here: https://github.com/***", ServerError, "once", "gateway", param=None,
         suffix=False)
for _part in ("cpu", "memory", "disk"):
    _add(f"U6 {_part}", 503, "new_api_error", f"system_{_part}_overloaded",
         f"system {_part} overloaded (current: 97.1%, threshold: 90%)", ServerError, "backoff", "gateway",
         suffix=False)
for _code in ("get_user_quota_failed", "query_data_error", "update_data_error"):
    _add(f"U7 {_code}", 500, "new_api_error", _code, "Error 1040: Too many connections", ServerError, "backoff",
         "gateway")
_add("U7 text", 500, "one_api_error", None, "sql: database is closed", ServerError, "backoff", "gateway", param=None)

# G: what stands in front.
for _status, _title in ((502, "502 Bad Gateway"), (503, "503 Service Temporarily Unavailable")):
    _raw(f"G1 {_status}", _status, WEB, f"<html>\r\n<head><title>{_title}</title></head>\r\n<body><center><h1>{_title}"
         f"</h1></center><hr><center>nginx</center></body></html>".encode(), ServerError, "backoff", "gateway",
         says=f'"{_title}" (HTTP {_status}, a web page)')
_raw("G2", 504, WEB, b"<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>",
     GatewayTimeoutError, "once", "gateway", says="billed")
for _status in (520, 521, 522, 523):
    _raw(f"G3 {_status}", _status, {"content-type": "text/plain"}, f"error code: {_status}".encode(), ServerError,
         "backoff", "gateway", says=f"error code: {_status}")
for _status in (525, 526, 530):
    _raw(f"G3 {_status}", _status, WEB, b"<!DOCTYPE html><html><title>xdm | SSL handshake failed</title></html>",
         ServerError, "never", "gateway", says="SSL handshake failed")
_raw("G4 text", 524, WEB, b"error code: 524", GatewayTimeoutError, "once", "gateway", says="error code: 524")
_add("G4 json", 524, "upstream_error", "bad_response_status_code", "", GatewayTimeoutError, "once", "gateway",
     param="524", suffix=False)
_add("G4 hidden", 500, "upstream_error", "bad_response_status_code", "", GatewayTimeoutError, "once", "gateway",
     param="524", status_code=524, suffix=False)
for _status in (403, 429, 503):
    _raw(f"G5 {_status}", _status, {**WEB, "cf-mitigated": "challenge"},
         b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", PermissionDeniedError, "never",
         "gateway", says="Just a moment...")
    _raw(f"G5 {_status} by title", _status, WEB, b"<!DOCTYPE html><html><title>Just a moment...</title></html>",
         PermissionDeniedError, "never", "gateway", says="bot check")
_raw("G6", 301, {"location": f"https://new.example/v1/completions?key={KEY}", **WEB}, b"<html>301</html>",
     APIStatusError, "never", says="redirects to https://new.example/v1/completions, ")
_raw("G6 302", 302, {"location": "/login"}, b"", APIStatusError, "never", says="redirects to /login, ")

# S: errors inside a 200.
_INSIDE = json.dumps(
    {
        "error": {
            "message": f"用户额度不足 (request id: {ID})",
            "type": "new_api_error",
            "code": "insufficient_user_quota",
        }
    },
    ensure_ascii=False,
).encode()
for _id, _body in (("data", b"data: " + _INSIDE + b"\n\ndata: [DONE]\n\n"), ("bare", b": PING\n\n" + _INSIDE + b"\n"),
    ("event", b"event: error\ndata: " + _INSIDE + b"\n\n")):
    _raw(f"S1 {_id}", 200, STREAM, _body, InsufficientQuotaError, "never", "account", status_code=403,
         type="new_api_error", code="insufficient_user_quota", says="用户额度不足", stream=True)
_raw("S1 unknown", 200, STREAM, b'data: {"error":{"message":"boom","type":"server_error","code":null}}\n\n',
     ServerError, "backoff", "upstream", status_code=500, type="server_error", says="boom", stream=True)
_raw("S1 numeric", 200, STREAM, b'data: {"error":{"message":"slow down","type":null,"code":429}}\n\n', RateLimitError,
     "backoff", "upstream", status_code=429, code="429", says="slow down", stream=True)
_raw("S5", 200, GATEWAY, _INSIDE, InsufficientQuotaError, "never", "account", status_code=403, type="new_api_error",
     code="insufficient_user_quota", says="用户额度不足")
_raw("S5 success", 200, GATEWAY, {"success": False, "message": "无效的令牌"}, AuthenticationError, "never", "token",
     status_code=401, says="无效的令牌")
_raw("S5 billing", 200, GATEWAY, {"error": {"message": "boom", "type": "upstream_error"}}, ServerError, "backoff",
     "upstream", status_code=500, type="upstream_error", says="boom")
_raw("S5 heartbeats", 200, GATEWAY, b"\n\n\n" + _INSIDE, InsufficientQuotaError, "never", "account", status_code=403,
     type="new_api_error", code="insufficient_user_quota")
_raw("S6", 200, GATEWAY, {"id": "cmpl-1", "object": "text_completion", "choices": []}, APIResponseError, "once",
     says="no choices")
_raw("S6 null", 200, GATEWAY, {"id": "cmpl-1", "choices": None}, APIResponseError, "once", says="no choices")
_raw("other: empty 200", 200, GATEWAY, b" \n", APIResponseError, "backoff", says="empty body (HTTP 200")
_raw("other: text 200", 200, {"content-type": "text/plain"}, b"hello", APIResponseError, "once",
     says='"hello" (HTTP 200')
_raw("other: broken 200", 200, GATEWAY, b'{"id": "cmpl-1", "choi', APIResponseError, "once", says="broken JSON")

# Other servers of this protocol, and what OpenAI itself says.
_raw("other: llama.cpp context", 400, PLAIN, {"error": {"code": 400,
     "message": "the request exceeds the available context size, try increasing it",
     "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512}}, ContextLengthExceededError, "never",
     type="exceed_context_size_error", code="400")
_raw("other: llama.cpp key", 401, PLAIN, {"error": {"code": 401, "message": "Invalid API Key",
     "type": "authentication_error"}}, AuthenticationError, "never", "token", type="authentication_error", code="401")
_raw("other: llama.cpp loading", 503, PLAIN, {"error": {"code": 503, "message": "Loading model",
     "type": "unavailable_error"}}, ServerError, "backoff", "upstream", type="unavailable_error", code="503")
_raw("other: llama-cpp-python key", 401, PLAIN, {"detail": "Invalid API key"}, AuthenticationError, "never", "token",
     says="Invalid API key")
_raw("other: llama-cpp-python context", 400, PLAIN,
     {"error": {"message": "This model's maximum context length is 512 tokens. However, you requested 600 tokens",
     "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}},
     ContextLengthExceededError, "never", type="invalid_request_error", code="context_length_exceeded",
     param="messages")
_raw("other: llama-cpp-python crash", 500, {"content-type": "text/plain"}, b"Internal Server Error", ServerError,
     "backoff", "gateway")
_raw("other: vllm key", 401, PLAIN, {"error": "Unauthorized"}, AuthenticationError, "never", "token",
     says="Unauthorized")
_raw("other: vllm model", 404, PLAIN, {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError",
     "param": "model", "code": 404}}, ModelUnavailableError, "never", "model", type="NotFoundError", code="404",
     param="model")
_raw("other: vllm suffix", 400, PLAIN, {"object": "error", "message": "suffix is not currently supported",
     "type": "BadRequestError", "param": None, "code": 400}, UnsupportedParameterError, "never", type="BadRequestError",
     code="400", param="suffix")
_raw("other: vllm context", 400, PLAIN, {"object": "error",
     "message": "The decoder prompt (length 3000) is longer than the maximum model length of 2048.", "code": 400},
     ContextLengthExceededError, "never", code="400")
_raw("other: transformers", 400, PLAIN, {"detail": "prompt must be a string."}, BadRequestError, "never",
     says="prompt must be a string.")
_raw("other: transformers keys", 422, PLAIN, {"detail": "Unexpected keys in the request: {'best_of'}"},
     UnsupportedParameterError, "never", param="best_of")
_raw("other: fastapi", 422, PLAIN, {"detail": [{"loc": ["body", "temperature"],
     "msg": "Input should be a valid number"}, {"loc": ["body", "n"], "msg": "Field required", "input": {}}]},
     BadRequestError, "never", param="temperature",
     says="temperature: Input should be a valid number; n: Field required")
_raw("other: fastapi extra", 422, PLAIN, {"detail": [{"type": "extra_forbidden", "loc": ["body", "best_of"],
     "msg": "Extra inputs are not permitted"}]}, UnsupportedParameterError, "never", param="best_of")
_raw("other: fastapi path", 404, PLAIN, {"detail": "Not Found"}, NotFoundError, "never", says="/v1")
_raw("other: litellm rate", 429, PLAIN, {"error": {"message": "litellm.RateLimitError: slow down", "type": "None",
     "param": "None", "code": "429"}}, RateLimitError, "backoff", "upstream", code="429")
_raw("other: litellm key", 400, PLAIN, {"error": {"message": "No connected db.", "type": "no_db_connection",
     "param": None, "code": "400"}}, AuthenticationError, "never", "token", type="no_db_connection", code="400")
_raw("other: litellm parameter", 400, PLAIN,
     {"error": {"message": "litellm.UnsupportedParamsError: x does not support parameters: ['suffix'], for model=y",
     "type": "invalid_request_error", "param": None, "code": "400"}}, UnsupportedParameterError, "never",
     type="invalid_request_error", code="400", param="suffix")
_raw("other: google", 429, PLAIN, [{"error": {"code": 429, "message": "Resource has been exhausted",
     "status": "RESOURCE_EXHAUSTED"}}], RateLimitError, "backoff", "upstream", type="RESOURCE_EXHAUSTED", code="429")
_raw("other: mock", 400, PLAIN, {"error": "bad thing"}, BadRequestError, "never", says="bad thing")
_raw("other: byte order mark", 401, PLAIN, b'\xef\xbb\xbf \n{"error":{"message":"nope"}}', AuthenticationError, "never",
     "token", says='"nope"')
_raw("other: event stream", 401, STREAM, b'data: {"error":{"message":"nope"}}\n\n', AuthenticationError, "never",
     "token", says='"nope"')
for _text, _param in (("Unrecognized request argument supplied: top_k", "top_k"), ("Unknown parameter: 'min_p'.",
    "min_p"), ("Unsupported parameter: 'max_tokens' is not supported with this model.", "max_tokens"),
    ("Setting 'echo' and 'logprobs' at the same time is not supported for this model.", "echo")):
    _raw(f"other: {_text[:20]}", 400, GATEWAY, {"error": {"message": _text, "type": "invalid_request_error",
         "param": None, "code": None}}, UnsupportedParameterError, "never", type="invalid_request_error", param=_param,
         says=_text)
_raw("other: wait", 429, PLAIN, {"error": {"message": "Rate limit reached. Please try again in 1.5s.",
     "type": "requests", "code": "rate_limit_exceeded"}}, RateLimitError, "backoff", "upstream", type="requests",
     code="rate_limit_exceeded", retry_after=1.5)
_raw("other: keys", 500, PLAIN, {"error": {"message": f"Traceback:\n{KEY} Authorization: Bearer {KEY[3:]}\n{KEY}"}},
     ServerError, "backoff", "upstream", says="sk-*** Authorization: Bearer *** sk-***")

# C: chat.
for _where, _text in (("", "{}"), (" wrapped", "litellm.BadRequestError: OpenAIException - {}"),
    (" in JSON", 'Error from provider: {{"error": {{"message": "{}"}}}}')):
    _said(f"C1{_where}", 400, _text.format("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
          "'max_completion_tokens' instead."), UnsupportedParameterError, param="max_tokens",
          instead="max_completion_tokens")
    _said(f"C7{_where}", 400, _text.format("registry.ollama.ai/library/x does not support tools"),
          UnsupportedParameterError, param="tools", type="api_error")
    _said(f"C8{_where}", 400, _text.format("This response_format type is unavailable now"), UnsupportedParameterError,
          param="response_format")
    _said(f"C12{_where}", 400, _text.format("prompt is too long: 212000 tokens > 200000 maximum"),
          ContextLengthExceededError)
_said("C1 code", 400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
      "'max_completion_tokens' instead.", UnsupportedParameterError, sent="max_tokens", code="unsupported_parameter",
      param="max_tokens", instead="max_completion_tokens")
_said("C1 deprecated", 400, "`max_tokens` is deprecated for this model, use `max_completion_tokens` instead",
      UnsupportedParameterError, param="max_tokens", instead="max_completion_tokens")
_said("C1 the other way", 400, "max_completion_tokens is not supported. Please use max_tokens instead.",
      UnsupportedParameterError, param="max_completion_tokens", instead="max_tokens")
for _n, (_text, _param) in enumerate((("suffix is not supported", "suffix"),
    ("`frequency_penalty` is not supported by this model", "frequency_penalty"), ("tool_choice is not supported",
    "tool_choice"), ("litellm.BadRequestError: 'logprobs' is not supported with this model", "logprobs"),
    ("suffix is not currently supported", "suffix"))):
    _said(f"other: a parameter {_n}", 400, _text, UnsupportedParameterError, param=_param)
_said("other: not a parameter", 400, "This model is not supported in your region.", BadRequestError)
_said("other: parallel calls", 400, "Parallel tool calls are not supported", BadRequestError)
_said("C2", 400, "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is "
      "supported.", UnsupportedParameterError, sent="temperature", code="unsupported_value", param="temperature",
      says="just one value of `temperature`")
_said("C2 kimi", 400, "invalid temperature: only 1 is allowed for this model", UnsupportedParameterError,
      param="temperature", says="just one value of `temperature`")
for _n, _text in enumerate(("The `reasoning_content` in the thinking mode must be passed back to the API.",
    "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
    "The `content[].thinking` in the thinking mode must be passed back to the API.",
    "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.")):
    _said(f"C3 text {_n}", 400, _text, BadRequestError, says="with their reasoning")
_said("C4", 400, "Function call is missing a thought_signature in functionCall parts.", BadRequestError,
      type="INVALID_ARGUMENT", says="with their reasoning")
for _n, _text in enumerate((
    "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01",
    "messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_01")):
    _said(f"C5 text {_n}", 400, _text, BadRequestError, says="its result right after it")
for _n, _text in enumerate((
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
    "(insufficient tool messages following tool_calls message)",
    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.")):
    _said(f"C6 text {_n}", 400, _text, BadRequestError, says="its result right after it")
for _n, (_status, _text) in enumerate(((404, "No endpoints found that support tool use."),
    (400, "this model does not support function calling"),
    (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    (500, "tools param requires --jinja flag"), (400, "Function calling is not enabled for this model"),
    (400, "Tool calling is not supported with this model"), (400, "该模型不支持工具调用"))):
    _said(f"C7 text {_n}", _status, _text, UnsupportedParameterError, param="tools")
for _n, (_status, _text) in enumerate((
    (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
    (422, "response_format is unsupported"), (400, "This model does not support json_schema."),
    (400, "Structured outputs are not supported by this model"), (400, "JSON mode is not supported for this model."),
    (400, "该模型不支持 response_format"))):
    _said(f"C8 text {_n}", _status, _text, UnsupportedParameterError, param="response_format")
_said("C8 the schema's fault", 400, "Invalid schema for response_format 'Answer': 'oneOf' is not supported.",
      BadRequestError)
for _n, (_status, _text) in enumerate((
    (400, ("Failed to deserialize the JSON body into the target type: messages[7]: unknown variant `image_url`, "
    "expected `text`")), (400, "image_url is only supported by certain models"),
    (400, "image_url is not supported"), (404, "No endpoints found that support image input"),
    (500, "image input is not supported - hint: see --mmproj"),
    (400, "tiny is not a multimodal model"), (400, "该模型不支持图片输入"))):
    _said(f"C9 text {_n}", _status, _text, UnsupportedParameterError, param="image", says="takes no images")
_add("C10", 500, "new_api_error", "convert_request_failed",
     "get file data failed: failed to download image: HTTP 404", BadRequestError, "never", "request", endpoint="chat")
_add("C10 kind", 500, "new_api_error", "convert_request_failed",
     "mime type is not supported by Gemini: 'image/gif'", BadRequestError, "never", "request", endpoint="chat")
_add("C10 arguments", 500, "new_api_error", "convert_request_failed", "invalid arguments for function now, args: x",
     BadRequestError, "never", "request", endpoint="chat", says="mend what it names")
_add("C10 one_hub", 400, "one_hub_error", "image_url_invalid", "image url is invalid", BadRequestError, "never",
     "request", endpoint="chat", says="mend what it names")
for _n, (_status, _text) in enumerate(((400, "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum"),
    (413, "request body too large (128 MB)"), (400, "Request too large"), (413, "Payload Too Large"))):
    _said(f"C11 text {_n}", _status, _text, BadRequestError, says="smaller images")
_said("C11 a limit of tokens", 429,
     "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000",
      RateLimitError, "backoff", "upstream", type="tokens", code="rate_limit_exceeded")
_said("C12 zhipu code", 400, "Prompt 超长", ContextLengthExceededError, code="1261", type=None)
_said("C13", 400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
      ContentFilterError, type=None, code="content_filter", sent="prompt", param="prompt")
_said("C14", 400, "<400> InternalError.Algo.DataInspectionFailed: Input text data may contain inappropriate content.",
      ContentFilterError, type="data_inspection_failed", code="data_inspection_failed")
_said("C14 words", 400, "Input data may contain inappropriate content.", ContentFilterError)
_said("C15 zhipu", 400, "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语",
      ContentFilterError, type=None, code="1301")
for _n, _text in enumerate(("Content Exists Risk", "The request was rejected because it was considered high risk",
    "The request failed because the input text may contain sensitive content: SensitiveContentDetected")):
    _said(f"C15 text {_n}", 400, _text, ContentFilterError)
_said("C15 ark", 400, "refused", ContentFilterError, type="BadRequest", code="InputTextSensitiveContentDetected")
_add("C16", 400, "new_api_error", "prompt_blocked", "request blocked by Gemini API: PROHIBITED_CONTENT",
     ContentFilterError, "never", "request", endpoint="chat")
_said("C16 xai", 403, "Content violates usage guidelines.", ContentFilterError, code="violation_fee.grok.csam")
for _text in ("Your input was flagged for the following reasons: violence",  # OpenRouter's: no matter of the key
    "Your chosen model requires moderation and your input was flagged",
    "Request blocked: prompt injection patterns detected"):
    _said(f"C16 {_text[:20]}", 403, _text, ContentFilterError, type=None, code="403")
_add("C17", 500, "new_api_error", "empty_response", "empty response from Gemini API", ServerError, "once", "upstream",
     endpoint="chat")
_AWS = "InvokeModel: operation error Bedrock Runtime: InvokeModel, https response error StatusCode: {}, RequestID: 1, "
_add("C18", 400, "new_api_error", "aws_invoke_error", _AWS.format(400) + "ValidationException: malformed input",
     BadRequestError, "never", "request", endpoint="chat")
_add("C18 as 500", 500, "new_api_error", "aws_invoke_error", _AWS.format(400) + "ValidationException: malformed input",
     BadRequestError, "never", "request", endpoint="chat")
_add("C18 length", 400, "new_api_error", "aws_invoke_error",
     _AWS.format(400) + "ValidationException: Input is too long for requested model.", ContextLengthExceededError,
     "never",
     "request", endpoint="chat")
_add("C18 key", 403, "new_api_error", "aws_invoke_error", _AWS.format(403) + "AccessDeniedException", ServerError,
     "once", "upstream", endpoint="chat")
_add("C18 throttled", 429, "new_api_error", "aws_invoke_error",
     _AWS.format(429) + "ThrottlingException: Too many tokens, "
     "please wait", RateLimitError, "backoff", "upstream", endpoint="chat")
_add("C18 busy", 503, "new_api_error", "aws_invoke_error", _AWS.format(503) + "ServiceUnavailableException",
     ServerError,
     "backoff", "upstream", endpoint="chat")
_said("C19", 400, "parameter.enable_thinking must be set to false for non-streaming calls", UnsupportedParameterError,
      code="invalid_parameter_error", param="enable_thinking", says="Stream the answer")
_said("C20", 400, "messages 参数非法。请检查文档。", BadRequestError, type=None, code="1214")
_said("C20 en", 400, "Invalid API parameter, please check the documentation.", BadRequestError, type=None, code="1210")
for _code, _text in (("1302", "您当前使用该API的并发数过高，请降低并发"), ("1303", "您当前使用该API的频率过高"),
    ("1305", "该模型当前访问量过大，请您稍后再试"), ("1308", "已达到 5 小时的使用上限")):
    _said(f"C21 zhipu {_code}", 429, _text, RateLimitError, "backoff", "upstream", type=None, code=_code)
_said("C21 ali", 429, "Requests rate limit exceeded, please try again later.", RateLimitError, "backoff", "upstream",
      type="limit_requests", code="limit_requests")
_said("C21 ali quota", 429, "Free allocated quota exceeded.", RateLimitError, "backoff", "upstream",
      type="insufficient_quota", code="insufficient_quota", says="for this minute")
_said("C21 kimi", 429, "Your account reached max request limit", RateLimitError, "backoff", "upstream",
      type="rate_limit_reached_error")
for _n, (_status, _type, _text) in enumerate(((529, "overloaded_error", "Overloaded"),
    (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    (503, "insufficient_system_resource", "no capacity"), (500, "x", "The engine is currently overloaded"),
    (503, "x", "no slot available"), (503, "x", "服务器繁忙，请稍后再试"),
    (503, "api_error", "server busy, please try again.  maximum pending requests exceeded"))):
    _said(f"C22 text {_n}", _status, _text, ServerError, "backoff", "upstream", type=_type, says="server is busy")
_add("C23", 400, "new_api_error", "bad_response_status_code", "bad response status code 400", BadRequestError, "never",
     "request", endpoint="chat")
_raw("C23 list", 400, PLAIN, [{"error": {"code": 400, "message": "Request contains an invalid argument.",
     "status": "INVALID_ARGUMENT"}}], BadRequestError, "never", type="INVALID_ARGUMENT", code="400", endpoint="chat")
_said("C24", 400, "Invalid value: 'developer'. Supported values are: 'system', 'assistant', 'user'.", BadRequestError,
      sent="messages[0].role", param="messages[0].role", says="send `system`")
_said("C24 words", 400, 'messages: Unexpected role "developer"', BadRequestError, says="send `system`")
for _n, _text in enumerate(("Invalid schema for function 'f': None is not of type 'object'.",
    "tools.0.custom.input_schema: JSON schema is invalid.",
    "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the pattern.")):
    _said(f"C25 text {_n}", 400, _text, BadRequestError, says="this tool")
_add("C26", 500, "new_api_error", "bad_response", "responses stream error: response.failed", ServerError, "once",
     "upstream", endpoint="chat")

# E: embeddings.
_EMBED: dict[str, Any] = {"endpoint": "embeddings"}
for _n, (_status, _text) in enumerate((
    (400, ("<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be larger "
    "than 10.: input.contents")), (422, "batch size 128 > maximum allowed batch size 32"),
    (400, "Too many inputs. The max number of inputs is 16."),
    (400, "Invalid 'input': array too long. Expected an array with maximum length 2048, but got length 3000 instead."),
    (422, "List should have at most 2048 items after validation, not 3000"), (400, "input数组最大不得超过64条"),
    (400, "at most 100 requests can be in one batch"), (400, "The batch size exceeds the limit"),
    (400, "Requested 350000 tokens, max 300000 tokens per request"),
    (400, "Too many inputs in request, split into more batches."))):
    _said(f"E1 text {_n}", _status, _text, BadRequestError, says="fewer or shorter texts", **_EMBED)
_raw("E1 siliconflow", 400, GATEWAY, {"code": 20042, "message": "input batch size 136 > maximum allowed batch size 64",
     "data": None}, BadRequestError, "never", code="20042", says="fewer or shorter texts", **_EMBED)
_raw("E1 siliconflow 200", 200, GATEWAY, {"code": 20042,
     "message": "input batch size 136 > maximum allowed batch size 64", "data": None}, BadRequestError, "never",
     code="20042", status_code=400, says="fewer or shorter texts", **_EMBED)
_said("E1 code", 400, "too much", BadRequestError, code="array_above_max_length", says="fewer or shorter texts",
     **_EMBED)
for _n, (_status, _text) in enumerate((
    (400, ("This model's maximum context length is 8192 tokens, however you requested 9000 tokens (9000 in your "
    "prompt; 0 for the completion).")), (400, "input must have less than 8192 tokens"),
    (400, "Range of input length should be [1, 2048]"), (413, "`inputs` must have less than 512 tokens. Given: 1024"),
    (500, "input (27002 tokens) is too large to process. increase the physical batch size (current batch size: 512)"),
    (400, "the input length exceeds the context length"), (400, "Input text exceeds the maximum length"))):
    _said(f"E2 text {_n}", _status, _text, ContextLengthExceededError, says="Shorten the text:", **_EMBED)
for _n, (_text, _param) in enumerate((("This model does not support specifying dimensions.", "dimensions"),
    ('Model "bge-m3" does not support matryoshka representation, changing output dimensions will lead to poor results.',
    "dimensions"), ("dimensions is currently not supported", "dimensions"),
    ('Invalid JSON payload received. Unknown name "encoding_format": Cannot find field.', "encoding_format"),
    ("'encoding_format' only support with [float, base64]", "encoding_format"),
    ("litellm.UnsupportedParamsError: gemini does not support parameters: {'encoding_format': 'base64'}",
    "encoding_format"))):
    _said(f"E3 text {_n}", 400, _text, UnsupportedParameterError, param=_param, **_EMBED)
_add("E3 base64 in one_hub", 500, "one_hub_error", "unmarshal_response_body_failed",
     "json: cannot unmarshal string into Go struct field Embedding.data.embedding of type []float64",
     UnsupportedParameterError, "never", "request", endpoint="embeddings")
CASES[-1] = CASES[-1]._replace(param="encoding_format")
for _n, (_status, _text, _param) in enumerate(((500, "input is empty", None), (400, "field input is required", None),
    (400, "'$.input' is invalid", None), (400, "input cannot be an empty string", None),
    (422, "`inputs` cannot be empty", None), (400, "input 不能为空", None))):
    _said(f"E4 text {_n}", _status, _text, BadRequestError, param=_param, says="no empty text", **_EMBED)
for _text in ("not available", "not implemented"):
    _add(f"E5 {_text}", 500, "new_api_error", "convert_request_failed", _text, ModelUnavailableError, "never", "model",
         endpoint="embeddings")
_add("E5 one_hub", 503, "one_hub_error", "channel_error", "channel not implemented", ModelUnavailableError, "never",
     "model", endpoint="embeddings")
CASES[-1] = CASES[-1]._replace(says="can't do embeddings: name an embedding model")
_said("E6", 404, "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
      ModelUnavailableError, "never", "model", says="can't do chat: name a chat model")
_said("E6 embeddings", 400, "The model `gpt-4o` doesn't support embeddings", ModelUnavailableError, "never", "model",
      says="can't do embeddings", **_EMBED)
_said("E6 not allowed", 403, "You are not allowed to generate embeddings from this model", PermissionDeniedError,
     "never",
      "token", **_EMBED)
_raw("other: NaN", 500, PLAIN, {"error": {"message": "failed to encode response: json: unsupported value: NaN",
     "type": "api_error"}}, BadRequestError, "never", type="api_error", says="no numbers for one of the texts",
     **_EMBED)

# Other servers, by meaning, at every endpoint. First: too long.
_LONG = (
    (422, ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1244 `inputs` tokens "
    "and 1000 `max_new_tokens`")),
    (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 1168"),
    (400, "The input (61709 tokens) is longer than the model's context length (40960 tokens)."),
    (400, "Requested token count exceeds the model's maximum context length of 4096 tokens."),
    (400, "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."),
    (400, ("Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with "
    "context length of only 32768 tokens, which is not enough.")),
    (400, "The number of tokens to keep from the initial prompt is greater than the context length."),
    (400, "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"),
    (400, "Request length 71599 + 2048 is greater than max_seq_len 65536"),
    (400, "length of prompt_tokens (57535) must be less than max_seq_len (32768)"),
    (400, "litellm.ContextWindowExceededError: OpenAIException - too long"),
    (400, "Input tokens exceed the configured limit of 272000 tokens."),
    (400, "Your input exceeds the context window of this model. Please adjust your input and try again."),
    (500, "Requested tokens exceed context window of 512"),
    (400, "input length and `max_tokens` exceed context limit: 174167 + 64000 > 200000"),
    (400, ("You passed 5000 input tokens and requested 16 output tokens. However, the model's context length is only "
    "4096 tokens, resulting in a maximum input length of 4080 tokens.")),
    (400, "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it"),
    (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
    (400, "Invalid request: Your request exceeded model token limit: 8192"), (400, "Prompt exceeds max length"),
    (400, "generating 1 tokens requires a sequence length of 4310, but the maximum supported sequence length is 4096!"),
    (400, "too many tokens: total number of tokens in the prompt cannot exceed 4081"),
    (400, "Range of input length should be [1, 98304]"), (400, "输入内容过长，超过模型的上下文长度"),
)
for _n, (_status, _text) in enumerate(_LONG):
    for _endpoint, _advice in (("completions", "Shorten the prompt or use a smaller max_tokens"),
        ("chat", "Shorten the messages or allow a shorter answer"), ("embeddings", "Shorten the text:")):
        _said(f"other: too long {_n} {_endpoint}", _status, _text, ContextLengthExceededError, endpoint=_endpoint,
              says=_advice, headers=PLAIN, type=None)
for _n, (_status, _type, _code, _text) in enumerate((
    (400, "budget_exceeded", "400", "Budget has been exceeded! Current cost: 10.02, Max budget: 10.0"),
    (429, "budget_exceeded", "429", "LiteLLM Virtual Key: 2d0c, exceeded budget for model=x"),
    (400, "auth_error", "400", "ExceededBudget: End User=u over budget. Spend=0.0009, Budget=0.0001"),
    (400, "None", "400",
     "ExceededTokenBudget: Current spend for token: 7e-05; Max Budget for Token: 2e-07. Over budget"),
    (429, "budget_exceeded", "429", "no words that anybody knows"))):
    _said(f"other: a budget {_n}", _status, _text, InsufficientQuotaError, "never", "token", code=_code, type=None,
          headers=PLAIN)
    CASES[-1] = CASES[-1]._replace(body=CASES[-1].body.replace(b'"type": null', f'"type": "{_type}"'.encode()),
                                   type=None if _type == "None" else _type)
for _n, (_status, _code, _text) in enumerate((
    (400, "Arrearage", "Access denied, please make sure your account is in good standing."),
    (403, None, "Access denied due to overdue account"), (429, "1113", "您的账户已欠费，请充值后重试。"),
    (429, "1113", "余额不足或无可用资源包,请充值。"), (403, "30001", "Sorry, your account balance is insufficient"),
    (403, "30011", "The selected model requires paid balance. Your paid balance is insufficient."),
    (400, None, "Your credit balance is too low to access the Anthropic API."), (402, "402", "Insufficient credits"),
    (402, "402", "This request requires more credits, or fewer max_tokens."), (429, "exceeded_current_quota_error",
     "x"))):
    _said(f"other: arrears {_n}", _status, _text, InsufficientQuotaError, "once", "upstream", code=_code, type=None,
          headers=PLAIN)
for _n, (_status, _type, _text) in enumerate((
    (401, "key_model_access_denied",
     ("key not allowed to access model. This key can only access models=['a']. Tried to "
    "access b")), (403, "team_model_access_denied", "team not allowed to access model. Tried to access b"),
    (401, "auth_error", "API Key not allowed to access model. This token can only access models=['a']"),
    (403, "x", "Your key can only access models a, b"), (403, "user_model_access_denied", "no"))):
    _said(f"other: not this key's model {_n}", _status, _text, PermissionDeniedError, "never", "token", type=_type,
          headers=PLAIN)
for _n, (_status, _code, _text) in enumerate(((404, None, 'model "foo" not found, try pulling it first'),
    (404, "DeploymentNotFound", "The API deployment for this resource does not exist."), (400, None, "Model Not Exist"),
    (400, None, "Only vicuna-7b allowed now, your model gpt-x"), (400, None, "模型 glm-x 不存在，请检查模型代码。"),
    (400, None, "/completions: Invalid model name passed in model=x. Call `/v1/models` to view available models"),
    (400, None, "Server is pinned to 'tiny', but 'x' was requested"), (404, None, "No such model: x"))):
    _said(f"other: no such model {_n}", _status, _text, ModelUnavailableError, "never", "model", code=_code,
          headers=PLAIN, says="see GET /v1/models")
for _n, (_status, _text) in enumerate((
    (404, "No models loaded. Please load a model in the developer page or use the 'lms load' command."),
    (503, "No models are currently loaded."), (400, "Model x is not loaded"), (400, "Model unloaded."),
    (400, 'Failed to load model "x". Error: not enough memory'))):
    _said(f"other: not loaded {_n}", _status, _text, ModelUnavailableError, "never", "model", headers=PLAIN,
          says="Load the model")
_raw("other: no worker", 503, PLAIN, {"object": "error", "message": "No available worker for x", "code": 40301},
     ModelUnavailableError, "never", "model", code="40301")
for _n, (_status, _code, _endpoint, _text) in enumerate((
    (400, "OperationNotSupported", "completions",
     "The completion operation does not work with the specified model, x."),
    (400, None, "embeddings", "The embeddings operation does not work with the specified model, gpt-x."),
    (400, None, "completions", '"nomic-embed-text" does not support generate'),
    (400, None, "chat", '"nomic-embed-text" does not support chat'),
    (400, None, "embeddings", "this model does not support embeddings"),
    (400, None, "completions", "completions api is only available when using beta api"),
    (400, None, "completions", "The model does not support Completions API"),
    (400, None, "completions", ("Model x is not supported for task text-generation and provider y. Supported task: "
    "conversational.")), (404, "operationnotsupported", "chat", "no"))):
    _task = "text completions" if _endpoint == "completions" else _endpoint
    _said(f"other: the model can't {_n}", _status, _text, ModelUnavailableError, "never", "model", code=_code,
          endpoint=_endpoint, headers=PLAIN, says=f"can't do {_task}")
_said("other: no insert", 400, "registry.ollama.ai/library/qwen3:latest does not support insert",
      UnsupportedParameterError, endpoint="completions", param="suffix", type="api_error", headers=PLAIN)
_said("other: 501 embeddings", 501, "This server does not support embeddings. Start it with `--embeddings`",
     ServerError,
      "never", "gateway", type="not_supported_error", headers=PLAIN, **_EMBED)
_raw("other: lm studio path", 200, PLAIN, {"error": "Unexpected endpoint or method. (POST /completions)"},
     NotFoundError,
     "never", status_code=404, says="ending in /v1")
_raw("other: koboldcpp", 503, PLAIN, {"detail": {"msg": "Server is busy; please try again later.",
     "type": "service_unavailable"}}, ServerError, "backoff", "upstream", type="service_unavailable",
     says="The server is busy.")
_said("Q2 chat", 403, "用户额度不足", InsufficientQuotaError, "never", "account", type="new_api_error",
      says="or allow a shorter answer: the gateway reserves the messages")
_said("Q2 embeddings", 403, "用户额度不足", InsufficientQuotaError, "never", "account", type="new_api_error",
      says="or send fewer texts at once: the gateway reserves the tokens of all texts", **_EMBED)
_raw("G2 embeddings", 504, WEB, b"<html><head><title>504 Gateway Time-out</title></head></html>", GatewayTimeoutError,
     "once", "gateway", says="send fewer texts in one request", **_EMBED)
_raw("S6 embeddings", 200, GATEWAY, {"object": "list", "data": [], "model": "x"}, APIResponseError, "once",
     says="has no vectors", **_EMBED)
_raw("S6 chat", 200, GATEWAY, {"object": "chat.completion", "choices": []}, APIResponseError, "once",
     says="no choices", endpoint="chat")

# What only the status tells.
for _status, _error, _retry, _scope in ((400, BadRequestError, "never", "request"), (401, AuthenticationError, "never",
    "token"), (402, InsufficientQuotaError, "never", "account"), (403, PermissionDeniedError, "never", "token"), (404,
    NotFoundError, "never", "request"), (408, APIStatusError, "backoff", "gateway"), (409, APIStatusError, "backoff",
    "gateway"), (413, BadRequestError, "never", "request"), (418, APIStatusError, "never", "request"), (422,
    BadRequestError, "never", "request"), (429, RateLimitError, "backoff", "upstream"), (500, ServerError, "backoff",
    "upstream"), (501, ServerError, "never", "gateway"), (502, ServerError, "backoff", "upstream"), (503, ServerError,
    "backoff", "upstream"), (504, GatewayTimeoutError, "once", "gateway"), (507, ServerError, "backoff", "upstream"),
    (520, ServerError, "backoff", "gateway"), (524, GatewayTimeoutError, "once", "gateway"), (525, ServerError, "never",
    "gateway"), (529, ServerError, "backoff", "upstream"), (530, ServerError, "never", "gateway")):
    _raw(f"other: {_status}", _status, PLAIN, {"error": {"message": "something new", "type": "x", "code": "y"}}, _error,
         _retry, _scope, type="x", code="y", says='said: "something new"')
# fmt: on

ONE_OF_EACH = list({(case.error, case.retry_after): case for case in CASES if not case.stream}.values())
"""A row of each class and of each wait that a server asks for: what brings an error to a user treats the rest alike."""

"""The gateway's error catalogue as data: what came back, what it means, what to do.

The gateway is of the One API family (One API, New API, one-hub and their forks), which relays
to providers and to further gateways. One status stands for many causes there (a model nobody
offers is a 503, a used-up key a 401, a bad parameter a 500), so text and code decide before
the status does. The ids are those of the catalogue's tests; rows without one hold what other
servers of this protocol say, and what is left when only the status speaks.

The first row that fits wins. A row fits if

* the status is one of its `status` (any, if it names none), and
* the speaker is one of its `by` (any, if it names none), and
* the reply's code or type is one of its `signs`, or its `text` is found in the gateway's words
  (if it has neither, the status alone decides).

An error inside a 200 may come without a status: then `status` is no obstacle, but a row that
has nothing else doesn't fit.
"""

# ruff: noqa: RUF001 - the gateway's own words are Chinese, and so is their punctuation

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .tree import (
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
)

if TYPE_CHECKING:
    from collections.abc import Container

    from .tree import Retry, Scope

HTML, PLAIN, EMPTY, CHALLENGE = "<html>", "<plain>", "<empty>", "<challenge>"
"""Signs for the form of a reply that isn't JSON: a web page, plain text, nothing, a bot check."""

GATEWAY, UPSTREAM, DIRECT = "gateway", "upstream", "direct"
"""Who speaks: the gateway itself; a provider behind it; a server with no sign of a gateway."""


class Row(NamedTuple):
    """One kind of failure."""

    ids: str
    error: type[APIStatusError]
    scope: Scope
    retry: Retry
    hint: str = ""
    """What to do next; `{param}` stands for the parameter's name."""
    status: Container[int] = ()
    signs: str = ""
    """Codes and types in lower case, separated by spaces."""
    text: str = ""
    """A regular expression; the groups `param`, `minutes` and `seconds` are taken over."""
    by: str = ""
    """Speakers, separated by spaces."""


_KEY = "Check XDM_API_KEY, and that base_url is the site where the key was made."
_RESERVE = "the gateway reserves prompt + max_tokens in advance"
_PARAMETER = "This server can't take {param} as it was sent: leave it out."
_BASE_URL = "base_url must be the root of the API, ending in /v1 just once."
_LATE = "The work may have been done, and billed; stream the answer or ask for less in one request."
_SUFFIX = "A key with a `-` inside asks for a fixed channel: remove what follows the key itself."

# A table, to be read by row.
# fmt: off
ROWS: tuple[Row, ...] = (
    # G5: a page that a browser must pass may come with any of these statuses, so it is asked for first.
    Row("G5", PermissionDeniedError, "gateway", "never", status=(401, 403, 429, 503), signs=CHALLENGE,
        text=r"^just a moment|^attention required! \| cloudflare",
        hint="A bot check in front of the gateway blocks this address: try another network, or ask the site."),
    # A7, Q: somebody's budget, whatever the status. 用户额度不足 comes with the token's code too, so it is before Q5.
    Row("A7", InsufficientQuotaError, "token", "never", text=r"额度已用尽|quota is exhausted|TokenStatusExhausted",
        hint="The key's own budget is used up: raise it on the site, or use another key."),
    Row("Q3", InsufficientQuotaError, "account", "never", text=r"订阅额度不足|未配置订阅|subscription quota",
        hint="The account's subscription doesn't cover this request."),
    Row("Q2 Q4 Q5", InsufficientQuotaError, "account", "never",
        text=r"预扣费额度失败|用户额度不足|pre-?consumed? quota failed|preConsumedQuota [^ ]{1,60} is not enough",
        hint=f"Top up the account or use a smaller max_tokens: {_RESERVE}."),
    Row("Q1", InsufficientQuotaError, "account", "never", text=r"user quota is not enough",
        hint="The account's balance is used up: top it up."),
    Row("Q5", InsufficientQuotaError, "token", "never", signs="pre_consume_token_quota_failed",
        text=r"令牌额度不足|token quota is not enough",
        hint=f"Raise the key's budget or use a smaller max_tokens: {_RESERVE}."),
    Row("Q1 Q2 Q3 Q4", InsufficientQuotaError, "account", "never", signs="insufficient_user_quota",
        hint=f"Top up the account or use a smaller max_tokens: {_RESERVE}."),
    Row("Q1 Q4", InsufficientQuotaError, "account", "never", status=(400, 401, 402, 403, 429, 503), by=GATEWAY,
        text=r"额度|余额|quota|\bbalance\b", hint="The account or the key has too little left: top it up."),
    Row("Q6", InsufficientQuotaError, "upstream", "once", signs="insufficient_quota", by=f"{UPSTREAM} {DIRECT}",
        text=r"exceeded your current quota|insufficient balance",
        hint="The provider's own account is used up; another channel may still work: try again, or tell the site."),
    # A: the key.
    Row("A4", ServerError, "gateway", "once", text=r"令牌，数据库查询出错|token, database query error",
        hint="The gateway's database failed while it looked up the key."),
    Row("A3", AuthenticationError, "gateway", "once", text=r"令牌验证失败",
        hint="The gateway couldn't check the key; if it stays so, check XDM_API_KEY."),
    Row("A1", AuthenticationError, "token", "never", text=r"未提供令牌|no token provided",
        hint="No key arrived: set XDM_API_KEY."),
    Row("A5", AuthenticationError, "token", "never", text=r"令牌已过期|token (?:has|is) expired",
        hint="The key has expired: make a new one on the site."),
    Row("A6", AuthenticationError, "token", "never", text=r"令牌状态不可用|token status is unavailable",
        hint="The key is disabled: enable it on the site."),
    Row("A2", AuthenticationError, "token", "never", text=r"无效的令牌|^invalid token\b",
        hint=f"{_KEY} Newer gateways say this of an expired, disabled or used-up key too."),
    Row("A8", ServerError, "upstream", "once", status=(401,), by=UPSTREAM, signs="invalid_api_key authentication_error",
        text=r"api.?key", hint="The provider refused the gateway's own key, not yours: try again, or tell the site."),
    Row("", AuthenticationError, "token", "never", signs="no_db_connection",
        hint="LiteLLM doesn't know this key, and has no database to look it up in."),
    # P: a valid key that may not do this.
    Row("P1", PermissionDeniedError, "account", "never", text=r"用户已被封禁|user has been banned",
        hint="The account is banned: ask the site."),
    Row("P2 P3", PermissionDeniedError, "token", "never",
        text=r"只能在指定网段使用|不在令牌允许访问的列表|无法解析客户端 ?IP",
        hint="The key may only be used from certain IP addresses: add this one on the site."),
    Row("P3", PermissionDeniedError, "token", "never", signs="access_denied", by=GATEWAY),
    Row("P4", PermissionDeniedError, "token", "never",
        text=r"令牌无权(?:使用|访问)|token has no access to (?:model|any model)",
        hint="The key isn't allowed this model: add it to the key's models on the site, or name another model."),
    Row("P5", PermissionDeniedError, "token", "never", text=r"分组 .{0,80}已被(?:禁用|弃用)|无权访问 .{0,80}分组|"
        r"no permission to access this group|group .{0,80}deprecated",
        hint="The key's group is closed to it: choose another group for the key on the site."),
    Row("P6", PermissionDeniedError, "token", "never", hint=_SUFFIX,
        text=r"不支持指定渠道|该渠道已被禁用|this channel has been disabled"),
    Row("P7", BadRequestError, "token", "never", hint=_SUFFIX, text=r"无效的渠道 ?Id|invalid channel id"),
    # M: the model. M5 looks like M1, but for the name that is missing.
    Row("M5", BadRequestError, "request", "never", text=r"模型\s*无可用渠道",
        hint="No model name arrived: pass `model`, and send Content-Type: application/json."),
    Row("M6", ServerError, "upstream", "backoff", signs="get_channel_failed",
        text=r"获取重试渠道失败|可用渠道不存在（retry）", hint="Every provider that the gateway tried has failed."),
    Row("M3", ModelUnavailableError, "model", "once",
        text=r"可用渠道失败|failed to get available channel|数据库一致性已被破坏",
        hint="The gateway couldn't look up who serves this model."),
    Row("M1 M2 M4", ModelUnavailableError, "model", "never", text=r"无可用渠道|no available channels?",
        hint="Nobody serves this model to the key's group: see GET /v1/models, or change the key's group on the site."),
    Row("M7", ModelUnavailableError, "model", "never", text=r"this is a chat model|not supported in the v1/completions",
        hint="A chat model can't be used at this endpoint: name a completions model such as gpt-3.5-turbo-instruct."),
    Row("M8", ModelUnavailableError, "model", "never", signs="model_not_found",
        text=r"model .{0,200}(?:does not exist|not found)|model not support|模型不存在|unknown model",
        hint="The provider doesn't have this model: see GET /v1/models."),
    Row("B9", ModelUnavailableError, "model", "never", signs="model_price_error",
        text=r"倍率或价格未配置|ratio or price not set",
        hint="The site has set no price for this model: tell the site."),
    Row("B10", ModelUnavailableError, "model", "never", signs="convert_request_failed invalid_api_type channel_error",
        text=r"channel not implemented", hint="This model's provider can't do text completions: name another model."),
    Row("B10", ServerError, "gateway", "never",
        signs="count_token_failed json_marshal_failed gen_relay_info_failed channel:model_mapped_error",
        hint="The gateway can't prepare this request for the model's provider: tell the site."),
    # B: what was sent. B1 to B5 come as 500 from some versions, and never heal.
    Row("B1", UnsupportedParameterError, "request", "never", hint=_PARAMETER,
        text=r"cannot unmarshal .{1,60} into Go struct field \w{1,60}\.(?P<param>[\w.]{1,60})"),
    Row("B8", BadRequestError, "request", "never",
        text=r"the '(?P<param>stream_options)' parameter is only allowed when"),
    Row("B6", ContextLengthExceededError, "request", "never",
        signs="context_length_exceeded exceed_context_size_error contextwindowexceedederror",
        text=r"maximum (?:context|model) length|exceeds? (?:the |model'?s? |available |maximum ){0,4}context|"
        r"prompt is too long|input is too long|上下文长度|range of input length",
        hint="Shorten the prompt or use a smaller max_tokens: together they must fit into the model's context."),
    Row("B5", ContentFilterError, "request", "never", signs="sensitive_words_detected",
        text=r"sensitive.words.detected|敏感词", hint="The gateway's word filter refuses the prompt: rephrase it."),
    Row("B7", ContentFilterError, "request", "never", signs="content_filter content_policy_violation prompt_blocked "
        "responsibleaipolicyviolation data_inspection_failed datainspectionfailed",
        text=r"content management policy|inappropriate content",
        hint="The provider refuses the content: rephrase it."),
    Row("B4", BadRequestError, "request", "never", hint="Pass `model`.",
        text=r"未指定模型名称|model name not specified"),
    Row("B2", BadRequestError, "request", "never",
        text=r"field (?P<param>\w{1,60}) is required|\b(?:model is required|max_tokens is invalid)"),
    Row("", UnsupportedParameterError, "request", "never", hint=_PARAMETER,
        signs="unsupported_parameter unknown_parameter unsupported_value unsupportedparamserror",
        text=r"(?:unrecognized request arguments?(?: supplied)?|unknown parameters?|unsupported parameters?|"
        r"does not support parameters|(?:unexpected|unsupported) (?:keys|fields) in the request)"
        r"\W{0,6}(?P<param>\w{1,60})?"),
    Row("", UnsupportedParameterError, "request", "never", hint=_PARAMETER,
        text=r"(?P<param>\b\w{1,60}) is not currently supported|extra inputs are not permitted"),
    Row("", UnsupportedParameterError, "request", "never", hint="This model can't do both: leave one of them out.",
        text=r"setting '(?P<param>\w{1,60})' and '\w{1,60}' at the same"),
    Row("B2 B3", BadRequestError, "request", "never", signs="invalid_text_request invalid_request"),
    Row("B3", BadRequestError, "request", "never", status=(400, 500),
        text=r"UnmarshalBodyReusable failed|无效的请求|^invalid request\b",
        hint="The gateway couldn't read the request."),
    Row("B11", BadRequestError, "request", "never", status=(413,),
        hint="The request is too large: send fewer or shorter prompts at once."),
    # N: the path. A redirect that turns POST into GET shows up as N1.
    Row("N1", NotFoundError, "request", "never", text=r"invalid url \(GET ",
        hint="A redirect turned the request into a GET: use https:// in base_url."),
    Row("N1", NotFoundError, "request", "never", text=r"invalid url \(", hint=_BASE_URL),
    Row("N1 N2", NotFoundError, "request", "never", status=(404, 405), signs=f"{HTML} {PLAIN}",
        text=r"^(?:method )?not (?:found|allowed)$", hint=_BASE_URL),
    Row("N3", ServerError, "gateway", "never", status=(501,), hint="The gateway doesn't have this function."),
    Row("N3", ServerError, "gateway", "never", signs="api_not_implemented",
        hint="The gateway doesn't have this function."),
    # G2, G4: the status may be the upstream's own, out of `param`.
    Row("G2 G4", GatewayTimeoutError, "gateway", "once", status=(504, 524), hint=_LATE),
    # L: too many requests. L3 says how long to wait; L2 is a 429 whose `param` holds another status, so it isn't here.
    Row("L3", RateLimitError, "account", "backoff", text=r"请求数限制：\s?(?P<minutes>\d{1,6})\s?分钟",
        hint="Send requests more slowly: failed ones count too."),
    Row("L1 L5", RateLimitError, "upstream", "backoff", status=(429,), signs="system_error", text=r"上游负载已饱和",
        hint="The providers behind the gateway are busy; the real cause may be hidden."),
    Row("L6", ServerError, "gateway", "backoff", signs="rate_limit_check_failed"),
    # U: the provider, or the way to it. A 500 counts before the refusals, which need the provider's own status.
    Row("U1", ServerError, "upstream", "backoff", signs="do_request_failed", text=r"do request failed|请求上游地址失败",
        hint="The gateway couldn't reach the provider."),
    Row("U3", ServerError, "upstream", "once",
        signs="read_response_body_failed unmarshal_response_body_failed bad_response_body bad_response empty_response",
        hint="The provider's answer was broken; it may have been billed."),
    Row("U4", ServerError, "upstream", "backoff", signs="channel:no_available_key channel:invalid_key "
        "channel:response_time_exceeded channel:aws_client_error aws_invoke_error",
        hint="The gateway's way to the provider is in trouble."),
    Row("U2", ServerError, "upstream", "backoff", status=range(500, 600),
        signs="bad_response_status_code upstream_error",
        hint="The provider behind the gateway failed."),
    Row("U2 L2", ServerError, "upstream", "once", status=(401, 403), signs="bad_response_status_code",
        hint="The provider refused the gateway's own key, not yours: try again, or tell the site."),
    Row("U2 L2", NotFoundError, "upstream", "never", status=(404,), signs="bad_response_status_code",
        hint="The provider has no such model or endpoint."),
    Row("U2 L2", BadRequestError, "request", "never", status=(400, 422), signs="bad_response_status_code",
        hint="The provider refuses the request."),
    Row("U5", ServerError, "gateway", "once", signs="one_api_panic new_api_panic one_hub_panic",
        text=r"^panic detected", hint="The gateway has a bug."),
    Row("U6", ServerError, "gateway", "backoff", hint="The gateway is busy.",
        signs="system_cpu_overloaded system_memory_overloaded system_disk_overloaded",
        text=r"^system (?:cpu|memory|disk) overloaded"),
    Row("U7", ServerError, "gateway", "backoff", signs="get_user_quota_failed query_data_error update_data_error",
        hint="The gateway's database is in trouble."),
    Row("U7", ServerError, "gateway", "backoff", status=(500,), by=GATEWAY),
    # G: what stands in front of the gateway.
    Row("G1", ServerError, "gateway", "backoff", status=(500, 502, 503), signs=f"{HTML} {PLAIN} {EMPTY}",
        hint="The gateway is down or being restarted."),
    Row("G3", ServerError, "gateway", "backoff", status=range(520, 524), hint="Cloudflare can't reach the gateway."),
    Row("G3", ServerError, "gateway", "never", status=(525, 526, 530),
        hint="Cloudflare can't reach the gateway, whose certificate or address is wrong: tell the site."),
    Row("G5", PermissionDeniedError, "gateway", "never", status=(403,), signs=HTML,
        hint="A firewall in front of the gateway blocks the request."),
    # What a code or type says where no status does, as in a stream.
    Row("", RateLimitError, "upstream", "backoff", status=(429,),
        text=r"(?:again in|retry after) (?P<seconds>\d{1,5}(?:\.\d{1,6})?) ?s"),
    Row("L4", RateLimitError, "account", "backoff", status=(429,), signs=EMPTY, hint="Send requests more slowly."),
    Row("L1", RateLimitError, "upstream", "backoff", status=(429,),
        text=r"rate limit|too many requests|限流|请求过于频繁",
        signs="requests tokens rate_limit_exceeded rate_limit_error resource_exhausted ratelimiterror"),
    Row("", BadRequestError, "request", "never", status=(400,),
        signs="invalid_request_error badrequesterror invalid_argument"),
    Row("", AuthenticationError, "token", "never", status=(401,), hint=_KEY,
        signs="authentication_error invalid_api_key auth_error unauthenticated", text=r"^unauthorized"),
    Row("", PermissionDeniedError, "token", "never", status=(403,), signs="permission_error permission_denied"),
    Row("", NotFoundError, "request", "never", status=(404,), signs="not_found_error notfounderror"),
    # What a status says by itself.
    Row("", BadRequestError, "request", "never", status=(400, 422)),
    Row("", AuthenticationError, "token", "never", status=(401,), hint=_KEY),
    Row("", InsufficientQuotaError, "account", "never", status=(402,), hint="Somebody must pay first."),
    Row("", PermissionDeniedError, "token", "never", status=(403,)),
    Row("", NotFoundError, "request", "never", status=(404,)),
    Row("", APIStatusError, "gateway", "backoff", status=(408, 409)),
    Row("L1", RateLimitError, "upstream", "backoff", status=(429,)),
    Row("", APIStatusError, "request", "never", status=range(400, 500)),
    Row("U2", ServerError, "upstream", "backoff", status=range(500, 600)),
)
# fmt: on

OTHER = Row("", APIStatusError, "gateway", "never", hint="That is no status of HTTP for an answer.")
"""For a status that no row knows."""

STATUS_OF: tuple[tuple[type[APIStatusError], int], ...] = (
    (AuthenticationError, 401),
    (PermissionDeniedError, 403),
    (NotFoundError, 404),
    (BadRequestError, 400),
    (RateLimitError, 429),
    (APIStatusError, 500),
)
"""The status of an error that came without one."""

"""The gateway's error catalogue as data: what came back, what it means, what to do.

The gateway is of the One API family (One API, New API, one-hub and their forks), which relays
to providers and to further gateways. One status stands for many causes there (a model nobody
offers is a 503, a used-up key a 401, a bad parameter a 500), so text and code decide first. The ids
are those of the catalogue's tests; rows without one hold what other servers say, and what is left
when only the status speaks.

The first row that fits wins. A row fits if

* the status is one of its `status`, and the source one of its `sources`, if it names any, and
* the reply's code or type is one of its `codes`, or its `text` is found in the gateway's words
  (if it has neither, the status alone decides).

An error inside a 200 may come without a status: then only rows with `codes` or `text` fit, whatever
their `status`.
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
"""Codes for the form of a reply that isn't JSON: a web page, plain text, nothing, a bot check."""

GATEWAY, UPSTREAM, DIRECT = "gateway", "upstream", "direct"
"""Whose words a reply has: the gateway itself, a provider behind it, or a server with no sign of a gateway."""


class Row(NamedTuple):
    """One kind of failure."""

    ids: str
    error: type[APIStatusError]
    scope: Scope
    retry: Retry = "never"
    hint: str = ""
    """What to do next; names in braces are `{param}`, or of `endpoints.Words`."""
    status: Container[int] = ()
    codes: str = ""
    """Codes and types in lower case, separated by spaces."""
    text: str = ""
    """A regular expression; the groups `param`, `instead`, `minutes` and `seconds` are taken over."""
    sources: str = ""
    """The same, of sources."""
    param: str = ""
    """The parameter that the row is about, where the words don't name it."""


_KEY = "Check XDM_API_KEY, and that base_url is the site where the key was made."
_RESERVE = "the gateway reserves {reserve} in advance"
_PARAMETER = "This server can't take {param} as it was sent: leave it out."
_BASE_URL = "base_url must be the root of the API, ending in /v1 just once."
_TOO_LARGE = "The request is too large: send {fewer}."
_CANT = "This model can't do {task}: name {better}."
_SUFFIX = "A key with a `-` inside asks for a fixed channel: remove what follows the key itself."

# A table, to be read by row.
# fmt: off
ROWS: tuple[Row, ...] = (
    # G5: a page that a browser must pass may come with any of these statuses, so it is asked for first.
    Row("G5", PermissionDeniedError, "gateway", status=(401, 403, 429, 503), codes=CHALLENGE,
        text=r"^just a moment|^attention required! \| cloudflare",
        hint="A bot check in front of the gateway blocks this address: try another network, or ask the site."),
    # A7, Q: somebody's budget, whatever the status. 用户额度不足 comes with the token's code too, so it is before Q5.
    Row("A7", InsufficientQuotaError, "token", codes="budget_exceeded",
        text=r"额度已用尽|quota is exhausted|TokenStatusExhausted|budget has been exceeded|exceeded ?budget|"
        r"over budget",
        hint="The key's own budget is used up: raise it on the site, or use another key."),
    Row("Q3", InsufficientQuotaError, "account", text=r"订阅额度不足|未配置订阅|subscription quota",
        hint="The account's subscription doesn't cover this request."),
    Row("Q2 Q4 Q5", InsufficientQuotaError, "account",
        text=r"预扣费额度失败|用户额度不足|pre-?consumed? quota failed|preConsumedQuota [^ ]{1,60} is not enough",
        hint=f"Top up the account or {{less}}: {_RESERVE}."),
    Row("Q1", InsufficientQuotaError, "account", text=r"user quota is not enough",
        hint="The account's balance is used up: top it up."),
    Row("Q5", InsufficientQuotaError, "token", codes="pre_consume_token_quota_failed",
        text=r"令牌额度不足|token quota is not enough",
        hint=f"Raise the key's budget or {{less}}: {_RESERVE}."),
    Row("Q1 Q2 Q3 Q4", InsufficientQuotaError, "account", codes="insufficient_user_quota",
        hint=f"Top up the account or {{less}}: {_RESERVE}."),
    Row("Q1 Q4", InsufficientQuotaError, "account", status=(400, 401, 402, 403, 429, 503), sources=GATEWAY,
        text=r"额度|余额|quota|\bbalance\b", hint="The account or the key has too little left: top it up."),
    Row("C21", RateLimitError, "upstream", "backoff", status=(429,), text=r"allocated quota exceeded",
        hint="The provider's quota for this minute is used up."),
    Row("Q6", InsufficientQuotaError, "upstream", "once",
        codes="insufficient_quota exceeded_current_quota_error arrearage accountoverdueerror 1113",
        sources=f"{UPSTREAM} {DIRECT}",
        text=r"exceeded your current quota|insufficient (?:account )?(?:balance|credit|funds)|"
        r"\b(?:balance|credits?)\b.{0,40}(?:insufficient|too low|exhausted)|not enough credits?|negative credit|"
        r"account is in good standing|overdue.(?:account|payment|balance)|requires more credits|"
        r"欠费|余额不足|余额已用完",
        hint="The provider's own account is used up (yours, if you ask it directly): top it up, try again since "
        "another channel may still work, or tell the site."),
    # A: the key.
    Row("A4", ServerError, "gateway", "once", text=r"令牌，数据库查询出错|token, database query error",
        hint="The gateway's database failed while it looked up the key."),
    Row("A3", AuthenticationError, "gateway", "once", text=r"令牌验证失败",
        hint="The gateway couldn't check the key; if it stays so, check XDM_API_KEY."),
    Row("A1", AuthenticationError, "token", text=r"未提供令牌|no token provided",
        hint="No key arrived: set XDM_API_KEY."),
    Row("A5", AuthenticationError, "token", text=r"令牌已过期|token (?:has|is) expired",
        hint="The key has expired: make a new one on the site."),
    Row("A6", AuthenticationError, "token", text=r"令牌状态不可用|token status is unavailable",
        hint="The key is disabled: enable it on the site."),
    Row("A2", AuthenticationError, "token", text=r"无效的令牌|^invalid token\b",
        hint=f"{_KEY} Newer gateways say this of an expired, disabled or used-up key too."),
    Row("A8", ServerError, "upstream", "once", status=(401,), sources=UPSTREAM,
        codes="invalid_api_key authentication_error",
        text=r"api.?key", hint="The provider refused the gateway's own key, not yours: try again, or tell the site."),
    Row("", AuthenticationError, "token", codes="no_db_connection",
        hint="LiteLLM doesn't know this key, and has no database to look it up in."),
    # P: a valid key that may not do this.
    Row("P1", PermissionDeniedError, "account", text=r"用户已被封禁|user has been banned",
        hint="The account is banned: ask the site."),
    Row("P2 P3", PermissionDeniedError, "token",
        text=r"只能在指定网段使用|不在令牌允许访问的列表|无法解析客户端 ?IP",
        hint="The key may only be used from certain IP addresses: add this one on the site."),
    Row("P3", PermissionDeniedError, "token", codes="access_denied", sources=GATEWAY),
    Row("P4 E6", PermissionDeniedError, "token",
        codes="key_model_access_denied team_model_access_denied user_model_access_denied org_model_access_denied",
        text=r"令牌无权(?:使用|访问)|token has no access to (?:model|any model)|not allowed to (?:access|use) (?:the |"
        r"this )?model|"
        r"can only access models|not allowed to .{1,60} from (?:this|the) model",
        hint="The key isn't allowed this model: add it to the key's models on the site, or name another model."),
    Row("P5", PermissionDeniedError, "token", text=r"分组 .{0,80}已被(?:禁用|弃用)|无权访问 .{0,80}分组|"
        r"no permission to access this group|group .{0,80}deprecated",
        hint="The key's group is closed to it: choose another group for the key on the site."),
    Row("P6", PermissionDeniedError, "token", hint=_SUFFIX,
        text=r"不支持指定渠道|该渠道已被禁用|this channel has been disabled"),
    Row("P7", BadRequestError, "token", hint=_SUFFIX, text=r"无效的渠道 ?Id|invalid channel id"),
    # M: the model. M5 looks like M1, but for the name that is missing.
    Row("M5", BadRequestError, "request", text=r"模型\s*无可用渠道",
        hint="No model name arrived: pass `model`, and send Content-Type: application/json."),
    Row("M6", ServerError, "upstream", "backoff", codes="get_channel_failed",
        text=r"获取重试渠道失败|可用渠道不存在（retry）", hint="Every provider that the gateway tried has failed."),
    Row("M3", ModelUnavailableError, "model", "once",
        text=r"可用渠道失败|failed to get available channel|数据库一致性已被破坏",
        hint="The gateway couldn't look up who serves this model."),
    Row("M1 M2 M4", ModelUnavailableError, "model", text=r"无可用渠道|no available (?:channel|worker)",
        hint="Nobody serves this model to the key's group: see GET /v1/models, or change the key's group on the site."),
    Row("", UnsupportedParameterError, "request", param="suffix", text=r"does not support insert",
        hint="This model can't fill a gap: leave {param} out, or name a model that can."),
    Row("M7 E5 E6", ModelUnavailableError, "model", hint=_CANT, codes="operationnotsupported",
        text=r"this is (?:not )?an? (?:chat|completions?|embeddings?) model|not supported in the v1/|"
        r"operation does not work with the specified model|completions api is only available|not supported for task|"
        r"(?<!server )(?:does not|doesn't) support (?:the )?(?:text )?(?:generat(?:e|ion)|completions?|chat|"
        r"embeddings?)\b"),
    Row("", ModelUnavailableError, "model",
        hint="Load the model on the server first, or name one that is loaded.",
        text=r"no models? (?:(?:is|are|currently) ){0,3}loaded|model .{0,100}(?:not|isn't) (?:currently )?loaded|"
        r"model (?:is |was )?unloaded|failed to load (?:the )?model"),
    Row("M8", ModelUnavailableError, "model", codes="model_not_found deploymentnotfound modelnotfound",
        text=r"model .{0,200}(?:does not exist|not exist|not found)|no such model|invalid model name|"
        r"deployment for this resource does not exist|server is pinned to|only .{0,200} allowed now, your model|"
        r"model not support|模型.{0,60}不存在|unknown model|no model named",
        hint="The provider doesn't have this model: see GET /v1/models."),
    Row("B9", ModelUnavailableError, "model", codes="model_price_error",
        text=r"倍率或价格未配置|ratio or price not set",
        hint="The site has set no price for this model: tell the site."),
    Row("B10 E5", ModelUnavailableError, "model", hint=_CANT, codes="invalid_api_type channel_error",
        text=r"channel not implemented"),
    Row("B10 E5", ModelUnavailableError, "model", hint=_CANT, status=(400, 500, 503), sources=GATEWAY,
        text=r"(?:^|: )not (?:implemented|available)\b"),
    Row("C10", BadRequestError, "request", codes="convert_request_failed image_url_invalid",
        hint="The gateway can't translate this request for the model's provider: mend what it names."),
    Row("B10", ServerError, "gateway",
        codes="count_token_failed json_marshal_failed gen_relay_info_failed channel:model_mapped_error",
        hint="The gateway can't prepare this request for the model's provider: tell the site."),
    # B: what was sent. B1 to B5 come as 500 from some versions, and never heal.
    Row("", UnsupportedParameterError, "request", param="encoding_format", hint=_PARAMETER,
        text=r"cannot unmarshal string into Go struct field .{0,80}embedding\b"),
    Row("B1", UnsupportedParameterError, "request", hint=_PARAMETER,
        text=r"cannot unmarshal .{1,60} into Go struct field \w{1,60}\.(?P<param>[\w.]{1,60})"),
    Row("B8", BadRequestError, "request",
        text=r"the '(?P<param>stream_options)' parameter is only allowed when"),
    # E1 before B6: a batch that holds too much may be sent in parts, a text that is too long may not.
    Row("E1", BadRequestError, "request", hint=_TOO_LARGE,
        codes="array_above_max_length max_tokens_per_request",
        text=r"batch size .{0,80}(?:larger than|maximum|limit|exceed)|(?:maximum|max) (?:allowed )?batch size|"
        r"too many inputs|"
        r"max(?:imum)? number of inputs|array too long|should have at most \d{1,9} items|"
        r"max \d{1,9} tokens per request|"
        r"at most \d{1,9} (?:requests|inputs|texts)|数组最大"),
    Row("B6 C12 E2", ContextLengthExceededError, "request", hint="{shorten}",
        codes="context_length_exceeded exceed_context_size_error contextwindowexceedederror string_above_max_length "
        "1261",
        text=r"(?:maximum|max) (?:context|model|input|prompt|supported sequence) ?length|context ?window ?exceeded|"
        r"exceed(?:s|ed)? (?:(?:the|your|this|model'?s?|available|maximum|max) ){0,4}"
        r"(?:context|max(?:imum)? length|allowed length|model token limit)|"
        r"(?:prompt|input|inputs) (?:\([^()]{1,60}\) )?(?:is|are) (?:too (?:long|large)|longer than)|"
        r"context the overflows|"
        r"input length .{0,40}exceeds|inputs?\W{1,3}(?:tokens \+|must have (?:less|fewer) than)|"
        r"input tokens? .{0,40}exceeds? the (?:maximum|configured)|prompt exceeds max|"
        r"greater than (?:the context length|max_seq_len)|"
        r"less than max_seq_len|n_keep .{0,40}>= n_ctx|too many tokens(?::| in)|context length is only|"
        r"range of input length|上下文长度|(?:输入|提示词|prompt)\s?.{0,10}(?:超长|过长|超过|超出)"),
    Row("B5", ContentFilterError, "request", codes="sensitive_words_detected",
        text=r"sensitive.words.detected|敏感词", hint="The gateway's word filter refuses the content: rephrase it."),
    Row("B7 C13 C14 C15 C16", ContentFilterError, "request", codes="content_filter content_policy_violation "
        "prompt_blocked responsibleaipolicyviolation data_inspection_failed datainspectionfailed 1301 "
        "violation_fee.grok.csam "
        "sensitivecontentdetected inputtextsensitivecontentdetected outputtextsensitivecontentdetected",
        text=r"content management policy|inappropriate content|敏感内容|content exists risk|considered high risk|"
        r"sensitive ?content|violates (?:our |the )?usage|PROHIBITED_CONTENT|违规内容|"
        r"\b(?:input|output|prompt) (?:was|has been) flagged|prompt injection",
        hint="The provider refuses the content: rephrase it."),
    # C: messages and tools.
    Row("C3 C4 C5", BadRequestError, "request",
        text=r"reasoning_content.{0,60}(?:must be passed back|missing)|content\[\]\.thinking|thought_signature|"
        r"expected .?thinking",
        hint="Send the assistant's earlier messages back as they came, with their reasoning."),
    Row("C5 C6", BadRequestError, "request",
        hint="Every tool call among the messages needs its result right after it, and every result its call.",
        text=r"tool_use.{1,40}without|tool_use_id.{0,40}found|tool_calls' must be followed|role 'tool' must|"
        r"insufficient tool messages"),
    Row("C7", UnsupportedParameterError, "request", param="tools",
        text=r"(?:does not|doesn't|do not) support (?:tools?|functions?)\b|support tool use|"
        r"requires --enable-auto-tool-choice|"
        r"(?<!parallel )tools? (?:param|use|calls?|calling) .{0,20}(?:requires --|not supported)|function call(?:s|"
        r"ing)? .{0,12}not (?:supported|enabled)|"
        r"不支持.{0,10}(?:工具|函数|function)",
        hint="This model takes no tools: leave {param} out, or name a model that does."),
    Row("C8", UnsupportedParameterError, "request", param="response_format",
        text=r"(?<!invalid schema for )response_format.{0,100}(?:not supported|not support\b|unsupported|unavailable)|"
        r"(?:does not|doesn't) support .{0,40}(?:response.?format|structured output|json.?(?:schema|mode|object))|"
        r"(?:structured outputs?|json.?(?:schema|mode|object)).{0,20}(?:not supported|unsupported)|"
        r"不支持.{0,20}(?:response_format|json)", hint=_PARAMETER),
    Row("C9", UnsupportedParameterError, "request", param="image",
        text=r"unknown variant .?image_url|image_url is (?:only|not) supported|support image input|"
        r"image input is not supported|"
        r"is not a multimodal model|(?:does not|doesn't) support (?:images?|vision|multimodal)|"
        r"不支持.{0,10}(?:图片|图像|视觉)",
        hint="This model takes no images: leave them out, or name a model that does."),
    Row("C11", BadRequestError, "request", status=(400, 413), hint=_TOO_LARGE,
        text=r"image exceeds|(?:request|body|payload) (?:is )?too large(?! for)"),
    Row("C18", BadRequestError, "request", text=r"\bvalidationexception\b"),
    Row("C24", BadRequestError, "request",
        hint="This server doesn't know the role `developer`: send `system`.",
        text=r"(?:invalid value|unexpected role|unknown role|invalid role)\W{0,6}developer"),
    Row("C25", BadRequestError, "request",
        hint="The server can't take this tool: see its name and its schema.",
        text=r"invalid schema for function|\btools\b.{1,20}(?:input_schema|function\.name)"),
    Row("E4", BadRequestError, "request", hint="The server takes no empty text.",
        text=r"\binputs?\b.{0,40}(?:\bempty\b|不能为空)|'\$\.input' is invalid|field input is required"),
    Row("", BadRequestError, "request", text=r"unsupported value: NaN",
        hint="The model has no numbers for one of the texts (NaN): leave it out."),
    Row("B4", BadRequestError, "request", hint="Pass `model`.",
        text=r"未指定模型名称|model name not specified"),
    Row("B2", BadRequestError, "request",
        text=r"field (?P<param>\w{1,60}) is required|\b(?:model is required|max_tokens is invalid)"),
    Row("C1", UnsupportedParameterError, "request", hint="This model knows {param} under another name.",
        text=r"\b(?P<param>\w{1,60})\W{1,3}is (?:not supported|deprecated|no longer supported).{0,80}\buse "
        r"\W?(?P<instead>\w{1,60})\W? instead"),
    Row("C2", UnsupportedParameterError, "request",
        hint="This model takes just one value of {param}: leave it out.",
        text=r"(?:unsupported value\W{0,6}|invalid (?=\w{1,60}: only ))(?P<param>\w{1,60})"),
    Row("C19", UnsupportedParameterError, "request", text=r"\bparameter\.(?P<param>\w{1,60}) must be set to",
        hint="Stream the answer, or send {param} as the server says."),
    Row("E3", UnsupportedParameterError, "request", param="dimensions", hint=_PARAMETER, text=r"matryoshka"),
    Row("E3", UnsupportedParameterError, "request", hint=_PARAMETER,
        codes="unsupported_parameter unknown_parameter unsupported_value unsupportedparamserror",
        text=r"(?:unrecognized request arguments?(?: supplied)?|unknown (?:parameters?|name|field)|"
        r"unsupported parameters?|"
        r"does not support (?:parameters|specifying)|(?:unexpected|unsupported) (?:keys|fields) in the request)"
        r"\W{0,6}(?P<param>\w{1,60})?"),
    Row("", UnsupportedParameterError, "request", hint=_PARAMETER,
        text=r"\b(?P<param>\w{1,40}_\w{1,40}|suffix|echo|seed|stop|logprobs|temperature|tools|dimensions)[`'\"]? "
        r"(?:is|are) not supported"),
    Row("", UnsupportedParameterError, "request", hint=_PARAMETER,
        text=r"\b(?P<param>\w{1,60})'? (?:is (?:not currently|currently not) supported|only supports? with)|"
        r"extra inputs are not permitted"),
    Row("", UnsupportedParameterError, "request", hint="This model can't do both: leave one of them out.",
        text=r"setting '(?P<param>\w{1,60})' and '\w{1,60}' at the same"),
    Row("B2 B3", BadRequestError, "request", codes="invalid_text_request invalid_request"),
    Row("B3", BadRequestError, "request", status=(400, 500),
        text=r"UnmarshalBodyReusable failed|无效的请求|^invalid request\b",
        hint="The gateway couldn't read the request."),
    Row("B11", BadRequestError, "request", status=(413,),
        hint=_TOO_LARGE),
    # N: the path. A redirect that turns POST into GET shows up as N1.
    Row("N1", NotFoundError, "request", text=r"invalid url \(GET ",
        hint="A redirect turned the request into a GET: use https:// in base_url."),
    Row("N1", NotFoundError, "request", text=r"invalid url \(|unexpected endpoint or method",
        hint=_BASE_URL),
    Row("N1 N2", NotFoundError, "request", status=(404, 405), codes=f"{HTML} {PLAIN}",
        text=r"^(?:method )?not (?:found|allowed)$", hint=_BASE_URL),
    Row("N3", ServerError, "gateway", status=(501,), hint="The gateway doesn't have this function."),
    Row("N3", ServerError, "gateway", codes="api_not_implemented",
        hint="The gateway doesn't have this function."),
    # G2, G4: the status may be the upstream's own, out of `param`.
    Row("G2 G4", GatewayTimeoutError, "gateway", "once", status=(504, 524),
        hint="The work may have been done, and billed; {sooner}."),
    # L: too many requests. L3 says how long to wait; L2 is a 429 whose `param` holds another status, so it isn't here.
    Row("L3", RateLimitError, "account", "backoff", text=r"请求数限制：\s?(?P<minutes>\d{1,6})\s?分钟",
        hint="Send requests more slowly: failed ones count too."),
    Row("L1 L5", RateLimitError, "upstream", "backoff", status=(429,), codes="system_error", text=r"上游负载已饱和",
        hint="The providers behind the gateway are busy; the real cause may be hidden."),
    Row("L6", ServerError, "gateway", "backoff", codes="rate_limit_check_failed"),
    # U: the provider, or the way to it. A 500 counts before the refusals, which need the provider's own status.
    Row("U1", ServerError, "upstream", "backoff", codes="do_request_failed", text=r"do request failed|请求上游地址失败",
        hint="The gateway couldn't reach the provider."),
    Row("U3", ServerError, "upstream", "once",
        codes="read_response_body_failed unmarshal_response_body_failed bad_response_body bad_response empty_response",
        hint="The provider's answer was broken; it may have been billed."),
    Row("U4", ServerError, "upstream", "backoff", codes="channel:no_available_key channel:invalid_key "
        "channel:response_time_exceeded channel:aws_client_error",
        hint="The gateway's way to the provider is in trouble."),
    Row("U2 C18", ServerError, "upstream", "backoff", status=range(500, 600),
        codes="bad_response_status_code upstream_error aws_invoke_error",
        hint="The provider behind the gateway failed."),
    Row("U2 L2 C18", ServerError, "upstream", "once", status=(401, 403),
        codes="bad_response_status_code aws_invoke_error",
        hint="The provider refused the gateway's own key, not yours: try again, or tell the site."),
    Row("U2 L2", NotFoundError, "upstream", status=(404,), codes="bad_response_status_code",
        hint="The provider has no such model or endpoint."),
    Row("U2 L2", BadRequestError, "request", status=(400, 422), codes="bad_response_status_code",
        hint="The provider refuses the request."),
    Row("U5", ServerError, "gateway", "once", codes="one_api_panic new_api_panic one_hub_panic",
        text=r"^panic detected", hint="The gateway has a bug."),
    Row("U6", ServerError, "gateway", "backoff", hint="The gateway is busy.",
        codes="system_cpu_overloaded system_memory_overloaded system_disk_overloaded",
        text=r"^system (?:cpu|memory|disk) overloaded"),
    Row("C22", ServerError, "upstream", "backoff", status=range(500, 600), hint="The server is busy.",
        codes="overloaded_error overloaded service_unavailable unavailable insufficient_system_resource",
        text=r"\boverloaded\b|(?:server|engine|model) (?:is )?(?:currently )?busy|no slots? available|"
        r"服务器?繁忙|系统繁忙"),
    Row("U7", ServerError, "gateway", "backoff", codes="get_user_quota_failed query_data_error update_data_error",
        hint="The gateway's database is in trouble."),
    Row("U7", ServerError, "gateway", "backoff", status=(500,), sources=GATEWAY),
    # G: what stands in front of the gateway.
    Row("G1", ServerError, "gateway", "backoff", status=(500, 502, 503), codes=f"{HTML} {PLAIN} {EMPTY}",
        hint="The gateway is down or being restarted."),
    Row("G3", ServerError, "gateway", "backoff", status=range(520, 524), hint="Cloudflare can't reach the gateway."),
    Row("G3", ServerError, "gateway", status=(525, 526, 530),
        hint="Cloudflare can't reach the gateway, whose certificate or address is wrong: tell the site."),
    Row("G5", PermissionDeniedError, "gateway", status=(403,), codes=HTML,
        hint="A firewall in front of the gateway blocks the request."),
    # What a code or type says where no status does, as in a stream.
    Row("", RateLimitError, "upstream", "backoff", status=(429,),
        text=r"(?:again in|retry after) (?P<seconds>\d{1,5}(?:\.\d{1,6})?) ?s"),
    Row("L4", RateLimitError, "account", "backoff", status=(429,), codes=EMPTY, hint="Send requests more slowly."),
    Row("L1 C21", RateLimitError, "upstream", "backoff", status=(429,),
        text=r"rate limit|too many requests|throttlingexception|限流|请求过于频繁|并发数过高|访问量过大|速率限制",
        codes="requests tokens rate_limit_exceeded rate_limit_error rate_limit_reached_error resource_exhausted "
        "ratelimiterror throttling 1302 1303 1305 1308"),
    Row("", BadRequestError, "request", status=(400,),
        codes="invalid_request_error badrequesterror invalid_argument"),
    Row("", AuthenticationError, "token", status=(401,), hint=_KEY,
        codes="authentication_error invalid_api_key auth_error unauthenticated", text=r"^unauthorized"),
    Row("", PermissionDeniedError, "token", status=(403,), codes="permission_error permission_denied"),
    Row("", NotFoundError, "request", status=(404,), codes="not_found_error notfounderror"),
    # What a status says by itself.
    Row("", BadRequestError, "request", status=(400, 422)),
    Row("", AuthenticationError, "token", status=(401,), hint=_KEY),
    Row("", InsufficientQuotaError, "account", status=(402,), hint="Somebody must pay first."),
    Row("", PermissionDeniedError, "token", status=(403,)),
    Row("", NotFoundError, "request", status=(404,)),
    Row("", APIStatusError, "gateway", "backoff", status=(408, 409)),
    Row("L1", RateLimitError, "upstream", "backoff", status=(429,)),
    Row("", APIStatusError, "request", status=range(400, 500)),
    Row("U2", ServerError, "upstream", "backoff", status=range(500, 600)),
    Row("", APIStatusError, "gateway", hint="That is no status of HTTP for an answer."),
)
# fmt: on

STATUS_OF: tuple[tuple[type[APIStatusError], int], ...] = (
    (AuthenticationError, 401),
    (PermissionDeniedError, 403),
    (NotFoundError, 404),
    (BadRequestError, 400),
    (RateLimitError, 429),
    (APIStatusError, 500),
)
"""The status of an error that came without one."""

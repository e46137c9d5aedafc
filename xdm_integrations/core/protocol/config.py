"""What a client is set to: base URL, key, headers, limits; each checked before any byte is sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from xdm_integrations.core.errors.reply_text import bare_url
from xdm_integrations.core.errors.tree import ConfigurationError

from .retry import RetryPolicy
from .wire import Limits, RequestHeaders, Secret, Timeout

DEFAULT_BASE_URL = "https://xuedingmao.online/v1"
DEFAULT_MODEL = "gpt-3.5-turbo-instruct"
DEFAULT_MAX_TOKENS = 256
"""Sent by default, because the server's own default of 16 cuts answers short."""
KEY_VARIABLE = "XDM_API_KEY"
URL_VARIABLE = "XDM_BASE_URL"
HTTP_VARIABLE = "XDM_ALLOW_HTTP"

_ENDPOINT = re.compile(r"/(chat/completions|completions|embeddings|models|responses|messages)$")
_PASTED = str.maketrans("\u3002\uff0e\uff61\uff1a\uff0f", "...:/")
"""What input methods for Chinese and Japanese put in the place of the signs of a URL."""
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/32",
        "169.254.0.0/16", "fe80::/10",  # link-local
        "100.64.0.0/10",  # RFC 6598: carriers' shared range, and Tailscale's
        "::1/128", "::/128", "fc00::/7",
    )
)  # fmt: skip
_PRIVATE_NAMES = (
    ".local", ".localhost", ".lan", ".internal",
    ".home.arpa",  # RFC 8375
    ".svc",  # Kubernetes; its long form ends in .cluster.local
)  # fmt: skip
_PATH_SIGNS = "/%:@!$&'()*+,;=~"
_FOR_EVER = 2_000_000.0
"""Seconds, some 23 days: the system calls that wait can't count much further."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Config:
    """Everything a client needs to know, in its normal form. Build it with `Config.build`."""

    base_url: str = DEFAULT_BASE_URL
    api_key: str | None = field(default=None, repr=False)
    model: str = DEFAULT_MODEL
    max_tokens: int | None = DEFAULT_MAX_TOKENS
    timeout: Timeout = Timeout()
    retry: RetryPolicy = RetryPolicy()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    stream_usage: bool = True
    require_finish_reason: bool = True
    think_tags: bool = False
    limits: Limits = Limits()

    @classmethod
    def build(  # noqa: PLR0913 - one argument per setting
        cls,
        environment: Mapping[str, str] = {},
        *,
        api_key: object = None,
        base_url: str | None = None,
        model: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        timeout: Timeout | float | tuple[float | None, ...] | None = None,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        stream_usage: bool = True,
        require_finish_reason: bool = True,
        think_tags: bool = False,
        limits: Limits | None = None,
        allow_http: bool = False,
    ) -> Config:
        """Check and normalise every setting; `environment` may have key, base URL and `allow_http` if not given.

        Raises:
            ConfigurationError: A setting can't be used; the message names it.
        """
        for name, value, kind, words in (
            ("model", model, str, "a string"),
            ("extra_body", extra_body, Mapping, "a mapping of fields"),
            ("limits", limits, Limits, "a `Limits`"),
            ("stream_usage", stream_usage, bool, "True or False"),
            ("require_finish_reason", require_finish_reason, bool, "True or False"),
            ("think_tags", think_tags, bool, "True or False"),
            ("allow_http", allow_http, bool, "True or False"),
        ):
            if value is not None and not isinstance(value, kind):
                raise ConfigurationError(f"{name}: expected {words}, got {type(value).__name__}.")
        if model is not None and not model.strip():
            raise ConfigurationError("model: the name is empty; leave it out for the default model.")
        if base_url is None:
            base_url = url_in(environment)
        return cls(
            base_url=normalize_base_url(
                base_url or DEFAULT_BASE_URL, allow_http=http_is_allowed(allow_http, environment)
            ),
            api_key=normalize_key(environment.get(KEY_VARIABLE) if api_key is None else api_key),
            model=DEFAULT_MODEL if model is None else model,
            max_tokens=max_tokens,
            timeout=normalize_timeout(timeout),
            retry=RetryPolicy(max_retries=_retries(max_retries)),
            headers=RequestHeaders(check_headers(headers or {})),
            extra_body=dict(extra_body or {}),
            stream_usage=stream_usage,
            require_finish_reason=require_finish_reason,
            think_tags=think_tags,
            limits=limits or Limits(),
        )


def url_in(environment: Mapping[str, str]) -> str | None:
    """Return the base URL that the environment sets; None if it is blank, as a key is."""
    url = environment.get(URL_VARIABLE, "")
    return url if _unquoted(url) else None


def require_key(base_url: str, headers: Mapping[str, str]) -> None:
    """Refuse to call a public host without a key."""
    keyless = all(name.lower() != "authorization" for name in headers)
    if keyless and not is_private_host(urlsplit(base_url).hostname or ""):
        raise ConfigurationError(f"api_key: none given. Set the environment variable {KEY_VARIABLE} or pass `api_key`.")


def http_is_allowed(setting: object, environment: Mapping[str, str]) -> bool:
    """True if plain http to a public host is accepted, by the setting or by the environment."""
    return bool(setting) or environment.get(HTTP_VARIABLE, "").strip().lower() in ("1", "true", "yes", "on")


def normalize_base_url(url: str, *, allow_http: bool = False) -> str:
    """Return the root URL of the API (".../v1"), repairing what people paste.

    Surrounding space and quotes go, full-width signs become those of a URL, a missing scheme is
    added (https; http for a private host), `https//` and `https:/` are completed, names in other
    letters are written in IDNA and paths in percent signs, the path of an endpoint is cut off, and
    an empty path becomes "/v1".

    Raises:
        ConfigurationError: It holds a query, a fragment or credentials, is no http(s) URL, or
            would send the key unencrypted to a public host without `allow_http`.
    """
    text = _unquoted(str(url)).translate(_PASTED)
    text = re.sub(r"^(https?)(?://|:/)(?!/)", r"\1://", text, flags=re.IGNORECASE)
    if "://" not in text:
        host = _hostname(text, "//" + text)
        text = ("http://" if is_private_host(host) else "https://") + text
    host = _hostname(text, text)
    if host in ("http", "https"):
        raise ConfigurationError(
            f"base_url: {bare_url(text)!r} isn't a URL; expected something like {DEFAULT_BASE_URL}."
        )
    parts = urlsplit(text)
    scheme = parts.scheme
    if scheme not in ("http", "https"):
        raise ConfigurationError(f"base_url: {bare_url(text)!r} must start with https:// or http://.")
    if parts.username is not None:
        raise ConfigurationError("base_url: must not hold a user name or password; pass the key as `api_key`.")
    if "?" in text or "#" in text:
        raise ConfigurationError(
            f"base_url: {bare_url(text)!r} must not have a query string or fragment; it is the root of the API, "
            f"such as {DEFAULT_BASE_URL}."
        )
    if scheme == "http" and not allow_http and not is_private_host(host):
        raise ConfigurationError(
            f"base_url: {bare_url(text)!r} would send the key unencrypted to a public host; use https://, or set "
            f"{HTTP_VARIABLE}=1 (`allow_http` in Python) if you mean it."
        )
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    path = _ENDPOINT.sub("", path)
    path = re.sub(r"(/v1)+$", "/v1", path) or "/v1"
    return f"{scheme}://{_ascii_netloc(text, parts.netloc)}{quote(path, safe=_PATH_SIGNS)}"


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'").strip()


def _ascii_netloc(text: str, netloc: str) -> str:
    """Return host and port as they are sent: each library encodes other letters in its own way."""
    if netloc.isascii():
        return netloc.lower()
    try:
        return netloc.encode("idna").decode().lower()
    except UnicodeError as error:
        raise ConfigurationError(f"base_url: {bare_url(text)!r} holds a name that can't be a host ({error}).") from None


def _hostname(text: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"base_url: {bare_url(text)!r} isn't a URL ({error}).") from None
    if not host or parts.netloc.endswith(":") or re.search(r"[\s\x00-\x1f\\]", url):
        raise ConfigurationError(
            f"base_url: {bare_url(text)!r} isn't a URL; expected something like {DEFAULT_BASE_URL}."
        )
    return host


def is_private_host(host: str) -> bool:
    """True for loopback and private ranges, names without a dot, and names that only local networks know."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_PRIVATE_NAMES)
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in _PRIVATE_NETWORKS)


def normalize_key(key: object) -> str | None:
    """Return the bare key of a string or a pydantic SecretStr, without space, quotes and "Bearer "; None if empty.

    Raises:
        ConfigurationError: It can't be an HTTP header. The message doesn't show it.
    """
    if hasattr(key, "get_secret_value"):
        key = key.get_secret_value()
    if key is None:
        return None
    if not isinstance(key, str):
        raise ConfigurationError(f"api_key: expected a string, got {type(key).__name__}.")
    text = _unquoted(key)
    while text[:7].lower() in ("bearer", "bearer "):
        text = _unquoted(text[7:])
    if re.search(r"[^\x21-\x7e]", text):
        raise ConfigurationError(
            "api_key: holds a space, a line break or a character that isn't ASCII; copy the key again, alone."
        )
    return Secret(text) if text else None


def normalize_timeout(value: Timeout | float | tuple[float | None, ...] | None) -> Timeout:
    """Return a `Timeout`: from one number of seconds (for connect and read each), or a tuple."""
    if value is None:
        return Timeout()
    if isinstance(value, Timeout):
        limits: tuple[Any, ...] = tuple(value)
    elif isinstance(value, tuple):
        limits = value
    else:
        limits = (value, value)
    if not 1 <= len(limits) <= len(Timeout._fields):  # all four: a `Timeout` that went through JSON
        raise ConfigurationError(
            f"timeout: {value!r} must be seconds, (connect, read), (connect, read, total) or a Timeout."
        )
    for limit in limits:
        if limit is not None and (not isinstance(limit, (int, float)) or isinstance(limit, bool) or not limit > 0):
            raise ConfigurationError(
                f"timeout: {value!r} must hold positive numbers of seconds (or None for no limit)."
            )
    return Timeout(*(limit if limit is None or limit < _FOR_EVER else None for limit in limits))


def check_headers(headers: Mapping[str, str], setting: str = "headers") -> dict[str, str]:
    """Return a copy of `headers` that is safe to send; `setting` is what the user gave them as.

    Raises:
        ConfigurationError: One isn't. The message names it and doesn't show its value.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"{setting}: expected a mapping of names to values, got {type(headers).__name__}.")
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError(f"{setting}: {name!r} isn't a header name.")
        text = value if isinstance(value, str) else str(value)
        if re.search(r"[\r\n\x00]", text):
            raise ConfigurationError(f"{setting}: the value of {name!r} holds a line break.")
        try:
            text.encode("latin-1")
        except UnicodeEncodeError:
            raise ConfigurationError(
                f"{setting}: the value of {name!r} holds a character that isn't Latin-1."
            ) from None
        checked[name] = text.strip()
    return checked


def merge_headers(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return both; `more` wins, whatever the case of the names."""
    names = {name.lower() for name in more}
    return {**{name: value for name, value in headers.items() if name.lower() not in names}, **more}


def _retries(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"max_retries: {value!r} must be an integer of at least 0.")
    return value

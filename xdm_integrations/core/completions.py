"""The endpoint `POST /v1/completions`: from a call to requests, from replies to answers.

`prepare` checks a call and encodes what it sends; `complete_flow` and `stream_flow` are the
whole of what happens then, as flows for the drivers of both worlds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import jsontext
from .config import check_headers, normalize_timeout
from .errors import (
    APIStatusError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthExceededError,
    ServerError,
    UnsupportedParameterError,
    XDMError,
)
from .flow import Flow, send_flow, time_is_up
from .parameters import OPTIONS, check_parameters, split_prompts
from .parse import WrongChoicesError, parse_completion
from .results import Completion, total_usage
from .stream import StreamDecoder
from .wire import Limits, Read, Reply, Request, Timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import Config
    from .parameters import OnePrompt
    from .results import CompletionChunk
    from .retry import Chance, RetryPolicy

PATH = "/completions"
PATIENCE_AFTER_FINISH = 5.0
"""Seconds to wait for usage and `[DONE]` once the answer is whole."""

_REFUSES_LISTS = re.compile(r"prompt\b.*\b(string|str|list|array|type)\b", re.IGNORECASE | re.DOTALL)


@dataclass
class Memory:
    """What a client has learnt about its server, for the calls that come."""

    single_prompt_models: set[str] = field(default_factory=set)
    """Models that don't take a list of prompts."""
    refuses_stream_options: set[str] = field(default_factory=set)
    """Models that refuse `stream_options`."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, checked and ready to be sent."""

    prompts: list[OnePrompt]
    body: dict[str, Any]
    """Everything but the prompt."""
    n: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    timeout: Timeout
    limits: Limits
    policy: RetryPolicy
    require_finish_reason: bool

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body["model"])

    def request(self, prompts: list[OnePrompt], chance: Chance, *, streaming: bool = False) -> Request:
        """Return the request for these prompts; a single one goes as itself, not as a list."""
        body = {**self.body, "prompt": prompts[0] if len(prompts) == 1 else prompts}
        try:
            data = jsontext.dumps(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"extra_body: can't be written as JSON ({error}).") from None
        total = self.timeout.total
        return Request(
            self.url,
            self.headers,
            data,
            streaming=streaming,
            timeout=self.timeout,
            deadline=None if total is None else chance.monotonic() + total,
        )


def prepare(config: Config, headers: Mapping[str, str], prompt: object, params: Mapping[str, Any]) -> Call:
    """Check a call that isn't streamed. Precedence: `extra_body`, the call, the client's default.

    Args:
        config: The client's settings.
        headers: The client's headers, key included.
        prompt: One of the four forms.
        params: See `CompletionParams`.

    Raises:
        ConfigurationError: Something can't be sent; no byte was.
    """
    return _prepare(config, headers, prompt, params, streaming=False)


def prepare_stream(config: Config, headers: Mapping[str, str], prompt: object, params: Mapping[str, Any]) -> Call:
    """Check a call that is streamed; see `prepare`."""
    return _prepare(config, headers, prompt, params, streaming=True)


def _prepare(
    config: Config, headers: Mapping[str, str], prompt: object, params: Mapping[str, Any], *, streaming: bool
) -> Call:
    given = {name: value for name, value in params.items() if value is not None}
    extra_body, extra_headers, timeout = (given.pop(option, None) for option in OPTIONS)
    given.setdefault("model", config.model)
    given.setdefault("max_tokens", config.max_tokens)
    prompts = split_prompts(prompt)
    body = check_parameters(given, streaming=streaming)
    extra = {**config.extra_body, **(extra_body or {})}
    if extra:
        for name in ("prompt", "stream"):
            if name in extra:
                raise ConfigurationError(f"extra_body: must not hold {name!r}; the method called decides it.")
        if not streaming:
            extra.pop("stream_options", None)  # refused by servers where `stream` isn't set
        body |= extra
    if streaming:
        body["stream"] = True
        if config.stream_usage:
            body.setdefault("stream_options", {"include_usage": True})
    n = body.get("n", 1)
    if not isinstance(n, int):
        raise ConfigurationError(f"extra_body: n={n!r} must be an integer.")
    if extra_headers:
        headers = {**headers, **check_headers(extra_headers)}
    return Call(
        prompts,
        body,
        n,
        config.base_url + PATH,
        headers,
        config.timeout if timeout is None else normalize_timeout(timeout),
        config.limits,
        config.retry,
        config.require_finish_reason,
    )


def complete_flow(call: Call, memory: Memory, chance: Chance, *, one_by_one: bool = True) -> Flow[Completion]:
    """Ask for a completion of all prompts: in one request where the server can, else one by one.

    An answer is never paired with the wrong prompt: where a server merged, refused or dropped a
    list of prompts, each is asked alone, and the model gets single prompts from then on. With
    `one_by_one=False` the refusal is raised instead.
    """
    count = len(call.prompts)
    if count == 1 or not one_by_one:
        return (yield from _complete(call, call.prompts, chance, packed=count > 1))
    refusal: XDMError | None = None
    if call.model not in memory.single_prompt_models:
        try:
            return (yield from _complete(call, call.prompts, chance, packed=True))
        except XDMError as error:
            if not refuses_lists(error):
                raise
            refusal = error
    parts: list[Completion] = []
    for prompt in call.prompts:
        try:
            parts.append((yield from _complete(call, [prompt], chance)))
        except XDMError as error:
            error.partial = merge(parts, call.n) if parts else error.partial
            raise error from refusal
    memory.single_prompt_models.add(call.model)
    return merge(parts, call.n)


def _complete(call: Call, prompts: list[OnePrompt], chance: Chance, *, packed: bool = False) -> Flow[Completion]:
    def receive(reply: Reply) -> Flow[Completion]:
        yield from ()  # a flow like any other, with nothing left to wait for
        return parse_completion(reply, len(prompts), call.n)

    request = call.request(prompts, chance)
    return (yield from send_flow(request, receive, call.policy, chance, refuses_lists if packed else None))


def refuses_lists(error: XDMError) -> bool:
    """True if the error may mean that the server can't take a list of prompts.

    Seen: too few choices (mock servers, relays to Ollama), 400 or 422 that speaks of the prompt's
    type (`transformers serve`), 500 with an empty message (llama-cpp-python).
    """
    if isinstance(error, WrongChoicesError):
        return True
    if isinstance(error, (ContextLengthExceededError, ContentFilterError)):
        return False
    if isinstance(error, (BadRequestError, UnsupportedParameterError)):
        return bool(_REFUSES_LISTS.search(error.body[:2000]))
    return isinstance(error, ServerError) and error.status_code == 500 and not _own_words(error)  # noqa: PLR2004


def _own_words(error: APIStatusError) -> str:
    try:
        message = jsontext.loads(error.body.encode())["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return error.body
    return str(message or "")


def merge(parts: list[Completion], n: int) -> Completion:
    """Join the answers to single prompts, in order, into one; counts are summed."""
    choices = [
        choice._replace(index=i * n + choice.index) for i, part in enumerate(parts) for choice in part.choices
    ]
    first = parts[0]
    return Completion(
        choices=tuple(choices),
        n=n,
        usage=total_usage([part.usage for part in parts]),
        model=first.model,
        id=first.id,
        created=first.created,
        system_fingerprint=first.system_fingerprint,
        request_id=first.request_id,
        headers=first.headers,
        raw=first.raw,
    )


class Streaming:
    """A stream that is being read, and what its reader has to decide after each read.

    Attributes:
        body: The open body; whoever holds this closes it.
        decoder: What has been understood so far.
        chunks: The chunks that the opening has already brought.
    """

    def __init__(self, call: Call, reply: Reply, chance: Chance) -> None:
        self.body = reply.stream
        self.decoder = StreamDecoder(
            len(call.prompts) * call.n,
            call.n,
            reply.headers,
            call.limits,
            require_finish_reason=call.require_finish_reason,
        )
        self.chunks: list[CompletionChunk] = []
        self._monotonic = chance.monotonic
        self._patience = call.timeout.read
        self._last_event = chance.monotonic()
        self._events = 0

    @property
    def within(self) -> float | None:
        """How long the next read may take, beyond the request's own limits."""
        return PATIENCE_AFTER_FINISH if self.decoder.finished else None

    def take(self, block: bytes) -> list[CompletionChunk]:
        """Take what a read brought (b"" at the end) and return the chunks it completes.

        Afterwards `decoder.ended` says whether to stop, and `decoder.failure` why.
        """
        decoder = self.decoder
        if not block:
            return decoder.close()
        chunks = decoder.feed(block)
        if chunks:
            self._last_event = 0.0  # read the clock only when nothing comes
            return chunks
        now = self._monotonic()
        if decoder.events != self._events or not self._last_event:
            self._events = decoder.events
            self._last_event = now
        elif not decoder.ended:
            patience = PATIENCE_AFTER_FINISH if decoder.finished else self._patience
            if patience is not None and now - self._last_event > patience:
                decoder.interrupt(time_is_up("read", patience))
        return chunks


def stream_flow(call: Call, memory: Memory, chance: Chance) -> Flow[Streaming]:
    """Open a stream, and read it up to its first word: until then everything can be retried."""

    def receive(reply: Reply) -> Flow[Streaming]:
        streaming = Streaming(call, reply, chance)
        decoder = streaming.decoder
        try:
            while not (streaming.chunks or decoder.ended):
                try:
                    block = yield Read(streaming.body)
                except XDMError as error:
                    decoder.interrupt(error)
                else:
                    streaming.chunks = streaming.take(block)
            if decoder.failure is not None and not streaming.chunks:
                raise decoder.failure
        except BaseException:
            streaming.body.close()
            raise
        return streaming

    def without_usage(error: XDMError) -> bool:
        return (
            "stream_options" in call.body
            and isinstance(error, BadRequestError)
            and "stream_options" in error.body + error.message
        )

    if call.model in memory.refuses_stream_options:
        call.body.pop("stream_options", None)
    request = call.request(call.prompts, chance, streaming=True)
    try:
        return (yield from send_flow(request, receive, call.policy, chance, without_usage))
    except XDMError as error:
        if not without_usage(error):
            raise
    memory.refuses_stream_options.add(call.model)
    del call.body["stream_options"]
    request = call.request(call.prompts, chance, streaming=True)
    return (yield from send_flow(request, receive, call.policy, chance))


__all__ = ["Call", "Memory", "Streaming", "complete_flow", "prepare", "prepare_stream", "stream_flow"]

"""The endpoint `POST /v1/completions`: from a call to requests, from replies to answers.

`prepare` and `prepare_stream` check a call; `complete_flow` is the whole of what happens then,
as a flow for the drivers of both worlds. Streams have theirs in `streaming`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.tree import (
    APIStatusError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthExceededError,
    ServerError,
    UnsupportedParameterError,
    XDMError,
)
from xdm_integrations.core.gateway.nearest import with_model_suggestions
from xdm_integrations.core.protocol.call import Call, ServerFacts
from xdm_integrations.core.protocol.checks import OPTIONS
from xdm_integrations.core.protocol.config import check_headers, merge_headers, normalize_timeout
from xdm_integrations.core.protocol.flow import Flow, deadline_of, send_flow
from xdm_integrations.core.protocol.results import Usage, total_usage

from .parameters import check_parameters, split_prompts
from .parse import WrongChoicesError, parse_completion
from .results import Completion

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.config import Config
    from xdm_integrations.core.protocol.retry import Runtime
    from xdm_integrations.core.protocol.wire import Reply

    from .parameters import OnePrompt

PATH = "/completions"
_REFUSES_LISTS = r"(?is)prompt\b.*\b(string|str|list|array|type)\b(?!\":)"


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
    given = {"model": config.model, "max_tokens": config.max_tokens}
    given.update({name: value for name, value in params.items() if value is not None and name not in OPTIONS})
    extra_body, extra_headers, timeout = (params.get(option) for option in OPTIONS)
    prompts = split_prompts(prompt)
    body = check_parameters(given, streaming=streaming)
    if extra_body is not None and not isinstance(extra_body, Mapping):
        raise ConfigurationError(f"extra_body: expected a mapping of fields, got {type(extra_body).__name__}.")
    if extra := {**config.extra_body, **(extra_body or {})}:
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
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ConfigurationError(f"extra_body: n={n!r} must be an integer of at least 1.")
    if extra_headers:
        headers = merge_headers(headers, check_headers(extra_headers))
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


@with_model_suggestions
def complete_flow(call: Call, facts: ServerFacts, runtime: Runtime, *, one_by_one: bool = True) -> Flow[Completion]:
    """Ask for a completion of all prompts: in one request where the server can, else one by one.

    An answer is never paired with the wrong prompt: where a server merged, refused or dropped a
    list of prompts, each is asked alone, and the model gets single prompts from then on. With
    `one_by_one=False` the refusal is raised instead.
    """
    count = len(call.prompts)
    deadline = deadline_of(call.timeout, runtime)
    if count == 1 or not one_by_one:
        return (yield from _complete(call, call.prompts, runtime, deadline, packed=count > 1))
    refusal: XDMError | None = None
    if call.model not in facts.single_prompt_models:
        try:
            return (yield from _complete(call, call.prompts, runtime, deadline, packed=True))
        except XDMError as error:
            if not refuses_lists(error):
                raise
            refusal = error
    parts: list[Completion] = []
    for prompt in call.prompts:
        try:
            parts.append((yield from _complete(call, [prompt], runtime, deadline)))
        except XDMError as error:
            error.partial = merge(parts, call.n) if parts else error.partial
            error.__cause__ = error.__cause__ or refusal
            raise
    facts.single_prompt_models.add(call.model)
    whole = merge(parts, call.n)
    return replace(whole, usage=total_usage([whole.usage, usage_of_unusable_answer(refusal)]))


def _complete(
    call: Call, prompts: list[OnePrompt], runtime: Runtime, deadline: float | None, *, packed: bool = False
) -> Flow[Completion]:
    def receive(reply: Reply) -> Flow[Completion]:
        yield from ()  # a flow like any other, with nothing left to wait for
        return parse_completion(reply, len(prompts), call.n)

    request = call.request(prompts, deadline)
    return (yield from send_flow(request, receive, call.policy, runtime, refuses_lists if packed else None))


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
        return bool(re.search(_REFUSES_LISTS, _own_words(error)[:2000]))
    empty_message = isinstance(error, ServerError) and bool(error.body) and not _own_words(error)
    return empty_message and getattr(error, "status_code", 0) == 500  # noqa: PLR2004 - as seen


def usage_of_unusable_answer(error: XDMError | None) -> Usage | None:
    """Return the counts of an answer that couldn't be used: it is paid for all the same."""
    return error.partial.usage if isinstance(error, WrongChoicesError) and error.partial else None


def _own_words(error: APIStatusError) -> str:
    """Return the server's message; the whole body where it has another shape (`{"detail": ...}`)."""
    try:
        message = jsontext.loads(error.body.encode())["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return error.body
    return str(message or "")


def merge(parts: list[Completion], n: int) -> Completion:
    """Join the answers to single prompts, in order, into one; counts are summed."""
    choices = [choice._replace(index=i * n + choice.index) for i, part in enumerate(parts) for choice in part.choices]
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

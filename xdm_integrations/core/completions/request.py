"""The endpoint `POST /v1/completions`: from a call to requests, from replies to answers.

`ask_completion` and `stream_completion` are all that happens in a call, as flows for the drivers, sync and async;
many prompts at once have theirs in `packing`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.tree import (
    APIStatusError,
    BadRequestError,
    ContentFilterError,
    ContextLengthExceededError,
    ModelUnavailableError,
    ServerError,
    XDMError,
)
from xdm_integrations.core.gateway.models import suggest_models
from xdm_integrations.core.protocol.call import prepare
from xdm_integrations.core.protocol.flow import Flow, deadline_of, send_flow
from xdm_integrations.core.protocol.reading import Streaming, stream_flow
from xdm_integrations.core.protocol.results import total_usage
from xdm_integrations.core.protocol.wire import Key

from .echo import check_echo
from .parameters import check_parameters, split_prompts
from .parse import WrongChoicesError, parse_completion
from .results import numbered
from .text_so_far import TextSoFar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xdm_integrations.core.protocol.call import Call, Setup
    from xdm_integrations.core.protocol.config import Config
    from xdm_integrations.core.protocol.results import Usage
    from xdm_integrations.core.protocol.wire import Reply, RequestHeaders

    from .parameters import OnePrompt
    from .results import Completion, CompletionChunk

PATH = "/completions"
_DECIDED = ("prompt", "stream")
_REFUSES_LISTS = r"(?is)prompt\b.*\b(string|str|list|array|type)\b(?!\":)"


def ask_completion(setup: Setup, prompt: object, params: Mapping[str, Any]) -> Flow[Completion]:
    """Ask for the answer to a prompt, or to several; `params` are those of `CompletionParams`.

    Raises:
        ConfigurationError: Something can't be sent; no byte was.
        XDMError: The call failed.
    """
    headers = setup.headers((yield Key()))
    call, prompts = prepare_completion(setup.config, headers, prompt, params)
    return (yield from complete_flow(call, prompts, setup))


def stream_completion(
    setup: Setup, prompt: object, params: Mapping[str, Any]
) -> Flow[Streaming[CompletionChunk, Completion]]:
    """Ask for the answer as a stream; see `ask_completion`."""
    headers = setup.headers((yield Key()))
    call, prompts = prepare_completion(setup.config, headers, prompt, params, streaming=True)
    echoed = prompts if call.body.get("echo") else []
    so_far = partial(TextSoFar, len(prompts), call.n, echoed)
    deadline = deadline_of(call.timeout, setup.runtime)
    try:
        return (yield from stream_flow(call, with_prompts(call, prompts), so_far, setup, deadline))
    except ModelUnavailableError as error:
        yield from suggest_models(error, call, setup, deadline)
        raise


def prepare_completion(
    config: Config, headers: RequestHeaders, prompt: object, params: Mapping[str, Any], *, streaming: bool = False
) -> tuple[Call, list[OnePrompt]]:
    """Check a call, and return it with its prompts; see `core.protocol.call.prepare`."""
    prompts = split_prompts(prompt)
    given = {"max_tokens": config.max_tokens, **{name: v for name, v in params.items() if v is not None}}
    check = partial(check_parameters, streaming=streaming)
    return prepare(config, headers, PATH, given, check, decided=_DECIDED, streaming=streaming), prompts


def with_prompts(call: Call, prompts: list[OnePrompt]) -> dict[str, Any]:
    """Return the body of a request for these prompts; a single one goes as itself, not as a list."""
    return {**call.body, "prompt": prompts[0] if len(prompts) == 1 else prompts}


def complete_flow(call: Call, prompts: list[OnePrompt], setup: Setup, *, one_by_one: bool = True) -> Flow[Completion]:
    """Ask for a completion of all prompts: in one request where the server can, else one by one.

    Where a server merged, refused or dropped a list of prompts, each is asked alone, and the model gets single
    prompts from then on. With `one_by_one=False` the refusal is raised instead.
    """
    count, facts = len(prompts), setup.facts
    deadline = deadline_of(call.timeout, setup.runtime)
    if count == 1 and call.n == 1:
        return (yield from _complete(call, prompts, setup, deadline))
    if count == 1:
        return (yield from _complete_one(call, prompts[0], setup, deadline))
    if not one_by_one:
        return (yield from _complete(call, prompts, setup, deadline, refuses_lists))
    refusal: XDMError | None = None
    if call.model not in facts.single_prompt_models:
        try:
            return (yield from _complete(call, prompts, setup, deadline, refuses_lists))
        except XDMError as error:
            if not refuses_lists(error):
                raise
            refusal = error
    parts: list[Completion] = []
    for prompt in prompts:
        try:
            parts.append((yield from _complete_one(call, prompt, setup, deadline)))
        except XDMError as error:
            error.partial = joined(parts, call.n) if parts else error.partial
            error.__cause__ = error.__cause__ or refusal
            raise
    facts.single_prompt_models.add(call.model)
    answer = joined(parts, call.n)
    return replace(answer, usage=total_usage([answer.usage, usage_of_unusable_answer(refusal)]))


def _complete_one(call: Call, prompt: OnePrompt, setup: Setup, deadline: float | None) -> Flow[Completion]:
    """Ask for the choices of one prompt; where the server makes fewer than `n`, for the missing ones one by one.

    Seen: `transformers serve`, and gateways' channels of Claude, Gemini, Ollama and Zhipu: one choice.
    """

    def makes_fewer(error: XDMError) -> bool:
        return isinstance(error, WrongChoicesError) and 0 < len(error.partial.choices) < call.n

    try:
        return (yield from _complete(call, [prompt], setup, deadline, makes_fewer))
    except XDMError as error:
        if not makes_fewer(error):
            raise
        parts: list[Completion] = [error.partial]
    single = replace(call, body={name: value for name, value in call.body.items() if name != "n"}, n=1)
    while (count := sum(len(part.choices) for part in parts)) < call.n:
        try:
            parts.append((yield from _complete(single, [prompt], setup, deadline)))
        except XDMError as error:
            error.partial = joined(parts, count)
            raise
    return joined(parts, call.n)


def joined(parts: list[Completion], n: int) -> Completion:
    """Join choices that came from several requests, in order; each was billed, so that counts are summed."""
    choices = numbered(choice for part in parts for choice in part.choices)
    return replace(parts[0], choices=choices, n=n, usage=total_usage([part.usage for part in parts]))


def _complete(
    call: Call,
    prompts: list[OnePrompt],
    setup: Setup,
    deadline: float | None,
    handled_by_caller: Callable[[XDMError], bool] | None = None,
) -> Flow[Completion]:
    def receive(reply: Reply) -> Flow[Completion]:
        yield from ()  # a flow like any other, with nothing left to wait for
        completion = parse_completion(reply, len(prompts), call.n)
        if call.body.get("echo"):
            check_echo(completion, prompts)
        return completion

    request = call.request(with_prompts(call, prompts), deadline)
    try:
        return (yield from send_flow(request, receive, call.policy, setup.runtime, handled_by_caller))
    except ModelUnavailableError as error:
        yield from suggest_models(error, call, setup, deadline)
        raise


def refuses_lists(error: XDMError) -> bool:
    """True if the error may mean that the server can't take a list of prompts.

    Seen: too few choices (mock servers, relays to Ollama), 400 or 422 that speaks of the prompt's
    type (`transformers serve`), 500 with an empty message (llama-cpp-python).
    """
    if isinstance(error, WrongChoicesError):
        return True
    if isinstance(error, (ContextLengthExceededError, ContentFilterError)):
        return False
    if isinstance(error, BadRequestError):
        return bool(re.search(_REFUSES_LISTS, _server_message(error)[:2000]))
    if not isinstance(error, ServerError) or error.status_code != 500:  # noqa: PLR2004 - as seen
        return False
    return bool(error.body) and not _server_message(error)


def usage_of_unusable_answer(error: XDMError | None) -> Usage | None:
    """Return the counts of an answer that couldn't be used: it is paid for all the same."""
    return error.partial.usage if isinstance(error, WrongChoicesError) and error.partial else None


def _server_message(error: APIStatusError) -> str:
    """Return the server's message; the complete body where it has another shape (`{"detail": ...}`)."""
    try:
        message = jsontext.loads(error.body.encode())["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return error.body
    return str(message or "")

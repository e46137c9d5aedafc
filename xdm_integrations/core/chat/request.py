"""The endpoint `POST /v1/chat/completions`: from a call to requests, from replies to answers.

`ask_chat`, `ask_structured` and `stream_chat` are all that happens in a call, as flows for the drivers, sync and async.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from xdm_integrations.core.errors.tree import ConfigurationError, ModelUnavailableError, XDMError
from xdm_integrations.core.gateway.models import suggest_models
from xdm_integrations.core.protocol.call import prepare
from xdm_integrations.core.protocol.config import DEFAULT_MAX_TOKENS
from xdm_integrations.core.protocol.config import DEFAULT_MODEL as COMPLETIONS_MODEL
from xdm_integrations.core.protocol.flow import Flow, deadline_of, send_flow
from xdm_integrations.core.protocol.reading import Streaming, stream_flow
from xdm_integrations.core.protocol.results import total_usage
from xdm_integrations.core.protocol.wire import Key

from .limit_name import LIMIT_NAMES, renamed, wanted_limit_name
from .message_so_far import ChatSoFar
from .messages import check_messages, joined
from .parameters import THINK_TAGS, check_parameters
from .parse import parse_chat
from .structured import (
    AUTO,
    BY_PROMPT,
    best_method,
    chosen_method,
    form_of,
    next_method,
    object_of,
    request_fields,
    teaches,
    with_prompt,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xdm_integrations.core.protocol.call import Call, Setup
    from xdm_integrations.core.protocol.config import Config
    from xdm_integrations.core.protocol.results import Usage
    from xdm_integrations.core.protocol.wire import Reply, RequestHeaders

    from .results import ChatChunk, ChatCompletion

PATH = "/chat/completions"
DEFAULT_MODEL = "gpt-4o-mini"
"""The model where neither the call nor the client names one."""
_DECIDED = ("messages", "stream")

T = TypeVar("T")


def ask_chat(setup: Setup, messages: object, params: Mapping[str, Any]) -> Flow[ChatCompletion]:
    """Ask for the answer to a conversation: a string (one user message), or messages in the API's form.

    Raises:
        ConfigurationError: Something can't be sent; no byte was.
        XDMError: The call failed.
    """
    headers = setup.headers((yield Key()))
    call = prepare_chat(setup.config, headers, messages, params)
    deadline = deadline_of(call.timeout, setup.runtime)
    return (yield from chat_flow(call, setup, deadline, think_tags=wants_think_tags(setup.config, params)))


def stream_chat(
    setup: Setup, messages: object, params: Mapping[str, Any]
) -> Flow[Streaming[ChatChunk, ChatCompletion]]:
    """Ask for the answer as a stream; see `ask_chat`."""
    headers = setup.headers((yield Key()))
    call = prepare_chat(setup.config, headers, messages, params, streaming=True)
    deadline = deadline_of(call.timeout, setup.runtime)
    return (yield from open_chat(call, setup, deadline, think_tags=wants_think_tags(setup.config, params)))


def open_chat(
    call: Call,
    setup: Setup,
    deadline: float | None,
    handled_by_caller: Callable[[XDMError], bool] | None = None,
    *,
    think_tags: bool,
) -> Flow[Streaming[ChatChunk, ChatCompletion]]:
    """Send a call that streams, and return its answer up to its first chunk; the arguments are those of `chat_flow`."""
    so_far = partial(ChatSoFar, call.n, think_tags=think_tags)

    def send(body: dict[str, Any]) -> Flow[Streaming[ChatChunk, ChatCompletion]]:
        return stream_flow(call, body, so_far, setup, deadline, handled_by_caller)

    return _send(call, setup, deadline, send)


def ask_structured(  # noqa: PLR0913 - one argument per decision
    setup: Setup,
    messages: object,
    params: Mapping[str, Any],
    schema: object,
    *,
    method: str | None = AUTO,
    strict: bool | None = None,
) -> Flow[ChatCompletion]:
    """Ask for an object; it is the answer's `parsed`, as a dictionary.

    `schema` is a JSON schema, or a function's dictionary. A `method` of `structured.METHODS` is used as it is; with
    `AUTO` or None it is the best that the model is known to take, and the next one where it refuses that or ignores it.

    Raises:
        ConfigurationError: Something can't be sent; no byte was.
        ContentFilterError: The model refuses.
        NotTheSchemaError: The answer holds no such object.
        XDMError: The call failed.
    """
    form = form_of(schema)
    used: str | None = chosen_method(method)
    fixed = used is not None
    checked = check_messages(messages)
    think_tags = wants_think_tags(setup.config, params)
    headers = setup.headers((yield Key()))
    paid: list[Usage | None] = []
    plain = prepare_chat(setup.config, headers, checked, params)
    model, deadline = plain.model, deadline_of(plain.timeout, setup.runtime)
    while True:
        used = used or best_method(model, setup.facts)
        asked = with_prompt(checked, form) if used in BY_PROMPT else checked
        call = prepare_chat(setup.config, headers, asked, {**params, **request_fields(used, form, strict=strict)})
        call.given["messages"] = checked
        try:
            completion = yield from chat_flow(call, setup, deadline, None if fixed else teaches, think_tags=think_tags)
            found = object_of(completion, form)
        except XDMError as error:
            if error.partial is not None:
                paid.append(error.partial.usage)
            used = None if fixed else next_method(used, error, model, setup.facts)
            if used is None:
                error.usage = total_usage(paid)
                if error.partial is not None:
                    error.partial = replace(error.partial, usage=error.usage)
                raise
        else:
            return replace(completion, parsed=found, usage=total_usage([*paid, completion.usage]))


def prepare_chat(
    config: Config, headers: RequestHeaders, messages: object, params: Mapping[str, Any], *, streaming: bool = False
) -> Call:
    """Check a call, whose body has its messages; see `core.protocol.call.prepare`.

    Raises:
        ConfigurationError: Something can't be sent; no byte was.
    """
    checked = check_messages(messages)
    given = {name: value for name, value in params.items() if value is not None and name != THINK_TAGS}
    if config.model == COMPLETIONS_MODEL:  # the client's own default is no chat model
        given.setdefault("model", DEFAULT_MODEL)
    if config.max_tokens != DEFAULT_MAX_TOKENS and not given.keys() & LIMIT_NAMES.keys():
        given["max_tokens"] = config.max_tokens  # the client's default serves text completions, whose servers give 16
    check = partial(check_parameters, streaming=streaming)
    call = prepare(config, headers, PATH, given, check, decided=_DECIDED, streaming=streaming)
    call.body["messages"] = joined(checked)
    call.given["messages"] = checked
    return call


def wants_think_tags(config: Config, params: Mapping[str, Any]) -> bool:
    """Return whether a leading thought is taken as reasoning: the call's word, then the client's.

    Raises:
        ConfigurationError: The call's is neither True nor False.
    """
    asked = params.get(THINK_TAGS)
    if asked is None:
        return config.think_tags
    if not isinstance(asked, bool):
        raise ConfigurationError(f"think_tags: {asked!r:.60} must be True or False.")
    return asked


def chat_flow(
    call: Call,
    setup: Setup,
    deadline: float | None,
    handled_by_caller: Callable[[XDMError], bool] | None = None,
    *,
    think_tags: bool = False,
) -> Flow[ChatCompletion]:
    """Send a call, and return its answer; the deadline is that of all tries, of which this may be one."""

    def receive(reply: Reply) -> Flow[ChatCompletion]:
        yield from ()  # a flow like any other, with nothing left to wait for
        required = call.require_finish_reason
        return parse_chat(reply, call.n, call.limits, think_tags=think_tags, require_finish_reason=required)

    def send(body: dict[str, Any]) -> Flow[ChatCompletion]:
        return send_flow(call.request(body, deadline), receive, call.policy, setup.runtime, handled_by_caller)

    return _send(call, setup, deadline, send)


def _send(call: Call, setup: Setup, deadline: float | None, send: Callable[[dict[str, Any]], Flow[T]]) -> Flow[T]:
    """Send a call's body; once more, where the server refuses the limit's name and names the other one."""
    names = setup.facts.token_limit_name
    body, name = renamed(call.body, names.get(call.model)), None
    while True:
        try:
            return (yield from send(body))
        except ModelUnavailableError as error:
            yield from suggest_models(error, call, setup, deadline)
            raise
        except XDMError as error:
            name = wanted_limit_name(error, body) if name is None else None
            if name is None:
                raise
        names[call.model] = name
        body = renamed(body, name)

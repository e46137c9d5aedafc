"""What the clients add to chat: classes as schemas, many conversations at once, and a word on missing choices.

Flows, driven by both clients.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.chat.messages import check_messages
from xdm_integrations.core.chat.request import ask_chat, ask_structured
from xdm_integrations.core.chat.structured import AUTO
from xdm_integrations.core.errors.tree import ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, Plan, packs_of
from xdm_integrations.core.protocol.call import check_writable

from .objects import Wanted, schema_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.chat.results import ChatCompletion
    from xdm_integrations.core.protocol.call import ServerFacts, Setup
    from xdm_integrations.core.protocol.flow import Flow

log = logging.getLogger("xdm_integrations")


def chat(setup: Setup, messages: object, params: Mapping[str, Any]) -> Flow[ChatCompletion]:
    """Ask for the answer to a conversation; for an object, where `response_format` is a schema or a class."""
    schema = schema_in(params.get("response_format"))
    if schema is None:
        completion = yield from ask_chat(setup, messages, params)
    else:
        completion = yield from structured(setup, messages, {**params, "response_format": None}, schema)
    note_choices(completion, setup.facts)
    return completion


def structured(  # noqa: PLR0913, PLR0917 - one argument per decision
    setup: Setup,
    messages: object,
    params: Mapping[str, Any],
    schema: object,
    method: str | None = AUTO,
    strict: bool | None = None,  # noqa: FBT001 - as it was given by name
) -> Flow[ChatCompletion]:
    """Ask for an object, which is an instance where the schema is a class."""
    wanted = Wanted.of(schema)
    completion = yield from ask_structured(setup, messages, params, wanted.schema, method=method, strict=strict)
    return replace(completion, parsed=wanted.made(completion))


def chats(setup: Setup, conversations: Sequence[object], params: Mapping[str, Any]) -> Plan[ChatCompletion]:
    """Check every conversation, and plan a request for each, which fails alone.

    Raises:
        ConfigurationError: One can't be sent; no byte was. The message names it by its number, from 0.
    """
    if isinstance(conversations, (str, bytes, bytearray)) or not isinstance(conversations, Sequence):
        raise ConfigurationError(
            f"conversations: expected a list of conversations, got {type(conversations).__name__}; "
            "a single one is for `chat`."
        )
    for number, messages in enumerate(conversations):
        try:
            check_writable({"messages": check_messages(messages)})
        except ConfigurationError as error:
            raise ConfigurationError(f"conversation {number}: {error.message}") from None

    def flow(pack: Pack) -> Flow[PackResult]:
        try:
            completion = yield from chat(setup, conversations[pack.positions[0]], params)
        except ConfigurationError:
            raise  # the caller's mistake, the same for every conversation
        except XDMError as error:
            paid = error.partial.usage if error.partial is not None else error.usage
            return PackResult([error], paid)
        return PackResult([completion], completion.usage)

    return Plan(packs_of(len(conversations), 1), flow)


def note_choices(completion: ChatCompletion, facts: ServerFacts) -> None:
    """Warn, once for each model, that fewer choices came than were asked for."""
    if 0 < len(completion.choices) < completion.n and completion.model not in facts.makes_fewer_choices:
        facts.makes_fewer_choices.add(completion.model)
        log.warning(
            "%s was asked for n=%d choices and gave %d: its channel makes fewer, whatever `n` is.",
            completion.model or "The model",
            completion.n,
            len(completion.choices),
        )

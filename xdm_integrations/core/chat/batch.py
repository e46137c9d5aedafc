"""Many conversations at once: each is a request of its own, and fails alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.tree import ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, Plan, packs_of
from xdm_integrations.core.protocol.wire import Key

from .messages import check_messages
from .request import prepare_chat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xdm_integrations.core.protocol.call import Setup
    from xdm_integrations.core.protocol.flow import Flow

    from .results import ChatCompletion


def plan_chats(
    setup: Setup,
    conversations: Sequence[object],
    params: Mapping[str, Any],
    ask: Callable[[object], Flow[ChatCompletion]],
) -> Flow[Plan[ChatCompletion]]:
    """Check every conversation, and plan a request for each.

    Args:
        setup: The client's.
        conversations: At least one; each a string, or messages in the API's form.
        params: See `ChatParams`; the same for all.
        ask: Asks for the answer to one.

    Raises:
        ConfigurationError: Something can't be sent; no byte was. The message names the conversation by its number,
            from 0.
    """
    if isinstance(conversations, (str, bytes, bytearray)) or not isinstance(conversations, Sequence):
        raise ConfigurationError(
            f"conversations: expected a list of conversations, got {type(conversations).__name__}; "
            "a single one is for `chat`."
        )
    headers = setup.headers((yield Key()))
    for number, messages in enumerate(conversations):
        try:
            check_messages(messages)
        except ConfigurationError as error:
            raise ConfigurationError(f"conversation {number}: {error.message}") from None
    prepare_chat(setup.config, headers, conversations[0], params)

    def flow(pack: Pack) -> Flow[PackResult]:
        try:
            completion = yield from ask(conversations[pack.positions[0]])
        except ConfigurationError:
            raise  # the caller's mistake, the same for every conversation
        except XDMError as error:
            paid = error.partial.usage if error.partial is not None else error.usage
            return PackResult([error], paid)
        return PackResult([completion], completion.usage)

    return Plan(packs_of(len(conversations), 1), flow)

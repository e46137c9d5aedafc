"""Many conversations at once: each is a request of its own, and fails alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xdm_integrations.core.errors.tree import ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, Plan, packs_of
from xdm_integrations.core.protocol.call import check_writable

from .messages import check_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations.core.protocol.flow import Flow

    from .results import ChatCompletion


def plan_chats(conversations: Sequence[object], ask: Callable[[object], Flow[ChatCompletion]]) -> Plan[ChatCompletion]:
    """Check every conversation, and plan a request for each, which `ask` makes.

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
            completion = yield from ask(conversations[pack.positions[0]])
        except ConfigurationError:
            raise  # the caller's mistake, the same for every conversation
        except XDMError as error:
            paid = error.partial.usage if error.partial is not None else error.usage
            return PackResult([error], paid)
        return PackResult([completion], completion.usage)

    return Plan(packs_of(len(conversations), 1), flow)

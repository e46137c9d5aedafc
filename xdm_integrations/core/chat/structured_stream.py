"""An object that streams: asked for by the best method that the model takes, and read out at the end. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.flow import deadline_of
from xdm_integrations.core.protocol.wire import Key

from .messages import check_messages
from .request import open_chat, prepare_chat, wants_think_tags
from .structured import (
    AUTO,
    BY_PROMPT,
    Form,
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
    from collections.abc import Mapping

    from xdm_integrations.core.protocol.call import ServerFacts, Setup
    from xdm_integrations.core.protocol.flow import Flow
    from xdm_integrations.core.protocol.reading import Streaming

    from .results import ChatChunk, ChatCompletion


class AskedObject(NamedTuple):
    """How a stream was asked for an object.

    Attributes:
        form: What was asked for.
        method: How, one of `structured.METHODS`.
        chosen: The caller chose the method; there is no other one to try.
        model: The model that was asked.
        facts: What was learnt about the server.
    """

    form: Form
    method: str
    chosen: bool
    model: str
    facts: ServerFacts

    def read(self, completion: ChatCompletion) -> dict[str, Any]:
        """Return the object that the complete answer holds.

        Raises:
            XDMError: There is none; see `structured.object_of`.
        """
        return object_of(completion, self.form)

    def learn(self, error: XDMError) -> bool:
        """Remember that the model ignored the method, if that is the error; say whether another try takes another."""
        return not self.chosen and next_method(self.method, error, self.model, self.facts) is not None


def stream_structured(  # noqa: PLR0913 - one argument per decision
    setup: Setup,
    messages: object,
    params: Mapping[str, Any],
    schema: object,
    *,
    method: str | None = AUTO,
    strict: bool | None = None,
) -> Flow[tuple[Streaming[ChatChunk, ChatCompletion], AskedObject]]:
    """Ask for an object as a stream, whose pieces are its JSON text; see `request.ask_structured`."""
    form = form_of(schema)
    used = chosen_method(method)
    fixed = used is not None
    think_tags = wants_think_tags(setup.config, params)
    checked = check_messages(messages)
    headers = setup.headers((yield Key()))
    plain = prepare_chat(setup.config, headers, checked, params)
    model, deadline = plain.model, deadline_of(plain.timeout, setup.runtime)
    while True:
        used = used or best_method(model, setup.facts)
        asked = with_prompt(checked, form) if used in BY_PROMPT else checked
        given = {**params, **request_fields(used, form, strict=strict)}
        call = prepare_chat(setup.config, headers, asked, given, streaming=True)
        call.given["messages"] = checked
        try:
            streaming = yield from open_chat(call, setup, deadline, None if fixed else teaches, think_tags=think_tags)
        except XDMError as error:
            used = None if fixed else next_method(used, error, model, setup.facts)
            if used is None:
                raise
        else:
            return streaming, AskedObject(form, used, fixed, model, setup.facts)

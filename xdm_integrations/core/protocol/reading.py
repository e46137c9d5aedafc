"""Opening a stream, and reading it: when to read on, when to give up, when the end has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdm_integrations.core.errors.tree import BadRequestError, XDMError
from xdm_integrations.core.gateway.nearest import with_model_suggestions

from .decoder import StreamDecoder
from .flow import Flow, deadline_of, send_flow, timeout_error
from .wire import Read, Reply, secret_of

if TYPE_CHECKING:
    from xdm_integrations.core.completions.results import CompletionChunk

    from .call import Call, ServerFacts
    from .retry import Runtime

GRACE_AFTER_FINISH = 5.0
"""Seconds to wait for usage and `[DONE]` once the answer is whole."""


class Streaming:
    """A stream that is being read, and what its reader has to decide after each read.

    Attributes:
        body: The open body; whoever holds this closes it.
        decoder: What has been understood so far.
        chunks: The chunks that the opening has already brought.
    """

    def __init__(self, call: Call, reply: Reply, runtime: Runtime) -> None:
        self.body = reply.stream
        self.decoder = StreamDecoder(
            len(call.prompts) * call.n,
            call.n,
            reply.headers,
            call.limits,
            require_finish_reason=call.require_finish_reason,
        )
        self.chunks: list[CompletionChunk] = []
        self._secret = secret_of(call.headers)
        self._monotonic = runtime.monotonic
        self._patience = call.timeout.read
        self._last_event = runtime.monotonic()
        self._events = 0

    @property
    def within(self) -> float | None:
        """How long the next read may take, beyond the request's own limits."""
        return GRACE_AFTER_FINISH if self.decoder.finished else None

    def interrupt(self, cause: XDMError) -> None:
        """Take note that reading failed: afterwards as after `take`."""
        self.decoder.interrupt(cause)
        if self.decoder.failure is not None:
            self.decoder.failure.hide(self._secret)

    def take(self, block: bytes) -> list[CompletionChunk]:
        """Take what a read brought (b"" at the end) and return the chunks it completes.

        Afterwards `decoder.ended` says whether to stop, and `decoder.failure` why.
        """
        decoder = self.decoder
        chunks = decoder.feed(block) if block else decoder.close()
        if decoder.failure is not None:
            decoder.failure.hide(self._secret)
        if chunks:
            return chunks  # the clock is read only when nothing comes
        now = self._monotonic()
        if decoder.events != self._events:
            self._events = decoder.events
            self._last_event = now
        elif not decoder.ended:
            patience = GRACE_AFTER_FINISH if decoder.finished else self._patience
            if patience is not None and now - self._last_event > patience:
                decoder.interrupt(timeout_error("read", patience))
        return chunks


@with_model_suggestions
def stream_flow(call: Call, facts: ServerFacts, runtime: Runtime) -> Flow[Streaming]:
    """Open a stream, and read it up to its first word: until then everything can be retried.

    A server that refuses `stream_options` is asked again without, at the price of the counts.
    """

    def receive(reply: Reply) -> Flow[Streaming]:
        return _read_first_chunk(Streaming(call, reply, runtime))

    def refuses_options(error: XDMError) -> bool:
        return (
            "stream_options" in call.body
            and isinstance(error, BadRequestError)
            and "stream_options" in error.body + error.message
        )

    if call.model in facts.refuses_stream_options:
        call.body.pop("stream_options", None)
    deadline = deadline_of(call.timeout, runtime)
    request = call.request(call.prompts, deadline, streaming=True)
    try:
        return (yield from send_flow(request, receive, call.policy, runtime, refuses_options))
    except XDMError as error:
        if not refuses_options(error):
            raise
    facts.refuses_stream_options.add(call.model)
    del call.body["stream_options"]
    request = call.request(call.prompts, deadline, streaming=True)
    return (yield from send_flow(request, receive, call.policy, runtime))


def _read_first_chunk(streaming: Streaming) -> Flow[Streaming]:
    decoder = streaming.decoder
    whole = False
    try:
        while not (streaming.chunks or decoder.ended):
            try:
                block = yield Read(streaming.body)
            except XDMError as error:
                streaming.interrupt(error)
            else:
                streaming.chunks = streaming.take(block)
        if decoder.failure is not None and not streaming.chunks:
            raise decoder.failure
        whole = True
    finally:
        if not whole:
            streaming.body.close()
    return streaming

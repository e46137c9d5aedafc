"""Opening a stream, and reading it: when to read on, when to stop waiting, when the end has come."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from xdm_integrations.core.errors.endpoints import endpoint_of
from xdm_integrations.core.errors.tree import BadRequestError, XDMError

from .decoder import SoFar, StreamDecoder
from .flow import Flow, send_flow, timeout_error
from .wire import Read, Reply, secret_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .call import Call, Setup
    from .retry import Runtime

GRACE_AFTER_FINISH = 5.0
"""Seconds to wait for usage and `[DONE]` once the answer is complete."""

Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")


class Streaming(Generic[Chunk, Answer]):
    """A stream that is being read, and what its reader has to decide after each read.

    Attributes:
        body: The open body; whoever holds this closes it.
        decoder: What has been understood so far.
        chunks: What has come and wasn't taken yet; the opening brings the first ones. Whoever takes one takes it away.
    """

    def __init__(self, call: Call, reply: Reply, answer: SoFar[Chunk, Answer], runtime: Runtime) -> None:
        self.body = reply.stream
        self.decoder = StreamDecoder(
            answer,
            reply.headers,
            call.limits,
            endpoint=endpoint_of(call.path),
            require_finish_reason=call.require_finish_reason,
        )
        self.chunks: deque[Chunk] = deque()
        self._headers = call.headers
        self._monotonic = runtime.monotonic
        self._patience = call.timeout.event
        self._last_event = runtime.monotonic()
        self._events = 0

    @property
    def within(self) -> float | None:
        """How long the next read may take, beyond the request's own limits."""
        return GRACE_AFTER_FINISH if self.decoder.finished else None

    def interrupt(self, cause: XDMError) -> list[Chunk]:
        """Take note that reading failed: afterwards as after `feed`."""
        chunks = self.decoder.interrupt(cause)
        if self.decoder.failure is not None:
            self.decoder.failure.hide(secret_of(self._headers))
        return chunks

    def feed(self, block: bytes) -> list[Chunk]:
        """Take what a read brought (b"" at the end) and return the chunks it completes.

        Afterwards `decoder.ended` says whether to stop, and `decoder.failure` why.
        """
        decoder = self.decoder
        chunks = decoder.feed(block) if block else decoder.close()
        if decoder.failure is not None:
            decoder.failure.hide(secret_of(self._headers))
        if chunks:
            return chunks  # the clock is read only when nothing comes
        now = self._monotonic()
        if decoder.events != self._events:
            self._events = decoder.events
            self._last_event = now
        elif not decoder.ended:
            patience = GRACE_AFTER_FINISH if decoder.finished else self._patience
            if patience is not None and now - self._last_event > patience:
                return decoder.interrupt(timeout_error("event", patience))
        return chunks


def stream_flow(  # noqa: PLR0913, PLR0917 - all that a stream is opened with
    call: Call,
    body: dict[str, Any],
    so_far: Callable[[], SoFar[Chunk, Answer]],
    setup: Setup,
    deadline: float | None,
    handled_by_caller: Callable[[XDMError], bool] | None = None,
) -> Flow[Streaming[Chunk, Answer]]:
    """Open a stream, and read it up to its first chunk: until then everything can be retried.

    Each attempt has a new accumulator, which `so_far` makes. A server that refuses `stream_options` is asked again
    without, at the price of the counts.
    """
    facts, runtime = setup.facts, setup.runtime

    def receive(reply: Reply) -> Flow[Streaming[Chunk, Answer]]:
        return _read_first_chunk(Streaming(call, reply, so_far(), runtime))

    if call.model in facts.refuses_stream_options:
        body = {name: value for name, value in body.items() if name != "stream_options"}
    request = call.request(body, deadline, streaming=True)
    try:
        return (yield from send_flow(request, receive, call.policy, runtime, handled_by_caller))
    except BadRequestError as error:  # which is never sent again as it is
        if "stream_options" not in body or "stream_options" not in error.body + error.message:
            raise
    body = {name: value for name, value in body.items() if name != "stream_options"}
    request = call.request(body, deadline, streaming=True)
    streaming = yield from send_flow(request, receive, call.policy, runtime, handled_by_caller)
    facts.refuses_stream_options.add(call.model)  # only now: a refusal of anything else may show the body that was sent
    return streaming


def _read_first_chunk(streaming: Streaming[Chunk, Answer]) -> Flow[Streaming[Chunk, Answer]]:
    decoder = streaming.decoder
    opened = False
    try:
        while not (streaming.chunks or decoder.ended):
            try:
                block = yield Read(streaming.body)
            except XDMError as error:
                streaming.chunks.extend(streaming.interrupt(error))
            else:
                streaming.chunks.extend(streaming.feed(block))
        if decoder.failure is not None and not streaming.chunks:
            raise decoder.failure
        opened = True
    finally:
        if not opened:
            streaming.body.close()
    return streaming

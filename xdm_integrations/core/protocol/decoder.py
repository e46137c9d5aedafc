"""A streamed answer: events in, chunks out, and the judgement whether the answer is complete.

An answer is complete when every choice has had a finish_reason. `[DONE]` proves nothing, because
the gateway sends it after an upstream failure too (One API relay/adaptor/openai/main.go); it
ends the reading, and it counts where `require_finish_reason` is off.

Read here what servers really send: usage in a chunk of its own, on the last or on every chunk;
a plain JSON body instead of events; an error as a bare line; finish reasons sent twice. What an
event means is the endpoint's: its accumulator is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.catalogue import error_in, not_an_answer
from xdm_integrations.core.errors.reply_text import request_id_of
from xdm_integrations.core.errors.tree import APIResponseError, StreamInterruptedError, XDMError

from .sse import BARE, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.errors.endpoints import Endpoint

    from .wire import Limits


Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class SoFar(Protocol[Chunk, Answer_co]):
    """An answer as far as it has come: what an endpoint brings for its streams.

    Attributes:
        expected: How many choices were asked for.
        unfinished: How many of them have had no finish_reason yet.
        may_go_on: True if more of the answer may come although every choice has had its finish_reason.
        has_output: True if anything of the answer has come.
        complete_if_done: True if the answer is complete where `[DONE]` comes now, although choices may be missing.
    """

    expected: int
    unfinished: int
    may_go_on: bool

    @property
    def complete_if_done(self) -> bool:
        """See above."""

    @property
    def has_output(self) -> bool:
        """See above."""

    def add(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        """Take an event that is no error, and add its chunks to `chunks`.

        Raises:
            XDMError: It says that the answer failed, or can't be part of it.
        """

    def end(self, chunks: list[Chunk]) -> None:
        """Add what was held back: the answer is complete. Called once.

        Raises:
            XDMError: The complete answer isn't what was asked for.
        """

    def result(self, headers: Mapping[str, str]) -> Answer_co:
        """Return the answer as far as it has come."""


_ONE_BY_ONE = (
    " This server may make one answer per request, whatever `n` and however many prompts: stream them one by one, or "
    "don't stream, and the missing ones are asked for."
)


_MAY_GO_ON = " Its finish_reason came with the beginning of a tool call: after such a one some servers send more calls."


class StreamDecoder(Generic[Chunk, Answer]):
    """Bytes in, chunks out.

    `feed`, `close` and `interrupt` return the chunks that are ready. None raises: an error goes
    into `failure`, to be raised after those chunks have been delivered.

    Attributes:
        failure: What went wrong, with the answer so far as its `.partial`; None if nothing did.
        ended: True after `[DONE]`, `close` or a failure: there is nothing more to read.
        events: Events seen, keep-alive comments not counted.
    """

    def __init__(
        self,
        answer: SoFar[Chunk, Answer],
        headers: Mapping[str, str],
        limits: Limits,
        *,
        endpoint: Endpoint = "completions",
        require_finish_reason: bool = True,
    ) -> None:
        self.failure: XDMError | None = None
        self.ended = False
        self.events = 0
        self._headers = headers
        self._limits = limits
        self._endpoint = endpoint
        self._require_finish_reason = require_finish_reason
        self._sse = SSEDecoder(limits)
        self._answer = answer
        self._final: Answer | None = None
        self._done = False
        self._bare = bytearray()
        """Lines outside any event since the last one."""
        self._odd = b""
        """The first of them that were no part of an answer and no error: told of if none comes."""
        self._aside = b""
        """The first event that was neither (a ping, or what MiniMax says of a balance): shown if no answer comes."""

    @property
    def finished(self) -> bool:
        """True if the answer is complete, whatever comes now: every choice has had its last finish_reason."""
        return self._answer.unfinished == 0 and not self._answer.may_go_on

    def feed(self, block: bytes) -> list[Chunk]:
        """Take the next bytes of the body."""
        chunks: list[Chunk] = []
        events = [] if self.ended else self._sse.feed(block)
        try:
            for kind, data in events:
                self._take(kind, data, chunks)
                if self.ended:
                    return chunks
        except XDMError as error:
            self._fail(error, chunks)
        else:
            if self._sse.failure is not None and not self.ended:
                self._fail(self._sse.failure, chunks)
        return chunks

    def close(self) -> list[Chunk]:
        """Take the end of the body, and judge whether the answer is complete."""
        chunks: list[Chunk] = []
        events = [] if self.ended else self._sse.close()
        try:
            for kind, data in events:
                if self.ended:
                    break
                if kind == BARE or data.strip() == b"[DONE]" or _is_json(data):
                    self._take(kind, data, chunks)
                else:
                    self._take_lines([line for line in data.split(b"\n") if _is_event(line)], chunks)
            if self._bare and not self.ended:
                self._take_bare(chunks)
            self._end(chunks)
        except XDMError as error:
            self._fail(error, chunks)
        return chunks

    def interrupt(self, cause: XDMError) -> list[Chunk]:
        """Take note that the connection failed. If the answer is complete, nothing is lost."""
        chunks: list[Chunk] = []
        if self.ended:
            return chunks
        if not self.finished and self._answer.has_output:
            error = StreamInterruptedError(
                f"The stream broke off after it began ({cause.message}) The text so far is in `.partial`."
                + ("" if self._answer.unfinished else _MAY_GO_ON),
                request_id=cause.request_id,
            )
            error.__cause__ = cause
            self._fail(error, chunks)
        else:
            self._fail(cause, chunks)
        return chunks

    def result(self) -> Answer:
        """Return the answer as far as it has come; once `ended`, always the same object."""
        if self._final is not None:
            return self._final
        answer = self._answer.result(self._headers)
        if self.ended:
            self._final = answer
        return answer

    def _take(self, kind: str, data: bytes, chunks: list[Chunk]) -> None:
        self.events += 1
        if kind == BARE:
            self._keep_bare(data, chunks)
            return
        if self._bare:
            self._take_bare(chunks)
            if self.ended:
                return
        if data[:1] != b"{" and data.strip() == b"[DONE]":
            self._done = True
            self._end(chunks)
            return
        try:
            value = jsontext.loads(data)
        except (ValueError, RecursionError):
            self._take_text(kind, data, chunks)
            return
        if not kind and value.__class__ is dict and value.get("choices") and "error" not in value:
            self._answer.add(value, chunks)  # as most are
        elif value is not None or kind == "error":  # llama.cpp opens the stream of several prompts with `data: null`
            self._take_value(value, kind, data, chunks)

    def _take_lines(self, lines: list[bytes], chunks: list[Chunk]) -> None:
        """Take events that came as one, since the server puts no empty line between them."""
        for line in lines:
            if not self.ended:
                self._take("", line, chunks)

    def _take_text(self, kind: str, data: bytes, chunks: list[Chunk]) -> None:
        """Take data that isn't JSON: one-hub passes an upstream's error text on like this."""
        lines = data.split(b"\n")
        if len(lines) > 1 and all(map(_is_event, lines)):
            self._take_lines(lines, chunks)
            return
        error = error_in(data.decode("utf-8", "replace"), kind="error", headers=self._headers, endpoint=self._endpoint)
        if kind != "error" or error is None:
            error = not_an_answer(200, self._headers, data, self._endpoint)
        self._fail(error, chunks)

    def _keep_bare(self, line: bytes, chunks: list[Chunk]) -> None:
        """Take a line outside any event: JSON of one line at once, anything else when an event or the end comes."""
        if len(self._bare) + len(line) > self._limits.body:
            raise APIResponseError(f"The server sent a body of more than {self._limits.body:,} bytes.")
        if not self._bare and line.lstrip()[:1] == b"{" and line.rstrip()[-1:] == b"}":
            try:
                value = jsontext.loads(line)
            except (ValueError, RecursionError):
                pass  # the first line of a longer text
            else:
                self._take_value(value, "", line, chunks)
                return
        self._bare += line
        self._bare += b"\n"

    def _take_bare(self, chunks: list[Chunk]) -> None:
        body = bytes(self._bare)
        self._bare.clear()
        value = jsontext.read(body)
        if isinstance(value, dict) or error_in(value):
            self._take_value(value, "", body, chunks)
        else:
            self._odd = self._odd or body

    def _take_value(self, value: Any, kind: str, data: bytes, chunks: list[Chunk]) -> None:  # noqa: ANN401 - JSON
        choices = value.get("choices") if isinstance(value, dict) else None
        if kind == "error" or not choices or "error" in value:
            error = error_in(value, kind=kind, headers=self._headers, body=data, endpoint=self._endpoint)
            if error is not None:
                self._fail(error, chunks)
                return
            if not isinstance(value, dict):
                self._fail(not_an_answer(200, self._headers, data, self._endpoint), chunks)
                return
            if not isinstance(choices, list):
                self._aside = self._aside or data
        self._answer.add(value, chunks)

    def _end(self, chunks: list[Chunk]) -> None:
        """Judge at `[DONE]` or at the end of the body."""
        if self.ended:
            return
        answer = self._answer
        accepted = answer.complete_if_done or (answer.has_output and not self._require_finish_reason)
        if answer.unfinished == 0 or (self._done and accepted):
            self._complete(chunks)
            return
        how = "with [DONE] but " if self._done else ""
        if answer.has_output:
            missing = f"{answer.unfinished} of {answer.expected} choices" if answer.expected > 1 else "the answer"
            error: XDMError = StreamInterruptedError(
                f"The stream ended {how}without a finish_reason for {missing}: it was cut off upstream. The text "
                f"so far is in `.partial`. If this server never sends a finish_reason, pass "
                f"`require_finish_reason=False`: then [DONE] is taken as the end."
                + (_ONE_BY_ONE if 0 < answer.unfinished < answer.expected else "")
            )
        elif self._odd:
            error = not_an_answer(200, self._headers, self._odd, self._endpoint)
        else:
            what = f"The stream ended {how}without any text or finish_reason"
            error = not_an_answer(200, self._headers, self._aside, self._endpoint, what=what)
        self._fail(error, chunks)

    def _complete(self, chunks: list[Chunk]) -> None:
        self.ended = True
        try:
            self._answer.end(chunks)
        except XDMError as error:
            self._raise_later(error)

    def _fail(self, error: XDMError, chunks: list[Chunk]) -> None:
        if self.finished:
            self._complete(chunks)  # whatever comes after it
            return
        self.ended = True
        self._raise_later(error)

    def _raise_later(self, error: XDMError) -> None:
        if self._answer.has_output:
            error.partial = self.result()
            error.retry = "never"
        if error.request_id is None:
            error.request_id = request_id_of(self._headers)
        self.failure = error


def _is_json(data: bytes) -> bool:
    try:
        jsontext.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _is_event(line: bytes) -> bool:
    """True if a line of data is an event of its own."""
    return line.strip() == b"[DONE]" or (line.lstrip()[:1] == b"{" and _is_json(line))

"""A streamed answer: events in, chunks out, and the judgement whether the answer is whole.

An answer is whole when every choice has had a finish_reason. `[DONE]` proves nothing, because
the gateway sends it after an upstream failure too (One API relay/adaptor/openai/main.go); it
ends the reading, and it counts where `require_finish_reason` is off.

Read here what servers really send: usage in a chunk of its own, on the last or on every chunk;
chat-shaped chunks on this endpoint; a plain JSON body instead of events; an error as a bare
line; finish reasons sent twice; an index that is off where there is only one choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import jsontext
from .catalogue import error_in, not_an_answer
from .errors import APIResponseError, StreamInterruptedError, XDMError
from .parse import choice_text, finish_reason_of, metadata_of
from .results import Choice, Completion, CompletionChunk, Logprobs, Usage
from .sse import BARE, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .sse import ServerEvent
    from .wire import Limits


class StreamDecoder:
    """Bytes in, chunks out.

    `feed` and `close` return the chunks that the bytes complete. Neither raises: an error goes
    into `failure`, to be raised after those chunks have been handed out.

    Attributes:
        failure: What went wrong, with the answer so far as its `.partial`; None if nothing did.
        ended: True after `[DONE]`, `close` or a failure: there is nothing more to read.
        events: Events seen, keep-alive comments not counted.
    """

    def __init__(
        self,
        expected: int,
        n: int,
        headers: Mapping[str, str],
        limits: Limits,
        *,
        require_finish_reason: bool = True,
    ) -> None:
        self.failure: XDMError | None = None
        self.ended = False
        self.events = 0
        self._expected = expected
        self._n = n
        self._headers = headers
        self._require_finish_reason = require_finish_reason
        self._sse = SSEDecoder(limits)
        self._done = False
        self._texts: list[list[str]] = [[] for _ in range(expected)]
        self._finish: list[str | None] = [None] * expected
        self._unfinished = expected
        self._logprobs: dict[int, list[Logprobs]] = {}
        self._usage: Usage | None = None
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._bare: list[bytes] = []
        self._bare_size = 0
        self._limits = limits

    @property
    def finished(self) -> bool:
        """True if every choice has had its finish_reason: the answer is whole."""
        return self._unfinished == 0

    def feed(self, block: bytes) -> list[CompletionChunk]:
        """Take the next bytes of the body."""
        chunks: list[CompletionChunk] = []
        events = [] if self.ended else self._sse.feed(block)
        try:
            for event in events:
                self._take(event, chunks)
                if self.ended:
                    return chunks
        except XDMError as error:
            self._fail(error)
        else:
            if self._sse.failure is not None and not self.ended:
                self._fail(self._sse.failure)
        return chunks

    def close(self) -> list[CompletionChunk]:
        """Take the end of the body, and judge whether the answer is whole."""
        chunks: list[CompletionChunk] = []
        events = [] if self.ended else self._sse.close()
        try:
            for event in events:
                if self.ended:
                    break
                if event.kind == BARE or event.data == b"[DONE]" or _is_json(event.data):
                    self._take(event, chunks)
            if not self.ended:
                self._take_bare(chunks)
                self._end()
        except XDMError as error:
            self._fail(error)
        return chunks

    def interrupt(self, cause: XDMError) -> None:
        """Take note that the connection failed. If the answer is whole, nothing is lost."""
        if self.finished:
            self.ended = True
        elif self._spoken:
            error = StreamInterruptedError(
                f"The stream broke off after it began ({cause.message}) The text so far is in `.partial`.",
                request_id=cause.request_id,
            )
            error.__cause__ = cause
            self._fail(error)
        else:
            self._fail(cause)

    def result(self) -> Completion:
        """Return the answer as far as it has come."""
        choices = tuple(
            Choice("".join(texts), i, self._finish[i], self._logprobs_of(i)) for i, texts in enumerate(self._texts)
        )
        about = metadata_of(self._first, self._headers)
        return Completion(choices=choices, n=self._n, usage=self._usage, raw=self._last, **about)

    def _logprobs_of(self, index: int) -> Logprobs | None:
        parts = self._logprobs.get(index)
        if not parts:
            return None
        return Logprobs(
            [token for part in parts for token in part.tokens],
            [value for part in parts for value in part.token_logprobs],
            [top for part in parts for top in part.top_logprobs],
            [offset for part in parts for offset in part.text_offset],
        )

    @property
    def _spoken(self) -> bool:
        return any(self._texts) or self._unfinished < self._expected or bool(self._logprobs)

    def _take(self, event: ServerEvent, chunks: list[CompletionChunk]) -> None:
        kind, data = event
        self.events += 1
        if kind == BARE:
            self._keep_bare(data, chunks)
            return
        if data[:6] == b"[DONE]" and data.strip() == b"[DONE]":
            self._done = True
            self._end()
            return
        try:
            value = jsontext.loads(data)
        except (ValueError, RecursionError):
            self._take_text(kind, data)
            return
        if value is None and kind != "error":
            return  # llama.cpp opens the stream of several prompts with `data: null`
        self._take_value(value, kind, data, chunks)

    def _take_text(self, kind: str, data: bytes) -> None:
        """Take data that isn't JSON: one-hub passes an upstream's error text on like this."""
        error = error_in(data.decode("utf-8", "replace"), kind="error", headers=self._headers, body=data)
        if kind != "error" or error is None:
            error = not_an_answer(200, self._headers, data)
        self._fail(error)

    def _keep_bare(self, line: bytes, chunks: list[CompletionChunk]) -> None:
        """Take a line outside any event: JSON of one line at once, anything else at the end."""
        self._bare_size += len(line)
        if self._bare_size > self._limits.body:
            raise APIResponseError(f"The server sent a body of more than {self._limits.body:,} bytes.")
        if not self._bare and line.lstrip()[:1] == b"{" and line.rstrip()[-1:] == b"}":
            try:
                value = jsontext.loads(line)
            except (ValueError, RecursionError):
                pass  # the first line of a longer text
            else:
                self._take_value(value, "", line, chunks)
                return
        self._bare.append(line)

    def _take_bare(self, chunks: list[CompletionChunk]) -> None:
        if not self._bare:
            return
        body = b"\n".join(self._bare)
        try:
            value = jsontext.loads(body)
        except (ValueError, RecursionError):
            if not self._spoken:
                self._fail(not_an_answer(200, self._headers, body))
            return
        self._take_value(value, "", body, chunks)

    def _take_value(self, value: Any, kind: str, data: bytes, chunks: list[CompletionChunk]) -> None:  # noqa: ANN401 - JSON
        choices = value.get("choices") if isinstance(value, dict) else None
        if kind == "error" or not choices or "error" in value:
            error = error_in(value, kind=kind, headers=self._headers, body=data)
            if error is not None:
                self._fail(error)
                return
            if not isinstance(value, dict):
                self._fail(not_an_answer(200, self._headers, data))
                return
        if not self._first.get("model"):  # a first event may speak of the prompt's filter only
            self._first = value
        self._last = value
        usage = value.get("usage")
        if usage:
            usage = Usage.parse(usage)
            if usage is not None and (usage.total_tokens or self._usage is None):  # zeros take nothing back
                self._usage = usage
        if not isinstance(choices, list):
            return
        for choice in choices:
            if isinstance(choice, dict):
                self._take_choice(choice, chunks)

    def _take_choice(self, choice: dict[str, Any], chunks: list[CompletionChunk]) -> None:
        index = 0
        if self._expected > 1:
            index = choice.get("index") or 0
            if not isinstance(index, int) or not 0 <= index < self._expected:
                raise APIResponseError(
                    f"The server sent choice {index!r} where {self._expected} were asked for.", retry="never"
                )
        text = choice.get("text")
        if text is None or not isinstance(text, str):
            text = choice_text(choice)
        finish = choice.get("finish_reason")
        if finish is not None:
            finish = self._finish_with(finish_reason_of(finish), index)
        logprobs = choice.get("logprobs")
        if logprobs is not None:
            logprobs = Logprobs.parse(logprobs)
            if logprobs is not None:
                self._logprobs.setdefault(index, []).append(logprobs)
        if text:
            self._texts[index].append(text)
        elif finish is None and logprobs is None:
            return
        chunks.append(CompletionChunk(text, index, finish, logprobs))

    def _finish_with(self, reason: str | None, index: int) -> str | None:
        if reason is None or self._finish[index] is not None:
            return None  # sent twice: once is enough
        self._finish[index] = reason
        self._unfinished -= 1
        return reason

    def _end(self) -> None:
        """Judge at `[DONE]` or at the end of the body."""
        if self.failure is not None or self.ended:
            return
        if self.finished or (self._done and not self._require_finish_reason and self._spoken):
            self.ended = True
            return
        how = "with [DONE] but " if self._done else ""
        if self._spoken:
            missing = f"{self._unfinished} of {self._expected} choices" if self._expected > 1 else "the answer"
            self._fail(
                StreamInterruptedError(
                    f"The stream ended {how}without a finish_reason for {missing}: it was cut off upstream. The text "
                    f"so far is in `.partial`. If this server never sends a finish_reason, pass "
                    f"`require_finish_reason=False`: then [DONE] is taken as the end."
                )
            )
        else:
            self._fail(
                APIResponseError(
                    f"The stream ended {how}without any text or finish_reason.", headers=self._headers, retry="backoff"
                )
            )

    def _fail(self, error: XDMError) -> None:
        self.ended = True
        if self._spoken:
            error.partial = self.result()
            error.retry = "never"
        if error.request_id is None:
            error.request_id = metadata_of({}, self._headers)["request_id"]
        self.failure = error


def _is_json(data: bytes) -> bool:
    try:
        jsontext.loads(data)
    except (ValueError, RecursionError):
        return False
    return True

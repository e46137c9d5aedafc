"""Tool calls that grow out of deltas, whichever of the many ways a server numbers and names them.

Which delta belongs to which call is a matter of experience; the rules below read every shape that
was seen behind One API, New API and one-hub (channels of Claude, Gemini, Ollama, Fireworks, Mistral):

1. An id that is known decides, but with a name and the beginning of other arguments it begins a call once those of
   its own are complete: some give all calls one id, and then only the first one keeps it.
2. Otherwise the index does (a number, or digits in a string), but a new id begins a call if it comes
   with a name, or if the call of that index is complete already: some number all calls 0.
3. Without index, entries of one event count by their position; a single one belongs to the last
   call, unless it begins another.
4. Name and id are taken once, a name also in pieces.
5. Arguments are joined; a repeat of all that came is dropped; a lone `{}` waits, since some bridges
   send it as a placeholder before the real ones, and so does what may become `null`, in any pieces.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.jsontext import join_surrogates, whole_characters
from xdm_integrations.core.protocol.results import index_of

from .tool_calls import ToolCall, ToolCallDelta, arguments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_NULL = "null"
_PLACEHOLDERS = ("{}", _NULL)
_KNOWN = ("index", "id", "type", "function")


class _Growing:
    """One call as far as it has come."""

    __slots__ = ("extra", "half", "id", "index", "name", "number", "parts", "sent_id", "sent_name", "waiting")

    def __init__(self, number: int, index: int | None) -> None:
        self.number = number
        self.index = index
        self.id = ""
        self.name = ""
        self.parts: list[str] = []
        self.half = ""
        """The first half of a surrogate pair that was cut in two."""
        self.waiting = ""
        """What may be a placeholder: a `{}`, or a `null` as far as it has come."""
        self.sent_id = ""
        self.sent_name = ""
        self.extra: dict[str, Any] = {}

    @property
    def arguments(self) -> str:
        return "".join(self.parts) + self.held

    @property
    def held(self) -> str:
        """What was held back, as it is where nothing more comes."""
        return self.waiting + join_surrogates(self.half)

    def is_object(self) -> bool:
        return arguments_of(self.arguments) is not None

    def take_arguments(self, piece: str) -> str:
        """Take a piece, and return what of it is ready to be delivered."""
        if not piece.isascii() or self.half:
            piece, self.half = whole_characters(self.half + piece)
        if not self.parts:
            before, self.waiting = self.waiting, ""
            if before.strip() in _PLACEHOLDERS and (piece == before or piece.lstrip().startswith("{")):
                before = ""  # it was one
            piece = before + piece
            alone = piece.strip()
            if alone == "{}" or _NULL.startswith(alone):
                self.waiting = piece
                return ""
        elif self.repeats(piece):
            return ""
        self.parts.append(piece)
        return piece

    def repeats(self, piece: str) -> bool:
        """True if `piece` is all that came already, once more."""
        if piece[:1] != "{" or piece[-1:] != "}":  # looked at once per token: the parsing below is for the rare one
            return False
        came = arguments_of(self.arguments)
        return came is not None and came == arguments_of(piece)

    def delta(self, arguments: str) -> ToolCallDelta | None:
        """Return what has not been delivered yet, with these arguments."""
        new_id = self.id if self.id and not self.sent_id else None
        name = self.name[len(self.sent_name) :] or None
        if not (new_id or name or arguments):
            return None
        self.sent_id, self.sent_name = new_id or self.sent_id, self.name
        return ToolCallDelta(self.number, new_id, name, arguments)


class CallsSoFar:
    """The tool calls of one choice."""

    def __init__(self) -> None:
        self._calls: list[_Growing] = []
        self._by_id: dict[str, _Growing] = {}
        self._by_index: dict[int | None, _Growing] = {}
        """The latest call of each id, and of each index: an answer of many calls is not searched for each piece."""
        self._closed: int | None = None
        """How many calls there were when the last finish_reason came; None before one has."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, entries: Sequence[Any], *, each: bool) -> list[ToolCallDelta]:
        """Take the entries of one event, and return the pieces that are ready.

        Args:
            entries: `tool_calls` of a delta or a message.
            each: Every entry is a call of its own, as in a complete message.
        """
        if len(entries) == 1 and not each and (next_piece := self._next_piece(entries[0])):
            return [next_piece]
        deltas: list[ToolCallDelta] = []
        several = len(entries) > 1
        for position, entry in enumerate(entries):
            if isinstance(entry, dict):
                self._add(entry, position if several else None, deltas, each=each)
        return deltas

    def _next_piece(self, entry: Any) -> ToolCallDelta | None:  # noqa: ANN401 - JSON
        """Take what most deltas are: the next piece of the last call's arguments and nothing else; None if it isn't."""
        if entry.__class__ is not dict or not self._calls or entry.get("id"):
            return None
        call, function = self._calls[-1], entry.get("function")
        if len(entry) != ("id" in entry) + 2 or entry.get("index") != call.index or not call.sent_name or call.waiting:
            return None
        if function.__class__ is not dict or len(function) != 1:
            return None
        piece = function.get("arguments")
        if piece.__class__ is not str or not piece.isascii() or piece[:1] in ("", "{") or call.half:
            return None
        call.parts.append(piece)
        return ToolCallDelta(call.number, None, None, piece)

    def _add(self, entry: dict[str, Any], position: int | None, deltas: list[ToolCallDelta], *, each: bool) -> None:
        function = entry.get("function")
        if not isinstance(function, dict):
            function = {}
        new_id, name, piece = (
            _id_of(entry.get("id")),
            _text(function.get("name")),
            _arguments(function.get("arguments")),
        )
        index = index_of(entry.get("index"))
        if not (new_id or name or piece or len(entry) > 1):
            return
        call = None if each else self._find(new_id, position if index is None else index, name, piece)
        if call is None:
            if self._calls and (delta := self._calls[-1].delta("")):
                deltas.append(delta)  # a call without arguments was held back until its name was complete
            call = _Growing(len(self._calls), position if index is None else index)
            self._calls.append(call)
            self._by_index[call.index] = call
        if new_id and not call.id:
            call.id = "" if new_id in self._by_id else new_id  # the results of two calls with one id would be mixed up
            self._by_id[new_id] = call
        if name != call.name:  # a piece of it; some servers repeat it
            call.name += name
        for key, value in entry.items():
            if key not in _KNOWN and value is not None:
                call.extra[key] = value
        ready = call.take_arguments(piece) if piece else ""
        if (ready or call.sent_name) and (delta := call.delta(ready)):
            deltas.append(delta)

    def _find(self, new_id: str, index: int | None, name: str, piece: str) -> _Growing | None:
        """Return the call that a delta belongs to; None if it begins one."""
        if not self._calls:
            return None
        if known := self._by_id.get(new_id):
            another = name and piece.startswith("{") and known.is_object()
            again = name == known.name and (known.waiting or known.repeats(piece))
            return None if another and not again else known
        latest = self._calls[-1] if index is None else self._by_index.get(index)
        if latest is None:
            return None
        if new_id and latest.id:
            return None if name or latest.is_object() else latest
        if not name or not latest.is_object() or not (latest.name or piece):  # a name may come last
            return latest
        if latest.waiting:
            another = piece and name != latest.name  # a name in pieces brings no arguments between them
        else:
            another = name != latest.name or (piece and not latest.repeats(piece))
        return None if another else latest

    def close(self) -> None:
        """Take note that a finish_reason came; Gemini's channel sends calls after it, and another one."""
        self._closed = len(self._calls)

    def _is_cut(self, call: _Growing, *, cut: bool) -> bool:
        """True if arguments that never came of a call aren't empty ones: it was cut before they came."""
        if cut and call is self._calls[-1]:
            return True
        return self._closed is not None and call.number >= self._closed

    def end(self, answer_id: str, *, cut: bool) -> list[ToolCallDelta]:
        """Return what was held back, once the answer is complete.

        Args:
            answer_id: The server's id of the answer, for ids that have to be made up.
            cut: The answer was cut by its limit or a filter: arguments that never came aren't empty ones.
        """
        deltas: list[ToolCallDelta] = []
        for call in self._calls:
            held = call.held
            if call.arguments.strip() in ("", _NULL) and not self._is_cut(call, cut=cut):
                held = "{}"
            call.id = call.id or _made_id(answer_id, call)
            if delta := call.delta(held):
                deltas.append(delta)
        return deltas

    def result(self, answer_id: str, *, complete: bool, cut: bool) -> tuple[tuple[ToolCall, ...], tuple[ToolCall, ...]]:
        """Return the calls that can be carried out, and those that can't.

        Args:
            answer_id: The server's id of the answer, for ids that have to be made up.
            complete: The answer is complete; if it isn't, no call is taken for one.
            cut: The answer was cut by its limit or a filter.
        """
        valid: list[ToolCall] = []
        invalid: list[ToolCall] = []
        for call in self._calls:
            arguments = call.arguments
            if arguments.strip() in ("", _NULL) and complete and not self._is_cut(call, cut=cut):
                arguments = "{}"
            made = ToolCall(call.id or _made_id(answer_id, call), call.name, arguments, call.extra or None)
            good = complete and call.name and arguments_of(arguments) is not None
            (valid if good else invalid).append(made)
        return tuple(valid), tuple(invalid)


def _made_id(answer_id: str, call: _Growing) -> str:
    """Return an id that is the same each time, and another one for another call."""
    parts = f"{answer_id}\n{call.number}\n{call.name}\n{call.arguments.strip() or '{}'}"
    return f"call_{sha256(parts.encode('utf-8', 'replace')).hexdigest()[:24]}"


def _id_of(value: object) -> str:
    if isinstance(value, str):
        return "" if value == "null" else value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else jsontext.dumps(value).decode("utf-8", "replace")

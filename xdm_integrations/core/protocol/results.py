"""What every answer has: token counts, log probabilities, who served it; and how its odd shapes are read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.reply_text import REQUEST_ID_HEADERS, request_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a request, over all prompts and choices.

    Attributes:
        prompt_tokens: Tokens of the prompts.
        completion_tokens: Tokens generated, `best_of` candidates included.
        total_tokens: Their sum, as the server gives it.
        details: Whatever else the server counts, as it was sent (`prompt_tokens_details`,
            `completion_tokens_details`, `cost`, ...).
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: object) -> Usage | None:
        """Read a `usage` object of any server; None if it isn't one, is empty or can't be read.

        A count that is left out is 0 (embeddings have no completion_tokens). One that is there and no count follows
        from the two others, or nothing is known.
        """
        if not isinstance(value, dict) or not value:
            return None
        counts: list[Any] = [value.get(name) for name in _COUNTS]
        if {type(count) for count in counts} != {int} or min(counts) <= 0:
            counts = _read_counts(value)
        prompt, completion, total = counts
        if prompt is None or completion is None:
            return None
        details = {name: v for name, v in value.items() if name not in _COUNTS and v is not None}
        return cls(prompt, completion, total or prompt + completion, details)

    def as_dict(self) -> dict[str, Any]:
        """Return the usage in the API's own form, as a new dictionary."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            **self.details,
        }

    def __add__(self, other: Usage) -> Usage:
        """Sum the counts, nested details included."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
            _sum(self.details, other.details),
        )


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def _count(value: object) -> int | None:
    """Return a count, 0 for null, or None for what is none."""
    if value is None:
        return 0
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(number, (int, float)) or isinstance(number, bool) or not 0 <= number < math.inf:
        return None
    return int(number)


def _read_counts(value: dict[str, Any]) -> list[int | None]:
    """Return the counts of prompt, completion and total; None for what isn't known."""
    prompt = _first_count(value, "prompt_tokens", "input_tokens")
    completion = _first_count(value, "completion_tokens", "output_tokens")
    total = _count(value.get("total_tokens"))
    if prompt is None:
        prompt = _difference(total, completion)
    elif completion is None:
        completion = _difference(total, prompt)
    return [prompt, completion, total]


def _first_count(value: dict[str, Any], name: str, other_name: str) -> int | None:
    count = _count(value.get(name))
    if count:
        return count
    other = _count(value.get(other_name))
    return None if other is None else other or count


def _difference(total: int | None, other: int | None) -> int | None:
    return total - other if total and other is not None and total >= other else None


def _sum(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    total = dict(left)
    for name, value in right.items():
        old = total.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            total[name] = _sum(old, value)
        elif _is_number(old) and _is_number(value):
            total[name] = old + value
        else:
            total[name] = value
    return total


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def total_usage(parts: list[Usage | None]) -> Usage | None:
    """Sum what is known; None if nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known[1:], known[0]) if known else None


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Log probabilities, one entry per token.

    Attributes:
        tokens: The tokens as text.
        token_logprobs: Their natural log probabilities; None where there is none (the first
            token of an echoed prompt).
        top_logprobs: The likeliest alternatives at each position, the sampled token among
            them, without those that have no number (JSON has no minus infinity: some servers write null); {} where the
            server gave none.
        text_offset: Character offsets into the text; empty where the server gave none.
        entries: The tokens in the shape of chat, with all that the server says of each (`bytes`); empty where they
            came in the legacy shape.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def parse(cls, value: object) -> Logprobs | None:
        """Read the legacy shape (four arrays) or the chat shape (`content`); None if neither."""
        if not isinstance(value, dict):
            return None
        if isinstance(value.get("tokens"), list):
            tokens = [_token(token) for token in value["tokens"]]
            return cls(
                tokens,
                [_number(v) for v in _padded(value.get("token_logprobs"), len(tokens))],
                [_candidates(top) for top in _padded(value.get("top_logprobs"), len(tokens))],
                [offset for offset in _listed(value.get("text_offset")) if isinstance(offset, int)],
            )
        if isinstance(value.get("content"), list):
            entries = _entries(value["content"])
            for entry in entries:
                tops = _entries(entry.get("top_logprobs"))
                entry["top_logprobs"] = [top for top in tops if top["logprob"] is not None]
            return cls(
                [entry["token"] for entry in entries],
                [entry["logprob"] for entry in entries],
                [{top["token"]: top["logprob"] for top in entry["top_logprobs"]} for entry in entries],
                entries=entries,
            )
        return None

    def __add__(self, other: Logprobs) -> Logprobs:
        """Concatenate, as the parts of a stream are."""
        return join_logprobs((self, other))

    def as_dict(self) -> dict[str, Any]:
        """Return the legacy shape, as a new dictionary."""
        return {
            "tokens": self.tokens,
            "token_logprobs": self.token_logprobs,
            "top_logprobs": self.top_logprobs,
            "text_offset": self.text_offset,
        }

    def as_chat(self) -> dict[str, Any]:
        """Return the shape of chat, as a new dictionary, in which `entries` are this object's own."""
        if len(self.entries) == len(self.tokens):
            return {"content": list(self.entries)}
        return {
            "content": [
                {
                    "token": token,
                    "logprob": logprob,
                    "top_logprobs": [{"token": other, "logprob": value} for other, value in top.items()],
                }
                for token, logprob, top in zip(self.tokens, self.token_logprobs, self.top_logprobs, strict=True)
            ]
        }


def _entry(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a token, or a candidate for its place, in the shape of chat."""
    return {**item, "token": _token(item.get("token")), "logprob": _number(item.get("logprob"))}


def _entries(items: object) -> list[dict[str, Any]]:
    return [_entry(item) for item in _listed(items) if isinstance(item, dict)]


def _candidates(value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    return {token: number for token, number in value.items() if _number(number) is not None}


def join_logprobs(parts: Sequence[Logprobs]) -> Logprobs:
    """Concatenate the log probabilities of many pieces, in linear time."""
    return Logprobs(
        [token for part in parts for token in part.tokens],
        [number for part in parts for number in part.token_logprobs],
        [top for part in parts for top in part.top_logprobs],
        [offset for part in parts for offset in part.text_offset],
        [entry for part in parts for entry in part.entries],
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _padded(value: object, length: int) -> list[Any]:
    values = _listed(value)[:length]
    return values + [None] * (length - len(values))


def _token(value: object) -> str:
    return value if isinstance(value, str) else str(value) if _is_number(value) else ""


def _number(value: object) -> float | None:
    return value if _is_number(value) else None  # type: ignore[return-value] # an int or a float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What every answer says about itself, of whatever endpoint.

    Attributes:
        usage: Token counts, or None if the server gave none.
        model: The model that served, as the server names it; "" if it doesn't.
        id: The server's id of the answer; "" if it gave none.
        created: Seconds since 1970, or None.
        system_fingerprint: The backend's configuration, or None.
        request_id: The gateway's id of the request, or None.
        headers: The reply's headers, names in lower case.
        raw: The body as it was parsed; for a stream, its last event.
        extra: What the server added to the answer (`timings`, ...), as it was sent.
    """

    usage: Usage | None = None
    model: str = ""
    id: str = ""
    created: int | None = None
    system_fingerprint: str | None = None
    request_id: str | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    extra: dict[str, Any] = field(default_factory=dict)


ANSWER_FIELDS = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint"})
"""The fields of an answer that are read; servers add others."""


def answer_fields(
    value: Mapping[str, Any],
    headers: Mapping[str, str],
    usage: Usage | None,
    last: Mapping[str, Any] | None = None,
    joined: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the fields of an `Answer`.

    Of a stream, `value` is the event that says who served it, `last` its last event, and `joined` has the fields of all
    events that add some, later ones over earlier ones, none of them null.
    """
    created = value.get("created")
    everything = value if joined is None else joined
    return {
        "usage": usage,
        "model": label(value.get("model")),
        "id": label(value.get("id")),
        "created": created if isinstance(created, int) else None,
        "system_fingerprint": label(value.get("system_fingerprint")) or None,
        "request_id": None if headers.keys().isdisjoint(REQUEST_ID_HEADERS) else request_id_of(headers),
        "headers": dict(headers),
        "raw": dict(value if last is None else last),
        "extra": {k: v for k, v in everything.items() if k not in ANSWER_FIELDS and v is not None},
    }


def label(value: object) -> str:
    """Return a name or an id as text; "" for null and for what can't be one."""
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) and value else ""


def index_of(value: object) -> int | None:
    """Return an index as a number, also if it came as digits or with a decimal point; None if it is none."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None  # noqa: PLR2004 - digits
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


CHOICE_FIELDS = frozenset({"text", "index", "finish_reason", "logprobs", "message", "delta", "usage", "error"})
"""The fields of a choice that are read; servers add others."""


def extra_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the other fields of a choice."""
    return {name: value for name, value in choice.items() if name not in CHOICE_FIELDS and value is not None}


def join_extra(so_far: dict[str, Any], choice: Mapping[str, Any]) -> None:
    """Join the other fields of a choice of a stream with what came before: lists grow, other values replace."""
    for name, value in extra_of(choice).items():
        before = so_far.get(name)
        so_far[name] = before + value if isinstance(before, list) and isinstance(value, list) else value

"""Whether each text gets its own vector, and a missing one is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.contenders.embeddings import Embedding
from benchmarks.situations import situation
from benchmarks.situations.words import error_name, short, times
from tests.scripted import ScriptedServer, Seen, http
from tests.vectors import base64_of, inputs_of

ROW = "Pairing"
LENGTH = 4


def word(given: Any) -> str:
    """Return a text of one letter at most, which `OpenAIEmbeddings` sends as the vocabulary's number of it."""
    return given if isinstance(given, str) else "".join(chr(number + ord("a") - 64) for number in given)


def vector(text: str) -> list[float]:
    """Return the vector of a text of one letter: four times its place in the alphabet."""
    return [float(sum(map(ord, text)) % 32)] * LENGTH


def items(seen: Seen) -> list[dict[str, Any]]:
    """Return what a healthy server answers."""
    encoded = base64_of if seen.json.get("encoding_format") == "base64" else list
    texts = map(word, inputs_of(seen.json))
    return [{"object": "embedding", "index": i, "embedding": encoded(vector(text))} for i, text in enumerate(texts)]


def reply(data: list[dict[str, Any]]) -> list[Any]:
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return http({"object": "list", "data": data, "model": "served", "usage": usage})


def told(text: str, got: Any) -> str:
    """Say what a text got: its own vector, another one's, or something else."""
    for other in ("a", "b", "c", ""):
        if got == vector(other):
            return "its own" if other == text else f"that of `{other!r}`"
    return f"one of {len(got)} numbers" if isinstance(got, list) and len(got) != LENGTH else f"`{got!r}`"


def paired(contender: Embedding, change: Callable[[list[dict[str, Any]]], Any]) -> str:
    """Embed a, b and c, and say which vector each of them got. `change` edits the items of a healthy answer."""

    def script(seen: Seen) -> list[Any]:
        data = items(seen)
        if len(data) == 3:  # whoever asks again for one text is answered well
            change(data)
        return reply(data)

    with ScriptedServer(script) as server:
        try:
            vectors = contender.embed(contender.make(server.url, max_retries=0), ["a", "b", "c"])
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)} after {times(len(server.requests), 'request')}: {short(error, 60)}"
        got = [f"{text} {told(text, one)}" for text, one in zip("abc", vectors, strict=False)]
        return f"{times(len(vectors), 'vector')}: {', '.join(got)}; {times(len(server.requests), 'request')}"


@situation(ROW, "the vectors of a, b, c come as c, b, a, each with its `index`", "Embeddings")
def _(contender: Embedding) -> str:
    return paired(contender, lambda data: data.reverse())


@situation(ROW, "the vector of b is missing", "Embeddings")
def _(contender: Embedding) -> str:
    return paired(contender, lambda data: data.pop(1))


@situation(ROW, "one vector too many comes", "Embeddings")
def _(contender: Embedding) -> str:
    return paired(contender, lambda data: data.append({**data[0], "index": 3}))


@situation(ROW, "the three vectors come as one of 12 numbers", "Embeddings")
def _(contender: Embedding) -> str:
    def change(data: list[dict[str, Any]]) -> None:
        data[:] = [{**data[0], "embedding": [*vector("a"), *vector("b"), *vector("c")]}]

    return paired(contender, change)


def second(value: Any) -> Callable[[list[dict[str, Any]]], None]:
    """Return a change of b's vector."""

    def change(data: list[dict[str, Any]]) -> None:
        data[1]["embedding"] = value

    return change


@situation(ROW, "the vector of b is null", "Embeddings")
def _(contender: Embedding) -> str:
    return paired(contender, second(None))


@situation(ROW, "a number of b's vector is null", "Embeddings")
def _(contender: Embedding) -> str:
    return paired(contender, second([2.0, None, 2.0, 2.0]))


@situation(ROW, "a number of b's vector is `NaN`", "Embeddings")
def _(contender: Embedding) -> str:
    return paired(contender, second([2.0, float("nan"), 2.0, 2.0]))


@situation(ROW, "b's vector has 3 numbers, the others 4", "Embeddings")
def _(contender: Embedding) -> str:
    return paired(contender, second([2.0] * 3))


@situation(ROW, "`dimensions=2` is asked for; the vectors have 4 numbers", "Embeddings")
def _(contender: Embedding) -> str:
    with ScriptedServer(lambda seen: reply(items(seen))) as server:
        try:
            (first, *_) = contender.embed(contender.make(server.url, dimensions=2), ["a", "b", "c"])
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)} after {times(len(server.requests), 'request')}: {short(error, 60)}"
        return f"returned vectors of {len(first)} numbers"

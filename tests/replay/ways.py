"""One way to ask through an adapter, what its user sees of the answer, and the errors that every way has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.replay.cases import TEST
from xdm_integrations import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContextLengthExceededError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from tests.replay.recorded import Position, ToldChoice

PARAMETERS: dict[str, Any] = {
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0.25,
    "logit_bias": {"13": 1},
    "logprobs": 2,
    "max_tokens": 40,
    "n": 1,
    "presence_penalty": 0.25,
    "seed": 5,
    "stop": ["\n\n\n"],
    "suffix": ".",
    "temperature": 0.5,
    "top_p": 0.9,
    "user": "user-1234",
}
"""Every parameter but model, prompt and stream."""

TOO_LONG = "one, two, three, " * 1200


@dataclass(frozen=True)
class Heard:
    """What a user sees of an answer, in the form in which `recorded.Told` says what the server sent.

    Attributes:
        texts: What the call returned.
        choices: The choices, as the adapter shows them: text, finish reason, log probabilities.
        counts: The tokens of prompts, answers and both, as callbacks count them.
        model: The model that served.
    """

    texts: list[str]
    choices: list[ToldChoice]
    counts: tuple[int, int, int]
    model: str


@dataclass(frozen=True)
class Way:
    """One way to ask.

    Attributes:
        call: Asks, blocking.
        acall: Asks, awaited.
        settings: More settings of the LLM.
        raises: The error that comes with the local engine instead of an answer.
        key: Which key is sent.
        path: The path of the base URL.
        parameters: The parameters that every request must hold.
        reads: What the call makes of the text of the reply.
        marks: The marks of its test.
    """

    call: Callable[[Any], Heard]
    acall: Callable[[Any], Awaitable[Heard]]
    settings: dict[str, Any] = field(default_factory=dict)
    raises: type[Exception] | None = None
    key: str = "right"
    path: str = "/v1"
    parameters: dict[str, Any] = field(default_factory=dict)
    reads: Callable[[str], str] = str
    marks: tuple[pytest.MarkDecorator, ...] = ()


def failing(name: str, call: Any, acall: Any) -> dict[str, Way]:
    """Return the errors that a healthy server gives, for one way to ask."""

    def way(prompt: str, raises: type[APIStatusError], params: dict[str, Any], **more: Any) -> Way:
        return Way(lambda llm: call(llm, prompt, params), lambda llm: acall(llm, prompt, params), raises=raises, **more)

    return {
        f"{name}_bad_request": way(TEST, BadRequestError, {"n": 100}),
        f"{name}_context_overflow": way(TOO_LONG, ContextLengthExceededError, {}),
        f"{name}_wrong_key": way(TEST, AuthenticationError, {}, key="wrong"),
        f"{name}_not_found": way(TEST, NotFoundError, {}, path="/v1/nowhere"),
    }


def positions(shape: dict[str, Any] | None) -> list[Position] | None:
    """Return log probabilities, in the shape of the API's page, as `recorded.Told` has them."""
    if not shape:
        return None
    return [
        (token, value, {other: number for other, number in top.items() if other != token})
        for token, value, top in zip(shape["tokens"], shape["token_logprobs"], shape["top_logprobs"], strict=True)
    ]

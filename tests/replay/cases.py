"""The calls that are recorded: every feature that goes over the wire, and every error a healthy server gives.

Each is recorded as `cassettes/client/complete_<name>.yaml` and, where it can be streamed, as
`stream_<name>.yaml`. A cassette that isn't listed here is an orphan, and a test says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xdm_integrations import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContextLengthExceededError,
    NotFoundError,
)

TEST = "Say this is a test"
FRANCE, JAPAN = "The capital of France is", "The capital of Japan is"
TEST_IDS = [310, 416, 580, 364, 356, 536]
"""`TEST` in the local engine's tokens."""


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
        prompt: What is asked.
        params: The parameters of the call. `temperature` is 0 unless they say otherwise.
        says: What the local engine answers, choice by choice; None if it is left to runtime.
        finish: The finish reason it gives.
        raises: The error that comes instead.
        key: "right", "wrong" or "none": which key is sent.
        path: The path of the base URL.
        streams: Whether the call can be streamed.
    """

    prompt: Any
    params: dict[str, Any] = field(default_factory=dict)
    says: tuple[str, ...] | None = None
    finish: str = "stop"
    raises: type[APIStatusError] | None = None
    key: str = "right"
    path: str = "/v1"
    streams: bool = True

    @property
    def sent(self) -> dict[str, Any]:
        """The parameters as the call gets them."""
        return {"temperature": 0, **self.params}


CASES = {
    "plain": Case(TEST, says=("\n\nThis is indeed a test",)),
    "api_page": Case("你好,", {"max_tokens": 30}, finish="length"),
    "chinese": Case("你好", {"max_tokens": 200}),
    "prompts": Case([FRANCE, JAPAN], says=(" Paris.", " Tokyo.")),
    "one_prompt_in_a_list": Case([FRANCE], says=(" Paris.",)),
    "token_ids": Case([1, *TEST_IDS], says=("\n\nThis is indeed a test",)),
    "token_id_lists": Case([[1, *TEST_IDS], [1, *TEST_IDS]], says=("\n\nThis is indeed a test",) * 2),
    "n": Case(TEST, {"n": 2, "temperature": 1.0, "seed": 7, "max_tokens": 12}),
    "n_of_prompts": Case([FRANCE, JAPAN], {"n": 2}, says=(" Paris.", " Paris.", " Tokyo.", " Tokyo.")),
    "best_of": Case(TEST, {"best_of": 2}, streams=False),
    "best_of_n": Case(TEST, {"best_of": 2, "n": 2}, streams=False),
    "best_of_one": Case(TEST, {"best_of": 1}),
    "frequency_penalty": Case("Count to ten:", {"frequency_penalty": 1.5, "max_tokens": 20}),
    "presence_penalty": Case("Count to ten:", {"presence_penalty": -1, "max_tokens": 20}),
    "logit_bias": Case(TEST, {"logit_bias": {13: -100}, "max_tokens": 6}),
    "logit_bias_text_keys": Case(TEST, {"logit_bias": {"13": -100, "311": 2.5}, "max_tokens": 6}),
    "logprobs": Case(TEST, {"logprobs": 2}),
    "logprobs_zero": Case(TEST, {"logprobs": 0}),
    "logprobs_of_n": Case(TEST, {"logprobs": 1, "n": 2, "temperature": 0.7, "seed": 3, "max_tokens": 5}),
    "max_tokens": Case(TEST, {"max_tokens": 3}, says=("\n\nT",), finish="length"),
    "model": Case(FRANCE, {"model": "another-name"}, says=(" Paris.",)),
    "seed": Case("Once upon a time", {"seed": 42, "temperature": 1.2, "max_tokens": 20}),
    "stop_text": Case("Count to ten:", {"stop": ", 4"}, says=(" 1, 2, 3",)),
    "stop_texts": Case("Count to ten:", {"stop": ["6", ", 4", "never"]}, says=(" 1, 2, 3",)),
    "suffix": Case(FRANCE, {"suffix": " It is a big city."}),
    "temperature": Case("Once upon a time", {"temperature": 2, "seed": 1, "max_tokens": 20}),
    "top_p": Case("Once upon a time", {"temperature": 1, "top_p": 0.1, "seed": 1, "max_tokens": 20}),
    "user": Case(FRANCE, {"user": "user-1234"}, says=(" Paris.",)),
    "extra_body": Case("Once upon a time", {"extra_body": {"top_k": 1}, "temperature": 1.5, "max_tokens": 20}),
    "emoji": Case("Emoji party:", says=(" 🎉🚀👩\u200d💻🏳️\u200d🌈 done.",)),
    "cut_in_a_character": Case("Emoji party:", {"max_tokens": 3}, finish="length"),
    "every_parameter": Case(
        TEST,
        {
            "best_of": 1,
            "echo": False,
            "frequency_penalty": 0.25,
            "logit_bias": {"13": 1},
            "logprobs": 3,
            "max_tokens": 40,
            "n": 1,
            "presence_penalty": 0.25,
            "seed": 5,
            "stop": ["\n\n\n"],
            "suffix": ".",
            "temperature": 0.5,
            "top_p": 0.9,
            "user": "user-1234",
        },
    ),
    "bad_request": Case(TEST, {"n": 100}, raises=BadRequestError),
    "context_overflow": Case([311] * 4200, raises=ContextLengthExceededError),
    "wrong_key": Case(TEST, key="wrong", raises=AuthenticationError),
    "no_key": Case(TEST, key="none", raises=AuthenticationError),
    "not_found": Case(TEST, path="/v1/nowhere", raises=NotFoundError),
}

BATCH = [
    f"{word} capital of {country} is" for country in ("France", "Japan", "Italy", "Spain") for word in ("The", "the")
]
"""Eight prompts that differ, for calls from many threads."""


def client_cassettes() -> set[str]:
    """Return the names of the cassettes that `test_client` plays."""
    names = {f"complete_{name}" for name in CASES}
    names |= {f"stream_{name}" for name, case in CASES.items() if case.streams}
    return {
        f"client/{name}" for name in names | {"batch_apart", "batch_packed", "complete_echo", "models", "stream_echo"}
    }

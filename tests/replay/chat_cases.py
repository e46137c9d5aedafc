"""The chats and embeddings that are recorded, as `cases` lists the completions.

A chat is recorded as `cassettes/client/chat_<name>.yaml` and `stream_chat_<name>.yaml`, an embedding as
`embed_<name>.yaml`.
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


def function(name: str, description: str, *parameters: str) -> dict[str, Any]:
    """Return a tool all of whose parameters are strings."""
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


WEATHER = function("get_weather", "Get the weather in a city.", "city")
TIME = function("get_time", "Tell the time in a city.", "city")
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
PARIS = ("get_weather", {"city": "Paris"})
IN_PARIS = "What is the weather in Paris?"
HELLO = "Hello! How can I help you today?"


@dataclass(frozen=True)
class Chat:
    """One call.

    Attributes:
        messages: What is asked.
        params: The parameters of the call. `temperature` is 0 and `max_tokens` 60 unless they say otherwise.
        says: The text that the local engine answers; None if it is left to runtime.
        calls: The names and arguments of the calls that it makes.
        finish: The finish reason it gives.
        raises: The error that comes instead.
        key: "right" or "wrong": which key is sent.
        path: The path of the base URL.
    """

    messages: Any
    params: dict[str, Any] = field(default_factory=dict)
    says: str | None = None
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    finish: str = "stop"
    raises: type[APIStatusError] | None = None
    key: str = "right"
    path: str = "/v1"

    @property
    def sent(self) -> dict[str, Any]:
        """The parameters as the call gets them."""
        limit = {} if "max_completion_tokens" in self.params else {"max_tokens": 60}
        return {"temperature": 0, **limit, **self.params}


CHATS = {
    "plain": Chat("Hello", says=HELLO),
    "chinese": Chat("你好", says="你好！很高兴见到你。"),  # noqa: RUF001 - Chinese punctuation
    "emoji": Chat("Emoji party", says="🎉🚀👩\u200d💻🏳️\u200d🌈 done."),
    "conversation": Chat(
        [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": "Nice to meet you, Ada."},
            {"role": "user", "content": "What is my name?"},
        ],
        says="Your name is Ada.",
    ),
    "max_tokens": Chat("Count to ten", {"max_tokens": 3}, finish="length"),
    "max_completion_tokens": Chat("Count to ten", {"max_completion_tokens": 3}, finish="length"),
    "n": Chat("Tell me a story", {"n": 2, "temperature": 1.5, "seed": 3, "max_tokens": 12}, finish="length"),
    "stop": Chat("Count to ten", {"stop": ["6", ", 4"]}),
    "logprobs": Chat("Hello", {"logprobs": True, "top_logprobs": 2, "max_tokens": 5}, finish="length"),
    "tool_automatic": Chat(IN_PARIS, {"tools": [WEATHER, TIME]}, calls=(PARIS,), finish="tool_calls"),
    "tool_required": Chat(
        IN_PARIS, {"tools": [WEATHER], "tool_choice": "required"}, calls=(PARIS,), finish="tool_calls"
    ),
    "tool_named": Chat(IN_PARIS, {"tools": [WEATHER], "tool_choice": NAMED}, calls=(PARIS,), finish="tool_calls"),
    "tool_not_called": Chat("Hello", {"tools": [WEATHER, TIME]}, says=HELLO),
    "tool_result": Chat(
        [
            {"role": "user", "content": IN_PARIS},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees and sunny"},
        ],
        {"tools": [WEATHER]},
        says="The result is 18 degrees and sunny.",
    ),
    "json_schema": Chat("Describe Ada as JSON", {"response_format": FORMAT}),
    "every_parameter": Chat(
        "Tell me a story",
        {
            "frequency_penalty": 0.25,
            "logit_bias": {"13": 1},
            "metadata": {"a": "b"},
            "n": 1,
            "parallel_tool_calls": False,
            "presence_penalty": 0.25,
            "prompt_cache_key": "k",
            "response_format": {"type": "text"},
            "seed": 5,
            "service_tier": "auto",
            "stop": ["\n\n\n", "never"],
            "store": False,
            "temperature": 0.5,
            "tool_choice": "none",
            "tools": [WEATHER],
            "top_p": 0.9,
            "user": "user-1234",
            "extra_body": {"top_k": 20},
        },
    ),
    "newer_parameters": Chat(
        "Hello",
        {
            "audio": {"voice": "alloy", "format": "wav"},
            "modalities": ["text", "audio"],
            "prediction": {"type": "content", "content": HELLO},
            "reasoning_effort": "low",
            "verbosity": "low",
            "web_search_options": {"search_context_size": "low"},
        },
        says=HELLO,
    ),
    "bad_request": Chat("Hello", {"n": 100}, raises=BadRequestError),
    "context_overflow": Chat("one, two, three, " * 1200, raises=ContextLengthExceededError),
    "wrong_key": Chat("Hello", key="wrong", raises=AuthenticationError),
    "not_found": Chat("Hello", path="/v1/nowhere", raises=NotFoundError),
}

FACTS = ["Bees make honey from nectar.", "蜜蜂用花蜜酿蜜。", "The sea is salty."]
EMBEDDED: dict[str, tuple[Any, dict[str, Any], int]] = {
    "single": ("tea", {}, 1),
    "list": (FACTS, {}, 3),
    "floats": (FACTS, {"encoding_format": "float"}, 3),
    "packs": ([f"{fact} {i}" for i in range(3) for fact in FACTS], {"batch_size": 4}, 9),
    "every_parameter": (
        "tea",
        {"dimensions": 384, "user": "user-1234", "extra_body": {"input_type": "passage"}},
        1,
    ),
}
"""Texts, parameters, and the number of vectors."""


def chat_cassettes() -> set[str]:
    """Return the names of the cassettes that `test_chat` plays."""
    names = {f"{prefix}chat_{name}" for name in CHATS for prefix in ("", "stream_")}
    names |= {"chat_structured", "stream_structured"}
    names |= {f"embed_{name}" for name in (*EMBEDDED, "wrong_key", "not_found", "bad_request")}
    return {f"client/{name}" for name in names}

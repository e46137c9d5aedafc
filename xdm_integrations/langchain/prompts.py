"""From LangChain's inputs to prompts: texts, or token ids that LangChain takes for texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompt_values import ChatPromptValue, ImagePromptValue, PromptValue

from xdm_integrations.core.errors.tree import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self


class TokenIds(str):
    """Token ids that LangChain, its callbacks and caches see as a text, `[1, 2, 3]`."""

    __slots__ = ("ids",)
    ids: list[int]

    def __new__(cls, ids: Iterable[int]) -> Self:
        """Keep the ids beside their text."""
        numbers = [int(token) for token in ids]
        self = super().__new__(cls, json.dumps(numbers))
        self.ids = numbers
        return self

    def __getnewargs__(self) -> tuple[list[int]]:  # type: ignore[override] # `str` would give its text
        """Pickle and copy by the ids."""
        return (self.ids,)


class TokenPrompt(PromptValue):
    """A prompt of token ids, as a LangChain input."""

    ids: list[int]

    def to_string(self) -> str:
        """Return the ids as a `TokenIds`."""
        return TokenIds(self.ids)

    def to_messages(self) -> list[BaseMessage]:
        """Return the ids as one message."""
        return [HumanMessage(content=self.to_string())]


def is_token_ids(value: object) -> bool:
    """True for a sequence of integers that isn't empty."""
    return (
        not isinstance(value, (str, bytes, bytearray))
        and isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(token, Integral) and not isinstance(token, bool) for token in value)
    )


def text_of(prompt: PromptValue) -> str:
    """Return the text of a prompt.

    Raises:
        ConfigurationError: It holds an image or anything else that text completions can't take.
            LangChain itself would leave it out silently.
    """
    blocks: list[Any] = [{"type": "image"}] if isinstance(prompt, ImagePromptValue) else []
    if isinstance(prompt, ChatPromptValue):
        blocks = [block for message in prompt.messages if type(message.content) is list for block in message.content]
    for block in blocks:
        if isinstance(block, dict) and block.get("type", "text") != "text":
            raise ConfigurationError(
                f"prompt: holds a content block of type {block['type']!r}. Text completions take only text; use a chat "
                f"model for it."
            )
    return prompt.to_string()


def as_texts(prompts: Any) -> Any:  # noqa: ANN401 - what isn't a list of prompts is LangChain's to refuse
    """Return a list of prompts in which token ids have become `TokenIds`."""
    if not isinstance(prompts, list) or all(isinstance(prompt, str) for prompt in prompts):
        return prompts
    return [TokenIds(prompt) if is_token_ids(prompt) else prompt for prompt in prompts]

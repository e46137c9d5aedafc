"""A conversation as it grows: the messages so far, the images that wait for a question, and its file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xdm_integrations import ConfigurationError
from xdm_integrations.core.chat.messages import check_messages, system, user
from xdm_integrations.core.chat.parts import text_part

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Conversation:
    """What the next request repeats.

    Attributes:
        messages: The turns that are complete or that the user stopped, in the API's form.
        images: Parts that go with the next question.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)

    def set_system(self, text: str) -> None:
        """Replace the system message; "" takes it away."""
        if self.messages and self.messages[0]["role"] == "system":
            del self.messages[0]
        if text:
            self.messages.insert(0, system(text))

    def question(self, text: str, *images: dict[str, Any]) -> dict[str, Any]:
        """Return the message that asks, with these images and those that wait for it."""
        parts = [*self.images, *images]
        return user([*parts, text_part(text)] if parts else text)

    def add(self, question: dict[str, Any], answer: dict[str, Any]) -> None:
        """Add a question once it is answered; one that failed is asked again with the images that waited for it."""
        self.messages += [question, answer]
        self.images.clear()

    def save(self, path: Path) -> None:
        """Write the messages to a file, as JSON that `load` reads.

        Raises:
            ConfigurationError: There is such a file, and it holds something else.
            OSError: The disk failed.
        """
        if path.exists():
            try:
                read(path)
            except ConfigurationError:
                raise ConfigurationError(
                    f"{path} holds something else than a conversation; it stays as it is."
                ) from None
        path.write_text(json.dumps({"messages": self.messages}, ensure_ascii=False, indent=2) + "\n", "utf-8")

    def load(self, path: Path) -> None:
        """Go on with the conversation of a file instead of this one.

        Raises:
            ConfigurationError: The file holds no conversation; this one stays as it is.
            OSError: It can't be read.
        """
        self.messages = read(path)
        self.images.clear()


def read(path: Path) -> list[dict[str, Any]]:
    """Return the messages in a file.

    Raises:
        ConfigurationError: They are none.
        OSError: It can't be read.
    """
    try:
        held = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path} is no JSON; expected the file of a conversation.") from None
    messages = held.get("messages") if isinstance(held, dict) else held
    if messages == []:  # saved before the first question
        return []
    if not isinstance(messages, list):
        raise ConfigurationError(f"{path} holds no messages.")
    try:
        return check_messages(messages)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None

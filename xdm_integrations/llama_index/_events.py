"""LlamaIndex's decorators, with types.

Its decorators turn a method into `Any`; these give it back as it was. `span` makes a span of a
method that LlamaIndex doesn't know; the eight methods get theirs from the base class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index_instrumentation import get_dispatcher

Method = TypeVar("Method", bound=Callable[..., Any])

dispatcher = get_dispatcher(__name__)


def completion_events(method: Method) -> Method:
    """Tell LlamaIndex's callbacks of each call: its first argument is the prompt."""
    return cast("Method", llm_completion_callback()(method))


def chat_events(method: Method) -> Method:
    """Tell LlamaIndex's callbacks of each call: its first argument is the messages."""
    return cast("Method", llm_chat_callback()(method))


def span(method: Method) -> Method:
    """Make a span of each call."""
    return cast("Method", dispatcher.span(method))

"""LlamaIndex's decorators, with types, and what passes by them unseen.

Its decorators turn a method into `Any`; these give it back as it was. They also hand the arguments
of a call to every tracer. `extra_headers` and `extra_body` may hold secrets, so `span` takes the
options off before anybody sees them, and `hidden` gives them back inside the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, TypeVar, cast

from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index_instrumentation import get_dispatcher

from xdm_integrations.core.parameters import OPTIONS

Method = TypeVar("Method", bound=Callable[..., Any])

dispatcher = get_dispatcher(__name__)

_NOTHING: Mapping[str, Any] = {}
_hidden: ContextVar[Mapping[str, Any]] = ContextVar("hidden", default=_NOTHING)


def completion_events(method: Method) -> Method:
    """Tell LlamaIndex's callbacks of each call: its first argument is the prompt."""
    return cast("Method", llm_completion_callback()(method))


def chat_events(method: Method) -> Method:
    """Tell LlamaIndex's callbacks of each call: its first argument is the messages."""
    return cast("Method", llm_chat_callback()(method))


def span(method: Method) -> Method:
    """Make a span of each call, whose arguments hold none of `OPTIONS`: `hidden` has them."""
    method.__signature__ = signature(method)  # type: ignore[attr-defined] # LlamaIndex asks in each call, and it is slow
    spanned: Any = dispatcher.span(method)  # marks `method`, and so `called`: the base class makes no second span

    if iscoroutinefunction(method):

        @wraps(method)
        async def called(self: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of any method
            outside = _hidden.get()
            _hidden.set(_taken_off(kwargs))
            try:
                return await spanned.__get__(self, type(self))(*args, **kwargs)
            finally:
                _hidden.set(outside)  # `reset` fails where a coroutine is dropped in another context
    else:

        @wraps(method)
        def called(self: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of any method
            outside = _hidden.get()
            _hidden.set(_taken_off(kwargs))
            try:
                return spanned.__get__(self, type(self))(*args, **kwargs)
            finally:
                _hidden.set(outside)

    return cast("Method", called)


def hidden() -> Mapping[str, Any]:
    """Return the options of the call that this is part of."""
    return _hidden.get()


def _taken_off(kwargs: dict[str, Any]) -> Mapping[str, Any]:
    return {name: kwargs.pop(name) for name in OPTIONS if name in kwargs} if kwargs else _NOTHING

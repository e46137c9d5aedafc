"""LlamaIndex's decorators, with types, what passes by them unseen, and what nobody would hear.

Its decorators turn a method into `Any`; these give it back as it was. They also hand the arguments
of a call to every tracer. `extra_headers` and `extra_body` may hold secrets, so `span` takes the
options off before anybody sees them, and `hidden` gives them back inside the method.

Where no handler listens, a call goes past them: they would make an id, a copy of the settings and
several events per call, and another event per token, for nobody. It is looked up at each call, so a
handler that is added later hears the calls that come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import callbacks
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler
from llama_index_instrumentation.span_handlers import NullSpanHandler

from xdm_integrations.core.protocol.checks import OPTIONS

if TYPE_CHECKING:
    from llama_index_instrumentation.dispatcher import Dispatcher

Method = TypeVar("Method", bound=Callable[..., Any])

dispatcher = get_dispatcher(__name__)

_NOTHING: Mapping[str, Any] = {}
_hidden: ContextVar[Mapping[str, Any]] = ContextVar("hidden", default=_NOTHING)


def completion_events(method: Method) -> Method:
    """Tell LlamaIndex's callbacks of each call: its first argument is the prompt."""
    return _told(callbacks.llm_completion_callback()(method), method)


def chat_events(method: Method) -> Method:
    """Tell LlamaIndex's callbacks of each call: its first argument is the messages."""
    return _told(callbacks.llm_chat_callback()(method), method)


def _told(telling: Callable[..., Any], method: Method) -> Method:
    @wraps(method)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of any method
        manager = self.callback_manager
        # A rate limiter is asked by the decorator; a manager of another class may listen by itself.
        alone = self.rate_limiter is None and type(manager) is CallbackManager and not manager.handlers
        return (method if alone and _unheard(callbacks.dispatcher) else telling)(self, *args, **kwargs)

    return cast("Method", called)


def _unheard(dispatcher: Dispatcher) -> bool:
    """Say whether nobody listens to a dispatcher, nor to those above it."""
    while True:
        for event_handler in dispatcher.event_handlers:
            if type(event_handler) is not NullEventHandler:
                return False
        for span_handler in dispatcher.span_handlers:
            if type(span_handler) is not NullSpanHandler:
                return False
        if not dispatcher.propagate:
            return True
        dispatcher = dispatcher.parent


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
                if _unheard(dispatcher):
                    return await method(self, *args, **kwargs)
                return await spanned.__get__(self, type(self))(*args, **kwargs)
            finally:
                _hidden.set(outside)  # `reset` fails where a coroutine is dropped in another context
    else:

        @wraps(method)
        def called(self: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of any method
            outside = _hidden.get()
            _hidden.set(_taken_off(kwargs))
            try:
                if _unheard(dispatcher):
                    return method(self, *args, **kwargs)
                return spanned.__get__(self, type(self))(*args, **kwargs)
            finally:
                _hidden.set(outside)

    return cast("Method", called)


def hidden() -> Mapping[str, Any]:
    """Return the options of the call that this is part of."""
    return _hidden.get()


def _taken_off(kwargs: dict[str, Any]) -> Mapping[str, Any]:
    return {name: kwargs.pop(name) for name in OPTIONS if name in kwargs} if kwargs else _NOTHING

"""A call of any of LlamaIndex's models: its arguments, and the spans and events around it, where somebody listens.

LlamaIndex hands the arguments of a call to every tracer. `extra_headers` and `extra_body` may hold secrets, so `span`
hands the options on as one argument that shows nothing (`Hidden`), and events get no options at all.

Where no handler listens, a call goes past LlamaIndex's decorators: they would make an id, a copy of the settings and
several events per call, and another event per token, for no listener. It is looked up at each call, so a handler that
is added later hears the calls that come.
"""

from __future__ import annotations

from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import callbacks
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler
from llama_index_instrumentation.span_handlers import NullSpanHandler

from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.call import layered
from xdm_integrations.core.protocol.checks import OF_ALL_CALLS, OPTIONS, SETTINGS, unknown_parameter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from llama_index_instrumentation.dispatcher import Dispatcher

Method = TypeVar("Method", bound="Callable[..., Any]")
Result = TypeVar("Result")

dispatcher = get_dispatcher(__name__)

completion_events = callbacks.llm_completion_callback()
"""LlamaIndex's decorator for what answers a prompt."""
chat_events = callbacks.llm_chat_callback()
"""LlamaIndex's decorator for what answers messages."""


class Hidden:
    """The options of a call, which the method that is called may read, and no tracer shows."""

    __slots__ = ("options",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def __repr__(self) -> str:
        return "Hidden()"


def span(method: Method) -> Method:
    """Make a span of each call. Options among its arguments reach the method as one: `request_options=Hidden(...)`.

    So do those among its `llm_kwargs`, if it has such an argument.
    """
    method.__signature__ = signature(method)  # type: ignore[attr-defined] # LlamaIndex asks in each call, and it is slow
    # Beside `llm_kwargs`, a method's arguments fill a template, whatever their names.
    hide = _hide_in_llm_kwargs if "llm_kwargs" in method.__signature__.parameters else hide_options  # type: ignore[attr-defined] # set above
    spanned: Any = dispatcher.span(method)  # marks `method`, and so `called`: the base class makes no second span

    if iscoroutinefunction(method):

        @wraps(method)
        async def called(self: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of any method
            if kwargs or args[2:]:
                args, kwargs = _hidden(args), hide(kwargs)
            if has_no_listeners(dispatcher):
                return await method(self, *args, **kwargs)
            return await spanned.__get__(self, type(self))(*args, **kwargs)
    else:

        @wraps(method)
        def called(self: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of any method
            if kwargs or args[2:]:
                args, kwargs = _hidden(args), hide(kwargs)
            if has_no_listeners(dispatcher):
                return method(self, *args, **kwargs)
            return spanned.__get__(self, type(self))(*args, **kwargs)

    return cast("Method", called)


def _hidden(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(hide_options(value) if isinstance(value, dict) else value for value in args)


def _hide_in_llm_kwargs(kwargs: dict[str, Any]) -> dict[str, Any]:
    given = kwargs.get("llm_kwargs")
    return {**kwargs, "llm_kwargs": hide_options(given)} if given else kwargs


def hide_options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call with its options as one."""
    shown = {name: value for name, value in kwargs.items() if name not in OPTIONS}
    if len(shown) < len(kwargs):
        shown["request_options"] = Hidden({name: value for name, value in kwargs.items() if name in OPTIONS})
    return shown


def with_options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call with its options by their names again."""
    hidden = kwargs.get("request_options")
    return {**_shown(kwargs), **hidden.options} if isinstance(hidden, Hidden) else {**kwargs}


def params_of(settings: Any, given: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - `GatewaySettings`, of a layer above
    """Return what the client is called with, for a call with these arguments; see `layered`.

    Raises:
        ConfigurationError: The endpoint has no such parameter.
    """
    call = with_options(given) if given else {}
    for name, value in [*call.items()]:
        if name in settings.IGNORED:
            del call[name]
        elif value is not None and name not in settings.PARAMETERS and name not in OPTIONS:
            if name in settings.MISPLACED:
                raise ConfigurationError(f"{name}: {settings.MISPLACED[name]}")
            others = dict.fromkeys((*SETTINGS, *type(settings).model_fields), OF_ALL_CALLS)
            raise unknown_parameter(name, [*settings.PARAMETERS, *OPTIONS], others)
    values = settings.__dict__
    fields = {name: values[name] for name in settings.PARAMETERS if name in values}
    return layered(settings.PARAMETERS, fields, settings.additional_kwargs, settings.extra_body, call)


def _shown(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if not isinstance(value, Hidden)}


class Instrumented(NamedTuple):
    """A call with LlamaIndex's events around it, where somebody listens. A rate limiter is waited for.

    Attributes:
        events: `completion_events` or `chat_events`.
        llm: The model that is called.
        asked: The prompt as it is sent, or the messages.
        kwargs: The parameters of the call; events show all but its options.
    """

    events: Callable[..., Any]
    llm: Any
    asked: object
    kwargs: Mapping[str, Any]

    def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns."""
        if self._has_no_listeners():
            return work()
        return cast("Result", self._call(lambda *_asked, **_shown: work()))

    async def arun(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """See `run`."""
        if self._has_no_listeners():
            return await work()

        async def called(*_asked: object, **_shown: object) -> Result:
            return await work()

        return cast("Result", await self._call(called))

    def _has_no_listeners(self) -> bool:
        manager = self.llm.callback_manager
        # A rate limiter is asked by the decorator; a manager of another class may listen by itself.
        alone = self.llm.rate_limiter is None and type(manager) is CallbackManager and not manager.handlers
        return alone and has_no_listeners(callbacks.dispatcher)

    def _call(self, called: Callable[..., Any]) -> Any:  # noqa: ANN401 - a result, or what gives it when it is awaited
        return self.events(called)(self.llm, self.asked, **_shown(self.kwargs))


def has_no_listeners(dispatcher: Dispatcher) -> bool:
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

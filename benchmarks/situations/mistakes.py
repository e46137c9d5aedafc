"""Mistakes: what becomes of the gateway's errors, of misspelt names, and of a key that should stay secret."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from typing import Any

from tests.gateway_errors import CASES
from tests.scripted import ScriptedServer, http

from . import CONTENDERS, situation
from .cuts import STREAMS
from .words import error_name, short, times

# Errors in the gateway's own words


def failing(contender: Any, case_id: str) -> str:
    (case,) = (case for case in CASES if case.id == case_id)
    with ScriptedServer([http(case.body.decode(), case.status, dict(case.headers))]) as server:
        try:
            contender.complete(contender.make(server.url))
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            asked = times(sum(seen.method == "POST" for seen in server.requests), "request")
            looked = "".join(f" and a `GET {seen.path}`" for seen in server.requests if seen.method == "GET")
            return f"{error_name(error)} after {asked}{looked}: {short(error)}"
        return "an answer"


def _errors() -> None:
    for case_id in ("Q1 429 of a gateway's own", "M2"):
        (case,) = (case for case in CASES if case.id == case_id)
        message = json.loads(case.body)["error"]["message"].partition(" (request id")[0]

        @situation("Errors", f"{case.status}, `{message}`", *CONTENDERS, limit=100)
        def _(contender: Any, case_id: str = case_id) -> str:
            return failing(contender, case_id)


_errors()


@situation("Many requests", "`max_retries=2`; each answer is a 500: requests for one text", "Embeddings")
@situation("Errors", "`max_retries=2`; each answer is a 500", "Chat")
def _(contender: Any) -> str:
    with ScriptedServer([http({"error": {"message": "upstream error", "type": "server_error"}}, 500)]) as server:
        try:
            contender.complete(contender.make(server.url, max_retries=2))
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)} after {times(len(server.requests), 'request')}"
        return "an answer"


# Misspelt names


def misspelt(contender: Any, name: str, use: Callable[[str], Any]) -> str:
    """Say what `use` of the server's address came to, warnings first."""
    with ScriptedServer(contender.healthy) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            use(server.url)
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            end = f"{error_name(error)}: {short(error)}"
        else:
            sent = "with" if name.encode() in server.requests[0].body else "without"
            end = f"sent {sent} it, and answered"
        warning = [f"a warning ({short(warning.message, 60)}), then " for warning in warned[:1]]
        return f"{''.join(warning)}{end}; {times(len(server.requests), 'request')}"


@situation("Misspelt parameters", "`temprature=0` for the constructor, then a call", *STREAMS)
def _(contender: Any) -> str:
    return misspelt(contender, "temprature", lambda url: contender.complete(contender.make(url, temprature=0)))


@situation("Misspelt parameters", "`temprature=0` in a call", *STREAMS)
def _(contender: Any) -> str:
    return misspelt(contender, "temprature", lambda url: contender.complete(contender.make(url), temprature=0))


@situation("Misspelt parameters", "`dimension=8` for the constructor, then a call", "Embeddings")
def _(contender: Any) -> str:
    return misspelt(contender, "dimension", lambda url: contender.complete(contender.make(url, dimension=8)))


# The key

KEY = "sk-not-a-real-key-0123456789"


def dumps(contender: Any, llm: Any) -> dict[str, Any]:
    """Return what shows the object: the framework's ways, and Python's."""
    if contender.framework == "LangChain":
        from langchain_core.load import dumpd

        more = {"`asdict()`": llm.asdict()} if hasattr(llm, "asdict") else {}  # embeddings have none
        return {"`dumpd()`": dumpd(llm), "`model_dump()`": llm.model_dump(), **more}
    return {"`to_dict()`": llm.to_dict(), "`to_json()`": llm.to_json(), "`model_dump()`": llm.model_dump()}


def traces(contender: Any, llm: Any) -> dict[str, str]:
    """Make a call, and return what handlers are told about it. LangChain has none for embeddings."""
    told: list[Any] = []
    if contender.framework == "LangChain":
        from langchain_core.callbacks import BaseCallbackHandler

        class Told(BaseCallbackHandler):
            def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
                told.append((args, kwargs))

            on_chat_model_start = on_llm_start

        if contender.endpoint == "Embeddings":
            return {}
        llm.invoke("x", {"callbacks": [Told()]})
    else:
        from llama_index.core.instrumentation import get_dispatcher
        from llama_index.core.instrumentation.event_handlers import BaseEventHandler

        class Listener(BaseEventHandler):
            @classmethod
            def class_name(cls) -> str:
                return "Listener"

            def handle(self, event: Any, **_: Any) -> None:
                told.append(event.model_dump())

        get_dispatcher().add_event_handler(Listener())
        contender.complete(llm)
    assert told
    return {"traces": str(told)}


def logs(contender: Any, llm: Any) -> str:
    """Make a call with all loggers at DEBUG, and return what they say."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logging.basicConfig(level=logging.DEBUG, handlers=[Keep()], force=True)
    contender.complete(llm)
    assert lines
    return str(lines)


def error_of(contender: Any, **settings: Any) -> str:
    """Return the error of a server that repeats the key it was given."""
    refusal = {"error": {"message": f"Incorrect API key provided: {KEY}", "type": "invalid_request_error"}}
    with ScriptedServer([http(refusal, 401)]) as server:
        try:
            contender.complete(contender.make(server.url, **settings))
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error} {error!r}"
    return ""


def found(contender: Any, **settings: Any) -> str:
    """Name the places in which the key can be read."""
    with ScriptedServer(contender.healthy) as server:
        llm = contender.make(server.url, **settings)
        places = {"`repr()`": repr(llm), "`str()`": str(llm), **dumps(contender, llm)}
        places |= {**traces(contender, llm), "debug logs": logs(contender, llm)}
        assert KEY in str(server.requests[0].headers)
    places["the error of a server that repeats it"] = error_of(contender, **settings)
    holding = [place for place, shown in places.items() if KEY in str(shown)]
    return f"in {', '.join(holding)}" if holding else f"in none of {len(places)} places"


@situation("The key", "given as `api_key`", *CONTENDERS)
def _(contender: Any) -> str:
    return found(contender, api_key=KEY)


@situation("The key", "given in `default_headers`", *CONTENDERS)
def _(contender: Any) -> str:
    return found(contender, default_headers={"X-Gateway-Key": KEY})

"""Text completions: whether answers are counted, and the ones that were asked for."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.completions import Completions
from tests.scripted import (
    DONE,
    ScriptedServer,
    Seen,
    chunk,
    completion,
    echoing,
    http,
    stream,
    usage_chunk,
)

from . import LANGCHAIN, LLAMA_INDEX, situation
from .words import error_name, outcome, times

HERE = "Text completions"
WORDS = [chunk("one"), chunk(" two")]


# Token counts of streams


def counting(seen: Seen) -> list[Any]:
    """Answer in a stream, and count 7 + 3 tokens for those who ask, as the API does."""
    asked = (seen.json.get("stream_options") or {}).get("include_usage")
    return stream(*WORDS, chunk("", finish="stop"), *([usage_chunk()] if asked else []), DONE)


def traced_stream(llm: Any, **parameters: Any) -> tuple[list[str], str]:
    """Return the pieces of LangChain's stream, and what its tracers have at the end."""
    from langchain_core.tracers.base import BaseTracer

    class Runs(BaseTracer):
        def _persist_run(self, run: Any) -> None:
            outputs.append(str(run.outputs))

    outputs: list[str] = []
    pieces = list(llm.stream("x", {"callbacks": [Runs()]}, **parameters))
    return pieces, outputs[0]


def langchain_counts(llm: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langchain-community announces its end
        from langchain_community.callbacks import get_openai_callback
    with get_openai_callback() as counter:
        _, traced = traced_stream(llm)
    has = "has" if "'prompt_tokens': 7" in str(traced) else "lacks"
    return f"`get_openai_callback` {counter.prompt_tokens} + {counter.completion_tokens}, the trace {has} them"


def llama_index_counts(llm: Any) -> str:
    from llama_index.core.callbacks import CallbackManager, TokenCountingHandler

    counter = TokenCountingHandler()
    llm.callback_manager = CallbackManager([counter])
    list(llm.stream_complete("x"))
    return f"`TokenCountingHandler` {counter.prompt_llm_token_count} + {counter.completion_llm_token_count}"


def counts(contender: Completions, **settings: Any) -> str:
    with ScriptedServer(counting) as server:
        llm = contender.make(server.url, **settings)
        return (langchain_counts if contender.framework == "LangChain" else llama_index_counts)(llm)


@situation("Token counts of streams", "the server counts 7 + 3 if `stream_options` ask for it; nothing is set", HERE)
def _(contender: Completions) -> str:
    return counts(contender)


@situation("Token counts of streams", "the same, with `stream_options` set by hand", HERE)
def _(contender: Completions) -> str:
    more = "model_kwargs" if contender.framework == "LangChain" else "additional_kwargs"
    return counts(contender, **{more: {"stream_options": {"include_usage": True}}})


# LangChain's cache


@situation(
    "LangChain's cache", "the same prompt with `temperature=0`, then with `temperature=1`", HERE, frameworks=LANGCHAIN
)
def _(contender: Completions) -> str:
    from langchain_core.caches import InMemoryCache

    with ScriptedServer(lambda seen: http(completion(f"at {seen.json['temperature']:g}"))) as server:
        llm = contender.make(server.url, cache=InMemoryCache())
        first, second = (llm.invoke("x", temperature=t) for t in (0, 1))
        return f"`{first!r}`, then `{second!r}`; {times(len(server.requests), 'request')}"


# Batches and lists of prompts


@situation("A batch", "one of three prompts is refused; `return_exceptions=True`", HERE, frameworks=LANGCHAIN)
def _(contender: Completions) -> str:
    refusal = http({"error": {"message": "not this", "type": "invalid_request_error"}}, 400)
    with ScriptedServer(lambda seen: refusal if "bad" in str(seen.json["prompt"]) else echoing(seen)) as server:
        llm = contender.make(server.url, max_retries=0)
        return ", ".join(map(outcome, llm.batch(["a", "bad", "c"], return_exceptions=True)))


@situation(
    "A batch", "8 prompts of 0.3 s, a request each (`batch_size=1`), `max_concurrency=4`", HERE, frameworks=LANGCHAIN
)
def _(contender: Completions) -> str:
    flying, most, lock = 0, 0, threading.Lock()

    def script(seen: Seen) -> list[Any]:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)

        def land() -> None:
            nonlocal flying
            time.sleep(0.3)
            with lock:
                flying -= 1

        return [land, *echoing(seen)]

    with ScriptedServer(script) as server:
        llm = contender.make(server.url, batch_size=1)
        start = time.monotonic()
        llm.batch([str(i) for i in range(8)], {"max_concurrency": 4})
        return f"{times(most, 'request')} in flight at most, {time.monotonic() - start:.1f} s"


def pairs(contender: Completions, answer: Callable[[list[str]], dict[str, Any]]) -> str:
    """Ask for three prompts at once. Prompts that are asked alone are answered well."""

    def script(seen: Seen) -> list[Any]:
        prompt = seen.json["prompt"]
        return http(answer(prompt)) if isinstance(prompt, list) and len(prompt) > 1 else echoing(seen)

    with ScriptedServer(script) as server:
        try:
            answers = contender.make(server.url, max_retries=0).batch(["a", "b", "c"])
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)} for the whole batch"
        return ", ".join(f"{prompt} got `{text}`" for prompt, text in zip("abc", answers, strict=False))


@situation(
    "Lists of prompts", "the answers to a, b, c come as c, b, a, each with its `index`", HERE, frameworks=LANGCHAIN
)
def _(contender: Completions) -> str:
    def answer(prompts: list[str]) -> dict[str, Any]:
        body = completion(*(f"<{prompt}>" for prompt in prompts))
        body["choices"].reverse()
        return body

    return pairs(contender, answer)


@situation("Lists of prompts", "the answer to b is missing", HERE, frameworks=LANGCHAIN)
def _(contender: Completions) -> str:
    return pairs(contender, lambda prompts: completion(*(f"<{prompt}>" for prompt in prompts if prompt != "b")))


# Conversations, and several choices


@situation(
    "The second turn of a chat",
    "`chat()` with the first answer's message among the messages",
    HERE,
    frameworks=LLAMA_INDEX,
)
def _(contender: Completions) -> str:
    from llama_index.core.llms import ChatMessage

    with ScriptedServer([http(completion("yes"))]) as server:
        llm = contender.make(server.url)
        first = llm.chat([ChatMessage("one")])
        llm.chat([ChatMessage("one"), first.message, ChatMessage("two")])
        lines = server.requests[-1].json["prompt"].splitlines()
    said = ("user: one", "assistant: yes", "user: two", "assistant:")
    more = [line for line in lines if line.strip() not in said]
    return f"sent `{' '.join(more)}` besides" if more else "sent what was said, and nothing else"


@situation("Several choices in a stream", "`n=2`; the choices `a1 a2` and `b1 b2` come by turns", HERE)
def _(contender: Completions) -> str:
    events = [chunk("a1", 0), chunk("b1", 1), chunk(" a2", 0), chunk(" b2", 1)]
    ends = [chunk("", 0, "stop"), chunk("", 1, "stop")]
    with ScriptedServer([stream(*events, *ends, DONE)]) as server:
        llm = contender.make(server.url, max_retries=0)
        if contender.framework == "LangChain":
            pieces, end = traced_stream(llm, n=2)
        else:
            pieces = list(contender.stream(llm, n=2))
            end = str(pieces[-1].raw)
    kept = ", and the result has `b1 b2` too" if "'b1 b2'" in end else ""
    return f"streamed `{''.join(map(contender.text_of, pieces))!r}`{kept}"

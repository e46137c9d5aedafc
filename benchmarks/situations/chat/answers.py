"""Answers of chat: their token counts, their reasoning, and which choice is which."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders.chat import Chat, get_weather
from benchmarks.situations import LANGCHAIN, situation
from benchmarks.situations.words import error_name, short
from tests.scripted import DONE, ScriptedServer, Seen, http, stream
from tests.wire.chat import answer, chat_stream, counts, delta, tool_call, tool_delta

COUNTS, REASONING, CHOICES = "Token counts", "Reasoning", "Several choices"


# Token counts


def counted(contender: Chat, script: Any, **settings: Any) -> str:
    """Stream an answer, and say what the framework's own counters have at the end."""
    with ScriptedServer(script) as server:
        llm = contender.make(server.url, max_retries=0, **settings)
        if contender.framework == "LangChain":
            from langchain_core.callbacks import get_usage_metadata_callback

            with get_usage_metadata_callback() as told:
                list(llm.stream("x"))
            one = next(iter(told.usage_metadata.values()), None)
            return "`UsageMetadataCallbackHandler` " + (
                f"{one['input_tokens']} + {one['output_tokens']}" if one else "nothing"
            )
        from llama_index.core.callbacks import CallbackManager, TokenCountingHandler

        counter = TokenCountingHandler()
        llm.callback_manager = CallbackManager([counter])
        list(contender.stream(llm))
        return f"`TokenCountingHandler` {counter.prompt_llm_token_count} + {counter.completion_llm_token_count}"


@situation(COUNTS, "the server counts 7 + 3 if `stream_options` ask for it; nothing is set", "Chat")
def _(contender: Chat) -> str:
    def script(seen: Seen) -> list[Any]:
        asked = (seen.json.get("stream_options") or {}).get("include_usage")
        return stream(delta("one"), delta(" two"), delta(finish="stop"), *([counts()] if asked else []), DONE)

    return counted(contender, script)


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


@situation(COUNTS, "every event counts so far: 7 + 1, 7 + 2, 7 + 3", "Chat")
def _(contender: Chat) -> str:
    events = [delta("one"), delta(" two"), delta(finish="stop")]
    return counted(contender, [stream(*({**e, "usage": usage(7, n)} for n, e in enumerate(events, 1)), DONE)])


@situation(COUNTS, "7 + 3 on the last event of text, and again on one of its own", "Chat")
def _(contender: Chat) -> str:
    last = {**delta(finish="stop"), "usage": usage(7, 3)}
    return counted(contender, [stream(delta("one"), last, counts(), DONE)])


@situation(COUNTS, "of 7 tokens 4 came from DeepSeek's cache: `prompt_cache_hit_tokens`", "Chat", frameworks=LANGCHAIN)
def _(contender: Chat) -> str:
    deepseek = {**usage(7, 3), "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 3}
    with ScriptedServer([http(answer("yes", usage=deepseek))]) as server:
        message = contender.make(server.url).invoke("x")
        details = message.usage_metadata.get("input_token_details") or {}
        return f"`cache_read` is {details.get('cache_read')}"


# Reasoning

THOUGHT = "hm, a city"


def thought(contender: Chat, script: list[Any], *, streamed: bool) -> str:
    """Say what is left of the reasoning in front of an answer."""
    with ScriptedServer([script]) as server:
        llm = contender.make(server.url, max_retries=0)
        said = contender.said(llm, contender.ask(llm, streamed=streamed))
        return f"kept `{said.reasoning!r}`" if said.reasoning else "lost"


@situation(REASONING, "`reasoning_content` in a complete answer", "Chat")
def _(contender: Chat) -> str:
    return thought(contender, http(answer("Paris", reasoning_content=THOUGHT)), streamed=False)


@situation(REASONING, "the same in a stream", "Chat")
def _(contender: Chat) -> str:
    events = [delta(reasoning_content="hm, "), delta(reasoning_content="a city"), delta("Paris")]
    return thought(contender, chat_stream(*events), streamed=True)


@situation(REASONING, "in a stream under the name `reasoning`", "Chat")
def _(contender: Chat) -> str:
    return thought(
        contender, chat_stream(delta(reasoning="hm, "), delta(reasoning="a city"), delta("Paris")), streamed=True
    )


def demanding(seen: Seen) -> list[Any]:
    """Answer as DeepSeek and Kimi do: reasoning beside a tool call must come back with it."""
    messages = seen.json["messages"]
    calling = [message for message in messages if message.get("tool_calls")]
    if not calling:
        call = tool_call("get_weather", {"city": "Paris"})
        if not seen.json.get("stream"):
            return http(answer(None, tool_calls=[call], reasoning_content=THOUGHT))
        events = [
            delta(reasoning_content=THOUGHT),
            tool_delta('{"city": "Paris"}', name="get_weather", call_id="call_1"),
        ]
        return chat_stream(*events, finish="tool_calls")
    if any(message.get("reasoning_content") != THOUGHT for message in calling):
        message = "The `reasoning_content` in the thinking mode must be passed back to the API."
        return http({"error": {"message": message, "type": "invalid_request_error"}}, 400)
    return http(answer("sunny"))


def second_turn(contender: Chat, *, streamed: bool) -> str:
    """Make the call that the model asks for, and send everything back."""
    with ScriptedServer(demanding) as server:
        llm = contender.make(server.url, max_retries=0)
        end = contender.ask(llm, streamed=streamed)
        try:
            if contender.framework == "LangChain":
                from langchain_core.messages import HumanMessage, ToolMessage

                result = ToolMessage(get_weather("Paris"), tool_call_id=end.tool_calls[0]["id"])
                return f"`{str(llm.invoke([HumanMessage('x'), end, result]).text)!r}`"
            from llama_index.core.llms import ChatMessage

            result = ChatMessage(get_weather("Paris"), role="tool", additional_kwargs={"tool_call_id": "call_1"})
            return f"`{llm.chat([ChatMessage('x'), end.message, result]).message.content!r}`"
        except Exception as error:  # noqa: BLE001 - whatever comes is the observation
            return f"{error_name(error)}: {short(error)}"


@situation(REASONING, "a tool's result is sent back to a server that demands the reasoning beside the call", "Chat")
def _(contender: Chat) -> str:
    return second_turn(contender, streamed=False)


@situation(REASONING, "the same, after a stream", "Chat")
def _(contender: Chat) -> str:
    return second_turn(contender, streamed=True)


# Several choices


@situation(CHOICES, "`n=2`; the choices come in the order 1, 0", "Chat")
def _(contender: Chat) -> str:
    zero, one = answer("zero")["choices"][0], answer("one")["choices"][0] | {"index": 1}
    with ScriptedServer([http({**answer(), "choices": [one, zero]})]) as server:
        return f"returned `{contender.complete(contender.make(server.url, max_retries=0), n=2)!r}` as the answer"


@situation(CHOICES, "`n=2` in a stream; the choices `a1 a2` and `b1 b2` come by turns", "Chat")
def _(contender: Chat) -> str:
    events = [delta("a1"), delta("b1", index=1), delta(" a2"), delta(" b2", index=1), delta(finish="stop")]
    with ScriptedServer([stream(*events, delta(finish="stop", index=1), DONE)]) as server:
        llm = contender.make(server.url, max_retries=0)
        return f"streamed `{''.join(map(contender.text_of, contender.stream(llm, n=2)))!r}`"

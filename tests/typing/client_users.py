"""What users of the clients write, and what they must not write. Checked by mypy and pyright; never run.

A line with `type: ignore` is a mistake that has to be found: an ignore that isn't needed is an error.
"""

# ruff: noqa: B018, T201, TC003  (written as users write)
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typing_extensions import assert_type

from xdm_integrations import (
    APIStatusError,
    AsyncChatStream,
    AsyncClient,
    AsyncCompletionStream,
    Batch,
    ChatChunk,
    ChatCompletion,
    ChatStream,
    Choice,
    Client,
    Completion,
    CompletionChunk,
    CompletionStream,
    Embeddings,
    Limits,
    Logprobs,
    RateLimitError,
    StreamInterruptedError,
    Timeout,
    ToolCall,
    ToolRun,
    Usage,
    XDMError,
)


def blocking() -> None:
    with Client("key", base_url="http://127.0.0.1:8080/v1", timeout=Timeout(read=5), limits=Limits()) as client:
        assert_type(client, Client)
        completion = client.complete("a", model="m", temperature=0, stop=["x"], n=2, logit_bias={50256: -100})
        assert_type(completion, Completion)
        assert_type(completion.text, str)
        assert_type(completion.choices, tuple[Choice, ...])
        assert_type(completion.choices[0].index, int)
        assert_type(completion.usage, Usage | None)
        assert_type(completion.logprobs, Logprobs | None)
        assert_type(completion.by_prompt(), list[tuple[Choice, ...]])
        with client.stream("a", seed=1) as stream:
            assert_type(stream, CompletionStream)
            for chunk in stream:
                assert_type(chunk, CompletionChunk)
                assert_type(chunk.finish_reason, str | None)
            assert_type(stream.completion, Completion)
        batch = client.complete_batch(
            ["a", [1, 2]], max_concurrency=2, temperature=0.5, on_result=lambda i, _: print(i)
        )
        assert_type(batch, Batch[Completion])
        assert_type(batch.outcomes, list[Completion | XDMError])
        assert_type(batch.usage, Usage | None)


def chats(client: Client, schema: dict[str, Any]) -> None:
    assert_type(client.chat("a", temperature=0, n=2, think_tags=True), ChatCompletion)
    assert_type(client.chat([{"role": "user", "content": "a"}], response_format=schema).parsed, Any)
    assert_type(client.chat_structured("a", schema, method="json_schema", strict=True), ChatCompletion)
    client.chat_structured("a", Timeout)
    assert_type(client.chat_batch(["a", [{"role": "user", "content": "b"}]], max_concurrency=2), Batch[ChatCompletion])
    run = client.run_tools("a", [len, print], max_turns=2, temperature=0)
    assert_type(run, ToolRun)
    assert_type(run.completion.tool_calls, tuple[ToolCall, ...])
    assert_type(run.usage, Usage | None)
    client.run_tools("a", [len], n=2)  # type: ignore[call-arg] # one answer only
    client.chat("a", think_tags="yes")  # type: ignore[arg-type] # a string


def tools_and_streams(client: Client, tools: list[dict[str, Any]]) -> None:
    completion = client.chat("a", model="m", temperature=0, tools=tools, tool_choice="auto", logit_bias={50256: -100})
    assert_type(completion, ChatCompletion)
    assert_type(completion.text, str)
    assert_type(completion.tool_calls, tuple[ToolCall, ...])
    assert_type(completion.tool_calls[0].parsed(), dict[str, Any])
    assert_type(completion.message, dict[str, Any])
    client.chat([{"role": "user", "content": "a"}, completion.message], response_format={"type": "json_object"})
    with client.stream_chat("a", max_completion_tokens=5, stop="x") as stream:
        assert_type(stream, ChatStream)
        for chunk in stream:
            assert_type(chunk, ChatChunk)
            assert_type(chunk.reasoning, str)
        assert_type(stream.completion, ChatCompletion)
    assert_type(client.chat_batch(["a", [{"role": "user", "content": "b"}]], max_concurrency=2), Batch[ChatCompletion])


def vectors(client: Client, texts: Sequence[str], tokens: list[list[int]]) -> None:
    embeddings = client.embed(texts, model="m", dimensions=256, batch_size=10)
    assert_type(embeddings, Embeddings)
    assert_type(embeddings.vectors, list[list[float]])
    assert_type(embeddings[0], list[float])
    assert_type(embeddings.usage, Usage | None)
    client.embed("a")
    client.embed(tokens, encoding_format="float")


def every_form_of_prompt(client: Client, texts: Sequence[str], tokens: list[list[int]]) -> None:
    client.complete("a")
    client.complete(["a", "b"])
    client.complete(texts)
    client.complete([1, 2, 3])
    client.complete(tokens)
    client.complete(("a", "b"))


def every_parameter(client: Client) -> None:
    client.complete(
        "a",
        best_of=2,
        echo=True,
        extra_body={"top_k": 1},
        extra_headers={"X-A": "b"},
        frequency_penalty=0.5,
        logit_bias={"50256": -100},
        logprobs=5,
        max_tokens=None,
        model="m",
        n=1,
        on_retry=lambda pause: print(pause.seconds, pause.error),
        presence_penalty=1,
        seed=2,
        stop="x",
        suffix="y",
        temperature=1.5,
        timeout=(1, None),
        top_p=0,
        user="u",
    )


async def awaited() -> None:
    async def key() -> str:
        return "key"

    async with AsyncClient(key) as client:
        assert_type(client, AsyncClient)
        assert_type(await client.complete("a"), Completion)
        stream = await client.stream(["a", "b"], n=2)
        assert_type(stream, AsyncCompletionStream)
        async for chunk in stream:
            assert_type(chunk, CompletionChunk)
        assert_type(await client.complete_batch(["a"]), Batch[Completion])
        assert_type(await client.chat("a"), ChatCompletion)
        chat = await client.stream_chat("a")
        assert_type(chat, AsyncChatStream)
        async for piece in chat:
            assert_type(piece, ChatChunk)
        assert_type(await client.embed(["a"]), Embeddings)


def errors(client: Client) -> Iterator[str]:
    try:
        client.complete("a")
    except StreamInterruptedError as error:
        assert_type(error.partial, Any)
        yield error.text
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except APIStatusError as error:
        assert_type(error.status_code, int)
        assert_type(error.headers, dict[str, str])
    except (ConnectionError, TimeoutError, ValueError):
        pass
    except XDMError as error:
        assert_type(error.retryable, bool)


def mistakes(client: Client, asynchronous: AsyncClient, completion: Completion, anything: Any) -> None:
    client.complete("a", temprature=0)  # type: ignore[call-arg] # misspelt
    client.complete("a", temperature="0")  # type: ignore[arg-type] # a string
    client.complete("a", stop=[1])  # type: ignore[list-item] # not texts
    client.complete("a", max_tokens=1.5)  # type: ignore[arg-type] # not an integer
    client.complete("a", stream=True)  # type: ignore[call-arg] # the method called decides
    client.complete({"a": 1})  # type: ignore[arg-type] # no form of a prompt
    client.complete(["a", 1])  # type: ignore[arg-type] # mixed
    client.complete()  # type: ignore[call-arg] # nothing to ask
    client.stream("a", logit_bias=[1])  # type: ignore[arg-type] # not a mapping
    client.complete_batch("a", batch_size="20")  # type: ignore[arg-type] # a string
    Client(timeout="5")  # type: ignore[arg-type] # a string
    Client(max_retry=3)  # type: ignore[call-arg] # misspelt
    Client("key", "http://127.0.0.1")  # type: ignore[call-arg] # only the key goes without its name
    asynchronous.complete("a").text  # type: ignore[attr-defined] # not awaited
    completion.text = "b"  # type: ignore[misc] # a value
    completion.choices[0].text = "b"  # type: ignore[misc] # a value
    client.chat("a", temprature=0)  # type: ignore[call-arg] # misspelt
    client.chat("a", temperature="0")  # type: ignore[arg-type] # a string
    client.chat("a", logprobs=2)  # type: ignore[arg-type] # a number, as completions have it
    client.chat(1)  # type: ignore[arg-type] # no conversation
    client.stream_chat("a", stream=True)  # type: ignore[call-arg] # the method called decides
    client.embed("a", dimensions="8")  # type: ignore[arg-type] # a string
    client.embed("a", temperature=0)  # type: ignore[call-arg] # of another endpoint
    client.embed(1)  # type: ignore[arg-type] # no text
    asynchronous.chat("a").text  # type: ignore[attr-defined] # not awaited
    client.complete(anything, **anything)

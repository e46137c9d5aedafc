"""Leaving the engine in the middle, and being left by it: engines of their own, since they are killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from local_engine import MODEL, running_engine

from tests.end_to_end.engine_state import (
    ENDLESS,
    ENDLESS_TOKENS,
    LONG,
    busy_slots,
    decoded,
    is_freed_by_cancelling,
    is_freed_early,
)
from tests.ports import port_to_use_twice
from xdm_integrations import APIConnectionError, AsyncClient, Client, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def mortal() -> Iterator[Any]:
    """An engine with one slot that a test may kill."""
    with running_engine(slots=1) as running:
        yield running


def blocking(engine: Any, **settings: Any) -> Client:
    return Client(base_url=engine.base_url, model=MODEL, **settings)


def awaiting(engine: Any, **settings: Any) -> AsyncClient:
    return AsyncClient(base_url=engine.base_url, model=MODEL, **settings)


def fail_after_one(stream: Any) -> None:
    next(stream)
    raise ZeroDivisionError


def generated_so_far(engine: Any) -> int:
    (slot,) = busy_slots(engine)
    return decoded(slot)


@pytest.mark.parametrize("how", ["close", "break", "with", "error"])
def test_leaving_a_stream_frees_the_slot(mortal: Any, how: str) -> None:
    with blocking(mortal) as client:
        stream = client.stream(LONG, **ENDLESS)
        if how == "close":
            next(stream)
            assert generated_so_far(mortal) < ENDLESS_TOKENS
            stream.close()
        elif how == "break":
            for _ in stream:
                break
            del stream
        elif how == "with":
            with stream:
                next(stream)
        else:
            with pytest.raises(ZeroDivisionError), stream:
                fail_after_one(stream)
        assert is_freed_early(mortal)
        assert client.complete("Say this is a test", temperature=0).finish_reason == "stop"


def test_cancelling_a_task_frees_the_slot(mortal: Any) -> None:
    async def main() -> None:
        async with awaiting(mortal) as client:
            begun = asyncio.Event()

            async def read() -> None:
                async with await client.stream(LONG, **ENDLESS) as stream:
                    async for _ in stream:
                        begun.set()

            assert await is_freed_by_cancelling(read, begun, mortal)
            assert (await client.complete("Say this is a test", temperature=0)).finish_reason == "stop"

    asyncio.run(main())


def test_a_killed_engine_is_an_interruption_and_the_client_goes_on_with_the_next(surface: Any) -> None:
    """Kill it in mid-stream: the text so far is on the error. Start it again: the same client goes on."""
    with running_engine(slots=1, port=port_to_use_twice()) as first:
        client = surface.client(base_url=first.base_url, model=MODEL, max_retries=0)
        text, error = killed_in_mid_stream(client, first, surface)
        assert text.strip().startswith("1, 2, 3")
        assert error.text == text
        assert error.partial is not None
        assert error.partial.finish_reason is None
        assert not error.retryable
        with pytest.raises(APIConnectionError) as caught:
            surface.complete(client, "Say this is a test")
        assert not isinstance(caught.value, StreamInterruptedError)
    with running_engine(slots=1, port=first.port):
        completion = surface.complete(client, "Say this is a test", temperature=0)
        assert completion.text == "\n\nThis is indeed a test"
        _chunks, streamed = surface.stream(client, "Count to ten:", temperature=0)
        assert (streamed.text, streamed.finish_reason) == (" 1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "stop")


def killed_in_mid_stream(client: Any, engine: Any, surface: Any) -> tuple[str, StreamInterruptedError]:
    """Return what a stream said until its engine was killed, and how it ended."""
    texts: list[str] = []

    def heard(text: str) -> None:
        texts.append(text)
        if len(texts) == 10:
            engine.kill()

    def hear_all() -> None:
        for chunk in client.stream(LONG, **ENDLESS):
            heard(chunk.text)

    async def ahear_all() -> None:
        async with await client.stream(LONG, **ENDLESS) as stream:
            async for chunk in stream:
                heard(chunk.text)

    with pytest.raises(StreamInterruptedError) as caught:
        surface.run(ahear_all()) if surface.is_async else hear_all()
    return "".join(texts), caught.value

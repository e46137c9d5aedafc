"""Leaving a stream early: the server learns of it at once, so that it stops generating (and billing)."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from tests.scripted import DONE, HANG, chunk, stream
from xdm_integrations import AsyncClient, Client, StreamInterruptedError

SOON = 0.3


@pytest.fixture
def endless(server):
    """Sends two tokens, and then waits for the client to go away."""
    server.script = [stream(chunk("one "), chunk("two "), HANG, end=False)]
    return server


@pytest.fixture(autouse=True)
def no_collector():
    """Closing must not depend on the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def check_left(server, since: float) -> None:
    assert server.wait_until(lambda: server.open_connections == 0, 2)
    assert server.disconnects[-1] - since < SOON


def leave_by_break(client):
    for piece in client.stream("x"):
        assert piece.text == "one "
        break


def leave_by_close(client):
    stream = client.stream("x")
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []


def leave_by_with(client):
    with client.stream("x") as stream:
        next(stream)


def leave_by_exception(client):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the loop is what is left
        for _ in client.stream("x"):
            1 / 0  # noqa: B018 - the caller's own mistake


def leave_by_dropping(client):
    stream = client.stream("x")
    next(stream)
    del stream


def leave_before_the_first(client):
    stream = client.stream("x")
    del stream


def leave_by_generator(client):
    def words():
        for piece in client.stream("x"):
            yield piece.text

    generator = words()
    assert next(generator) == "one "
    generator.close()


WAYS = [
    leave_by_break,
    leave_by_close,
    leave_by_with,
    leave_by_exception,
    leave_by_dropping,
    leave_before_the_first,
    leave_by_generator,
]


@pytest.mark.parametrize("way", WAYS)
def test_leaving_a_blocking_stream(endless, way):
    client = Client(base_url=endless.url)
    way(client)
    check_left(endless, time.monotonic())
    client.close()


async def aleave_by_break(client):
    async for piece in await client.stream("x"):
        assert piece.text == "one "
        break


async def aleave_by_close(client):
    stream = await client.stream("x")
    await stream.__anext__()
    await stream.aclose()
    await stream.aclose()
    assert [piece async for piece in stream] == []


async def aleave_by_with(client):
    async with await client.stream("x") as stream:
        await stream.__anext__()


async def aleave_by_exception(client):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the loop is what is left
        async for _ in await client.stream("x"):
            1 / 0  # noqa: B018 - the caller's own mistake


async def aleave_by_dropping(client):
    stream = await client.stream("x")
    await stream.__anext__()
    del stream


async def aleave_before_the_first(client):
    stream = await client.stream("x")
    del stream


async def consume(client, reached=None):
    async for _ in await client.stream("x"):
        if reached is not None:
            reached.set()


async def aleave_by_cancel(client):
    reached = asyncio.Event()
    task = asyncio.create_task(consume(client, reached))
    await reached.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def aleave_by_cancel_before_the_first(client):
    task = asyncio.create_task(consume(client))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def aleave_by_wait_for(client):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(consume(client), 0.2)


async def aleave_by_generator(client):
    async def words():
        async for piece in await client.stream("x"):
            yield piece.text

    generator = words()
    assert await generator.__anext__() == "one "
    await generator.aclose()


AWAYS = [
    aleave_by_break,
    aleave_by_close,
    aleave_by_with,
    aleave_by_exception,
    aleave_by_dropping,
    aleave_before_the_first,
    aleave_by_cancel,
    aleave_by_cancel_before_the_first,
    aleave_by_wait_for,
    aleave_by_generator,
]


@pytest.mark.parametrize("way", AWAYS)
def test_leaving_a_stream_in_a_loop(endless, way):
    async def main():
        client = AsyncClient(base_url=endless.url)
        await way(client)
        left = time.monotonic()
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(endless.wait_until, lambda: endless.open_connections == 0, 2)
        await client.aclose()
        return left

    check_left(endless, asyncio.run(main()))


def test_a_call_that_is_cancelled_closes_too(server):
    server.script = [[HANG]]

    async def main():
        client = AsyncClient(base_url=server.url)
        task = asyncio.create_task(client.complete("x"))
        assert await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
        task.cancel()
        left = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0, 2)
        await client.aclose()
        return left

    check_left(server, asyncio.run(main()))


def test_a_stop_button_in_another_thread(endless):
    """`close` wakes the thread that reads, and that one learns that the answer isn't whole."""
    client = Client(base_url=endless.url)
    stream = client.stream("x")
    read: list[str] = []
    errors: list[BaseException] = []
    two = threading.Event()

    def reader():
        try:
            for piece in stream:
                read.append(piece.text)
                if len(read) == 2:
                    two.set()
        except StreamInterruptedError as error:
            errors.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    assert two.wait(5)
    left = time.monotonic()
    stream.close()
    thread.join(2)
    assert not thread.is_alive()
    assert read == ["one ", "two "]
    assert [error.text for error in errors] == ["one two "]
    check_left(endless, left)
    client.close()


async def read_with_limits(stream):
    while True:
        await asyncio.wait_for(stream.__anext__(), 0.1)


def test_a_read_that_was_cancelled_is_no_end(endless):
    """`wait_for` around one read closes the connection; going on must not look like a whole answer."""

    async def main():
        async with AsyncClient(base_url=endless.url) as client:
            stream = await client.stream("x")
            with pytest.raises(asyncio.TimeoutError):
                await read_with_limits(stream)
            with pytest.raises(StreamInterruptedError, match="cancelled") as caught:
                [piece async for piece in stream]
            assert caught.value.text == "one two "
            assert [piece async for piece in stream] == []

            left = await client.stream("x")
            with pytest.raises(asyncio.TimeoutError):
                await read_with_limits(left)
            await left.aclose()  # by its user, who wants no more of it
            assert [piece async for piece in left] == []

    asyncio.run(main())


def test_a_stream_outlives_the_client_that_nobody_keeps(surface, server):
    """A client that is dropped closes its connections, but not under a stream that is being read."""
    go = threading.Event()
    server.script = [stream(chunk("one "), go, chunk("two", finish="stop"), DONE)]

    async def read():
        pieces = []
        async for piece in await AsyncClient(base_url=server.url).stream("x"):
            await asyncio.sleep(0.02)  # what the client's end sets going happens here
            pieces.append(piece.text)
            go.set()
        return pieces

    if surface.is_async:
        assert asyncio.run(asyncio.wait_for(read(), 3)) == ["one ", "two"]
        return
    pieces = []
    for piece in Client(base_url=server.url).stream("x"):
        pieces.append(piece.text)
        go.set()
    assert pieces == ["one ", "two"]

"""Leaving a stream early: the server learns of it at once, so that it stops generating (and billing)."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from tests.scripted import DONE, HANG, chunk, stream
from xdm_integrations import AsyncClient, Client, StreamInterruptedError


@pytest.fixture
def endless(server):
    """Sends two tokens, and then waits for the client to go away."""
    server.script = [stream(chunk("one "), chunk("two "), HANG, end=False)]
    return server


@pytest.fixture(autouse=True)
def no_collector():
    """Closing must not depend on the garbage collector."""
    gc.disable()
    yield
    gc.enable()


def check_left(server) -> None:
    """The client went away: the server itself would have held on for ten seconds."""
    assert server.wait_until(lambda: server.open_connections == 0)
    assert server.disconnects


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
    check_left(endless)
    client.close()


async def aleave_by_break(client, server):
    async for piece in await client.stream("x"):
        assert piece.text == "one "
        break


async def aleave_by_close(client, server):
    stream = await client.stream("x")
    await stream.__anext__()
    await stream.aclose()
    await stream.aclose()
    assert [piece async for piece in stream] == []


async def aleave_by_with(client, server):
    async with await client.stream("x") as stream:
        await stream.__anext__()


async def aleave_by_exception(client, server):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the loop is what is left
        async for _ in await client.stream("x"):
            1 / 0  # noqa: B018 - the caller's own mistake


async def aleave_by_dropping(client, server):
    stream = await client.stream("x")
    await stream.__anext__()
    del stream


async def aleave_before_the_first(client, server):
    stream = await client.stream("x")
    del stream


async def consume(client, reached=None):
    async for _ in await client.stream("x"):
        if reached is not None:
            reached.set()


async def aleave_by_cancel(client, server):
    reached = asyncio.Event()
    task = asyncio.create_task(consume(client, reached))
    await reached.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def aleave_by_cancel_before_the_first(client, server):
    server.script = [stream(HANG, end=False)]
    task = asyncio.create_task(consume(client))
    assert await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def aleave_by_wait_for(client, server):
    reached = asyncio.Event()
    task = asyncio.create_task(consume(client, reached))
    await reached.wait()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(task, 0.05)


async def aleave_by_generator(client, server):
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
        await way(client, endless)
        await asyncio.to_thread(check_left, endless)
        await client.aclose()

    asyncio.run(main())


def test_a_call_that_is_cancelled_closes_too(server):
    server.script = [[HANG]]

    async def main():
        client = AsyncClient(base_url=server.url)
        task = asyncio.create_task(client.complete("x"))
        assert await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(check_left, server)
        await client.aclose()

    asyncio.run(main())


def test_a_stop_button_in_another_thread(endless, bodies):
    """`close` wakes the thread that reads, and that one learns that the answer isn't whole."""
    client = Client(base_url=endless.url)
    stream = client.stream("x")
    read: list[str] = []
    errors: list[BaseException] = []
    waits_for_more = threading.Event()
    (body,) = bodies
    body.on_read = lambda: len(read) == 2 and waits_for_more.set()

    def reader():
        try:
            for piece in stream:
                read.append(piece.text)  # noqa: PERF401 - what has been read is looked at meanwhile
        except StreamInterruptedError as error:
            errors.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    assert waits_for_more.wait(5)
    stream.close()
    thread.join(5)
    assert not thread.is_alive()
    assert read == ["one ", "two "]
    assert [error.text for error in errors] == ["one two "]
    check_left(endless)
    client.close()


async def read_with_a_limit(stream):
    assert [(await anext(stream)).text for _ in range(2)] == ["one ", "two "]
    await asyncio.wait_for(anext(stream), 0.05)


def test_a_read_that_was_cancelled_is_no_end(endless):
    """`wait_for` around one read closes the connection; going on must not look like a whole answer."""

    async def main():
        async with AsyncClient(base_url=endless.url) as client:
            stream = await client.stream("x")
            with pytest.raises(asyncio.TimeoutError):
                await read_with_a_limit(stream)
            with pytest.raises(StreamInterruptedError, match="cancelled") as caught:
                [piece async for piece in stream]
            assert caught.value.text == "one two "
            assert [piece async for piece in stream] == []

            left = await client.stream("x")
            with pytest.raises(asyncio.TimeoutError):
                await read_with_a_limit(left)
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
        assert asyncio.run(asyncio.wait_for(read(), 9)) == ["one ", "two"]
        return
    pieces = []
    for piece in Client(base_url=server.url).stream("x"):
        pieces.append(piece.text)
        go.set()
    assert pieces == ["one ", "two"]

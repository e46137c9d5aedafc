"""Many texts, whichever way a program comes in: requests in flight, order, faults, loops and threads."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.embeddings.doors import DOORS, LANGCHAIN, LLAMA_INDEX
from tests.gauge import Gauge
from tests.scripted import CLOSE, RESET, http
from tests.vectors import answer, embedding, inputs_of, numbered, vectors_of


@pytest.fixture(params=DOORS)
def room(request):
    return request.param


def embedder_of(room, server, **settings):
    """Return the embedder of an async door, for tests that run loops of their own."""
    door = DOORS[room](is_async=True)
    door.loop.close()
    return door.embedder(base_url=server.url, **settings)


async def ask(embedder, texts):
    """Await the vectors of texts on the loop that is running."""
    if isinstance(embedder, tuple):
        client, params = embedder
        result = await client.embed(texts, **params)
        return result.vectors
    name = "aembed_documents" if hasattr(embedder, "aembed_documents") else "aget_text_embedding_batch"
    return await getattr(embedder, name)(texts)


@pytest.mark.parametrize("most", [1, 4, 8])
def test_as_many_requests_are_in_flight_as_allowed_and_never_more(door, server, made, most):
    server.script = gauge = Gauge(embedding, most)
    settings = {} if most == 8 else {"max_concurrency": most}  # which is the default
    assert door.documents(made(batch_size=2, **settings), numbered(48)) == vectors_of(numbered(48))
    assert gauge.peak == most


def test_the_order_is_kept_whoever_answers_first(door, server, made):
    """The first request is answered last."""
    others = threading.Event()

    def script(seen):
        if "text 0" in inputs_of(seen.json):
            assert others.wait(60)
        elif "text 7" in inputs_of(seen.json):
            others.set()
        return embedding(seen)

    server.script = script
    assert door.documents(made(batch_size=2, max_concurrency=4), numbered(8)) == vectors_of(numbered(8))


def test_ten_thousand_texts_with_faults_are_each_answered_once(door, server, made, waits):
    dice, lock, answered = random.Random(7), threading.Lock(), []  # noqa: S311 - faults, not secrets

    def script(seen):
        with lock:
            fault = dice.choice([[CLOSE], [RESET], http(b"", 502), http(b"", 429)]) if dice.random() < 0.05 else None
            if fault is None:
                answered.extend(inputs_of(seen.json))
        return fault or embedding(seen)

    server.script = script
    texts = numbered(10_000)
    assert door.documents(made(batch_size=25, max_retries=5), texts) == vectors_of(texts)
    assert sorted(answered) == sorted(texts)


def test_connections_are_reused(door, server, made):
    embedder = made(batch_size=5, max_concurrency=3)
    for text in numbered(20):
        door.query(embedder, text)
    assert server.connections <= 2
    before = server.connections
    door.documents(embedder, numbered(100))
    assert server.connections - before <= 3 + 2


def test_a_cancelled_call_leaves_no_task_and_sends_nothing_more(room, server):
    arrived, hold = threading.Event(), threading.Event()

    def script(seen):
        arrived.set()
        hold.wait(60)
        return embedding(seen)

    server.script = script
    embedder = embedder_of(room, server, batch_size=1, max_concurrency=4)

    async def main():
        task = asyncio.ensure_future(ask(embedder, numbered(64)))
        await asyncio.to_thread(arrived.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ask(embedder, numbered(64)), 0.2)
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    asyncio.run(main())
    hold.set()
    assert len(server.requests) <= 8


def test_forty_queries_at_once_are_in_flight_together(room, server):
    together = threading.Barrier(40)

    def script(seen):
        together.wait(60)
        return embedding(seen)

    server.script = script
    embedder = embedder_of(room, server)

    async def main():
        return await asyncio.gather(*(ask(embedder, [text]) for text in numbered(40)))

    assert [vectors[0] for vectors in asyncio.run(main())] == vectors_of(numbered(40))


def test_loops_one_after_the_other_and_at_once_share_an_embedder(room, server):
    embedder = embedder_of(room, server, batch_size=2)
    expected = vectors_of(numbered(9))

    def run(_):
        return asyncio.run(ask(embedder, numbered(9)))

    assert [run(i) for i in range(3)] == [expected] * 3
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(run, range(6))) == [expected] * 6


def test_threads_share_an_embedder_and_a_running_loop_is_no_matter(room, server):
    door = DOORS[room](is_async=False)
    embedder = door.embedder(base_url=server.url, batch_size=3)
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda i: door.documents(embedder, numbered(i)), range(32)))
    assert results == [vectors_of(numbered(i)) for i in range(32)]

    async def main():
        return door.documents(embedder, numbered(9))

    assert asyncio.run(main()) == vectors_of(numbered(9))
    door.close()


@pytest.mark.parametrize("room", [LANGCHAIN, LLAMA_INDEX])
def test_threads_and_loops_share_an_embedder_at_the_same_time(room, server):
    door = DOORS[room](is_async=False)
    embedder = door.embedder(base_url=server.url, batch_size=2)
    expected = vectors_of(numbered(9))

    async def both():
        awaited = asyncio.ensure_future(ask(embedder, numbered(9)))
        return door.documents(embedder, numbered(9)), await awaited

    with ThreadPoolExecutor(8) as pool:
        blocked = [pool.submit(door.documents, embedder, numbered(9)) for _ in range(8)]
        looped = [pool.submit(lambda: asyncio.run(both())) for _ in range(4)]
        assert [future.result() for future in blocked] == [expected] * 8
        assert [future.result() for future in looped] == [(expected, expected)] * 4
    door.close()


def test_large_answers_do_not_stop_the_loop_for_long(room, server):
    """The longest pause between two ticks of another task, while 1,024 vectors of 1,536 numbers arrive."""
    server.script = lambda seen: http(answer({**seen.json, "dimensions": 1_536}))
    embedder = embedder_of(room, server)

    async def main():
        pauses = []

        async def tick():
            last = time.perf_counter()
            while True:
                await asyncio.sleep(0)
                pauses.append(time.perf_counter() - last)
                last = time.perf_counter()

        await ask(embedder, ["warm"])
        ticking = asyncio.ensure_future(tick())
        vectors = await ask(embedder, numbered(1_024))
        ticking.cancel()
        assert [len(vector) for vector in vectors] == [1_536] * 1_024
        return max(pauses)

    assert asyncio.run(main()) < 3  # seconds; benchmarks measure it, where the machine is quiet

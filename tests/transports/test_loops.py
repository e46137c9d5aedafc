"""Loops, threads and the end of the program: each script runs with every warning as an error."""

from __future__ import annotations

import pytest

from tests.scripted import HANG, chunk, stream

CALL = """
import asyncio, gc, sys, threading
from xdm_integrations import AsyncClient, Client
url = sys.argv[1]
async def call(client, prompt="x"):
    assert (await client.complete(prompt)).text == f"<{prompt}>"
async def consume(client, prompt="x"):
    assert "".join([c.text async for c in await client.stream(prompt)]) == f"<{prompt}>"
async def gather(client, name, times=20):
    await asyncio.gather(*(call(client, f"{name}{i}") for i in range(times)), consume(client, name))
"""

SCRIPTS = {
    "asyncio.run again and again": """
client = AsyncClient(base_url=url)
for i in range(5):
    asyncio.run(gather(client, f"run{i}-"))
""",
    "a client per run, closed by nobody": """
for i in range(5):
    asyncio.run(gather(AsyncClient(base_url=url), "x"))
""",
    "a client dropped while its loop runs": """
async def main():
    for _ in range(5):
        client = AsyncClient(base_url=url)
        await gather(client, "x")
        del client
    await asyncio.sleep(0.05)
asyncio.run(main())
""",
    "a client in a cycle with the error that left its loop": """
loop = asyncio.new_event_loop()
def fail():
    # The transport is a generation older than its session, which the collector therefore meets first.
    client = AsyncClient(base_url="http://127.0.0.1:9/v1", max_retries=0, on_request=lambda _: gc.collect(0))
    try:
        loop.run_until_complete(client.complete("refused"))
    except Exception as error:
        error.cycle = [error, client]
gc.disable()
for _ in range(3):
    fail()
    gc.collect()
    loop.run_until_complete(call(AsyncClient(base_url=url)))
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
""",
    "closed and used again": """
async def main():
    async with AsyncClient(base_url=url) as client:
        await call(client)
    await call(client)
    await client.aclose()
    await client.aclose()
asyncio.run(main())
""",
    "four threads with loops of their own after a gather": """
client = AsyncClient(base_url=url)
asyncio.run(gather(client, "main"))
failures = []
def work(name):
    try:
        for i in range(3):
            asyncio.run(gather(client, f"{name}-{i}-"))
    except BaseException as error:
        failures.append(error)
threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not failures, failures
asyncio.run(gather(client, "again"))
""",
    "a loop that is closed without ceremony": """
client = AsyncClient(base_url=url)
for _ in range(3):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(gather(client, "x"))
    loop.close()
asyncio.run(call(client))
""",
    "a client that outlives a loop which is never closed": """
client = AsyncClient(base_url=url)
loop = asyncio.new_event_loop()
loop.run_until_complete(call(client))
del client
loop.close()
""",
    "a client that the collector finds after its session": """
import aiohttp
gc.disable()
loop = asyncio.new_event_loop()
client = AsyncClient(base_url=url)
loop.run_until_complete(call(client))
theirs = aiohttp.ClientSession, aiohttp.BaseConnector
early = [found for found in gc.get_objects() if issubclass(type(found), theirs)]
assert len(early) == 2, early
cycle = [client]
del client
gc.collect()  # what is found first stands first from now on
early.clear()
cycle.append(cycle)
del cycle
gc.collect()
loop.close()
""",
    "nested loops": """
import nest_asyncio
client = AsyncClient(base_url=url)
async def main():
    await call(client, "outer")
    asyncio.get_running_loop().run_until_complete(gather(client, "inner"))
    await call(client, "outer again")
loop = asyncio.new_event_loop()
nest_asyncio.apply(loop)
loop.run_until_complete(main())
loop.run_until_complete(client.aclose())
loop.close()
""",
    "uvloop": """
import uvloop
client = AsyncClient(base_url=url)
for i in range(3):
    uvloop.run(gather(client, f"uv{i}-"))
async def dropped():
    await call(AsyncClient(base_url=url))
uvloop.run(dropped())
""",
    "asyncio's debug mode": """
client = AsyncClient(base_url=url)
asyncio.run(gather(client, "x"), debug=True)
""",
    "a blocking client that nobody closes": """
client = Client(base_url=url)
assert client.complete("x").text == "<x>"
threads = [threading.Thread(target=client.complete, args=("y",)) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert "".join(c.text for c in client.stream("z")) == "<z>"
client.close()
""",
    "a pickled client": """
import pickle
client = AsyncClient(base_url=url)
asyncio.run(call(client))
asyncio.run(call(pickle.loads(pickle.dumps(client))))
blocking = Client(base_url=url)
blocking.complete("x")
copied = pickle.loads(pickle.dumps(blocking))
assert copied.complete("y").text == "<y>"
blocking.close(); copied.close()
""",
    "a child process after use": """
import multiprocessing, os
blocking, client = Client(base_url=url), AsyncClient(base_url=url)
blocking.complete("parent")
asyncio.run(call(client))
for _ in range(2):
    child = os.fork()
    if child == 0:
        ok = all(blocking.complete(f"c{os.getpid()}").text == f"<c{os.getpid()}>" for _ in range(20))
        asyncio.run(gather(client, f"c{os.getpid()}-"))
        os._exit(0 if ok else 1)
    assert all(blocking.complete("p").text == "<p>" for _ in range(20))
    assert os.waitpid(child, 0)[1] == 0
blocking.close()
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_warning_and_the_right_answers(server, programs, name):
    done = programs.run(CALL + SCRIPTS[name], server.url)
    assert (done.status, done.stderr, done.stdout) == (0, "", "")
    assert server.wait_until(lambda: server.open_connections == 0)


OPEN_AT_THE_END = {
    "sync": """
stream = Client(base_url=url).stream("x")
next(stream)
""",
    "sync, never iterated": """
stream = Client(base_url=url).stream("x")
""",
    "sync, in a cycle": """
class Holder: pass
holder = Holder()
holder.me, holder.stream = holder, Client(base_url=url).stream("x")
next(holder.stream)
""",
    "sync, in a daemon thread": """
started = threading.Event()
def read():
    for _ in Client(base_url=url).stream("x"):
        started.set()
threading.Thread(target=read, daemon=True).start()
started.wait(5)
""",
    "async, left open at the end of the loop": """
async def main():
    global stream
    stream = await AsyncClient(base_url=url).stream("x")
    await stream.__anext__()
asyncio.run(main())
""",
    "async, in a cycle that is found while its loop runs": """
class Holder: pass
async def main():
    holder = Holder()
    holder.me, holder.stream = holder, await AsyncClient(base_url=url).stream("x")
    await anext(holder.stream)
    del holder
    gc.collect()
    await asyncio.sleep(0)  # the loop closes sockets in its next round
asyncio.run(main(), debug=True)
""",
    "async, with the loop still open": """
client = AsyncClient(base_url=url)
loop = asyncio.new_event_loop()
async def main():
    global stream
    stream = await client.stream("x")
    await stream.__anext__()
loop.run_until_complete(main())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
""",
    "async, a task that is cancelled by the end": """
async def main():
    client = AsyncClient(base_url=url)
    async def read():
        async for _ in await client.stream("x"):
            started.set()
    started = asyncio.Event()
    task = asyncio.create_task(read())
    await started.wait()
asyncio.run(main())
""",
}


@pytest.mark.parametrize("name", OPEN_AT_THE_END)
def test_a_program_may_end_with_an_open_stream(server, programs, name):
    server.script = [stream(chunk("a"), HANG, end=False)]
    done = programs.run(CALL + OPEN_AT_THE_END[name], server.url, timeout=10)
    assert (done.status, done.stderr, done.stdout) == (0, "", "")
    assert server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("kept", ["client", "loop, client", "loop"])
def test_a_loop_that_is_never_closed_leaves_nothing_on_the_screen(server, programs, kept):
    """As notebooks and older programs do; modules keep their clients until the interpreter is gone."""
    code = f"""
import warnings
from xdm_integrations import AsyncClient
warnings.simplefilter("ignore", ResourceWarning)  # of the loop itself, which is the program's; Python hides them

def main():
    loop = asyncio.new_event_loop()
    client = AsyncClient(base_url=sys.argv[1])
    assert loop.run_until_complete(client.complete("x")).text == "<x>"
    return {kept}

asyncio.kept = main()  # where the interpreter clears up last
"""
    done = programs.run(code, server.url)
    assert (done.status, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("left", ["session = aiohttp.ClientSession()", "task = asyncio.create_task(asyncio.sleep(9))"])
def test_what_a_program_leaves_is_said_at_its_end(programs, left):
    """Or else the silence of the programs above would prove nothing."""
    name = left.split()[0]
    code = f"async def main():\n    global {name}\n    {left}\n"
    run = "loop = asyncio.new_event_loop()\nloop.run_until_complete(main())\n"
    done = programs.run(code + run)
    assert {"session": "Unclosed client session", "task": "was destroyed but it is pending"}[name] in done.stderr

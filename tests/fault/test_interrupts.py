"""Ctrl-C: the program ends promptly, the connection with it, and nothing else is printed."""

from __future__ import annotations

import pytest

from tests.scripted import HANG, chunk, stream

START = """
import asyncio, os, signal, sys, threading, time
from xdm_integrations import AsyncClient, Client, StreamInterruptedError
url = sys.argv[1]
signal.signal(signal.SIGINT, signal.default_int_handler)
WAITS = {"readinto", "select", "sleep", "join", "_wait_for_tstate_lock"}
def waits(frame):
    name = frame.f_code.co_name  # a batch waits in `run`; a thread that starts is waited for in `start`
    return name in WAITS or (name == "wait" and frame.f_back.f_code.co_name == "run")
def interrupt():
    main = threading.main_thread().ident
    while not waits(sys._current_frames()[main]):
        time.sleep(0.005)
    time.sleep(0.05)  # a signal that comes just before the kernel is entered would not wake it there
    global began
    began = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
def interrupt_soon():
    threading.Thread(target=interrupt).start()  # as soon as the main thread waits for something
"""

END = """
assert time.monotonic() - began < 8, "the server is silent for ten seconds"
"""
INTERRUPTED = {
    "a stream": """
interrupt_soon()
try:
    for piece in Client(base_url=url).stream("x"):
        pass
except KeyboardInterrupt:
    print("interrupted")
""",
    "a stream that is kept": """
client = Client(base_url=url)
stream = client.stream("x")
interrupt_soon()
try:
    list(stream)
except KeyboardInterrupt:
    try:
        next(stream)
    except StreamInterruptedError as error:  # not the end: the answer isn't whole
        print("interrupted", list(stream), error.text)
""",
    "a stream before its first token": """
interrupt_soon()
try:
    Client(base_url=url).stream("silence")
except KeyboardInterrupt:
    print("interrupted")
""",
    "a call": """
interrupt_soon()
try:
    Client(base_url=url).complete("silence")
except KeyboardInterrupt:
    print("interrupted")
""",
    "a batch": """
interrupt_soon()
try:
    Client(base_url=url).complete_batch(["silence"] * 50, batch_size=1, max_concurrency=4)
except KeyboardInterrupt:
    print("interrupted")
""",
    "a wait before a retry": """
client = Client(base_url=url, max_retries=3, on_retry=lambda pause: interrupt_soon())
try:
    client.complete("busy")
except KeyboardInterrupt:
    print("interrupted")
""",
    "a stream in a loop": """
interrupt_soon()
async def main():
    async for piece in await AsyncClient(base_url=url).stream("x"):
        pass
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
    "a batch in a loop": """
interrupt_soon()
async def main():
    await AsyncClient(base_url=url).complete_batch(["silence"] * 50, batch_size=1, max_concurrency=4)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupt(server, programs, name):
    from tests.scripted import http

    def script(seen):
        prompt = seen.json["prompt"]
        if prompt == "busy":
            return http({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "20"})
        return [HANG] if prompt == "silence" else stream(chunk("one "), HANG, end=False)

    server.script = script
    done = programs.run(START + INTERRUPTED[name] + END, server.url, timeout=60)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == ("interrupted [] one \n" if name == "a stream that is kept" else "interrupted\n")
    assert server.wait_until(lambda: server.open_connections == 0)
    if name != "a wait before a retry":
        assert len(server.requests) <= 4

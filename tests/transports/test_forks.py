"""A forked child: it may use and drop what it inherits, without a hang and without harm to its parent."""

from __future__ import annotations

import threading

import pytest

from tests.scripted import DONE, chunk, stream

HOLD_THE_LOCKS = """
import contextlib
from xdm_integrations.transports.locks import ProcessLock
modules = [module for name, module in sys.modules.items() if name.startswith("xdm_integrations.")]
locks = {value for module in modules for value in vars(module).values() if isinstance(value, ProcessLock)}
assert len(locks) >= 4, locks
held = contextlib.ExitStack()
for lock in locks:
    held.enter_context(lock.held)
"""


def test_locks_that_are_held_at_the_fork_do_not_hang_the_child(server, programs):
    code = f"""
from xdm_integrations import Client
from xdm_integrations.transports import environment
from xdm_integrations.transports.blocking import transport
client = Client(base_url=sys.argv[1])
{HOLD_THE_LOCKS}
with held:
    child = os.fork()
    if child == 0:
        environment.ssl_context()
        os._exit(0 if client.complete("x").text == "<x>" else 1)
    assert os.waitpid(child, 0)[1] == 0
assert client.complete("x").text == "<x>"
client.close()
"""
    done = programs.run(code, server.url)
    assert (done.status, done.stderr) == (0, "")


ADAPTERS = {
    "langchain": "from xdm_integrations.langchain import XDMLLM; ask = XDMLLM(base_url=sys.argv[1]).invoke",
    "llama_index": "from xdm_integrations.llama_index import XDM; ask = XDM(api_base=sys.argv[1]).complete",
}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_whose_first_call_is_in_a_child_does_not_hang(server, programs, adapter):
    code = f"""
from xdm_integrations.transports.blocking import transport
{ADAPTERS[adapter]}
{HOLD_THE_LOCKS}
with held:
    child = os.fork()
    if child == 0:
        os._exit(0 if str(ask("x")) == "<x>" else 1)
    assert os.waitpid(child, 0)[1] == 0
assert str(ask("x")) == "<x>"
"""
    done = programs.run(code, server.url)
    assert (done.status, done.stderr) == (0, "")


DROPPED_BY_A_CHILD = {
    "sync, closed": """
stream = Client(base_url=sys.argv[1]).stream("x")
next(stream)
child = os.fork()
if child == 0:
    stream.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
urllib.request.urlopen(sys.argv[2]).close()
print("".join(piece.text for piece in stream), stream.completion.text)
""",
    "async": """
async def main():
    client = AsyncClient(base_url=sys.argv[1])
    stream = await client.stream("x")
    await anext(stream)
    child = os.fork()
    if child == 0:
        del stream
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    await asyncio.to_thread(lambda: urllib.request.urlopen(sys.argv[2]).close())
    print("".join([piece.text async for piece in stream]), stream.completion.text)
asyncio.run(main())
""",
}
DROPPED_BY_A_CHILD["sync, dropped"] = DROPPED_BY_A_CHILD["sync, closed"].replace("stream.close()", "del stream")


@pytest.mark.parametrize("name", DROPPED_BY_A_CHILD)
def test_a_stream_that_a_child_drops_goes_on_in_its_parent(server, programs, name):
    go = threading.Event()

    def script(seen):
        if seen.method == "GET":  # the child has ended
            go.set()
            return [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]
        return stream(chunk("one "), go, chunk("two "), chunk("three", finish="stop"), DONE)

    server.script = script
    imports = "import urllib.request\nfrom xdm_integrations import AsyncClient, Client\n"
    done = programs.run(imports + DROPPED_BY_A_CHILD[name], server.url, server.url + "/models")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == "two three one two three\n"

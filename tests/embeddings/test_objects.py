"""Embedders as objects, and as programs of their own: copied, pickled, closed, forked, never closed."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from tests.embeddings.doors import CLIENT, LANGCHAIN, LLAMA_INDEX
from tests.vectors import vector_of

KEY = "a-key-that-nobody-has"
SECRET = "a-header-that-nobody-may-see"


def test_copies_and_pickles_work_used_or_not_and_so_does_what_was_closed(door, server, made):
    embedder = made(api_key=KEY, default_headers={"X-S": "1"})
    for _ in range(2):
        for copied in (copy.copy(embedder), copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):  # noqa: S301 - our own
            door.keep(copied[0] if isinstance(copied, tuple) else copied)
            assert door.query(copied, "q") == vector_of("q")
            assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
            assert server.requests[-1].headers["x-s"] == "1"
        door.query(embedder, "q")
    door.close_kept()
    assert door.query(embedder, "q") == vector_of("q")


def test_nothing_secret_shows(door, made):
    embedder = made(api_key=KEY, default_headers={"X-S": SECRET}, extra_body={"s": SECRET})
    shown = door.shown(embedder)
    assert all(shown)
    assert not any(KEY in text or SECRET in text for text in shown)


PROGRAMS = {
    CLIENT: """
        from xdm_integrations import AsyncClient, Client
        client = Client(base_url=url)
        embed = lambda: client.embed(["a", "b"]).vectors
        async def aembed():
            result = await AsyncClient(base_url=url).embed("a")
            return result.vectors
    """,
    LANGCHAIN: """
        from xdm_integrations.langchain import XDMEmbeddings
        embeddings = XDMEmbeddings(base_url=url)
        embed = lambda: embeddings.embed_documents(["a", "b"])
        aembed = lambda: embeddings.aembed_documents(["a"])
    """,
    LLAMA_INDEX: """
        from xdm_integrations.llama_index import XDMEmbedding
        model = XDMEmbedding(api_base=url)
        embed = lambda: model.get_text_embedding_batch(["a", "b"])
        aembed = lambda: model.aget_text_embedding_batch(["a"])
    """,
}
"""By the name of the room, how `embed` and `aembed` are made."""

BEFORE = """
import asyncio, os, socket, sys, textwrap, warnings
url, blocked, program = sys.argv[1], sys.argv[2].split(), sys.argv[3]
for name in blocked:
    sys.modules[name] = None
def connect(self, address, connect=socket.socket.connect):
    assert self.family == socket.AF_UNIX or address[0] == "127.0.0.1", address
    return connect(self, address)
socket.socket.connect = connect
exec(textwrap.dedent(program))
assert len(embed()) == 2
assert len(asyncio.run(aembed())) == 1
warnings.filterwarnings("ignore", "This process .* is multi-threaded")  # Python 3.12 and later
child = os.fork()
if child == 0:
    os._exit(0 if len(embed()) == 2 and len(asyncio.run(aembed())) == 1 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(*[name for name in ("openai", "tiktoken", "httpx", "transformers") if sys.modules.get(name)])
"""


@pytest.mark.parametrize(
    ("room", "blocked"),
    # llama-index-core itself brings numpy, tiktoken and httpx
    [(CLIENT, "numpy tiktoken"), (LANGCHAIN, "numpy tiktoken"), (LLAMA_INDEX, "openai transformers")],
)
def test_a_program_asks_nobody_but_its_server_and_leaves_nothing_open(room, blocked, server):
    """Without numpy and a tokenizer; in a forked child too; and nothing is closed before it ends."""
    arguments = [server.url, blocked, PROGRAMS[room]]
    warnings = [] if room == LLAMA_INDEX else ["-W", "error"]  # its imports warn
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *warnings, "-c", BEFORE, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    loaded = ["tiktoken", "httpx"] if room == LLAMA_INDEX else []
    assert (done.stderr, done.returncode) == ("", 0)
    assert set(done.stdout.split()) <= set(loaded)

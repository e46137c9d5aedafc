"""One instance over many loops, threads and nested loops; nothing is left open."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.llms import ChatMessage

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer
    from xdm_integrations.llama_index import XDM


def test_one_instance_over_four_runs(server: ScriptedServer, llm: XDM) -> None:
    async def main() -> str:
        streamed = [item.delta async for item in await llm.astream_complete("hi")]
        return (await llm.acomplete("hi")).text + "".join(streamed)

    assert [asyncio.run(main()) for _ in range(4)] == ["<hi><hi>"] * 4
    assert len(server.requests) == 8


def test_nothing_is_left_open_in_development_mode(server: ScriptedServer) -> None:
    """Many loops, then nested ones; in a process of its own, because nest_asyncio's patch stays."""
    program = f"""
import asyncio
from llama_index.core import Document, SummaryIndex
from llama_index.core.llms import ChatMessage
from xdm_integrations.llama_index import XDM

llm = XDM(api_base={server.url!r})

async def main():
    async for _ in await llm.astream_complete("hi"):
        pass
    async for _ in await llm.astream_chat([ChatMessage("hi")]):
        break
    await asyncio.gather(llm.acomplete("hi"), llm.achat([ChatMessage("hi")]))

for _ in range(3):
    asyncio.run(main())
llm.complete("hi")
for _ in llm.stream_complete("hi"):
    break
llm.timeout = 5
llm.complete("hi")

import nest_asyncio
nest_asyncio.apply()
index = SummaryIndex.from_documents([Document(text=t) for t in "abc"])
engine = index.as_query_engine(llm=llm, response_mode="accumulate", use_async=True)

async def nested():
    for _ in range(3):
        assert "Response 3" in str(engine.query("?"))
    assert (await llm.acomplete("hi")).text == "<hi>"

asyncio.run(nested())
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    shown = [
        line for line in done.stderr.splitlines() if not line.startswith("Executing ")
    ]  # asyncio's slow-call notes
    assert (done.returncode, shown) == (0, [])
    assert len(server.requests) == 12 + 3 + 10


def engine_of(llm: XDM) -> Any:
    index = SummaryIndex.from_documents([Document(text=text) for text in ("a", "b", "c")])
    return index.as_query_engine(llm=llm, response_mode="accumulate", use_async=True)


def test_use_async_from_outside_a_loop(server: ScriptedServer, llm: XDM) -> None:
    for _ in range(3):
        assert "Response 3" in str(engine_of(llm).query("?"))
    assert len(server.requests) == 9


def test_use_async_from_inside_a_running_loop(server: ScriptedServer, llm: XDM) -> None:
    async def main() -> None:
        for _ in range(3):
            assert "Response 3" in str(engine_of(llm).query("?"))
        await llm.acomplete("hi")

    asyncio.run(main())
    assert len(server.requests) == 10


def test_many_threads_share_one_instance(server: ScriptedServer, llm: XDM) -> None:
    answers: list[str] = []

    def work() -> None:
        for _ in range(5):
            answers.append(llm.complete("a").text)
            answers.append(list(llm.stream_complete("b"))[-1].text)
            answers.append(asyncio.run(llm.acomplete("c")).text)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == sorted(["<a>", "<b>", "<c>"] * 40)
    assert len(server.requests) == 120


def test_a_blocking_call_works_inside_a_running_loop(server: ScriptedServer, llm: XDM) -> None:
    async def main() -> str:
        return str(llm.chat([ChatMessage("hi")]))

    assert "hi" in asyncio.run(main())


@pytest.mark.parametrize("used", [False, True])
def test_closing_leaves_the_instance_usable(server: ScriptedServer, llm: XDM, used: bool) -> None:
    async def main() -> None:
        if used:
            await llm.acomplete("hi")
        await llm.aclose()
        assert (await llm.acomplete("hi")).text == "<hi>"

    asyncio.run(main())
    if used:
        llm.complete("hi")
    llm.close()
    assert server.wait_until(lambda: server.open_connections == 0)
    assert llm.complete("hi").text == "<hi>"

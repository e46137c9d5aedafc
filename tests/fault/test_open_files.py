"""A process that may open no more files: whoever asks is told so, and what to do, whatever the system calls it."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.cli.conftest import command
from tests.scripted import echoing
from tests.wire.chat import talking

BEGIN = """
import resource

url = sys.argv[1]

def use_up():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    opened = []
    try:
        while True:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return opened

def tell(opened, outcomes):
    for number in opened:
        os.close(number)
    print(json.dumps([[type(one).__name__, str(one)] for one in outcomes]))

def attempt(call):
    try:
        return call()
    except Exception as error:
        return error

async def await_(call):
    try:
        return await call
    except Exception as error:
        return error
"""
SYNC = """
from xdm_integrations import Client
client = Client(base_url=url, max_retries=0)
client.complete("warm")
client.close()
opened = use_up()
outcomes = client.complete_batch(["a", "b", "c"], batch_size=1, max_concurrency=3).outcomes
outcomes += [attempt(lambda: client.chat("x")), attempt(lambda: client.stream("x")), attempt(lambda: client.embed("x"))]
tell(opened, outcomes)
"""
ASYNC = """
from xdm_integrations import AsyncClient
async def main():
    client = AsyncClient(base_url=url, max_retries=0)
    await client.complete("warm")
    await client.aclose()
    opened = use_up()
    outcomes = (await client.complete_batch(["a", "b", "c"], batch_size=1, max_concurrency=3)).outcomes
    outcomes += [await await_(client.chat("x")), await await_(client.stream("x")), await await_(client.embed("x"))]
    await client.aclose()
    tell(opened, outcomes)
asyncio.run(main())
"""
LANGCHAIN = """
from xdm_integrations.langchain import ChatXDM, XDMLLM
async def main():
    llm, chat = XDMLLM(base_url=url, max_retries=0), ChatXDM(base_url=url, max_retries=0, model="m")
    for one in (llm, chat):
        one.invoke("warm"), await one.ainvoke("warm")
        one.close(), await one.aclose()
    opened = use_up()
    outcomes = []
    for one in (llm, chat):
        outcomes += one.batch(["a", "b"], return_exceptions=True) + await one.abatch(["a", "b"], return_exceptions=True)
        one.close(), await one.aclose()
    tell(opened, outcomes)
asyncio.run(main())
"""
LLAMA_INDEX = """
from xdm_integrations.llama_index import XDM, XDMChat
async def main():
    llm, chat = XDM(api_base=url, max_retries=0), XDMChat(api_base=url, max_retries=0, model="m")
    for one in (llm, chat):
        one.complete("warm"), await one.acomplete("warm")
        one.close(), await one.aclose()
    opened = use_up()
    outcomes = []
    for one in (llm, chat):
        outcomes += [attempt(lambda: one.complete("x")), await await_(one.acomplete("x"))]
        one.close(), await one.aclose()
    tell(opened, outcomes)
asyncio.run(main())
"""
PROGRAMS = {"client": SYNC, "async client": ASYNC, "LangChain": LANGCHAIN, "LlamaIndex": LLAMA_INDEX}


@pytest.fixture
def answering(server):
    chat = talking("Hi")
    server.script = lambda seen: chat(seen) if "chat" in seen.path else echoing(seen)
    return server


# What looks a name up is the transports' own, whoever calls them: the frameworks ask one host.
HOSTS = [*((program, "127.0.0.1") for program in PROGRAMS), ("client", "localhost"), ("async client", "localhost")]


@pytest.mark.parametrize(("program", "host"), HOSTS)
def test_every_outcome_names_the_limit(programs, answering, program, host):
    url = answering.url.replace("127.0.0.1", host)
    done = programs.run(BEGIN + PROGRAMS[program], url, timeout=60)
    assert done.status == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert len(outcomes) >= 4
    for kind, message in outcomes:
        assert kind == "APIConnectionError"
        assert "Too many files are open: raise the limit (`ulimit -n`), or send fewer requests at once." in message
        assert "base_url" not in message


def test_a_batch_of_the_command_line_writes_it_down_and_the_next_run_goes_on(answering, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(f'"p{i}"\n' for i in range(60)), "utf-8")
    failures = tmp_path / "out.errors.jsonl"

    def until_one_fails():
        end = time.monotonic() + 10
        while not failures.stat().st_size and time.monotonic() < end:
            time.sleep(0.01)

    answering.script = lambda seen: [until_one_fails, *echoing(seen)]
    arguments = ("batch", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--batch-size", 1, "-c", 60, "--json")
    how = command(*arguments, XDM_BASE_URL=answering.url)
    limited = {**how, "args": ["sh", "-c", 'ulimit -n 32; exec "$@"', "sh", *how["args"]]}
    first = subprocess.run(**limited, timeout=60, check=False)
    told = json.loads(first.stdout)
    assert (first.returncode, told["answered"] + told["failed"]) == (1, 60)
    assert told["answered"] > 0
    noted = [json.loads(line)["error"]["message"] for line in failures.read_text("utf-8").splitlines()]
    assert len(noted) == told["failed"] > 0
    assert all("ulimit -n" in message for message in noted)
    answering.script = echoing
    second = subprocess.run(**how, timeout=60, check=False)
    assert (second.returncode, json.loads(second.stdout)["left"]) == (0, 0)
    assert not failures.exists()

"""Programs in processes of their own, by default with every warning as an error.

    with Programs() as programs:
        assert programs.run("print(sys.argv[1])", "hello").stdout == "hello\\n"

Importing the libraries takes longer than what the programs do, so one process imports them and
forks for each program. A program ends as any other: with the interpreter's own clearing up. That
looks for garbage among what the program has made, and not among what was imported before the fork,
every page of which would be copied.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

ROOT = Path(__file__).parents[1]

_NURSERY = """
import sys, json, os, signal, tempfile, time
import asyncio, gc, threading
exec(sys.argv.pop(1))
assert threading.active_count() == 1, "a fork takes no other thread along, but its locks"
gc.collect()
gc.freeze()

def nurse():
    for line in sys.stdin:
        order = json.loads(line)
        files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(files[0].fileno(), 1)
            os.dup2(files[1].fileno(), 2)
            for file in files:
                file.close()
            sys.argv[1:] = order["arguments"]
            if order["environment"] is not None:
                os.environ.clear()
                os.environ.update(order["environment"])
            return order["code"]
        status = None
        while status is None and time.monotonic() - start < order["timeout"]:
            done, code = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if done else time.sleep(0.005)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        said = [(file.seek(0), file.read().decode())[1] for file in files]
        for file in files:
            file.close()
        print(json.dumps([status, *said, time.monotonic() - start]), flush=True)

code = nurse()
if code:
    del nurse
    program = sys.modules["__main__"] = type(sys)("__main__")  # what the program leaves in it is looked through
    program.__dict__.update({name: value for name, value in globals().items() if name != "program"})
    exec(program.__dict__.pop("code"), program.__dict__)
"""


_FILE = """
import runpy
sys.argv = sys.argv[1:]
sys.path[:1] = [os.path.dirname(sys.argv[0]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TRANSPORTS = """
import aiohttp, requests, yarl, urllib3, xdm_integrations
import xdm_integrations.transports.aio.transport, xdm_integrations.transports.blocking.transport
"""
FRAMEWORKS = """
import langchain.agents, langchain_core.output_parsers, langchain_core.prompts, langchain_core.vectorstores
import langgraph.checkpoint.memory, llama_index.core, llama_index.core.agent.workflow
from xdm_integrations.langchain import ChatXDM, XDMEmbeddings, XDMLLM
from xdm_integrations.llama_index import XDM, XDMChat, XDMEmbedding
"""
STRICT = ("-X", "dev", "-W", "error")


@dataclass(frozen=True)
class Done:
    """A program that has ended; `status` is None if it had to be killed."""

    status: int | None
    stdout: str
    stderr: str
    seconds: float


class Programs:
    """Runs programs, which find asyncio, gc, os, signal, sys, threading and time imported.

    Args:
        imports: What is imported beside these, once for all of them.
        options: Python's.
    """

    def __init__(self, imports: str = TRANSPORTS, options: tuple[str, ...] = STRICT) -> None:
        self._command = [sys.executable, *options, "-c", _NURSERY, imports]

    def __enter__(self) -> Self:
        self._nursery = subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        )
        return self

    def run_file(self, path: Path, *arguments: str, timeout: float, environment: Mapping[str, str]) -> Done:
        """Run a file as `python path` does, in this environment."""
        return self.run(_FILE, str(path), *arguments, timeout=timeout, environment=environment)

    def run(
        self, code: str, *arguments: str, timeout: float = 60, environment: Mapping[str, str] | None = None
    ) -> Done:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        variables = None if environment is None else dict(environment)
        order = {"code": code, "arguments": arguments, "timeout": timeout, "environment": variables}
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        status, stdout, stderr, seconds = json.loads(self._nursery.stdout.readline())
        lines = stderr.splitlines(keepends=True)
        # asyncio's debug mode, which -X dev brings, reports slow steps: that is the machine.
        return Done(status, stdout, "".join(line for line in lines if not line.startswith("Executing <")), seconds)

    def __exit__(self, *_: object) -> None:
        self._nursery.communicate(timeout=10)

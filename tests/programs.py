"""Small programs in processes of their own, with every warning as an error.

    with Programs() as programs:
        assert programs.run("print(sys.argv[1])", "hello").stdout == "hello\\n"

Importing the libraries takes longer than what the programs do, so one process imports them and
forks for each program. A program ends as any other: with the interpreter's own clearing up.
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
    from typing_extensions import Self

ROOT = Path(__file__).parents[1]

_NURSERY = """
import sys, json, os, signal, tempfile, time
import asyncio, gc, threading
import aiohttp, requests, yarl, urllib3, xdm_integrations
import xdm_integrations.transports.aio.transport, xdm_integrations.transports.blocking.transport

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
    exec(code, sys.modules["__main__"].__dict__)
"""


@dataclass(frozen=True)
class Done:
    """A program that has ended; `status` is None if it had to be killed."""

    status: int | None
    stdout: str
    stderr: str
    seconds: float


class Programs:
    """Runs programs, which find asyncio, gc, os, signal, sys, threading and time imported."""

    def __enter__(self) -> Self:
        self._nursery = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-X", "dev", "-W", "error", "-c", _NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return self

    def run(self, code: str, *arguments: str, timeout: float = 60) -> Done:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        order = {"code": code, "arguments": arguments, "timeout": timeout}
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        status, stdout, stderr, seconds = json.loads(self._nursery.stdout.readline())
        lines = stderr.splitlines(keepends=True)
        # asyncio's debug mode, which -X dev brings, reports slow steps: that is the machine.
        return Done(status, stdout, "".join(line for line in lines if not line.startswith("Executing <")), seconds)

    def __exit__(self, *_: object) -> None:
        self._nursery.communicate(timeout=10)

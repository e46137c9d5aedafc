"""How much of the package one plain call runs: what somebody has to read who follows it with a debugger."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import xdm_integrations
from tests.scripted import ScriptedServer, completion, http
from xdm_integrations.langchain import XDMLLM

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = str(Path(xdm_integrations.__file__).parent)


def reach(call: Callable[[], Any]) -> set[tuple[str, int, str]]:
    """Return the file, first line and name of every function of the package that `call` runs in this thread.

    Comprehensions aren't among them: they are functions before Python 3.12 alone.
    """
    run: set[tuple[str, int, str]] = set()

    def note(frame: Any, event: str, arg: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and not code.co_name.endswith("comp>"):
            run.add((code.co_filename, code.co_firstlineno, code.co_name))

    call()  # what is only done once doesn't count
    gc.collect()  # nor does what earlier tests have left to be finalized
    gc.disable()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return run


def langchain_invoke(url):
    llm = XDMLLM(api_key="k", base_url=url)
    return llm, lambda: llm.invoke("x")


REACH = {
    # What is called: functions run and files touched, at most.
    langchain_invoke: (100, 30),
}


@pytest.mark.parametrize("make", REACH, ids=lambda make: make.__name__)
def test_a_call_runs_few_functions_in_few_files(make):
    functions, files = REACH[make]
    with ScriptedServer(lambda seen: http(completion("word"))) as server:
        owner, call = make(server.url)
        run = reach(call)
        owner.close()
    assert run
    assert len(run) < functions, sorted(run)
    touched = {file for file, _, _ in run}
    assert len(touched) < files, sorted(touched)

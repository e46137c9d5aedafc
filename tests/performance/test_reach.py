"""How much of the package one plain call runs: what somebody has to read who follows it with a debugger."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import xdm_integrations
from tests.scripted import ScriptedServer, completion, http
from xdm_integrations import Client
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = str(Path(xdm_integrations.__file__).parent)


def reach(call: Callable[[], Any]) -> list[tuple[str, str]]:
    """Return the file and name of every function of the package that `call` runs in this thread, in order.

    Comprehensions aren't counted: they are functions before Python 3.12 alone.
    """
    run: list[tuple[str, str]] = []

    def note(frame: Any, event: str, arg: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and not code.co_name.endswith("comp>"):
            run.append((code.co_filename, code.co_name))

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


def client_complete(url):
    client = Client(api_key="k", base_url=url)
    return client, lambda: client.complete("x")


def langchain_invoke(url):
    llm = XDMLLM(api_key="k", base_url=url)
    return llm, lambda: llm.invoke("x")


def llama_index_complete(url):
    llm = XDM(api_key="k", api_base=url)
    llm.callback_manager.set_handlers([])  # of other tests, in LlamaIndex's settings
    return llm, lambda: llm.complete("x")


REACH = {
    # What is called: functions run and files touched, at most.
    client_complete: (65, 14),
    langchain_invoke: (100, 18),
    llama_index_complete: (80, 17),
}


@pytest.mark.parametrize("make", REACH, ids=lambda make: make.__name__)
def test_a_call_runs_few_functions_in_few_files(make):
    functions, files = REACH[make]
    with ScriptedServer(lambda seen: http(completion("word"))) as server:
        owner, call = make(server.url)
        run = reach(call)
        owner.close()
    assert run
    assert len(run) < functions, run
    assert len({file for file, _ in run}) < files, sorted({file for file, _ in run})

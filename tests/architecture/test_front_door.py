"""The front door: what it offers, what it costs to open, and that all of it is explained."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys

import pytest

import xdm_integrations

HEAVY = ("requests", "urllib3", "aiohttp", "langchain_core", "llama_index", "pydantic", "openai", "httpx", "tenacity")
# What aiohttp brings on older Pythons alone: the package may not need it where it isn't declared.
UNDECLARED = ("typing_extensions",)


def test_everything_it_lists_is_there_and_everything_public_is_listed():
    listed = xdm_integrations.__all__
    assert listed == sorted(listed)
    assert len(set(listed)) == len(listed)
    imported = {  # those that are loaded when they are named are imported for type checkers
        alias.name
        for node in ast.walk(ast.parse(inspect.getsource(xdm_integrations)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    public = {
        name
        for name, value in vars(xdm_integrations).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(listed) == imported | public
    assert all(hasattr(xdm_integrations, name) for name in listed)


@pytest.mark.parametrize("door", ["xdm_integrations", "xdm_integrations.langchain", "xdm_integrations.llama_index"])
def test_names_that_are_loaded_later_can_be_completed_and_guessed_from_a_typo(door):
    module = importlib.import_module(door)
    assert set(module.__all__) <= set(dir(module))


def test_every_error_is_at_the_front_door():
    from xdm_integrations.core.errors import tree as errors

    own = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.XDMError)
    }
    assert own <= set(xdm_integrations.__all__)


def loaded_by(code):
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter
    return {name.partition(".")[0] for name in done.stdout.split()}, done.stdout.split()


def test_it_is_light():
    roots, modules = loaded_by("import xdm_integrations")
    assert roots.isdisjoint(HEAVY + UNDECLARED)
    assert "xdm_integrations.langchain" not in modules
    assert "xdm_integrations.llama_index" not in modules
    assert "xdm_integrations.transports.blocking.transport" not in modules
    assert "xdm_integrations.transports.aio.transport" not in modules


def test_it_opens_in_a_tenth_of_a_second_of_cpu(tmp_path):
    """The best of some tries; or in the time of two imports of asyncio: a busy machine makes CPU time longer too."""
    program = """
import time
begun = time.process_time()
import asyncio
between = time.process_time()
import xdm_integrations
print(between - begun, time.process_time() - between)
"""
    compiled = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", program]
    tries = (subprocess.check_output(command, env=compiled, text=True).split() for _ in range(20))  # noqa: S603 - our own interpreter
    times = ((float(asyncios), float(own)) for asyncios, own in tries)
    assert any(asyncios + own < 0.1 or own < 2 * asyncios for asyncios, own in times)


def test_clients_open_and_load_nothing_until_they_are_used():
    roots, _ = loaded_by("from xdm_integrations import AsyncClient, Client\nClient('k')\nAsyncClient('k')")
    assert roots.isdisjoint(HEAVY)


@pytest.mark.parametrize(("client", "stranger"), [("Client", "aiohttp"), ("AsyncClient", "requests")])
def test_each_world_loads_its_own_plumbing_alone(client, stranger):
    call = {
        "Client": "c.complete('x', timeout=1)",
        "AsyncClient": "__import__('asyncio').run(c.complete('x', timeout=1))",
    }[client]
    roots, _ = loaded_by(
        f"import xdm_integrations as x\nc = x.{client}('k', base_url='http://127.0.0.1:1', max_retries=0)\n"
        f"try:\n    {call}\nexcept x.APIConnectionError:\n    pass"
    )
    assert stranger not in roots


def modules():
    for found in pkgutil.walk_packages(xdm_integrations.__path__, "xdm_integrations."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def test_every_public_name_is_explained():
    bare = []
    for module in [xdm_integrations, *modules()]:
        if not module.__doc__:
            bare.append(module.__name__)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__ and getattr(value, "__name__", "") == name
            if name.startswith("_") or not own:
                continue
            if not inspect.getdoc(value):
                bare.append(f"{module.__name__}.{name}")
            if inspect.isclass(value):
                bare += [
                    f"{module.__name__}.{name}.{inner}"
                    for inner, method in vars(value).items()
                    if not inner.startswith("_")
                    and inspect.isfunction(method)
                    and not inspect.getdoc(getattr(value, inner))
                ]
    assert bare == []


def test_the_types_are_promises():
    from importlib.resources import files

    assert files("xdm_integrations").joinpath("py.typed").is_file()

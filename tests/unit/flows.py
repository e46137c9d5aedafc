"""Drive a flow by hand: what it asks for, answered from a list. No I/O, no clock but a number."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.completions.request import prepare_completion
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.call import Setup
from xdm_integrations.core.protocol.config import Config
from xdm_integrations.core.protocol.retry import Runtime
from xdm_integrations.core.protocol.wire import Key, Read, Reply, RequestHeaders, Send, Sleep, Wait

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.call import ServerFacts

URL = "http://localhost/v1/completions"


class Clock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.runtime = Runtime(lambda: 1.0, lambda: self.now, lambda: 1_700_000_000.0)


def play(flow: Any, answers: Any, clock: Clock | None = None) -> tuple[Any, list[Any]]:
    """Run `flow`; each Send or Read gets the next of `answers`: a value, or an XDMError to throw in.

    A callable answer is called with the command. Returns what the flow returns, and its commands.
    """
    waiting = iter(answers)
    commands: list[Any] = []
    try:
        command = next(flow)
        while True:
            if isinstance(command, Key):
                command = flow.send(None)
                continue
            commands.append(command)
            if isinstance(command, (Sleep, Wait)):
                if clock is not None:
                    clock.now += command.seconds
                command = flow.send(None)
                continue
            assert isinstance(command, (Send, Read))
            answer = next(waiting, None)
            assert answer is not None, f"no answer is left for {command}"
            if isinstance(answer, Callable):
                answer = answer(command)
            command = flow.throw(answer) if isinstance(answer, XDMError) else flow.send(answer)
    except StopIteration as stop:
        assert list(waiting) == [], "answers were left over"
        return stop.value, commands
    except XDMError as error:
        error.commands = commands
        error.left = list(waiting)
        raise


def sent(commands: list[Any]) -> list[Any]:
    """Return the prompts of the requests among `commands`."""
    return [json.loads(command.request.body)["prompt"] for command in commands if isinstance(command, Send)]


def ok(*texts: str, **more: Any) -> Reply:
    """Return a good reply with these choices."""
    choices = [{"text": text, "index": i, "finish_reason": "stop"} for i, text in enumerate(texts)]
    usage = {"prompt_tokens": 1, "completion_tokens": len(texts)}
    return Reply(200, {}, json.dumps({"id": "c", "model": "m", "choices": choices, "usage": usage, **more}).encode())


def refused(status: int, body: Any = "", **headers: str) -> Reply:
    """Return a reply with an error."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, text.encode())


def setup_of(facts: ServerFacts | None = None, clock: Clock | None = None, **settings: Any) -> Setup:
    """Return what a client of localhost works with."""
    setup = Setup(Config.build(base_url="http://localhost", **settings), (clock or Clock()).runtime)
    setup.facts = facts or setup.facts
    return setup


def call_of(prompt: Any, settings: Any = None, *, streaming: bool = False, **params: Any) -> Any:
    """Prepare a call to localhost, and return it with its prompts."""
    config = Config.build(base_url="http://localhost", **(settings or {}))
    return prepare_completion(config, RequestHeaders({"H": "1"}), prompt, params, streaming=streaming)

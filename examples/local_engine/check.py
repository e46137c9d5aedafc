"""Ask the engine all that its model has learnt and say which answers are as they should be.

``python check.py [--temperature 0.7]`` prints a table and ends with status 1 if a greedy answer is
wrong. At a temperature above zero it only counts, since sampling may say something else.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local_engine import MODEL, running_engine
from local_engine.conversations import Drawn, Message, about_documents, spoken
from local_engine.corpus import document_examples, short_examples

FRESH = 100  # conversations with tools that the model has not been trained on


def ask(port: int, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
    """Return the answer's only choice."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", f"/v1/{path}", json.dumps({"model": MODEL, "max_tokens": 1000, **body}))
    choice = json.loads(connection.getresponse().read())["choices"][0]
    connection.close()
    return choice


def shown(message: Message) -> str:
    """Return the text of a message and the functions it calls, on one line."""
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return (message["content"] or "") + "".join(f"{call['name']}({call['arguments']})" for call in calls)


def brief(text: str, width: int = 44) -> str:
    """Return ``text`` on one line, without its middle if it is long."""
    line = json.dumps(text, ensure_ascii=False)
    half = width // 2 - 1
    return line if len(line) <= width else f"{line[:half]}..{line[-half:]}"


def main() -> int:
    """Ask everything and print what came back."""
    parser = argparse.ArgumentParser(description="Ask the local engine all that it knows.")
    parser.add_argument("--temperature", type=float, default=0.0)
    temperature: float = parser.parse_args().temperature
    right = total = 0

    def count(kind: str, prompt: str, said: str, wanted: str) -> None:
        nonlocal right, total
        right, total = right + (said == wanted), total + 1
        mark = "ok   " if said == wanted else "WRONG"
        sys.stdout.write(f"{mark} {kind:10} {brief(prompt):44} {brief(said):44}\n")

    drawn = Drawn(seed=99)
    with running_engine() as engine:
        for made in (*short_examples(), *document_examples()):
            choice = ask(engine.port, "completions", prompt=made.prompt, temperature=temperature)
            ended = choice["text"] if choice["finish_reason"] == "stop" else f"{choice['text']}(not ended)"
            count("completion", made.prompt, ended, made.answer)
        fresh = [one for _ in range(FRESH) for one in drawn.with_tools()]
        for turn in (*spoken(), *about_documents(), *fresh):
            params = {"tools": turn.tools, "parallel_tool_calls": True} if turn.tools else {}
            choice = ask(engine.port, "chat/completions", messages=turn.messages, temperature=temperature, **params)
            kind = "tools" if turn.tools else "chat"
            count(kind, turn.messages[-1]["content"], shown(choice["message"]), shown(turn.answer))
    sys.stdout.write(f"{right} of {total} as expected at temperature {temperature}\n")
    return int(temperature == 0 and right < total)


if __name__ == "__main__":
    sys.exit(main())

"""Ask the engine every prompt of the corpus and say which answers are as they should be.

``python check.py [--temperature 0.7]`` prints a table and ends with status 1 if a greedy answer is
wrong. At a temperature above zero it only counts, since sampling may say something else.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local_engine import MODEL, running_engine
from local_engine.corpus import document_examples, short_examples


def ask(port: int, prompt: str, temperature: float) -> tuple[str, str]:
    """Return the answer to ``prompt`` and why it ended."""
    body = {"model": MODEL, "prompt": prompt, "temperature": temperature, "max_tokens": 1000}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/completions", json.dumps(body))
    choice = json.loads(connection.getresponse().read())["choices"][0]
    connection.close()
    return choice["text"], choice["finish_reason"]


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
    with running_engine() as engine:
        for made in (*short_examples(), *document_examples()):
            text, reason = ask(engine.port, made.prompt, temperature)
            good = text == made.answer and reason == "stop"
            right, total = right + good, total + 1
            mark = "ok   " if good else "WRONG"
            sys.stdout.write(f"{mark} {reason:6} {brief(made.prompt):44} {brief(text)}\n")
    sys.stdout.write(f"{right} of {total} as expected at temperature {temperature}\n")
    return int(temperature == 0 and right < total)


if __name__ == "__main__":
    sys.exit(main())

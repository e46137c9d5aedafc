"""The quickstart with a key: it talks to the gateway alone, and without a network it ends in one sentence."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT
from tests.ports import where_nobody_listens
from tests.scripted import completion, http, tokens
from tests.vectors import base64_of, inputs_of
from tests.wire.chat import answer, calling, chat_stream, tool_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.programs import Done, Programs
    from tests.scripted import ScriptedServer, Seen

KEY = "a-key-of-this-gateway"
QUICKSTART = ROOT / "examples" / "quickstart.py"
DATA = QUICKSTART.with_name("data")
LINES = [json.loads(line) for line in (DATA / "questions.jsonl").read_text("utf-8").splitlines()]
BEGINNINGS = {path.read_text("utf-8").strip()[:30]: path.name for path in sorted(DATA.glob("*.md"))}
DOCUMENTS = list(BEGINNINGS.values())
CALLS = {
    "Look up tea.": tool_call("look_up", {"subject": "tea"}),
    "Add 12 and 30.": tool_call("add", {"a": 12, "b": 30}),
}
PARTS = ("LlamaIndex vectors", "LlamaIndex queries", "LangChain chain", "LangChain agent", "Completions")


@pytest.fixture
def run(programs_of_users: Programs) -> Callable[[str], Done]:
    """Run the quickstart with a key, against an address."""

    def run(url: str) -> Done:
        environment = {**os.environ, "XDM_API_KEY": KEY, "XDM_BASE_URL": url}
        return programs_of_users.run_file(QUICKSTART, timeout=200, environment=environment)

    return run


def gateway(seen: Seen) -> list[Any]:
    """Answer as the gateway does, with the vector of the document that a text or a question is about."""
    body = seen.json
    if seen.path.endswith("/embeddings"):
        data = [{"index": i, "embedding": base64_of(vector(text))} for i, text in enumerate(inputs_of(body))]
        return http({"data": data, "model": body["model"], "usage": {"prompt_tokens": 5, "total_tokens": 5}})
    if seen.path.endswith("/chat/completions"):
        last = body["messages"][-1]
        if "tools" in body and last["role"] == "user":
            call = CALLS[last["content"]]
            return calling(call) if body.get("stream") else http(answer(None, tool_calls=[call]))
        return chat_stream("The answer.") if body.get("stream") else http(answer("The answer."))
    return tokens(" A text.") if body.get("stream") else http(completion(" A text."))


def vector(text: str) -> list[float]:
    named = [line["document"] for line in LINES if line["question"] == text]
    written = [name for beginning, name in BEGINNINGS.items() if beginning in text]
    document = (named or written or ["tea.md"])[0]  # what the agent looks up
    return [float(name == document) for name in DOCUMENTS]


def test_with_a_key_it_talks_to_the_gateway_alone(server: ScriptedServer, run: Callable[[str], Done]) -> None:
    server.script = gateway
    ran = run(server.url)
    assert ran.status == 0, ran.stderr[-3000:]
    assert ran.stdout.startswith("Using the gateway.\n")
    assert {(seen.path, seen.json["model"]) for seen in server.requests} == {
        ("/v1/chat/completions", "gpt-4o-mini"),
        ("/v1/embeddings", "text-embedding-3-small"),
        ("/v1/completions", "gpt-3.5-turbo-instruct"),
    }
    assert {seen.headers["authorization"] for seen in server.requests} == {f"Bearer {KEY}"}
    assert KEY not in ran.stdout + ran.stderr


def test_each_question_finds_its_document_and_each_part_says_what_it_used(
    server: ScriptedServer, run: Callable[[str], Done]
) -> None:
    server.script = gateway
    out = run(server.url).stdout
    found = re.findall(r"(\S+\.md)(, and not )?", out)
    assert len(found) >= 6
    assert not any(wrong for _, wrong in found)
    assert "look_up({'subject': 'tea'})" in out
    assert "add({'a': 12, 'b': 30})" in out
    table = out[out.index("tokens  seconds  model at") :].splitlines()[1:]
    assert [row[:20].strip() for row in table] == list(PARTS)
    for row in table:
        assert re.fullmatch(r" +[1-9]\d* +\d+\.\d  \S+", row[20:]), row


def test_with_a_key_and_no_network_it_ends_in_one_sentence(run: Callable[[str], Done]) -> None:
    with where_nobody_listens() as url:
        ran = run(f"{url}/v1")
    assert ran.status == 1
    assert ran.stderr.startswith("APIConnectionError: ")
    assert ran.stderr.count("\n") == 1
    assert "Traceback" not in ran.stdout
    assert KEY not in ran.stdout + ran.stderr

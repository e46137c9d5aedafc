"""The example for people who outgrow one machine: complete and in order, though requests fail."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import command
from tests.docs.pages import ROOT
from tests.scripted import completion, http
from tests.vectors import embedding, vector_of

COUNT = 10_000
COUNTRIES = ["France", "Japan", "Italy", "Spain", "China", "Germany"]

pytest.importorskip("distributed")


def run(example, server, folder):
    """Run an example with `COUNT` items, and return what its `main` does."""
    code = (
        "import json, sys; sys.path.insert(0, 'examples')\n"
        f"import {example}\n"
        "if __name__ == '__main__':\n"
        f"    answers = {example}.main({COUNT})\n"
        f"    json.dump(answers, open({str(folder / 'answers.json')!r}, 'w'))\n"
    )
    program = folder / "program.py"
    program.write_text(code)
    arguments = command(
        XDM_BASE_URL=server.url, PYTHONPATH=f"{ROOT}:{ROOT / 'examples'}", DASK_LOGGING__DISTRIBUTED="error"
    )
    arguments["args"] = [sys.executable, str(program)]
    ran = subprocess.run(**arguments, timeout=280, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads((folder / "answers.json").read_text())


def test_ten_thousand_prompts_over_two_processes_are_complete_and_in_order(server, tmp_path):
    failed = []

    def script(seen):
        prompts = seen.json["prompt"]
        if len(server.requests) % 120 == 7:  # some requests fail; the model itself doesn't retry
            failed.append(seen)
            return http({"error": {"message": "bad gateway", "type": "upstream_error"}}, 502)
        return http(completion(*[f"<{prompt.split()[-2]}>" for prompt in prompts]))

    server.script = script
    answers = run("dask_cluster", server, tmp_path)
    assert answers == [f"<{COUNTRIES[i % 6]}>" for i in range(COUNT)]
    assert failed
    assert len(server.requests) > COUNT / 20  # what failed was asked again
    assert len({seen.connection for seen in server.requests}) >= 2


def test_ten_thousand_texts_over_two_processes_have_their_own_vectors_in_order(server, tmp_path):
    failed = []

    def script(seen):
        if len(server.requests) % 30 == 7:
            failed.append(seen)
            return http({"error": {"message": "bad gateway", "type": "upstream_error"}}, 502)
        return embedding(seen)

    server.script = script
    vectors = run("dask_embeddings", server, tmp_path)
    assert vectors == [vector_of(f"Text number {number}.") for number in range(COUNT)]
    assert failed

"""`xdm embed`: each text its own vector, in order, and nothing lost or paid twice, however often it is interrupted."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from tests.cli.conftest import command, interrupted
from tests.scripted import HANG, http
from tests.vectors import answer, embedding, inputs_of, refusal, vector_of


@pytest.fixture
def server(server):
    server.script = embedding
    return server


@pytest.fixture
def files(tmp_path):
    """A file of texts, and where their vectors go."""

    def make(*lines, output="vectors.jsonl"):
        texts = tmp_path / "texts.jsonl"
        texts.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
        return texts, tmp_path / output

    return make


def records(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def sent(server):
    return sorted(text for seen in server.requests for text in inputs_of(seen.json))


def refusing(*bad, status=400, message="no such luck"):
    """Refuse requests that hold one of these texts."""

    def script(seen):
        if set(bad) & set(inputs_of(seen.json)):
            return http({"error": {"message": message, "type": "invalid_request_error"}}, status)
        return embedding(seen)

    return script


def test_every_text_gets_its_vector_in_order(run, server, files):
    texts, vectors = files(*[{"id": f"d{i}", "text": f"t{i}"} for i in range(95)], "just a text", {"input": "你好"})
    result = run("embed", texts, "-o", vectors, "--batch-size", 10, "--dimensions", 8, "--model", "m")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "97 embedded" in result.stderr
    assert "; 30 tokens" in result.stderr
    got = records(vectors)
    assert [record["line"] for record in got] == list(range(1, 98))
    words = [*[f"t{i}" for i in range(95)], "just a text", "你好"]
    assert [record["vector"] for record in got] == [vector_of(word, 8) for word in words]
    assert (got[3]["id"], got[3]["input"], got[3]["params"]) == ("d3", "t3", {"model": "m", "dimensions": 8})
    assert "id" not in got[95]
    assert len(server.requests) == 10


def test_without_a_model_the_one_for_vectors_is_asked(run, server, files):
    texts, vectors = files("a")
    assert run("embed", texts, "-o", vectors).exit_code == 0
    assert server.requests[0].json["model"] == "text-embedding-3-small"


def test_standard_output_is_refused_and_no_file_of_that_name_is_made(run, server, files, monkeypatch):
    texts, _ = files("a")
    monkeypatch.chdir(texts.parent)
    result = run("embed", texts, "-o", "-")
    assert result.exit_code == 2
    assert "vectors need a file" in result.stderr
    assert [path.name for path in texts.parent.iterdir()] == [texts.name]
    assert not server.requests


def test_a_second_run_asks_nothing_and_a_changed_text_is_asked_alone(run, server, files):
    texts, vectors = files("a", "b")
    run("embed", texts, "-o", vectors)
    result = run("embed", texts, "-o", vectors, "--json")
    assert json.loads(result.stdout)["embedded_before"] == 2
    assert sent(server) == ["a", "b"]
    files("B", "a")
    run("embed", texts, "-o", vectors)
    assert sent(server) == ["B", "a", "b"]
    assert [(record["line"], record["input"]) for record in records(vectors)] == [(1, "B"), (2, "a"), (None, "b")]


def test_failures_are_listed_kept_and_retried_by_the_next_run(run, server, files):
    texts, vectors = files("a", "bad", "c", "d")
    server.script = refusing("bad")
    result = run("embed", texts, "-o", vectors)
    assert result.exit_code == 1
    assert "line 2: BadRequestError" in result.stderr
    assert "The failures are in " in result.stderr
    assert "1 left; run the same command again" in result.stderr
    got = records(vectors)
    assert [record.get("vector") for record in got] == [vector_of("a"), None, vector_of("c"), vector_of("d")]
    assert got[1]["error"]["type"] == "BadRequestError"
    server.script = embedding
    server.requests.clear()
    assert run("embed", texts, "-o", vectors).exit_code == 0
    assert sent(server) == ["bad"]
    assert [record["vector"] for record in records(vectors)] == [vector_of(text) for text in ("a", "bad", "c", "d")]


def test_tokens_are_counted_beside_a_text_that_fails(run, server, files):
    texts, vectors = files("a", "bad", "c", "d")
    server.script = refusing("bad")
    result = run("embed", texts, "-o", vectors, "--json")
    served = [seen for seen in server.requests if "bad" not in inputs_of(seen.json)]
    told = json.loads(result.stdout)
    assert told["usage"]["total_tokens"] == 3 * len(served) > 0
    counts = {"texts": 4, "embedded": 3, "embedded_before": 0, "left": 1, "failed": 1, "interrupted": False}
    assert {name: told[name] for name in counts} == counts


def test_a_limit_of_the_server_is_learnt(run, server, files):
    texts, vectors = files(*[f"t{i}" for i in range(100)])
    refusal = http({"error": {"message": "batch size is invalid, it should not be larger than 10."}}, 400)
    server.script = lambda seen: refusal if len(inputs_of(seen.json)) > 10 else embedding(seen)
    assert run("embed", texts, "-o", vectors, "-c", 1).exit_code == 0
    assert [record["vector"] for record in records(vectors)] == [vector_of(f"t{i}") for i in range(100)]
    assert len(server.requests) == 11


def test_an_error_that_all_would_meet_stops_the_run(run, server, files):
    texts, vectors = files(*[f"t{i}" for i in range(200)])
    server.script = [http({"error": {"message": "该令牌额度已用尽", "type": "new_api_error"}}, 401)]
    result = run("embed", texts, "-o", vectors, "--batch-size", 1, "-c", 2)
    assert result.exit_code == 1
    assert "Stopped" in result.stderr
    assert "InsufficientQuotaError" in result.stderr
    assert "200 left" in result.stderr
    assert len(server.requests) <= 4
    server.script = embedding
    assert run("embed", texts, "-o", vectors).exit_code == 0
    assert [record["vector"] for record in records(vectors)] == [vector_of(f"t{i}") for i in range(200)]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (lambda body: http(answer({**body, "dimensions": 8})), "3 tokens Stopped: every other line would fail too"),
        (lambda body: refusal("This model does not support specifying dimensions."), "can't take `dimensions`"),
    ],
    ids=["ignored", "refused"],
)
def test_dimensions_that_no_line_can_have_stop_the_run(run, server, files, reply, told):
    texts, vectors = files(*[f"t{i}" for i in range(100)])
    server.script = lambda seen: reply(seen.json)
    result = run("embed", texts, "-o", vectors, "--batch-size", 5, "-c", 1, "--dimensions", 4)
    assert result.exit_code == 1
    assert "Stopped" in result.stderr
    assert told in " ".join(result.stderr.split())
    assert "100 left" in result.stderr
    assert len(server.requests) == 1


def test_a_failure_is_named_by_its_line_alone(run, server, files):
    texts, vectors = files("a", "b", "bad", "d")
    server.script = refusing("bad")
    result = run("embed", texts, "-o", vectors, "--batch-size", 2)
    assert "line 3: BadRequestError" in result.stderr
    assert "input 0" not in result.stderr
    assert records(vectors)[2]["error"]["message"].startswith("The gateway said")


def test_a_text_that_a_provider_forbids_stops_no_other(run, server, files):
    texts, vectors = files(*[f"t{i}" for i in range(30)])
    server.script = refusing("t0", status=403)
    result = run("embed", texts, "-o", vectors, "--batch-size", 1, "-c", 2)
    assert result.exit_code == 1
    assert [record.get("vector") for record in records(vectors)] == [None, *[vector_of(f"t{i}") for i in range(1, 30)]]


def test_an_interrupted_run_keeps_what_came_and_the_next_one_asks_for_the_rest(run, server, files):
    texts, vectors = files(*[f"t{i}" for i in range(40)])
    server.script = lambda seen: [HANG] if "t30" in inputs_of(seen.json) else embedding(seen)
    with subprocess.Popen(
        **command("embed", texts, "-o", vectors, "--batch-size", 10, XDM_BASE_URL=server.url)
    ) as process:
        assert server.wait_until(lambda: vectors.exists() and len(vectors.read_bytes().splitlines()) == 30, 60)
        interrupted(process)
    assert process.returncode == 130
    server.script = embedding
    server.requests.clear()
    assert run("embed", texts, "-o", vectors).exit_code == 0
    assert sent(server) == sorted(f"t{i}" for i in range(30, 40))
    assert [record["vector"] for record in records(vectors)] == [vector_of(f"t{i}") for i in range(40)]


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--dimensions", 8], "dimensions"), (["--model", "other"], 'model "text-embedding-3-small"; now it is')],
)
def test_vectors_that_were_made_otherwise_are_not_mixed(run, server, files, options, told):
    texts, vectors = files("a", "b")
    run("embed", texts, "-o", vectors)
    before = vectors.read_bytes()
    result = run("embed", texts, "-o", vectors, *options)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert vectors.read_bytes() == before
    assert len(server.requests) == 1


@pytest.mark.parametrize("output", ["vectors.jsonl", "vectors.npy"])
def test_vectors_of_another_length_are_failures_and_their_texts_are_asked_for_again(run, server, files, output):
    """In the same run, in a later one, and until the server serves the first model again."""
    texts, vectors = files(*[f"t{i}" for i in range(6)], output=output)

    def script(seen):
        return http(answer({**seen.json, "dimensions": 6} if "t2" in inputs_of(seen.json) else seen.json))

    server.script = script
    for before in (0, 4):
        result = run("embed", texts, "-o", vectors, "--batch-size", 2, "-c", 1, "--json")
        told = json.loads(result.stdout)
        assert (result.exit_code, told["embedded_before"], told["left"]) == (1, before, 2)
        assert [failure["line"] for failure in told["failures"]] == [3, 4]
        assert "of 6 numbers, and the others have 4" in told["failures"][0]["error"]["message"]
    server.script = embedding
    assert run("embed", texts, "-o", vectors).exit_code == 0
    lines = vectors if output == "vectors.jsonl" else vectors.with_name(output + ".jsonl")
    assert [record["vector"] for record in records(lines)] == [vector_of(f"t{i}") for i in range(6)]


def test_a_file_of_answers_is_no_file_of_vectors(run, server, files):
    texts, vectors = files("a")
    vectors.write_text('{"line": 1, "prompt": "a", "params": {}, "text": "b"}\n')
    result = run("embed", texts, "-o", vectors)
    assert result.exit_code == 2
    assert "was not written by `xdm embed`" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "line", ['{"text": 5}', '{"text": "a", "dimensions": 3}', '{"id": 1}', '{"text": "a", "input": "b"}', "plain", "7"]
)
def test_a_line_that_is_no_text_is_named_before_anything_is_sent(run, server, files, line):
    texts, vectors = files("a")
    texts.write_text('"a"\n' + line + "\n")
    result = run("embed", texts, "-o", vectors)
    assert result.exit_code == 2
    assert "line 2" in result.stderr
    assert '{"text": "..."' in result.stderr or line.startswith("{")
    assert server.requests == []
    assert not vectors.exists()


# .npy


def test_no_texts_are_an_empty_array(run, server, files):
    texts, array = files(output="vectors.npy")
    assert run("embed", texts, "-o", array).exit_code == 0
    assert np.load(array).shape == (0, 0)
    assert server.requests == []


def test_an_array_has_a_row_per_text_in_order(run, server, files):
    texts, array = files(*[f"t{i}" for i in range(30)], output="vectors.npy")
    assert run("embed", texts, "-o", array, "--batch-size", 7).exit_code == 0
    got = np.load(array)
    assert (got.dtype, got.shape) == (np.float32, (30, 4))
    assert got.tolist() == [vector_of(f"t{i}") for i in range(30)]
    files("new", *[f"t{i}" for i in range(10)], output="vectors.npy")
    assert run("embed", texts, "-o", array).exit_code == 0
    assert sent(server).count("t3") == 1
    assert np.load(array).tolist() == [vector_of(text) for text in ("new", *[f"t{i}" for i in range(10)])]


def test_an_array_is_only_written_when_every_text_has_its_vector(run, server, files):
    texts, array = files("a", "bad", output="vectors.npy")
    server.script = refusing("bad")
    assert run("embed", texts, "-o", array).exit_code == 1
    assert not array.exists()
    server.script = embedding
    assert run("embed", texts, "-o", array).exit_code == 0
    assert np.load(array).tolist() == [vector_of("a"), vector_of("bad")]


def test_vectors_of_two_models_are_no_array(run, server, files):
    texts, array = files("a", "b", output="vectors.npy")
    run("embed", texts, "-o", array)
    before = array.read_bytes()
    lines = array.with_name("vectors.npy.jsonl")
    first, second = records(lines)
    lines.write_text("".join(json.dumps(r) + "\n" for r in (first, {**second, "vector": [0.5] * 6})), "utf-8")
    result = run("embed", texts, "-o", array)
    assert result.exit_code == 2
    assert "of 4 and of 6 numbers" in " ".join(result.stderr.split())
    assert array.read_bytes() == before


def test_without_numpy_an_array_is_refused_before_anything_is_sent(run, server, files, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    texts, array = files("a", output="vectors.npy")
    result = run("embed", texts, "-o", array)
    assert result.exit_code == 2
    assert "pip install numpy" in result.stderr
    assert server.requests == []

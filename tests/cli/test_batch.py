"""`xdm batch`: complete, in order, and nothing lost or paid twice, however often it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import threading

import pytest

from tests.cli.conftest import command
from tests.scripted import echoing, http


@pytest.fixture
def files(tmp_path):
    """A file of prompts, and where its answers go."""

    def make(*lines):
        prompts = tmp_path / "prompts.jsonl"
        prompts.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
        return prompts, tmp_path / "answers.jsonl"

    return make


def records(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def prompts_of(seen):
    prompt = seen.json["prompt"]
    return prompt if isinstance(prompt, list) else [prompt]


def asked(server):
    return sorted(prompt for seen in server.requests if seen.method == "POST" for prompt in prompts_of(seen))


def refusing(*bad, status=400):
    """Refuse requests that hold one of these prompts."""

    def script(seen):
        if set(bad) & set(prompts_of(seen)):
            return http({"error": {"message": "no such luck", "type": "invalid_request_error"}}, status)
        return echoing(seen)

    return script


def test_every_prompt_gets_its_answer_in_order(run, server, files):
    prompts, answers = files(
        *[{"id": f"q{i}", "prompt": f"p{i}"} for i in range(95)], "just a text", {"prompt": "你好"}
    )
    result = run("batch", prompts, "-o", answers, "--batch-size", 10)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "97 answered" in result.stderr
    got = records(answers)
    assert [record["line"] for record in got] == list(range(1, 98))
    assert [record["text"] for record in got] == [*[f"<p{i}>" for i in range(95)], "<just a text>", "<你好>"]
    assert (got[3]["id"], got[3]["prompt"], got[3]["finish_reason"]) == ("q3", "p3", "stop")
    assert "id" not in got[95]
    assert len(server.requests) == 10


def test_a_second_run_asks_nothing(run, server, files):
    prompts, answers = files("a", "b")
    run("batch", prompts, "-o", answers)
    before = answers.read_bytes()
    result = run("batch", prompts, "-o", answers, "--json")
    assert json.loads(result.stdout)["answered_before"] == 2
    assert len(server.requests) == 1
    assert answers.read_bytes() == before


def test_a_prompt_that_was_changed_is_asked_again_and_the_others_are_not(run, server, files):
    prompts, answers = files("a", "b", "c")
    run("batch", prompts, "-o", answers)
    files("a", "B", "c")
    run("batch", prompts, "-o", answers)
    assert asked(server) == ["B", "a", "b", "c"]
    assert [record["text"] for record in records(answers)] == ["<a>", "<B>", "<c>"]


def test_failures_are_listed_kept_and_retried_by_the_next_run(run, server, files):
    prompts, answers = files("a", "bad", "c")
    server.script = refusing("bad")
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 1
    assert "line 2: BadRequestError" in result.stderr
    assert "1 left; run the same command again" in result.stderr
    got = records(answers)
    assert [record.get("text") for record in got] == ["<a>", None, "<c>"]
    assert got[1]["error"]["type"] == "BadRequestError"
    server.script = echoing
    server.requests.clear()
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 0
    assert asked(server) == ["bad"]
    assert [record["text"] for record in records(answers)] == ["<a>", "<bad>", "<c>"]


def test_an_error_that_all_would_meet_stops_the_run(run, server, files):
    prompts, answers = files(*[f"p{i}" for i in range(200)])
    server.script = [http({"error": {"message": "该令牌额度已用尽", "type": "new_api_error"}}, 401)]
    result = run("batch", prompts, "-o", answers, "--batch-size", 1, "-c", 2)
    assert result.exit_code == 1
    assert "Stopped" in result.stderr
    assert "InsufficientQuotaError" in result.stderr
    assert "200 left" in result.stderr
    assert len(server.requests) <= 4
    server.script = echoing
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert [record["text"] for record in records(answers)] == [f"<p{i}>" for i in range(200)]


@pytest.mark.parametrize("keep", [1, 30, -1], ids=["first-byte", "half", "no-newline"])
def test_a_cut_last_line_costs_one_answer_and_breaks_nothing(run, server, files, keep):
    prompts, answers = files("a", "b")
    run("batch", prompts, "-o", answers)
    first, second = answers.read_bytes().splitlines(keepends=True)
    answers.write_bytes(first + second[:keep])
    server.requests.clear()
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert asked(server) == ["b"]
    assert [record["text"] for record in records(answers)] == ["<a>", "<b>"]


def test_nonsense_in_the_output_is_left_alone_and_hurts_nobody(run, server, files):
    prompts, answers = files("a")
    answers.write_text("[1]\nnot json\n" + '{"line": "x"}\n')
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert records(answers)[0]["text"] == "<a>"


def test_several_answers_and_the_usage_of_single_requests_are_kept(run, server, files):
    prompts, answers = files("a b", "c")
    run("batch", prompts, "-o", answers, "-n", 2, "--batch-size", 1)
    first, second = records(answers)
    assert [choice["text"] for choice in first["choices"]] == ["<a b#0>", "<a b#1>"]
    assert first["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert second["text"] == "<c#0>"


def test_json_gives_the_counts(run, server, files):
    prompts, answers = files("a b", "c", "bad")
    server.script = refusing("bad")
    told = json.loads(run("batch", prompts, "-o", answers, "--json").stdout)
    assert (told["prompts"], told["answered"], told["left"], told["interrupted"]) == (3, 2, 1, False)
    assert told["usage"]["prompt_tokens"] == 3
    assert [failure["line"] for failure in told["failures"]] == [3]


@pytest.mark.parametrize("line", ["{", "3", '{"text": "x"}', '{"prompt": ""}', '{"prompt": {"a": 1}}'])
def test_a_line_that_is_no_prompt_is_named_before_anything_is_sent(run, server, files, line):
    prompts, answers = files("a")
    with prompts.open("a") as file:
        file.write("\n" + line + "\n")
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 2
    assert "line 3" in " ".join(result.stderr.split())
    assert not server.requests
    assert not answers.exists()


def test_the_prompts_are_never_overwritten(run, server, files):
    prompts, _ = files("a")
    assert run("batch", prompts, "-o", prompts).exit_code == 2
    assert records(prompts) == ["a"]


def test_an_empty_file_is_done_at_once(run, server, files):
    prompts, answers = files()
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert not server.requests


# Interrupted for real


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_interrupted_run_goes_on_where_it_stopped(server, files, process, how):
    count, go_on = 60, threading.Event()
    prompts, answers = files(*[f"p{i}" for i in range(count)])

    def script(seen):
        late = any(int(prompt[1:]) >= 30 for prompt in prompts_of(seen))
        return [go_on, *echoing(seen)] if late else echoing(seen)

    server.script = script
    arguments = ("batch", prompts, "-o", answers, "--batch-size", 1, "-c", 4)
    with subprocess.Popen(**command(*arguments, XDM_BASE_URL=server.url)) as running:
        assert server.wait_until(lambda: len(server.requests) >= 34)  # 30 are answered, 4 wait
        running.send_signal(how)
        _, error = running.communicate(timeout=30)
    assert running.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in error
    kept = {record["prompt"] for record in records(answers)}
    assert kept >= {f"p{i}" for i in range(27)}  # all but what the last four requests brought
    go_on.set()
    server.requests.clear()
    result = process(*arguments, XDM_BASE_URL=server.url)
    assert result.returncode == 0
    assert not kept & set(asked(server))
    assert [record["text"] for record in records(answers)] == [f"<p{i}>" for i in range(count)]


def test_the_real_engine_answers_a_file(engine, files, process):
    known = {"The capital of France is": " Paris.", "Say this is a test": "\n\nThis is indeed a test"}
    prompts, answers = files(*[*known] * 30)
    result = process("batch", prompts, "-o", answers, "--temperature", 0, XDM_BASE_URL=engine.base_url)
    assert result.returncode == 0, result.stderr
    assert [record["text"] for record in records(answers)] == [*known.values()] * 30

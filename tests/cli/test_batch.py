"""`xdm batch`: complete, in order, and nothing lost or paid twice, however often it is interrupted."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import command, interrupted
from tests.scripted import completion, echoing, http
from xdm_integrations.cli.prompts import Task


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
    assert [(record["line"], record["text"]) for record in records(answers)] == [
        (1, "<a>"),
        (2, "<B>"),
        (3, "<c>"),
        (None, "<b>"),  # paid, and never dropped
    ]


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


def test_a_prompt_that_a_provider_forbids_stops_no_other(run, server, files):
    prompts, answers = files(*[f"p{i}" for i in range(30)])
    server.script = refusing("p0", status=403)
    result = run("batch", prompts, "-o", answers, "--batch-size", 1, "-c", 2)
    assert result.exit_code == 1
    assert "line 1: PermissionDeniedError" in result.stderr
    assert [record.get("text") for record in records(answers)] == [None, *[f"<p{i}>" for i in range(1, 30)]]


@pytest.mark.parametrize(("keep", "again"), [(1, ["b"]), (30, ["b"]), (-2, ["b"]), (-1, [])])
def test_a_cut_last_line_costs_one_answer_at_most_and_breaks_nothing(run, server, files, keep, again):
    prompts, answers = files("a", "b")
    run("batch", prompts, "-o", answers)
    first, second = answers.read_bytes().splitlines(keepends=True)
    answers.write_bytes(first + second[:keep])
    server.requests.clear()
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert asked(server) == again
    assert [record["text"] for record in records(answers)] == ["<a>", "<b>"]


# Nothing is destroyed

RECORD = '{"line": 1, "prompt": "a", "params": {"model": "gpt-3.5-turbo-instruct", "max_tokens": 256}, "text": "b"}'


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a note without an end of line", 1),
        (b"two lines\nand a cut one", 1),
        (b'{"line": 1, "cost": 3}\n', 1),
        (b'{"line": 1, "cost": 3}', 1),
        (b'"a prompt"\n"another"\n', 1),
        (b"PK\x03\x04\xff\xfe", 1),
        (b"[" * 100_000, 1),
        (RECORD.encode() + b"\n\n" + RECORD.encode() + b"\n", 2),
        (RECORD.encode() + b"\nnot json\n" + RECORD[:20].encode(), 2),
        (RECORD.encode() + b"\n" + b"a cut line of somebody else", 2),
    ],
)
def test_a_file_of_something_else_is_refused_and_stays_as_it_is(run, server, files, content, line):
    prompts, answers = files("a")
    answers.write_bytes(content)
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 2
    assert f"line {line}, was not written by `xdm batch`" in " ".join(result.stderr.split())
    assert answers.read_bytes() == content
    assert not server.requests


def test_answers_to_prompts_that_are_not_asked_any_more_are_kept_and_found_again(run, server, files):
    prompts, answers = files(*[{"id": i, "prompt": f"p{i}"} for i in range(6)])
    run("batch", prompts, "-o", answers)
    files({"id": 4, "prompt": "p4"}, "new", {"id": 1, "prompt": "p1"})
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert [(record["line"], record["text"]) for record in records(answers)] == [
        (1, "<p4>"),
        (2, "<new>"),
        (3, "<p1>"),
        *[(None, f"<p{i}>") for i in (0, 2, 3, 5)],
    ]
    files(*[{"id": i, "prompt": f"p{i}"} for i in range(6)])
    server.requests.clear()
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert not server.requests
    assert [record["line"] for record in records(answers)] == [1, 2, 3, 4, 5, 6, None]


def test_the_file_keeps_its_permissions_and_its_link(run, files, tmp_path):
    prompts, answers = files("a", "b")
    real = tmp_path / "real.jsonl"
    real.touch(0o600)
    answers.symlink_to(real)
    run("batch", prompts, "-o", answers)
    files("b", "a")
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert answers.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert [record["text"] for record in records(real)] == ["<b>", "<a>"]


def test_two_runs_never_write_to_one_file(run, server, files):
    fcntl = pytest.importorskip("fcntl")
    prompts, answers = files("a")
    with answers.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 2
    assert "another run is writing" in " ".join(result.stderr.split())
    assert not server.requests


def test_a_run_that_opened_the_file_before_another_put_it_in_order_writes_nothing(run, server, files, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    prompts, answers = files("a")
    assert run("batch", prompts, "-o", answers).exit_code == 0
    lock = fcntl.flock

    def late(file, how):
        answers.with_name("sorted").write_bytes(answers.read_bytes())
        answers.with_name("sorted").replace(answers)
        lock(file, how)

    monkeypatch.setattr("xdm_integrations.cli.answers.fcntl.flock", late)
    files("a", "b")
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 2
    assert "another run is writing" in " ".join(result.stderr.split())
    assert len(server.requests) == 1


def test_a_full_disk_ends_the_run_in_words_and_the_next_run_goes_on(run, server, files, monkeypatch):
    prompts, answers = files("a", "b")

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xdm_integrations.cli.answers.os.fsync", full)
        result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "No space left on device" in result.stderr
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert [record["text"] for record in records(answers)] == ["<a>", "<b>"]


# Nothing is paid twice, and nothing passes for what it isn't


@pytest.mark.parametrize("with_id", [False, True])
def test_lines_may_be_inserted_and_moved(run, server, files, with_id):
    def line(name):
        return {"id": name, "prompt": f"p{name}"} if with_id else f"p{name}"

    prompts, answers = files(*[line(i) for i in range(5)])
    run("batch", prompts, "-o", answers)
    server.requests.clear()
    order = [7, 4, 0, 1, 2, 3]
    files(*[line(i) for i in order])
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert asked(server) == ["p7"]
    assert [(record["line"], record["text"]) for record in records(answers)] == [
        (i, f"<p{name}>") for i, name in enumerate(order, 1)
    ]


def test_each_of_several_equal_prompts_gets_an_answer(run, server, files):
    prompts, answers = files("same", "other", "same")
    run("batch", prompts, "-o", answers)
    files("same", "same", "other", "same")
    server.requests.clear()
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert asked(server) == ["same"]
    assert [record["line"] for record in records(answers)] == [1, 2, 3, 4]


def test_equal_prompts_with_ids_of_their_own_are_told_apart(run, server, files):
    prompts, answers = files({"id": "x", "prompt": "same"})
    run("batch", prompts, "-o", answers)
    files({"id": "y", "prompt": "same"}, {"id": "x", "prompt": "same"})
    run("batch", prompts, "-o", answers)
    assert asked(server) == ["same", "same"]
    assert [record["id"] for record in records(answers)] == ["y", "x"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "other"], 'made with model "gpt-3.5-turbo-instruct"; now it is model "other"'),
        (["--max-tokens", "9"], "made with max_tokens 256; now it is max_tokens 9"),
        (["--temperature", "0"], "made with no temperature; now it is temperature 0"),
        (["--stop", "x"], 'made with no stop; now it is stop ["x"]'),
    ],
)
def test_answers_that_were_made_otherwise_never_pass_for_those_asked_for(run, server, files, options, words):
    prompts, answers = files("a")
    run("batch", prompts, "-o", answers)
    before = answers.read_bytes()
    result = run("batch", prompts, "-o", answers, *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert answers.read_bytes() == before
    assert len(server.requests) == 1


def test_the_same_parameters_said_otherwise_are_the_same(run, server, files):
    prompts, answers = files("a")
    run("batch", prompts, "-o", answers, "--temperature", "0", "--stop", "x")
    again = ["--temperature", "0.0", "--stop", "x", "--max-tokens", "256", "-m", "gpt-3.5-turbo-instruct"]
    assert run("batch", prompts, "-o", answers, *again).exit_code == 0
    assert len(server.requests) == 1


def test_where_everything_failed_another_model_may_try(run, server, files):
    prompts, answers = files("bad", "bad")
    server.script = refusing("bad")
    run("batch", prompts, "-o", answers)
    assert [record["line"] for record in records(answers)] == [1, 2]
    server.script = echoing
    assert run("batch", prompts, "-o", answers, "-m", "other").exit_code == 0
    assert [(record["line"], record["model"]) for record in records(answers)] == [(1, "other"), (2, "other")]


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


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "3",
        '{"text": "x"}',
        '{"prompt": ""}',
        '{"prompt": {"a": 1}}',
        '{"prompt": ["a", "b"]}',
        '{"prompt": [1, "b"]}',
        '{"prompt": [true]}',
        '{"prompt": [-1]}',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_prompt_is_named_with_its_number_and_the_rest_runs(run, server, files, line):
    prompts, answers = files("a")
    with prompts.open("a") as file:
        file.write("\n" + line + '\n"b"\n')
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 1
    assert "line 3: BadLine: " in result.stderr
    assert asked(server) == ["a", "b"]
    assert [record["line"] for record in records(answers)] == [1, 4]
    assert [record["line"] for record in records(answers.with_name("answers.errors.jsonl"))] == [3]


def test_a_file_that_is_not_utf_8_is_named_with_its_line(run, server, files):
    prompts, answers = files("a")
    with prompts.open("ab") as file:
        file.write('"é"\n'.encode("latin-1"))
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 2
    assert "line 2: not UTF-8" in " ".join(result.stderr.split())
    prompts.write_bytes('\ufeff"é"\r\n'.encode())  # as Windows saves it
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert asked(server) == ["é"]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("nowhere/answers.jsonl", "doesn't exist"),
        ("prompts.jsonl/answers.jsonl", "doesn't exist"),
        (".", "is a directory"),
        ("x" * 300, "too long"),
        ("pipe", "must be a file"),
    ],
)
def test_an_output_that_cannot_be_one_is_named_before_anything_is_sent(run, server, files, output, words):
    prompts, answers = files("a")
    os.mkfifo(answers.with_name("pipe"))
    result = run("batch", prompts, "-o", answers.parent / output)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert words in " ".join(result.stderr.split())
    assert not server.requests


def test_a_folder_is_no_file_of_prompts(run, tmp_path):
    result = run("batch", tmp_path, "-o", tmp_path / "answers")
    assert result.exit_code == 2
    assert "is a directory" in " ".join(result.stderr.split())


def test_files_that_may_not_be_opened_are_named(run, server, files, monkeypatch):
    prompts, answers = files("a")
    opened = Path.open
    for refused in (prompts, answers):

        def closed(path, *args, refused=refused):
            if path.name == refused.name:
                raise PermissionError(13, "Permission denied")
            return opened(path, *args)

        monkeypatch.setattr(Path, "open", closed)
        result = run("batch", prompts, "-o", answers)
        assert result.exit_code == 2
        assert "Permission denied" in " ".join(result.stderr.split())
    assert not server.requests


def test_texts_and_token_ids_may_share_a_file(run, server, files):
    prompts, answers = files("a", [1, 2], {"prompt": "b"}, {"prompt": [3], "id": "t"})
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert [record["text"] for record in records(answers)] == ["<a>", "<[1, 2]>", "<b>", "<[3]>"]
    server.requests.clear()
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert not server.requests


def test_a_disk_that_is_full_while_answers_are_put_in_order_costs_none(run, server, files, monkeypatch):
    prompts, answers = files("a", "b")
    assert run("batch", prompts, "-o", answers).exit_code == 0
    before = answers.read_bytes()
    files("b", "a")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xdm_integrations.cli.answers.os.fsync", full)
        result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert answers.read_bytes() == before
    assert sorted(path.name for path in answers.parent.iterdir()) == ["answers.jsonl", "prompts.jsonl"]
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert [record["text"] for record in records(answers)] == ["<b>", "<a>"]
    assert len(server.requests) == 1


def test_of_very_many_failures_ten_are_listed_and_the_rest_is_counted(run, server, files):
    prompts, answers = files(*[f"p{i}" for i in range(12)])
    server.script = refusing(*[f"p{i}" for i in range(12)], status=400)
    result = run("batch", prompts, "-o", answers, "--batch-size", 1)
    assert result.exit_code == 1
    assert result.stderr.count("no such luck") == 10
    assert "... and 2 more" in result.stderr


def test_the_prompts_are_never_overwritten(run, server, files):
    prompts, _ = files("a")
    assert run("batch", prompts, "-o", prompts).exit_code == 2
    assert records(prompts) == ["a"]


@pytest.mark.parametrize("errors", ["prompts.jsonl", "answers.jsonl", "linked", "nowhere/errors", "pipe"])
def test_the_failures_of_a_run_never_take_the_place_of_its_other_files(run, server, files, errors):
    prompts, answers = files("a", "b")
    assert run("batch", prompts, "-o", answers).exit_code == 0
    before = prompts.read_bytes(), answers.read_bytes()
    answers.with_name("linked").symlink_to(answers)
    os.mkfifo(answers.with_name("pipe"))
    server.requests.clear()
    result = run("batch", prompts, "-o", answers, "--errors", answers.parent / errors)
    assert result.exit_code == 2
    assert "--errors: " in result.stderr
    assert (prompts.read_bytes(), answers.read_bytes()) == before


def test_prompts_that_have_the_name_of_the_file_of_errors_are_kept(run, server, files):
    prompts, answers = files("a")
    prompts = prompts.rename(answers.with_name("answers.errors.jsonl"))
    result = run("batch", prompts, "-o", answers)
    assert result.exit_code == 2
    assert "name another" in " ".join(result.stderr.split())
    assert records(prompts) == ["a"]
    assert not server.requests


def test_an_empty_file_is_done_at_once(run, server, files):
    prompts, answers = files()
    assert run("batch", prompts, "-o", answers).exit_code == 0
    assert not server.requests


# Interrupted for real


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_run_goes_on_where_it_stopped(server, files, process, how):
    count, go_on = 60, threading.Event()
    prompts, answers = files(*[f"p{i}" for i in range(count)])

    def script(seen):
        late = any(int(prompt[1:]) >= 30 for prompt in prompts_of(seen))
        return [go_on, *echoing(seen)] if late else echoing(seen)

    server.script = script
    arguments = ("batch", prompts, "-o", answers, "--batch-size", 1, "-c", 4, "--price", "1,1")
    with subprocess.Popen(**command(*arguments, XDM_BASE_URL=server.url)) as running:
        assert server.wait_until(lambda: len(server.requests) >= 34, 60)  # 30 are answered, 4 wait
        _, error = interrupted(running, how)
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -signal.SIGKILL}
    assert running.returncode == codes[how]
    assert "Traceback" not in error
    assert ("; cost " in error) == (how == signal.SIGINT)
    kept = {record["prompt"] for record in records(answers)}
    assert kept >= {f"p{i}" for i in range(27)}  # all but what the last four requests brought
    go_on.set()
    server.requests.clear()
    result = process(*arguments, XDM_BASE_URL=server.url)
    assert result.returncode == 0
    assert not kept & set(asked(server))
    assert [record["text"] for record in records(answers)] == [f"<p{i}>" for i in range(count)]


def test_an_interrupted_run_writes_its_counts_beside_the_answers_and_not_among_them(server, files):
    prompts, _ = files(*[f"p{i}" for i in range(4)])
    go_on = threading.Event()
    server.script = lambda seen: echoing(seen) if prompts_of(seen) == ["p0"] else [go_on, *echoing(seen)]
    arguments = ("batch", prompts, "-o", "-", "--batch-size", 1, "-c", 4, "--json")
    with subprocess.Popen(**command(*arguments, XDM_BASE_URL=server.url)) as running:
        first = running.stdout.readline()
        assert server.wait_until(lambda: len(server.requests) == 4, 60)
        out, error = interrupted(running)
    go_on.set()
    assert running.returncode == 130
    assert (json.loads(first)["text"], out) == ("<p0>", "")
    assert '"interrupted": true' in error


def test_the_real_engine_answers_a_file(engine, files, process):
    known = {"The capital of France is": " Paris.", "Say this is a test": "\n\nThis is indeed a test"}
    prompts, answers = files(*[*known] * 30)
    result = process("batch", prompts, "-o", answers, "--temperature", 0, XDM_BASE_URL=engine.base_url)
    assert result.returncode == 0, result.stderr
    assert [record["text"] for record in records(answers)] == [*known.values()] * 30


# Pace


def test_the_disk_is_waited_for_once_in_a_hundred_answers_and_at_the_end(run, files, monkeypatch):
    waits = []
    monkeypatch.setattr("xdm_integrations.cli.answers.os.fsync", waits.append)
    monkeypatch.setattr("xdm_integrations.cli.answers.SYNC_SECONDS", float("inf"))
    prompts, answers = files(*[f"p{i}" for i in range(250)])
    assert run("batch", prompts, "-o", answers, "-c", 1).exit_code == 0
    assert len(records(answers)) == 250
    assert len(waits) == 3


def test_a_slow_request_holds_up_nothing_but_itself(run, server, files):
    count, beyond = 2100, threading.Event()

    def script(seen):
        numbers = [int(prompt[1:]) for prompt in prompts_of(seen)]
        if count - 1 in numbers:
            beyond.set()
        return [beyond, *echoing(seen)] if 0 in numbers else echoing(seen)

    server.script = script
    prompts, answers = files(*[f"p{i}" for i in range(count)])
    assert run("batch", prompts, "-o", answers, "-c", 2, "--batch-size", 100).exit_code == 0
    assert beyond.is_set()
    assert [record["text"] for record in records(answers)] == [f"<p{i}>" for i in range(count)]


def test_only_what_is_asked_now_and_next_is_held_however_long_the_file_is(run, server, files):
    count, held, here = 3000, [], threading.Barrier(4, lambda: held.append(tasks_in_memory()))

    def tasks_in_memory():
        return sum(type(thing) is Task for thing in gc.get_objects())

    def script(seen):
        number = int(prompts_of(seen)[0][1:])
        if number < 4:  # the first four are here together, none is answered
            return [lambda: here.wait(10) and None, *echoing(seen)]
        if number in (1500, count - 1):
            held.append(tasks_in_memory())
        return echoing(seen)

    server.script = script
    prompts, answers = files(*[f"p{i}" for i in range(count)])
    assert run("batch", prompts, "-o", answers, "-c", 4, "--batch-size", 1).exit_code == 0
    assert len(records(answers)) == count
    assert len(held) == 3
    assert held[0] >= 4
    assert max(held) <= 20  # of 3,000: those under way, as many next ones, and what hands them over


def test_a_file_of_errors_that_cannot_be_written_is_named_before_anything_is_sent(run, server, files, tmp_path):
    prompts, answers = files("a")
    result = run("batch", prompts, "-o", answers, "--errors", tmp_path / "none" / "errors.jsonl")
    assert result.exit_code == 2
    assert "--errors: " in result.stderr
    assert not server.requests


def test_an_answer_that_the_server_stopped_is_a_failure_and_asked_for_again(run, server, files):
    prompts, answers = files("a", "b")
    arguments = ("batch", prompts, "-o", answers, "--batch-size", 1, "--max-retries", 0)
    server.script = lambda seen: http(completion("Half", finish="abort")) if asked_for(seen, "b") else echoing(seen)
    first = run(*arguments)
    assert first.exit_code == 1
    assert "abort" in first.stderr
    server.script = echoing
    server.requests.clear()
    assert run(*arguments).exit_code == 0
    assert asked(server) == ["b"]
    assert [record["text"] for record in records(answers)] == ["<a>", "<b>"]


def asked_for(seen, prompt):
    return prompts_of(seen) == [prompt]

"""`xdm` itself: what each command writes, where, and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import command, interrupted
from tests.scripted import RESET, chunk, completion, http, stream

KEY = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
NO_CHANNEL = {"error": {"message": "当前分组 default 下对于模型 gpt 无可用渠道", "type": "one_api_error"}}
LIST = {
    "data": [
        {"id": "gpt-3.5-turbo-instruct", "owned_by": "openai", "supported_endpoint_types": ["openai"]},
        {"id": "qwen-[max]", "owned_by": "ali"},
    ]
}


def test_complete_writes_the_text_and_nothing_else(run, server):
    result = run("complete", "Hi")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "<Hi>\n", "")


def test_options_reach_the_wire_as_they_were_given(run, server):
    options = "-m gpt-x -n 2 --max-tokens 7 --temperature 0 --top-p 0.5 --stop a --stop b --seed 3 --suffix end"
    result = run("complete", "Hi", *options.split(), "--frequency-penalty", "-1", "--presence-penalty", "1")
    assert result.stdout == "[1]\n<Hi#0>\n[2]\n<Hi#1>\n"
    assert server.requests[0].json == {
        "model": "gpt-x",
        "n": 2,
        "max_tokens": 7,
        "temperature": 0,
        "top_p": 0.5,
        "stop": ["a", "b"],
        "seed": 3,
        "suffix": "end",
        "frequency_penalty": -1,
        "presence_penalty": 1,
        "prompt": "Hi",
    }


def test_the_prompt_may_come_from_standard_input(run, server):
    assert run("complete", "-", input="two\nlines").stdout == "<two\nlines>\n"


def test_json_tells_everything(run, server):
    body = completion("a", "b", finish="stop")
    server.script = [http(body, headers={"X-Oneapi-Request-Id": "r1"})]
    assert json.loads(run("complete", "Hi", "-n", "2", "--json").stdout) == {
        "choices": [
            {"index": 0, "text": "a", "finish_reason": "stop"},
            {"index": 1, "text": "b", "finish_reason": "stop"},
        ],
        "model": "served-model",
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        "request_id": "r1",
    }


def test_a_stream_writes_the_same_text(run, server):
    assert run("complete", "Hi", "--stream").stdout == "<Hi>\n"


def test_a_stream_as_json_is_a_line_per_piece_and_the_totals(run, server):
    lines = [json.loads(line) for line in run("complete", "Hi", "--stream", "-n", "2", "--json").stdout.splitlines()]
    assert "".join(line["text"] for line in lines[:-1] if line["index"] == 1) == "<Hi#1>"
    assert lines[-1]["usage"]["completion_tokens"] == 2


def test_several_streamed_answers_need_json(run, server):
    result = run("complete", "Hi", "--stream", "-n", "2")
    assert result.exit_code == 2
    assert "--json" in result.stderr
    assert not server.requests


def test_a_cut_stream_keeps_what_came_and_fails(run, server):
    server.script = [stream(chunk("Once upon"), RESET)]
    result = run("complete", "Hi", "--stream")
    assert result.exit_code == 1
    assert result.stdout == "Once upon\n"
    assert "StreamInterruptedError" in result.stderr


def test_an_answer_that_was_cut_by_max_tokens_is_said_to_be(run, server):
    server.script = [http(completion("a", finish="length"))]
    result = run("complete", "Hi")
    assert result.stdout == "a\n"
    assert "--max-tokens" in result.stderr


def test_an_error_goes_to_standard_error_with_what_to_do(run, server):
    server.script = lambda seen: http(LIST) if seen.method == "GET" else http(NO_CHANNEL, 503)
    result = run("complete", "Hi", "-m", "gpt-3.5-turbo-instuct")
    assert (result.exit_code, result.stdout) == (1, "")
    text = " ".join(result.stderr.split())
    assert text.startswith("ModelUnavailableError: ")
    assert "无可用渠道" in text
    assert "'gpt-3.5-turbo-instruct'" in text


def test_an_error_as_json(run, server):
    server.script = [http({"error": {"message": "Invalid token (request id: r9)", "type": "new_api_error"}}, 401)]
    result = run("complete", "Hi", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    error = json.loads(result.stderr)["error"]
    assert (error["type"], error["status_code"], error["request_id"]) == ("AuthenticationError", 401, "r9")


def test_a_mistake_exits_with_2_and_sends_nothing(run, server):
    result = run("complete", "Hi", "--temperature", "9")
    assert result.exit_code == 2
    assert "temperature" in result.stderr
    assert run("complete").exit_code == 2
    assert run("nonsense").exit_code == 2
    assert not server.requests


def test_models_for_a_pipe_is_one_per_line_and_a_part_selects(run, server):
    server.script = [http(LIST)]
    assert run("models").stdout == "gpt-3.5-turbo-instruct\topenai\topenai\nqwen-[max]\tali\n"
    assert run("models", "QWEN").stdout == "qwen-[max]\tali\n"
    assert json.loads(run("models", "gpt", "--json").stdout) == [LIST["data"][0]]


def test_models_for_a_terminal_is_a_table(run, server, monkeypatch):
    server.script = [http(LIST)]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    text = run("models").stdout
    assert "owned by" in text
    assert "qwen-[max]" in text
    assert "2 models" in text


def test_quota_in_words_and_as_json(run, server):
    token = {"name": "k", "total_granted": 10, "total_used": 4, "total_available": 6, "unlimited_quota": False}
    known = {"/api/usage/token/": {"code": True, "message": "ok", "data": token}}
    server.script = lambda seen: http(known[seen.path]) if seen.path in known else http({}, 404)
    assert run("quota").stdout == "6 of 10 left, 4 used, in quota units\n"
    told = json.loads(run("quota", "--json").stdout)
    assert (told["remaining"], told["unit"], told["of_key"]) == (6, "quota units", True)


@pytest.mark.parametrize(
    "args",
    [["complete", "Hi"], ["complete", "Hi", "-s"], ["chat", "--once", "Hi"], ["models"], ["quota"], ["doctor"]],
)
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_no_output_shows_the_key_even_if_the_server_repeats_it(run, server, monkeypatch, args, as_json):
    monkeypatch.setenv("XDM_API_KEY", KEY)
    for answer in (http({"error": {"message": f"bad key {KEY}", "type": "x"}}, 401), http(KEY, 500)):
        server.script = [answer]
        result = run(*args, *as_json, "-v", "--max-retries", "0")
        assert result.exit_code == 1
        assert KEY not in result.output
        assert KEY[3:] not in result.output
    assert {seen.headers.get("authorization") for seen in server.requests} <= {f"Bearer {KEY}", None}


def test_verbose_logs_each_request_without_prompt_or_key(server, process):
    result = process("complete", "a secret prompt", "-v", XDM_BASE_URL=server.url, XDM_API_KEY=KEY)
    assert result.returncode == 0
    assert f"POST {server.url}/completions" in result.stderr
    assert "secret" not in result.stderr
    assert KEY not in result.stderr


# As a user runs it


def test_the_module_runs_against_the_real_engine(engine, process):
    result = process("complete", "Say this is a test", "--temperature", 0, XDM_BASE_URL=engine.base_url)
    assert (result.returncode, result.stdout, result.stderr) == (0, "\n\nThis is indeed a test\n", "")
    streamed = process("complete", "Say this is a test", "--temperature", 0, "-s", XDM_BASE_URL=engine.base_url)
    assert streamed.stdout == result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["complete", "x"],
        ["complete", "x", "-s"],
        ["complete", "x", "--json"],
        ["chat", "--once", "x"],
        ["models"],
        ["quota"],
        ["doctor"],
    ],
)
def test_ctrl_c_ends_each_command_with_130(server, args):
    go_on = threading.Event()
    server.script = lambda seen: [go_on]
    with subprocess.Popen(**command(*args, XDM_BASE_URL=server.url)) as running:
        assert server.wait_until(lambda: server.requests, 20)
        _, error = interrupted(running)
        go_on.set()
    assert running.returncode == 130
    assert error == "Interrupted.\n"


def test_ctrl_c_in_a_stream_keeps_what_came(server):
    go_on = threading.Event()
    server.script = [stream(chunk("Once upon\n"), go_on)]
    with subprocess.Popen(**command("complete", "x", "-s", XDM_BASE_URL=server.url)) as running:
        assert running.stdout.readline() == "Once upon\n"
        _, error = interrupted(running)
        go_on.set()
    assert (running.returncode, error) == (130, "Interrupted.\n")


@pytest.mark.parametrize("streamed", [[], ["-s"]])
def test_a_screen_that_lacks_a_character_shows_another(server, process, streamed):
    latin = {"XDM_BASE_URL": server.url, "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    result = process("complete", "caf\u4f60", *streamed, **latin)
    assert (result.returncode, result.stdout, result.stderr) == (0, "<caf?>\n", "")
    told = process("complete", "caf\u4f60", *streamed, "--json", **latin).stdout
    assert "caf\u4f60" in "".join(
        choice["text"]
        for line in map(json.loads, told.splitlines())
        for choice in line.get("choices", [line] if "text" in line else [])
    )


def test_a_prompt_from_standard_input_that_is_no_text_is_refused(run, server):
    result = run("complete", "-", input=b"\xff\xfe")
    assert result.exit_code == 2
    assert "standard input, line 1: not UTF-8" in result.stderr
    assert "--encoding utf-16" in result.stderr
    assert not server.requests


def test_a_reader_that_goes_away_ends_it_quietly(server):
    gone = threading.Event()
    server.script = [stream(chunk("first\n"), gone, *[chunk("more\n") for _ in range(50)])]
    with subprocess.Popen(**command("complete", "x", "-s", XDM_BASE_URL=server.url)) as running:
        assert running.stdout.readline() == "first\n"
        running.stdout.close()
        gone.set()
        error = running.stderr.read()
        assert running.wait(30) == 1
    assert "Traceback" not in error


@pytest.mark.parametrize("words", [[], ["models"]])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_help_that_a_full_disk_refuses_ends_in_words(words):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(**{**command(*words, "--help"), "stdout": full}, check=False, timeout=60)
    assert result.returncode == 1
    assert result.stderr == "Error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("name", ["click", "rich"])
def test_without_the_extra_it_says_which_and_exits_with_2(name):
    code = (
        f"import sys; sys.modules[{name!r}] = None; sys.argv = ['xdm', 'models']\n"
        "from xdm_integrations.cli import main; main()"
    )
    result = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 2
    assert result.stderr == f'xdm needs {name}: pip install "xdm-integrations[cli]"\n'


def test_the_front_door_loads_neither_click_nor_rich():
    code = "import sys, xdm_integrations; sys.exit(bool({'click', 'rich'} & set(sys.modules)))"
    assert not subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode  # noqa: S603 - our own code

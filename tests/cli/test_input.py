"""What people hand to the commands: encodings, pipes, files of other kinds, names that are empty."""

import json
import os

import pytest

from tests.cli.test_batch import asked, records
from tests.scripted import echoing, http


@pytest.fixture(autouse=True)
def _echoing(server):
    server.script = echoing


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_prompt(run, server, encoding):
    assert run("complete", "-", input="你好".encode(encoding)).exit_code == 0
    assert asked(server) == ["你好"]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
@pytest.mark.parametrize("command", ["complete", "batch"])
def test_another_encoding_is_told_or_refused_before_anything_is_sent(run, server, tmp_path, command, encoding):
    text = "你好" if command == "complete" else '"你好"\n'
    arguments = [command, "-", *(["-o", tmp_path / "answers"] if command == "batch" else [])]
    refused = run(*arguments, input=text.encode(encoding))
    assert refused.exit_code == 2
    assert f"--encoding {encoding}" in refused.stderr
    assert not server.requests
    assert run(*arguments, "--encoding", encoding, input=text.encode(encoding)).exit_code == 0
    assert asked(server) == ["你好"]


def test_an_encoding_that_does_not_fit_or_exist_is_named(run, server):
    assert "line 2: not ascii" in run("complete", "-", "--encoding", "ascii", input="a\n你".encode()).stderr
    assert "klingon is no encoding" in run("complete", "-", "--encoding", "klingon", input=b"a").stderr
    assert not server.requests


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
@pytest.mark.parametrize("arguments", [["\udcc4\udce3"], ["x", "--stop", "\udcc4"], ["x", "--suffix", "\udcc4"]])
def test_bytes_of_an_argument_that_are_no_text_are_refused_in_every_locale(process, server, locale, arguments):
    encoded = [os.fsencode(one).decode(errors="surrogateescape") for one in arguments]
    result = process("complete", *encoded, XDM_BASE_URL=server.url, LC_ALL=locale, PYTHONUTF8="")
    assert result.returncode == 2
    assert "not UTF-8" in result.stderr
    assert not server.requests


def test_prompts_come_from_standard_input_too(run, server, tmp_path):
    assert run("batch", "-", "-o", tmp_path / "answers", input='"a"\n"b"\n').exit_code == 0
    assert [record["text"] for record in records(tmp_path / "answers")] == ["<a>", "<b>"]
    assert run("batch", "-", "-o", "-", input='"a"\n').exit_code == 2
    assert asked(server) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("prompt,label\nhi,1\n", "looks like CSV"),
        ("prompt\tlabel\nhi\t1\n", "looks like TSV"),
        ("hello\nworld\n", "looks like plain text"),
        ('[\n  {"prompt": "a"}\n]\n', "looks like a JSON array"),
        ('{\n  "prompt": "a"\n}\n', "looks like an object over several lines"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_is(run, server, tmp_path, content, kind):
    result = run("batch", "-", "-o", tmp_path / "answers", input=content)
    assert result.exit_code == 2
    assert kind in result.stderr
    assert "In JSON lines, a line is" in result.stderr
    assert not server.requests


def test_fields_of_a_line_that_would_not_be_used_are_named(run, server, tmp_path):
    line = json.dumps({"prompt": "x", "max_tokens": 5, "temprature": 0.1, "label": 1})
    result = run("batch", "-", "-o", tmp_path / "answers", input=f'"a"\n{line}\n')
    assert result.exit_code == 2
    assert "line 2: max_tokens (--max-tokens?), temprature (--temperature?), label: a line has only" in result.stderr
    assert not server.requests


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_model_name_is_not_the_default_model(run, server, name):
    result = run("complete", "x", "--model", name)
    assert result.exit_code == 2
    assert "ConfigurationError: model: the name is empty" in result.stderr
    assert not server.requests


def test_plain_http_to_a_public_host_is_a_matter_of_choice(run):
    arguments = ("doctor", "--base-url", "http://example.com/v1", "--json")
    environment = {"XDM_API_KEY": "", "HTTP_PROXY": "", "http_proxy": ""}
    refused = run("complete", "x", *arguments[1:3], env=environment)
    assert refused.exit_code == 2
    allowed = run("complete", "x", *arguments[1:3], "--allow-http", env=environment)
    assert allowed.exit_code == 2
    assert "XDM_API_KEY" in allowed.stderr
    assert refused.stderr != allowed.stderr


def test_an_error_in_a_log_is_one_line(run, server):
    story = "a long story\n" * 12
    server.script = lambda _: http({"error": {"message": story, "type": "x"}}, 400)
    result = run("complete", "x", env={"COLUMNS": "80"})
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.count("a long story") >= 12

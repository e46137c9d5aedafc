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


def test_answers_go_to_standard_output_too(run, server):
    result = run("batch", "-", "-o", "-", "--batch-size", 1, "-c", 1, input='"a"\n{"prompt": "b", "id": 7}\n')
    assert result.exit_code == 0
    written = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(record["line"], record.get("id"), record["text"]) for record in written] == [
        (1, None, "<a>"),
        (2, 7, "<b>"),
    ]
    assert "a run that is interrupted begins anew" in result.stderr
    assert len(server.requests) == 2


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


def test_fields_of_a_line_are_its_parameters_and_what_is_none_is_named(run, server, tmp_path):
    lines = [
        {"prompt": "x", "max_tokens": 5, "extra_body": {"top_k": 4}, "metadata": {"label": 1}},
        {"prompt": "y", "max_tokens": 5, "temprature": 0.1, "label": 1},
        {"prompt": "z", "temperature": 3},
        "plain",
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    arguments = ("batch", "-", "-o", tmp_path / "answers.jsonl", "--max-tokens", 9)
    result = run(*arguments, input=content)
    assert result.exit_code == 1
    assert "line 2: BadLine: temprature (temperature?), label: no parameter of /completions" in result.stderr
    assert "line 3: BadLine: temperature: 3 must be" in result.stderr
    sent = {seen.json["prompt"]: seen.json for seen in server.requests}
    assert set(sent) == {"x", "plain"}
    assert (sent["x"]["max_tokens"], sent["x"]["top_k"], sent["plain"]["max_tokens"]) == (5, 4, 9)
    assert "metadata" not in sent["x"]
    first, second = records(tmp_path / "answers.jsonl")
    assert first["line_params"] == {"max_tokens": 5, "extra_body": {"top_k": 4}}
    assert first["metadata"] == {"label": 1}
    assert "line_params" not in second
    run(*arguments, input=content)
    assert len(server.requests) == 2
    run(*arguments, input=content.replace('"top_k": 4', '"top_k": 8'))
    assert server.requests[-1].json["top_k"] == 8


def test_a_file_without_a_line_that_can_be_asked_is_wrong_usage(run, server, tmp_path):
    result = run("batch", "-", "-o", tmp_path / "answers", input='{"prompt": "x", "temprature": 0.1}\n')
    assert result.exit_code == 2
    assert "temprature" in result.stderr
    assert not server.requests


def test_options_of_a_line_that_cannot_be_sent_fail_that_line_alone(run, server, tmp_path):
    content = '{"prompt": "x", "timeout": "soon"}\n"y"\n'
    result = run("batch", "-", "-o", tmp_path / "answers", input=content)
    assert result.exit_code == 1
    assert "line 1: ConfigurationError: timeout" in result.stderr
    assert asked(server) == ["y"]


# Tables, arrays and their encodings

TABLE = 'id,prompt,other\n7,"你好, ""X""",1\n\n8,"two\nlines",2\n9\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_column_of_a_table_is_read_in_whatever_encoding_a_spreadsheet_wrote(run, server, tmp_path, encoding):
    table, answers = tmp_path / "table.csv", tmp_path / "answers.jsonl"
    table.write_bytes(TABLE.encode(encoding))
    result = run("batch", table, "-o", answers)
    assert result.exit_code == 1
    assert "line 6: BadLine: only 1 of the columns" in result.stderr
    assert [(record["line"], record["id"], record["prompt"]) for record in records(answers)] == [
        (2, "7", '你好, "X"'),
        (4, "8", "two\nlines"),
    ]


@pytest.mark.parametrize(
    "case",
    [
        ("t.tsv", "q\tz\na,b\t1\n", ["--column", "q"]),
        ("t.csv", "z;q\n1;a,b\n", ["--column", "q"]),
        ("t", "z;q\n1;a,b\n", ["--column", "q"]),
        ("t.txt", "q\tprompt\n1\ta,b\n", ["--format", "tsv"]),
        ("t.json", '[\n"a,b"\n]', []),
        ("t", '[{"prompt": "a,b"}]', ["--format", "json"]),
        ("t.JSONL", '"a,b"', []),
    ],
)
def test_tables_and_arrays_are_read(run, server, tmp_path, case):
    name, content, options = case
    (tmp_path / name).write_text(content, "utf-8")
    assert run("batch", tmp_path / name, "-o", tmp_path / "answers", *options).exit_code == 0
    assert asked(server) == ["a,b"]


@pytest.mark.parametrize(
    "case",
    [
        ("t.csv", b"a,b\n1,2\n", [], "no column 'prompt'; name one with --column: a, b"),
        ("t.csv", b"", [], "the file is empty"),
        ("t.json", b'{"prompt": "a"}', [], "expected a JSON array"),
        ("t.json", b"[", [], "not JSON"),
        ("t.csv", b"prompt\n\xff\xff\n", [], "line 2: not UTF-8"),
        ("t.jsonl", b"\xff\xff\n", ["--encoding", "auto"], "line 1: not UTF-8"),
    ],
)
def test_a_table_or_array_that_is_none_is_refused_before_anything_is_sent(run, server, tmp_path, case):
    name, content, options, words = case
    (tmp_path / name).write_bytes(content)
    result = run("batch", tmp_path / name, "-o", tmp_path / "answers", *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert not server.requests
    assert not (tmp_path / "answers").exists()


def test_a_broken_row_is_a_bad_line_and_the_rest_runs(run, server, tmp_path):
    (tmp_path / "t.csv").write_text('prompt\n"a"b\nc\n', "utf-8")
    result = run("batch", tmp_path / "t.csv", "-o", tmp_path / "answers")
    assert result.exit_code == 1
    assert "line 2: BadLine: no row of a table" in result.stderr
    assert asked(server) == ["c"]


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "utf-8"])
def test_the_encoding_of_json_lines_is_found_out_where_that_is_asked_for(run, server, tmp_path, encoding):
    arguments = ("batch", "-", "-o", tmp_path / "answers", "--encoding", "auto")
    assert run(*arguments, input='"你好"\n'.encode(encoding)).exit_code == 0
    assert run("complete", "-", "--encoding", "auto", input="再见".encode(encoding)).exit_code == 0
    assert asked(server) == ["你好", "再见"]


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

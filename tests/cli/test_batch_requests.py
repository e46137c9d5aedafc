"""`xdm batch` with OpenAI's batch format, for every endpoint, and with conversations."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_batch import records
from tests.scripted import completion, echoing, http


def chat_of(text, **more):
    message = {"role": "assistant", "content": text}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "served"}
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    return {**body, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage, **more}


def gateway(seen):
    body = seen.json
    if seen.path == "/v1/completions":
        return echoing(seen)
    if seen.path == "/v1/chat/completions":
        if body["messages"][-1]["content"] == "bad":
            return http({"error": {"message": "no such luck", "code": "broken"}}, 400)
        return http(chat_of(f"<{body['messages'][-1]['content']}>"), headers={"X-Oneapi-Request-Id": "r1"})
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": i, "embedding": [0.5, len(t)]} for i, t in enumerate(texts)]
    return http({"object": "list", "data": data, "model": "e", "usage": {"prompt_tokens": 3, "total_tokens": 3}})


@pytest.fixture
def batch(run, server, tmp_path):
    """Run a batch of these lines; the result has the records of the output and of the errors."""
    server.script = gateway

    def invoke(*lines, options=()):
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        result = run("batch", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", *options)
        result.records = records(tmp_path / "out.jsonl")
        errors = tmp_path / "out.errors.jsonl"
        result.errors = records(errors) if errors.exists() else []
        return result

    return invoke


def request(custom_id, url="/v1/chat/completions", **body):
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


CHAT = request("c", model="m", messages=[{"role": "user", "content": "hi"}], temperature=0, top_k=3)
TEXT = request("t", "/v1/completions", model="m", prompt="x y", max_tokens=7)
VECTORS = request("v", "/v1/embeddings", model="e", input=["one", "three"], encoding_format="float")


def test_every_endpoint_of_the_format_is_asked_and_answers_in_the_format(batch, server):
    result = batch(CHAT, TEXT, VECTORS)
    assert result.exit_code == 0, result.stderr
    sent = {seen.path: seen.json for seen in server.requests}
    assert sent["/v1/chat/completions"] == CHAT["body"]
    assert sent["/v1/completions"] == TEXT["body"]
    assert sent["/v1/embeddings"] == VECTORS["body"]
    assert [record["custom_id"] for record in result.records] == ["c", "t", "v"]
    assert all(record.keys() == {"id", "custom_id", "response", "error"} for record in result.records)
    assert all(record["error"] is None and record["response"]["status_code"] == 200 for record in result.records)
    chat, text, vectors = (record["response"]["body"] for record in result.records)
    assert chat == chat_of("<hi>")
    assert result.records[0]["response"]["request_id"] == "r1"
    assert text["choices"][0]["text"] == "<x y>"
    assert [(row["index"], row["embedding"]) for row in vectors["data"]] == [(0, [0.5, 3]), (1, [0.5, 5])]
    assert vectors["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_vectors_come_in_base64_where_that_is_asked_for(batch):
    body = {**VECTORS["body"], "encoding_format": "base64"}
    result = batch({**VECTORS, "body": body})
    assert result.records[0]["response"]["body"]["data"][0]["embedding"] == "AAAAPwAAQEA="


def test_a_second_run_asks_only_what_failed_or_changed(batch, server):
    bad = request("b", model="m", messages=[{"role": "user", "content": "bad"}])
    first = batch(CHAT, bad, TEXT)
    assert first.exit_code == 1
    assert [record["custom_id"] for record in first.records] == ["c", "t"]
    (error,) = first.errors
    assert (error["custom_id"], error["response"]["status_code"], error["error"]["code"]) == ("b", 400, "broken")
    assert "no such luck" in error["error"]["message"]
    server.requests.clear()
    mended = request("b", model="m", messages=[{"role": "user", "content": "good"}])
    second = batch(CHAT, mended, TEXT)
    assert second.exit_code == 0
    assert [seen.json["messages"][0]["content"] for seen in server.requests] == ["good"]
    assert [record["custom_id"] for record in second.records] == ["c", "b", "t"]
    assert second.errors == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({**CHAT, "url": "/v1/images"}, "url: '/v1/images' must be one of /v1/completions, /v1/chat/completions"),
        ({**CHAT, "method": "GET"}, "method: 'GET' must be POST"),
        ({**CHAT, "custom_id": ""}, "custom_id: each line of a batch needs one"),
        ({**CHAT, "body": 3}, "body: expected an object"),
        ({**CHAT, "priority": 3}, "priority: a line of a batch has only custom_id, method, url, body"),
        (request("c", model="m"), "messages: it is missing"),
        (request("c", messages=[{"content": "x"}]), "message 1 has no role"),
        (request("c", messages="x", temprature=1), "temprature (temperature?): no parameter of /chat/completions"),
        (request("c", messages="x", maxTokens=1), "maxTokens (max_tokens?): no parameter"),
        (request("c", messages="x", stream=True), "stream: the answers of a batch don't come as streams"),
        (request("t", messages="x"), "custom_id: line 1 has the same"),
    ],
)
def test_a_line_that_cannot_be_asked_is_named_and_the_rest_runs(batch, server, line, words):
    result = batch(TEXT, line, VECTORS)
    assert result.exit_code == 1
    assert words in " ".join(result.stderr.split())
    assert [record["custom_id"] for record in result.records] == ["t", "v"]
    assert result.errors[0]["line"] == 2
    assert len(server.requests) == 2


def test_urls_of_other_hosts_and_options_for_all_lines(batch, server):
    line = request("c", "https://api.openai.com/v1/chat/completions", messages="hi", temperature=0)
    assert batch(line, options=["--model", "mine", "--temperature", 1]).exit_code == 0
    assert server.requests[0].json["model"] == "mine"
    assert server.requests[0].json["temperature"] == 0


def test_conversations_are_asked_and_answered(batch, server):
    talk = [{"role": "user", "content": "hi"}]
    result = batch({"id": 1, "messages": talk, "temperature": 0}, talk, "a prompt")
    assert result.exit_code == 0, result.stderr
    first, second, third = result.records
    assert (first["id"], first["messages"], first["text"], first["finish_reason"]) == (1, talk, "<hi>", "stop")
    assert first["usage"] == {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    assert first["params"] == {"model": "gpt-4o-mini"}
    assert (second["messages"], third["text"]) == (talk, "<a prompt>")
    server.requests.clear()
    assert batch({"id": 1, "messages": talk, "temperature": 0}, talk, "a prompt").exit_code == 0
    assert not server.requests


def test_an_option_that_an_endpoint_lacks_is_an_error_of_its_lines(batch, server):
    result = batch({"messages": "hi"}, "prompt", options=["--suffix", "x"])
    assert "line 1: BadLine: suffix: unknown parameter" in result.stderr
    assert len(server.requests) == 1


def test_tool_calls_and_reasoning_are_written(batch, server):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = chat_of(None)
    answer["choices"][0]["message"] |= {"tool_calls": [call], "reasoning_content": "hm"}
    server.script = [http(answer)]
    (record,) = batch({"messages": "hi"}).records
    assert (record["text"], record["reasoning"], record["tool_calls"]) == ("", "hm", [call])


def test_a_model_that_one_line_names_wrongly_stops_no_other(batch, server):
    def script(seen):
        if seen.json.get("model") == "none":
            return http({"error": {"message": "The model `none` does not exist", "code": "model_not_found"}}, 404)
        return gateway(seen) if seen.method == "POST" else http({"data": []})

    server.script = script
    result = batch(request("a", model="none", messages="x"), *[request(f"i{i}", messages="y") for i in range(20)])
    assert result.exit_code == 1
    assert len(result.records) == 20


# Counting and estimating


def test_a_dry_run_counts_and_estimates_and_writes_nothing(run, server, tmp_path):
    prompts, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    prompts.write_text('"one two three four"\n' * 30 + '{"messages": "hi", "max_tokens": 10}\n' + "3\n", "utf-8")
    arguments = ("batch", prompts, "-o", answers, "--dry-run", "--price", "1,2")
    told = json.loads(run(*arguments, "--json").stdout)
    assert (told["prompts"], told["left"], told["failed"], told["requests"]) == (31, 31, 1, 3)
    assert told["completion_tokens"] == 30 * 256 + 10
    assert told["cost"] == pytest.approx((told["prompt_tokens"] + 2 * told["completion_tokens"]) / 1e6)
    said = run(*arguments)
    assert "31 of 31 to ask, in 3 requests" in " ".join(said.stderr.split())
    assert said.exit_code == 1
    assert not server.requests
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl"}
    assert "no limit of tokens" in run("batch", "-", "-o", "-", "--dry-run", input='{"messages": "hi"}').stderr


def test_a_dry_run_knows_what_is_answered_and_leaves_the_file_alone(run, tmp_path):
    prompts, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    prompts.write_text('"a"\n"b"\n', "utf-8")
    run("batch", prompts, "-o", answers)
    prompts.write_text('"c"\n"b"\n"a"\n', "utf-8")
    answers.write_bytes(before := answers.read_bytes()[:-1])
    told = json.loads(run("batch", prompts, "-o", answers, "--dry-run", "--json").stdout)
    assert (told["answered_before"], told["left"]) == (2, 1)
    assert answers.read_bytes() == before


def test_the_cost_is_told(run, server, tmp_path):
    server.script = [http(completion("x", usage={"prompt_tokens": 1000, "completion_tokens": 500}))]
    arguments = ("batch", "-", "-o", tmp_path / "out", "--price", "2,4")
    assert "cost 0.0040" in run(*arguments, input='"a"').stderr
    assert json.loads(run(*arguments, "--json", input='"b"').stdout)["usage"]["cost"] == pytest.approx(0.004)
    server.script = [http(completion("x"))]
    arguments = (*arguments[:-1], "1,1")
    assert "cost less than 0.0001" in run(*arguments, input='"c"').stderr
    assert "prices of a million tokens" in run(*arguments[:-1], "x", input='"a"').stderr

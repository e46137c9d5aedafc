"""`xdm doctor`: a line per check, a tick or what to do, and an exit code."""

from __future__ import annotations

import json

import pytest

from tests.scripted import RESET, echoing, http

LIST = http({"data": [{"id": "gpt-3.5-turbo-instruct"}, {"id": "gpt-4o"}]})
BALANCE = {
    "/v1/dashboard/billing/subscription": {"hard_limit_usd": 10},
    "/v1/dashboard/billing/usage": {"total_usage": 250},
}


CALL = {"id": "1", "type": "function", "function": {"name": "time_in", "arguments": '{"city": "Paris"}'}}


def chatting(seen, *, calls=True, text='{"city": "Lyon"}'):
    message = {"role": "assistant", "content": text}
    if calls and "tools" in seen.json:
        message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return http(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


def gateway(listing=LIST, completions=echoing, chats=None):
    def script(seen):
        path = seen.path.partition("?")[0]
        if path == "/v1/models":
            return listing
        if path == "/v1/completions":
            return completions(seen) if callable(completions) else completions
        if path == "/v1/chat/completions" and chats is not None:
            return chats(seen)
        return http(BALANCE[path]) if path in BALANCE else http({}, 404)

    return script


def report(run, *args):
    result = run("doctor", "--json", *args)
    told = json.loads(result.stdout)
    assert result.exit_code == (0 if told["ok"] else 1)
    return {check["check"]: (check["ok"], check["said"]) for check in told["checks"]}


def test_a_healthy_gateway_gets_a_tick_for_everything(run, server, monkeypatch):
    server.script = gateway(chats=chatting)
    monkeypatch.setenv("XDM_API_KEY", "Bearer sk-abc-123")
    found = report(run)
    calls = ["completion", "stream", "chat", "tool call", "JSON", "quota"]
    assert list(found) == ["key", "base URL", "proxy", "limits", "reachable", "TLS", "model", *calls]
    assert [ok for ok, _ in found.values()] == [True, True, None, None, True, None, True, *[True] * 6]
    assert "XDM_API_KEY (10 characters)" in found["key"][1]
    assert "fixed channel" in found["key"][1]
    assert found["base URL"][1] == f"{server.url} (XDM_BASE_URL)"
    assert "list of 2" in found["model"][1]
    assert "5 + 1 tokens" in found["completion"][1]
    assert "pieces" in found["stream"][1]
    assert "7.5 of 10 left, 2.5 used, in the site's unit" in found["quota"][1]
    spent = [seen.json for seen in server.requests if seen.method == "POST"]
    assert [body["max_tokens"] for body in spent] == [8, 8, 8, 200, 200]
    assert found["limits"][1] == (
        "waits at most for connecting 30 s, bytes 30 s, events of a stream 1,800 s; in total no limit"
    )
    assert found["proxy"][1] == "none for this URL"
    assert "4 + 2 tokens" in found["chat"][1]
    assert 'time_in({"city": "Paris"})' in found["tool call"][1]
    assert "an object in" in found["JSON"][1]


def test_a_model_of_one_kind_is_healthy(run, server):
    server.script = gateway()
    found = report(run)
    assert (found["completion"][0], found["stream"][0], found["chat"][0]) == (True, True, None)
    assert "tool call" not in found
    server.script = gateway(completions=http({}, 404), chats=chatting)
    found = report(run)
    assert (found["completion"][0], found["chat"][0], found["tool call"][0]) == (None, True, True)
    assert "stream" not in found


def test_what_a_model_of_conversations_ignores_is_said_and_no_failure(run, server):
    server.script = gateway(chats=lambda seen: chatting(seen, calls=False, text="in Lyon"))
    found = report(run)
    assert [found[check][0] for check in ("chat", "tool call", "JSON")] == [True, None, None]
    assert "no call came" in found["tool call"][1]
    assert "no JSON object" in found["JSON"][1]


def test_the_proxy_is_named_without_its_password(run, server, monkeypatch):
    server.script = gateway()
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@{server.origin.removeprefix('http://')}")
    monkeypatch.setenv("NO_PROXY", "")
    found = report(run, "--base-url", "http://192.168.7.7:1/v1")
    assert found["proxy"] == (None, f"through {server.origin} (from HTTP_PROXY)")
    monkeypatch.setenv("HTTP_PROXY", "nonsense://x")
    found = report(run, "--base-url", "http://192.168.7.7:1/v1")
    assert found["proxy"][0] is False
    assert "HTTP_PROXY" in found["proxy"][1]


def test_the_screen_is_eighty_columns_wide_and_shows_ticks(run, server):
    server.script = gateway()
    result = run("doctor", env={"FORCE_COLOR": "1", "TERM": "dumb"})  # a terminal, as far as rich can know
    assert result.exit_code == 0
    assert "✓ completion" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_a_base_url_that_was_pasted_whole_is_shown_repaired(run, server):
    server.script = gateway()
    found = report(run, "--base-url", f"{server.url}/chat/completions")
    assert found["base URL"] == (True, f"{server.url} (--base-url, repaired)")


@pytest.mark.parametrize(
    ("key", "words"),
    [("a b", "holds a space"), (" ", "is empty"), ("密钥", "isn't ASCII")],
)
def test_a_key_that_cannot_be_one_ends_the_examination(run, server, monkeypatch, key, words):
    monkeypatch.setenv("XDM_API_KEY", key)
    found = report(run)
    assert list(found) == ["key"]
    assert found["key"][0] is False
    assert words in found["key"][1]
    assert not server.requests


def test_a_public_host_without_a_key_gets_its_cross_at_the_key_and_says_what_to_set(run):
    found = report(run, "--base-url", "example.com")
    assert list(found) == ["key"]
    ok, said = found["key"]
    assert ok is False
    assert "XDM_API_KEY is not set" in said
    assert "https://example.com/v1" in said
    assert "Set it to the key from the site" in said


def test_a_private_host_needs_no_key(run, server):
    server.script = gateway()
    assert report(run)["key"] == (None, "XDM_API_KEY is not set; a private host may answer without.")


def test_without_a_key_a_url_that_cannot_be_one_is_what_gets_the_cross(run):
    found = report(run, "--base-url", "ftp://example.com")
    assert [ok for ok, _ in found.values()] == [None, False]
    assert "base_url" in found["settings"][1]


def test_a_screen_without_ticks_still_tells_good_from_bad(process):
    result = process("doctor", XDM_BASE_URL="https://example.com", PYTHONUTF8="0", PYTHONIOENCODING="latin-1")
    assert result.returncode == 1
    assert result.stdout.startswith("x key")


def test_a_host_that_cannot_be_reached_ends_the_examination(run, server):
    server.script = [[RESET]]
    found = report(run)
    assert list(found) == ["key", "base URL", "proxy", "limits", "reachable"]
    assert found["reachable"][0] is False
    assert "proxy" in found["reachable"][1]


def test_a_refused_key_is_told_by_each_check_that_meets_it(run, server):
    server.script = [http({"error": {"message": "无效的令牌", "type": "new_api_error"}}, 401)]
    found = report(run)
    assert found["reachable"][0] is True
    assert found["models"][0] is False
    assert "XDM_API_KEY" in found["completion"][1]


def test_what_is_wrong_with_every_call_is_written_once(run, server):
    server.script = [http({"error": {"message": "Invalid API Key", "type": "x", "code": 401}}, 401)]
    out = run("doctor").stdout
    assert out.count("Invalid API Key") == 1
    assert out.count("the same as for models") >= 2


def test_a_model_that_is_not_offered_gets_its_neighbours(run, server):
    no_channel = http({"error": {"message": "无可用渠道", "type": "one_api_error"}}, 503)
    server.script = gateway(completions=no_channel)
    found = report(run, "--model", "gpt-4")
    assert found["model"] == (None, "gpt-4 is not on the list of 2; near to it: gpt-4o")
    assert found["completion"][0] is False
    assert "--model" in found["completion"][1]


def test_a_web_page_at_the_url_is_recognised(run, server):
    server.script = [http("<!doctype html><title>Console</title>", headers={"Content-Type": "text/html"})]
    found = report(run)
    assert found["models"][0] is False
    assert "/v1" in found["models"][1]


def test_the_real_engine_passes(engine, process):
    result = process("doctor", "--model", "xdm-local", XDM_BASE_URL=engine.base_url)
    assert result.returncode == 0, result.stdout
    assert "✓ stream" in result.stdout
    assert "✗" not in result.stdout

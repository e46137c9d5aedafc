"""What a client tells: log lines, hooks, request ids; and what it never tells."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from tests.scripted import RESET, chunk, completion, http, stream, tokens
from xdm_integrations import AsyncClient, Client, ConfigurationError, RateLimitError, StreamInterruptedError

KEY = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
PROMPT = "a secret prompt"
ID = {"X-Oneapi-Request-Id": "rid-1"}
BUSY = http({"error": {"message": f"busy with {PROMPT}", "type": "x"}}, 429, {"Retry-After": "0", **ID})


@pytest.fixture
def lines(caplog):
    """The facts of the log records, in order."""
    caplog.set_level(logging.DEBUG, logger="xdm_integrations")
    return lambda: [record.xdm for record in caplog.records if hasattr(record, "xdm")]


def test_a_request_writes_one_line_with_everything_but_prompt_and_key(surface, server, lines, caplog):
    server.script = [http(completion("secret answer"), headers=ID)]
    surface.complete(surface.client(base_url=server.url, api_key=KEY), PROMPT, model="m1")
    facts = dict(*lines())
    assert facts.pop("seconds") >= 0
    assert facts == {
        "method": "POST",
        "url": f"{server.url}/completions",
        "status": 200,
        "model": "m1",
        "attempt": 1,
        "tokens": 10,
        "request_id": "rid-1",
    }
    (record,) = [record for record in caplog.records if record.name == "xdm_integrations"]
    assert record.levelno == logging.DEBUG
    shown = (
        rf"POST {re.escape(server.url)}/completions: 200, model m1, attempt 1, \d\.\d+ s, tokens 10, request id rid-1"
    )
    assert re.fullmatch(shown, record.getMessage())


def test_each_attempt_has_its_line_and_number(surface, server, lines, caplog):
    server.script = [BUSY, BUSY, http(completion("a")), http(completion("b"))]
    client = surface.client(base_url=server.url)
    surface.complete(client, PROMPT)
    surface.complete(client, PROMPT)
    assert [(facts["attempt"], facts["status"]) for facts in lines()] == [(1, 429), (2, 429), (3, 200), (1, 200)]
    assert lines()[0]["request_id"] == "rid-1"
    assert len([record for record in caplog.records if record.getMessage().startswith("retry ")]) == 2


def test_a_request_that_brings_no_reply_has_a_line_too(surface, server, lines):
    server.script = [[RESET]]
    with pytest.raises(ConnectionError):
        surface.complete(surface.client(base_url=server.url, max_retries=0), PROMPT)
    assert [facts["status"] for facts in lines()] == ["APIConnectionError"]


def test_a_stream_writes_a_second_line_with_its_tokens(surface, server, lines):
    server.script = [tokens("a", "b")]
    surface.stream(surface.client(base_url=server.url), PROMPT)
    first, second = lines()
    assert (first["status"], first["tokens"]) == (200, None)
    assert (second["outcome"], second["model"], second["tokens"]) == ("complete", "served-model", 10)


def test_a_stream_that_broke_off_says_so(surface, server, lines):
    server.script = [stream(chunk("a"), RESET)]
    with pytest.raises(StreamInterruptedError):
        surface.stream(surface.client(base_url=server.url), PROMPT)
    assert lines()[-1]["outcome"] == "StreamInterruptedError"


@pytest.mark.parametrize("how", ["complete", "stream"])
def test_no_record_of_any_level_holds_prompt_answer_or_key(surface, server, caplog, how):
    caplog.set_level(0)
    refusal = http({"error": {"message": f"{PROMPT} {KEY}", "type": "x"}}, 400)
    server.script = [BUSY, tokens("secret answer") if how == "stream" else http(completion("secret answer")), refusal]
    client = surface.client(base_url=server.url, api_key=KEY)
    getattr(surface, how)(client, PROMPT)
    with pytest.raises(Exception, match="secret"):
        getattr(surface, how)(client, PROMPT)
    for record in caplog.records:
        told = record.getMessage() + str(record.__dict__)
        assert PROMPT not in told
        assert "secret answer" not in told
        assert KEY not in told


def test_nothing_is_written_above_debug(surface, server, caplog):
    caplog.set_level(logging.INFO)
    server.script = [BUSY, http(completion("a"))]
    surface.complete(surface.client(base_url=server.url), PROMPT)
    assert not caplog.records


# Hooks


def test_hooks_see_each_request_reply_and_retry(surface, server):
    server.script = [BUSY, http(completion("a"), headers=ID)]
    seen = []
    client = surface.client(
        base_url=server.url,
        on_request=lambda request: seen.append(("request", request.method)),
        on_response=lambda request, reply: seen.append(("response", reply.status)),
        on_retry=lambda pause: seen.append(("retry", pause.attempt, type(pause.error))),
    )
    answer = surface.complete(client, PROMPT)
    assert seen == [
        ("request", "POST"),
        ("response", 429),
        ("retry", 1, RateLimitError),
        ("request", "POST"),
        ("response", 200),
    ]
    assert answer.request_id == "rid-1"


def test_the_hook_of_a_call_comes_before_the_clients(surface, server):
    server.script = [BUSY, http(completion("a"))]
    seen = []
    client = surface.client(base_url=server.url, on_retry=lambda _: seen.append("client"))
    surface.complete(client, PROMPT, on_retry=lambda _: seen.append("call"))
    assert seen == ["call"]


def test_hooks_of_the_async_client_may_be_coroutines(server):
    seen = []

    async def hook(*args):
        seen.append(len(args))

    async def main():
        server.script = [BUSY, http(completion("a"))]
        async with AsyncClient(base_url=server.url, on_request=hook, on_response=hook, on_retry=hook) as client:
            await client.complete(PROMPT)

    asyncio.run(main())
    assert seen == [1, 2, 1, 1, 2]


def test_a_coroutine_is_no_hook_for_a_blocking_client(server):
    async def hook(request):
        """Never awaited."""

    with Client(base_url=server.url, on_request=lambda request: hook(request)) as client:  # noqa: PLW0108 - hides it
        with pytest.raises(ConfigurationError, match="hooks"):
            client.complete(PROMPT)
        assert server.requests == []

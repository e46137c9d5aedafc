"""What ends an answer, what doesn't, and what says that the server stopped it: complete, streamed and in batches."""

from __future__ import annotations

import pytest

from tests.scripted import CLOSE, DONE, chunk, completion, http, stream
from xdm_integrations import APIResponseError, StreamInterruptedError

FAILED = ["abort", "aborted", "cancelled", "error", "timeout", "insufficient_system_resource"]
GOOD = ["stop", "length", "content_filter", "eos_token", "stop_sequence", "tool_calls", "a-servers-own"]
RUNNING = ["", "null", "none", "None", None]


@pytest.mark.parametrize("reason", FAILED)
def test_a_stream_that_the_server_stopped_is_not_complete(surface, server, reason):
    server.script = [stream(chunk("Half"), chunk(" an", finish=reason), DONE)]
    with pytest.raises(StreamInterruptedError, match=reason) as caught:
        surface.stream(surface.client(base_url=server.url), "x")
    assert caught.value.partial.text == "Half an"
    assert len(server.requests) == 1


@pytest.mark.parametrize("reason", FAILED)
def test_an_answer_that_the_server_stopped_is_an_error_with_its_text(surface, server, reason):
    server.script = [http(completion("Half an", finish=reason))]
    with pytest.raises(APIResponseError, match=reason) as caught:
        surface.complete(surface.client(base_url=server.url), "x")
    assert caught.value.text == "Half an"
    assert caught.value.partial.usage.total_tokens == 10
    assert len(server.requests) == 1


def test_an_error_inside_a_choice_is_told_in_the_servers_words(surface, server):
    error = {"code": 502, "message": "Provider disconnected"}
    body = completion("Half an", finish="error")
    body["choices"][0]["error"] = error
    event = chunk(" an")
    event["choices"][0]["error"] = error
    server.script = [http(body), stream(chunk("Half"), event, DONE)]
    client = surface.client(base_url=server.url)
    with pytest.raises(APIResponseError, match="Provider disconnected"):
        surface.complete(client, "x")
    with pytest.raises(StreamInterruptedError, match="Provider disconnected") as caught:
        surface.stream(client, "x")
    assert caught.value.text == "Half an"


def test_one_answer_of_a_batch_that_was_stopped_fails_alone(surface, server):
    def script(seen):
        prompt = seen.json["prompt"]
        return http(completion(f"<{prompt}>", finish="abort" if prompt == "b" else "stop"))

    server.script = script
    batch = surface.batch(surface.client(base_url=server.url, max_retries=0), ["a", "b", "c"], batch_size=1)
    assert [type(one).__name__ for one in batch.outcomes] == ["Completion", "APIResponseError", "Completion"]


@pytest.mark.parametrize("reason", FAILED[:2])
def test_where_nothing_came_it_is_asked_once_more(surface, server, waits, reason):
    client = surface.client(base_url=server.url)
    server.script = [
        stream(chunk("", finish=reason), DONE),
        stream(chunk("all"), chunk("", finish="stop"), DONE),
        http(completion("", finish=reason)),
        http(completion("all")),
    ]
    _, answer = surface.stream(client, "x")
    assert answer.text == "all"
    assert surface.complete(client, "x").text == "all"
    assert len(waits) == 2


@pytest.mark.parametrize("reason", GOOD)
def test_good_and_unknown_reasons_end_an_answer(surface, server, reason):
    server.script = [stream(chunk("All"), chunk(" of it", finish=reason), DONE), http(completion("x", finish=reason))]
    client = surface.client(base_url=server.url)
    _, answer = surface.stream(client, "x")
    assert (answer.text, answer.finish_reason) == ("All of it", reason)
    assert surface.complete(client, "x").finish_reason == reason


@pytest.mark.parametrize("reason", RUNNING)
def test_words_for_none_end_nothing(surface, server, reason):
    server.script = [
        stream(chunk("Half", finish=reason), chunk(" an", finish=reason), CLOSE, end=False),
        stream(chunk("Half", finish=reason), chunk("!", finish="length"), DONE),
    ]
    client = surface.client(base_url=server.url)
    with pytest.raises(StreamInterruptedError) as caught:
        surface.stream(client, "x")
    assert caught.value.text == "Half an"
    _, answer = surface.stream(client, "x")
    assert (answer.text, answer.finish_reason) == ("Half!", "length")

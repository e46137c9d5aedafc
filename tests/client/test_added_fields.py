"""Fields that servers add to an answer or a choice are kept, complete and streamed."""

from __future__ import annotations

from tests.scripted import DONE, chunk, completion, http, stream, usage_chunk
from tests.wire.chat import answer, counts, delta

TIMINGS = {"predicted_ms": 12.5}


def test_of_an_answer(surface, server):
    body = completion("a", timings=TIMINGS)
    body["choices"][0] |= {"stop_reason": 5, "token_ids": [1, 2], "matched_stop": None}
    server.script = [http(body)]
    answer = surface.complete(surface.client(base_url=server.url), "x")
    assert answer.choices[0].extra == {"stop_reason": 5, "token_ids": [1, 2]}
    assert answer.extra == {"timings": TIMINGS}
    assert answer.raw["timings"] == TIMINGS


def test_of_a_stream(surface, server):
    first, second, last = chunk("a"), chunk("b"), chunk("", finish="stop", timings=TIMINGS)
    del first["choices"][0]["logprobs"]  # LiteLLM leaves out what is null
    first["choices"][0]["token_ids"] = [1]
    second["choices"][0]["token_ids"] = [2]
    last["choices"][0]["stop_reason"] = "END"
    server.script = [stream(first, second, last, DONE)]
    _, answer = surface.stream(surface.client(base_url=server.url), "x")
    assert answer.choices[0].extra == {"token_ids": [1, 2], "stop_reason": "END"}
    assert answer.extra == {"timings": TIMINGS}


def test_of_a_chat(surface, server):
    body = answer("hi") | {"timings": TIMINGS}
    body["choices"][0] |= {"stop_reason": 5, "token_ids": [1, 2], "matched_stop": None}
    server.script = [http(body)]
    completion = surface.call(surface.client(base_url=server.url), "chat", "x")
    assert completion.choices[0].extra == {"stop_reason": 5, "token_ids": [1, 2]}
    assert completion.extra == {"timings": TIMINGS}


def test_of_a_stream_of_chat(surface, server):
    first, second, last = delta("a"), delta("b"), delta(finish="stop") | {"timings": TIMINGS}
    first["choices"][0]["token_ids"] = [1]
    second["choices"][0]["token_ids"] = [2]
    last["choices"][0] |= {"stop_reason": "END", "usage": {"prompt_tokens": 1}}
    server.script = [stream(first, second, last, DONE)]
    _, completion = surface.streamed(surface.client(base_url=server.url), "stream_chat", "x")
    assert completion.choices[0].extra == {"token_ids": [1, 2], "stop_reason": "END"}
    assert completion.extra == {"timings": TIMINGS}


def test_of_choices_that_lack_what_others_have(surface, server):
    """Some servers leave out the index of the only choice, and a finish_reason that is null."""
    first, talk = chunk("a"), delta("a")
    for event, left_out in ((first, ("index", "logprobs")), (talk, ("index", "finish_reason"))):
        for name in left_out:
            event["choices"][0].pop(name, None)
        event["choices"][0]["token_ids"] = [1]
    server.script = [stream(first, chunk("", finish="stop"), DONE), stream(talk, delta(finish="stop"), DONE)]
    client = surface.client(base_url=server.url)
    _, text = surface.stream(client, "x")
    _, message = surface.streamed(client, "stream_chat", "x")
    assert text.choices[0].extra == message.choices[0].extra == {"token_ids": [1]}


def test_of_an_event_without_a_message_or_a_text(surface, server):
    first, talk, last = chunk("a"), delta("a"), {"index": 0, "finish_reason": "stop", "stop_reason": 7}
    server.script = [
        stream(first, {**first, "choices": [last]}, DONE),
        stream(talk, {**talk, "choices": [last]}, DONE),
    ]
    client = surface.client(base_url=server.url)
    _, text = surface.stream(client, "x")
    _, message = surface.streamed(client, "stream_chat", "x")
    assert text.choices[0].extra == message.choices[0].extra == {"stop_reason": 7}


def test_what_is_null_later_takes_nothing_back(surface, server):
    named, silent = {"provider": "Azure"}, {"provider": None}
    server.script = [
        stream(chunk("a", **named), chunk("b", **silent), chunk("", finish="stop"), DONE),
        stream(delta("a") | named, delta("b") | silent, delta(finish="stop"), DONE),
    ]
    client = surface.client(base_url=server.url)
    _, text = surface.stream(client, "x")
    _, message = surface.streamed(client, "stream_chat", "x")
    assert text.extra == message.extra == named


def test_of_an_event_in_the_middle_of_a_stream(surface, server):
    """llama.cpp's server gives its timings with the finish_reason, and the token counts after it."""
    timed = {"timings": TIMINGS, "tier": "a"}
    server.script = [
        stream(chunk("a"), chunk("b", **timed), chunk("", finish="stop"), {**usage_chunk(), "tier": "b"}, DONE),
        stream(delta("a"), delta("b") | timed, delta(finish="stop"), counts() | {"tier": "b"}, DONE),
    ]
    client = surface.client(base_url=server.url)
    for name in ("stream", "stream_chat"):
        _, completion = surface.streamed(client, name, "x")
        assert completion.extra == {"timings": TIMINGS, "tier": "b"}
        assert "timings" not in completion.raw

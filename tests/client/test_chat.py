"""Chat as users call it, sync and async: what goes over the wire, and what comes back."""

from __future__ import annotations

import pytest

from tests.scripted import http, stream
from xdm_integrations import ChatChunk, ConfigurationError, StreamInterruptedError
from xdm_integrations.client import attachments

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def event(content=None, finish=None):
    delta = {} if content is None else {"content": content}
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def collected(surface, chat_stream):
    if not surface.is_async:
        return list(chat_stream)

    async def read():
        return [chunk async for chunk in chat_stream]

    return surface.run(read())


def client_of(surface, server):
    return surface.client(base_url=server.url)


def test_an_answer_comes_back_and_its_message_goes_into_the_next_request(surface, server):
    message = {"role": "assistant", "content": "hi", "reasoning_content": "hm"}
    body = {"id": "c", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": USAGE}
    server.script = [http(body), http(body)]
    client = client_of(surface, server)
    answer = surface.run(client.chat("hello", model="m"))
    assert (answer.text, answer.reasoning, answer.finish_reason, answer.usage.total_tokens) == ("hi", "hm", "stop", 12)
    surface.run(client.chat([{"role": "user", "content": "hello"}, answer.message], model="m"))
    assert server.requests[0].json == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": "hi"}


def test_a_stream_delivers_pieces_and_then_the_complete_answer(surface, server):
    server.script = [stream(event("al"), event("pha"), event(finish="stop"), {"choices": [], "usage": USAGE})]
    chat_stream = surface.run(client_of(surface, server).stream_chat("hello"))
    chunks = collected(surface, chat_stream)
    assert chunks == [ChatChunk("al"), ChatChunk("pha"), ChatChunk("", 0, "stop")]
    assert (chat_stream.completion.text, chat_stream.completion.usage.total_tokens) == ("alpha", 12)
    assert server.requests[0].json["stream_options"] == {"include_usage": True}


def test_a_stream_can_be_read_to_its_end_at_once(surface, server):
    server.script = [stream(event("al"), event("pha"), event(finish="stop"))]
    chat_stream = surface.run(client_of(surface, server).stream_chat("hello"))
    done = chat_stream.until_done()
    assert (surface.run(done) if surface.is_async else done).text == "alpha"


def test_the_text_of_a_stream_can_be_read_alone(surface, server):
    server.script = [stream(event("al"), event("pha"), event(finish="stop"))]
    chat_stream = surface.run(client_of(surface, server).stream_chat("hello"))
    assert collected(surface, chat_stream.text()) == ["al", "pha"]


def test_a_stream_that_is_cut_raises_with_what_came(surface, server):
    server.script = [stream(event("alpha"))]
    chat_stream = surface.run(client_of(surface, server).stream_chat("hello"))
    with pytest.raises(StreamInterruptedError) as caught:
        collected(surface, chat_stream)
    assert caught.value.partial.text == "alpha"


def test_local_files_become_parts_and_missing_ones_are_refused(tmp_path):
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert attachments.image(picture)["image_url"]["url"].startswith("data:image/png;base64,")
    assert attachments.image("https://example.com/cat.png")["image_url"]["url"] == "https://example.com/cat.png"
    document = tmp_path / "a.pdf"
    document.write_bytes(b"%PDF")
    assert attachments.file(document)["file"]["filename"] == "a.pdf"
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF0000WAVE")
    assert attachments.audio(sound)["input_audio"]["format"] == "wav"
    for make in (
        lambda: attachments.image(tmp_path / "missing.png"),
        lambda: attachments.image(document),
        lambda: attachments.image(picture, max_bytes=4),
        lambda: attachments.file(tmp_path),
    ):
        with pytest.raises(ConfigurationError):
            make()

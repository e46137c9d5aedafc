"""Chat as users call it, sync and async: what goes over the wire, and what comes back."""

from __future__ import annotations

import pytest

from tests.scripted import CLOSE, DONE, HANG, RESET, http, stream
from xdm_integrations import APIResponseError, ChatChunk, ConfigurationError, StreamInterruptedError, XDMError
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


@pytest.mark.parametrize("streamed", [False, True])
def test_neighbours_of_one_role_go_out_as_one_message_and_those_handed_in_stay(surface, server, streamed):
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    server.script = [stream(event("hi", "stop")) if streamed else http(body)]
    messages = [{"role": "user", "content": 'Say "a".'}, {"role": "user", "content": "Now."}]
    client = client_of(surface, server)
    if streamed:
        surface.streamed(client, "stream_chat", messages)
    else:
        surface.call(client, "chat", messages)
    assert server.requests[0].json["messages"] == [{"role": "user", "content": 'Say "a".\n\nNow.'}]
    assert [message["content"] for message in messages] == ['Say "a".', "Now."]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_stream_in_answer_to_a_plain_call_needs_a_finish_reason_as_any_does(surface, server, wanted):
    server.script = [stream(event("hi"), DONE)]
    client = surface.client(base_url=server.url, require_finish_reason=wanted)
    if wanted:
        with pytest.raises(StreamInterruptedError, match="require_finish_reason=False"):
            surface.call(client, "chat", "x")
    else:
        assert surface.call(client, "chat", "x").text == "hi"
    assert len(server.requests) == 1


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
    with pytest.raises(StreamInterruptedError):
        surface.run(chat_stream.until_done())


def test_a_stream_that_was_closed_early_has_no_complete_answer(surface, server):
    server.script = [[*stream(event("al"), end=False), HANG]]
    chat_stream = surface.run(client_of(surface, server).stream_chat("hello"))
    surface.run(chat_stream.aclose() if surface.is_async else chat_stream.close())
    with pytest.raises(StreamInterruptedError) as caught:
        surface.run(chat_stream.until_done())
    assert caught.value.partial.text == "al"


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
    assert attachments.audio(sound.read_bytes()) == attachments.audio(sound)
    for make in (
        lambda: attachments.image(tmp_path / "missing.png"),
        lambda: attachments.image(document),
        lambda: attachments.image(picture, max_bytes=4),
        lambda: attachments.file(tmp_path),
    ):
        with pytest.raises(ConfigurationError):
            make()


def choice_event(text, index, finish=None):
    return {"model": "m", "choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_fewer_choices_than_were_asked_for_are_returned_with_one_warning_per_model(surface, server, caplog):
    body = {"model": "m", "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}
    streamed = stream(choice_event("a", 0), choice_event("", 0, "stop"), "data: [DONE]\n\n")
    server.script = [http(body), http(body), streamed]
    client = client_of(surface, server)
    for _ in range(2):
        answer = surface.run(client.chat("hello", n=3))
        assert ([choice.message.text for choice in answer.choices], answer.n) == (["a"], 3)
    chunks, complete = surface.streamed(client, "stream_chat", "hello", n=3)
    assert "".join(chunk.text for chunk in chunks) == complete.text == "a"
    assert len(complete.choices) == 1
    assert len(warned(caplog)) == 1
    assert "n=3" in warned(caplog)[0]


def test_a_stream_warns_of_fewer_choices_too(surface, server, caplog):
    server.script = [stream(choice_event("a", 0, "stop"), "data: [DONE]\n\n")]
    _, complete = surface.streamed(client_of(surface, server), "stream_chat", "hello", n=2)
    assert len(complete.choices) == len(warned(caplog)) == 1


@pytest.mark.parametrize(
    "events",
    [
        [choice_event("a", 0, "stop")],
        [choice_event("a", 0, "stop"), choice_event("b", 1), "data: [DONE]\n\n"],
        [choice_event("a", 0, "stop"), choice_event("", 1), "data: [DONE]\n\n"],
        [choice_event("a", 0), "data: [DONE]\n\n"],
    ],
)
def test_a_stream_of_several_choices_is_cut_while_one_that_began_has_not_ended(surface, server, events):
    server.script = [stream(*events)]
    with pytest.raises(StreamInterruptedError) as caught:
        surface.streamed(client_of(surface, server), "stream_chat", "hello", n=2)
    assert caught.value.partial.text == "a"


def test_a_call_that_begins_after_a_finish_reason_and_is_cut_before_its_arguments_is_none(surface, server):
    first = {"index": 0, "id": "a", "function": {"name": "now", "arguments": ""}}
    second = {"index": 1, "id": "b", "function": {"name": "delete", "arguments": ""}}
    begun = [
        {"choices": [{"index": 0, "delta": {"tool_calls": [first]}, "finish_reason": "tool_calls"}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [second]}, "finish_reason": None}]},
    ]
    server.script = [stream(*begun), stream(*begun, event(finish="tool_calls"))]
    client = client_of(surface, server)
    _, complete = surface.streamed(client, "stream_chat", "hello")
    assert [(call.name, call.arguments) for call in complete.tool_calls] == [("now", "{}")]
    assert [call.name for call in complete.invalid_tool_calls] == ["delete"]
    _, complete = surface.streamed(client, "stream_chat", "hello")
    assert [call.name for call in complete.tool_calls] == ["now", "delete"]


def a_call(name, finish="tool_calls"):
    call = {"index": 0, "id": name, "function": {"name": name, "arguments": '{"a": 1}'}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": finish}]}


@pytest.mark.parametrize("end", [RESET, '{"error": {"message": "upstream went away"}}\n'])
def test_a_finish_reason_beside_a_call_completes_no_stream_that_breaks_off(surface, server, end):
    server.script = [stream(a_call("look"), end)]  # New API's Gemini channel sends one with each call
    with pytest.raises(XDMError) as caught:
        surface.streamed(client_of(surface, server), "stream_chat", "hello")
    assert [call.name for call in caught.value.partial.tool_calls] == ["look"]
    assert caught.value.retry == "never"
    assert ("more calls" in caught.value.message) == (end == RESET)


@pytest.mark.parametrize("end", ["data: [DONE]\n\n", ": over\n\n"])
def test_a_finish_reason_beside_the_last_call_completes_a_stream_that_ends(surface, server, end):
    server.script = [stream(a_call("look"), a_call("read"), end)]
    _, complete = surface.streamed(client_of(surface, server), "stream_chat", "hello")
    assert [call.name for call in complete.tool_calls] == ["look", "read"]
    assert complete.finish_reason == "tool_calls"


THOUGHT = "<think>\nhm\n</think>\nhi"


@pytest.mark.parametrize(("of_client", "of_call"), [(True, None), (False, True), (True, True)])
def test_a_leading_thought_is_reasoning_where_it_is_asked_for(surface, server, of_client, of_call):
    message = {"role": "assistant", "content": THOUGHT}
    pieces = [event(piece) for piece in ("<thi", "nk>\nh", "m\n</th", "ink>\nhi")]
    server.script = [
        http({"choices": [{"message": message, "finish_reason": "stop"}]}),
        stream(*pieces, event("", "stop")),
    ]
    client = surface.client(base_url=server.url, think_tags=of_client)
    complete = surface.run(client.chat("x", think_tags=of_call))
    assert (complete.text, complete.reasoning) == ("hi", "hm")
    chunks, streamed = surface.streamed(client, "stream_chat", "x", think_tags=of_call)
    assert (streamed.text, streamed.reasoning) == ("hi", "hm")
    assert "".join(chunk.text for chunk in chunks) == "hi"
    assert all("think_tags" not in seen.json for seen in server.requests)


@pytest.mark.parametrize(
    ("pieces", "text", "thought"),
    [(["<think>h", "m </thi"], "", "hm </thi"), (["<thi"], "<thi", "")],
)
def test_what_was_held_back_stands_in_what_came_of_a_stream_that_is_cut(surface, server, pieces, text, thought):
    server.script = [stream(*map(event, pieces), CLOSE, end=False)]
    with pytest.raises(StreamInterruptedError) as caught:
        surface.streamed(surface.client(base_url=server.url, think_tags=True), "stream_chat", "x")
    message = caught.value.partial.choices[0].message
    assert (caught.value.text, message.text, message.reasoning) == (text, text, thought)
    assert len(server.requests) == 1


def test_thoughts_stay_in_the_text_where_nobody_asks_or_the_call_says_so(surface, server):
    server.script = [http({"choices": [{"message": {"content": THOUGHT}, "finish_reason": "stop"}]})]
    assert surface.run(client_of(surface, server).chat("x")).text == THOUGHT
    client = surface.client(base_url=server.url, think_tags=True)
    assert surface.run(client.chat("x", think_tags=False)).text == THOUGHT
    with pytest.raises(ConfigurationError, match="think_tags"):
        surface.run(client.chat("x", think_tags="yes"))


def test_errors_in_an_answer_of_chat_speak_of_chat_and_hold_no_decoders_error(surface, server):
    server.script = [http(["no answer"]), http("nothing of JSON")]
    client = surface.client(base_url=server.url, max_retries=0)
    for said in ("isn't a chat completion", "text that isn't JSON"):
        with pytest.raises(APIResponseError, match=said) as caught:
            surface.run(client.chat("x"))
        assert caught.value.__context__ is None


USER = {"role": "user", "content": "hello"}
ODD = {"type": "odd", "x": {1}}
TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}


def with_call(**call):
    return [USER, {"role": "assistant", "tool_calls": [call]}]


@pytest.mark.parametrize(
    ("messages", "params", "place"),
    [
        ([], {}, "messages: there are none"),
        ([USER, {"content": "x"}], {}, "messages: message 2 has no role"),
        ([USER, {"role": "tool", "tool_call_id": "a", "content": "x"}], {}, "messages: message 2 .* the call 'a'"),
        ("x", {"tools": [TOOL, {"function": {"name": "f", "parameters": "x"}}]}, r"tools: tool 2 \(f\).* JSON schema"),
        (with_call(id="a", function={"name": "f", "arguments": "{"}), {}, "messages: message 2: tool call 1"),
        (with_call(function={"name": "f", "arguments": "{}"}), {}, "messages: message 2: tool call 1 has no id"),
        ("x", {"temprature": 1}, "Did you mean 'temperature'"),
        (
            [USER, USER, {**USER, "content": [ODD]}],
            {},
            r"^messages\[2\]\['content'\]\[0\]\['x'\]: can't be written .*type set",
        ),
        ([{**USER, "name": b"a"}], {}, r"^messages\[0\]\['name'\]: can't be written as JSON .*type bytes"),
        ("x", {"tools": [TOOL, {**TOOL, "x": {1}}]}, r"^tools\[1\]\['x'\]: can't be written as JSON"),
        ("x", {"response_format": {"type": "text", "x": {1}}}, r"^response_format\['x'\]: can't be written as JSON"),
    ],
)
@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_what_cannot_be_sent_is_named_before_a_byte_is_sent(  # noqa: PLR0913, PLR0917 - a table
    surface, server, method, messages, params, place
):
    with pytest.raises(ConfigurationError, match=place):
        surface.call(client_of(surface, server), method, messages, **params)
    assert not server.requests


def test_several_answers_with_tools_are_refused_in_a_stream(surface, server):
    with pytest.raises(ConfigurationError, match="n: with tools"):
        surface.call(client_of(surface, server), "stream_chat", "x", tools=[TOOL], n=2)
    assert not server.requests


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda folder: attachments.image(folder / "missing.png"), r"image: .*missing\.png' can't be read"),
        (lambda folder: attachments.image(__file__), r"test_chat\.py': image: .*no image"),
        (lambda folder: attachments.audio(__file__), r"test_chat\.py': audio: its format"),
        (lambda folder: attachments.file(folder / "empty"), "empty': file: it is empty"),
        (lambda folder: attachments.audio(folder / "missing.wav"), r"audio: .*missing\.wav' can't be read"),
        (attachments.file, "file: .*can't be read"),
    ],
)
def test_a_file_that_is_missing_or_of_another_kind_is_named(tmp_path, make, place):
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigurationError, match=place):
        make(tmp_path)

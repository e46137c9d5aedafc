"""What goes out: messages in the form that survives a relay, and everything else refused before any byte is sent."""

from __future__ import annotations

from base64 import b64encode
from copy import deepcopy

import pytest

from xdm_integrations.core.chat import parts
from xdm_integrations.core.chat.messages import assistant, check_messages, joined, system, tool_result, user
from xdm_integrations.core.chat.results import Message
from xdm_integrations.core.chat.tool_calls import ToolCall
from xdm_integrations.core.errors.tree import APIResponseError, ConfigurationError

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 8
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_string_is_one_message_of_the_user():
    assert check_messages("Hello") == [{"role": "user", "content": "Hello"}] == [user("Hello")]


def test_any_sequence_of_messages_is_a_conversation():
    assert check_messages((user("a"), user("b"))) == [user("a"), user("b")]


def test_constructors_make_messages_in_the_apis_form():
    assert system("Be kind.") == {"role": "system", "content": "Be kind."}
    assert assistant("Hi", extra={"name": "ann"}) == {"role": "assistant", "content": "Hi", "name": "ann"}
    assert assistant() == {"role": "assistant", "content": ""}
    assert tool_result("a", "7", name="f") == {"role": "tool", "tool_call_id": "a", "content": "7", "name": "f"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"role": "developer", "content": "x"}, {"role": "system", "content": "x"}),
        ({"role": "user", "content": ["a", {"type": "text", "text": "b"}]}, {"role": "user", "content": "ab"}),
        ({"role": "user", "content": "x", "name": None}, {"role": "user", "content": "x"}),
        *(
            ({"role": "assistant", "content": "x", name: "hm"}, {"role": "assistant", "content": "x"})
            for name in ("reasoning_content", "reasoning", "reasoning_details")
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning": "hm"},
            {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning": "hm"},
        ),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "index": 0, "kept": None, "extra_content": {"s": 1}}]},
            {"role": "assistant", "content": None, "tool_calls": [{**CALL, "extra_content": {"s": 1}}]},
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
            },
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}],
            },
        ),
        ({"role": "assistant", "content": None, "refusal": "no"}, {"role": "assistant", "refusal": "no"}),
        ({"role": "critic", "content": "x"}, {"role": "critic", "content": "x"}),
    ],
)
def test_a_message_goes_out_in_the_form_that_survives_a_relay(given, sent):
    before = deepcopy(given)
    got = check_messages([given])[0]
    for call in (*got.get("tool_calls", ()), *sent.get("tool_calls", ())):
        if "function" in call:
            call["function"]["arguments"] = call["function"]["arguments"].replace(" ", "")
    assert got == sent
    assert given == before


def test_parts_stay_parts_where_one_is_no_text():
    content = [parts.text_part("What is this?"), parts.image_part(PNG, detail="low")]
    assert check_messages([user(content)])[0]["content"] == content
    cached = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    assert check_messages([system(cached)])[0]["content"] == cached
    odd = [{"type": "text", "text": 7}]
    assert check_messages([user(odd)])[0]["content"] == odd


@pytest.mark.parametrize("arguments", ["", "  ", "null", None])
def test_missing_arguments_go_back_as_an_empty_object(arguments):
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
    sent = check_messages([{"role": "assistant", "tool_calls": [call]}])
    assert sent[0]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_turn_with_tools_is_built_by_constructors():
    call = ToolCall("a", "f", '{"x": 1}', {"extra_content": {"s": 1}})
    sent = check_messages(
        [user("?"), assistant(tool_calls=[call], reasoning={"reasoning": "hm"}), tool_result(call, "7")]
    )
    by_hand = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "hm"}
    assert check_messages([by_hand]) == [sent[1]]  # a call of an answer may be put in as it is
    assert sent[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [call.to_wire()], "reasoning": "hm"},
        {"role": "tool", "tool_call_id": "a", "content": "7"},
    ]


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([], "there are none"),
        ("", None),
        (7, "got int"),
        (b"x", "got bytes"),
        (bytearray(b"x"), "got bytearray"),
        (["x"], "message 1 is a str"),
        ([user("x"), {"content": "y"}], "message 2 has no role"),
        ([{"role": "", "content": "y"}], "message 1 has no role"),
        ([user("x"), {"role": "user"}], r"message 2 \(user\) has no content"),
        ([{"role": "user", "content": 7}], "message 1: content is a int"),
        ([user("x"), {"role": "user", "content": ["a", {"text": "b"}]}], "message 2: part 2"),
        ([{"role": "assistant"}], r"message 1 \(assistant\) has neither"),
        ([{"role": "assistant", "tool_calls": "f"}], "tool_calls must be a list"),
        ([{"role": "assistant", "tool_calls": CALL}], "tool_calls must be a list"),
        ([{"role": "assistant", "tool_calls": ["f"]}], "message 1: tool call 1 is a str"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}], "tool call 1 has no id"),
        ([{"role": "assistant", "tool_calls": [{"id": "", "function": {"name": "f"}}]}], "tool call 1 has no id"),
        ([{"role": "assistant", "tool_calls": [{"id": 7, "function": {"name": "f"}}]}], "tool call 1 has no id"),
        ([{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}], "tool call 1 has no function"),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x'}}]}],
            "arguments",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[1]"}}]}],
            "arguments",
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": {1}}}}],
                }
            ],
            "arguments",
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x":' * 99_999}}],
                }
            ],
            "arguments",
        ),
        ([user("x"), {"role": "tool", "content": "y"}], r"message 2 \(tool\) has no tool_call_id"),
        ([user("x"), {"role": "tool", "tool_call_id": 7, "content": "y"}], r"message 2 \(tool\) has no tool_call_id"),
        ([user("x"), tool_result("b", "y")], r"message 2 \(tool\) answers the call 'b'"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_by_its_number(messages, place):
    if place is None:
        assert check_messages(messages)
        return
    with pytest.raises(ConfigurationError, match=place):
        check_messages(messages)


def test_an_answer_goes_back_as_it_came_and_its_broken_calls_as_empty_ones():
    good, bad = ToolCall("a", "f", '{"x": 1}', {"extra_content": 1}), ToolCall("b", "g", '{"x": ')
    message = Message("", "hm", (good,), (bad,), reasoning_fields={"reasoning": "hm"}, extra={"prefix": True})
    wire = message.to_wire()
    assert wire == {
        "prefix": True,
        "role": "assistant",
        "content": None,
        "tool_calls": [good.to_wire(), {**bad.to_wire()}],
        "reasoning": "hm",
    }
    assert wire["tool_calls"][0]["extra_content"] == 1
    assert wire["tool_calls"][1]["function"]["arguments"] == "{}"
    assert check_messages([wire])[0] == wire
    assert "reasoning" not in Message("x", "hm", reasoning_fields={"reasoning": "hm"}).to_wire()


def test_a_call_without_a_name_or_an_id_does_not_go_back():
    calls = (ToolCall("", "g", "{}"), ToolCall("b", "", "{}"))
    assert Message("x", invalid_tool_calls=calls).to_wire() == {"role": "assistant", "content": "x"}


def test_a_refusal_goes_back_as_one():
    wire = Message(refusal="I won't.").to_wire()
    assert wire == {"role": "assistant", "content": "", "refusal": "I won't."}


def test_audio_answers_go_back_by_their_id():
    wire = Message(audio={"id": "audio_1", "data": "UklGRg=="}).to_wire()
    assert wire == {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    assert check_messages([wire]) == [wire]


def test_arguments_are_parsed_or_an_error_shows_them():
    assert ToolCall("a", "f", '{"x": "a\nb"}').parsed() == {"x": "a\nb"}
    assert ToolCall("a", "f", '{"x": "a\nb"}').to_wire()["function"]["arguments"] == '{"x": "a\\nb"}'
    assert ToolCall("a", "f", '{"x": "猫\n"}').to_wire()["function"]["arguments"] == '{"x": "猫\\n"}'
    assert ToolCall("a", "f", "[1]").to_wire()["function"]["arguments"] == "{}"
    with pytest.raises(APIResponseError, match=r"wrote: '{\"city\": \"Par'\.$"):
        ToolCall("a", "f", '{"city": "Par').parsed()
    with pytest.raises(APIResponseError, match=r"wrote: 'x{300}…'\.$") as caught:
        ToolCall("a", "f", "x" * 5000).parsed()
    assert caught.value.body == "x" * 4096


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a...", "image/gif"),
        (b"GIF89a...", "image/gif"),
        (b"BM......", "image/bmp"),
        (b"II*\x00....", "image/tiff"),
        (b"MM\x00*....", "image/tiff"),
        (b"RIFF0000WEBPVP8 ", "image/webp"),
        (b"0000ftypavif....", "image/avif"),
        (b"0000ftypheic....", "image/heic"),
        (b"0000ftypheix....", "image/heic"),
        (b"0000ftypmif1....", "image/heif"),
    ],
)
def test_the_media_type_of_an_image_is_found_from_its_bytes(data, kind):
    assert parts.image_part(data)["image_url"]["url"].startswith(f"data:{kind};base64,")


def test_how_closely_a_model_looks_may_be_said():
    assert parts.image_part(PNG, detail="low")["image_url"]["detail"] == "low"
    assert "detail" not in parts.image_part(PNG)["image_url"]


def data_url(size):
    return f"data:image/png;base64,{b64encode(b'0' * size).decode()}"


def test_an_image_may_be_as_large_as_it_may_whatever_it_comes_in():
    assert parts.image_part(data_url(1000), max_bytes=1000)
    assert parts.image_part(PNG, max_bytes=len(PNG))


def test_urls_of_images_go_out_as_they_are():
    for url in ("https://example.com/cat", "data:image/png;base64,AAAA"):
        assert parts.image_part(url) == {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "https://example.com/a.png"),
        ({"image_url": "https://example.com/a.png"}, "https://example.com/a.png"),
        ("https://example.com/a.png", "https://example.com/a.png"),
        ({"url": "https://example.com/a.png"}, None),
        ({"image_url": {"url": "data:image/png;base64,AAAA"}}, (b"\0\0\0", "image/png")),
        ({"image_url": {"url": "data:;base64,AAAA"}}, (b"\0\0\0", "")),
        ({"image_url": {"url": "data:image/png;base64,A"}}, None),
        ({"image_url": {"url": "data:image/png;base64,@@"}}, None),
        ({"image_url": {"url": "data:image/png;base64,"}}, None),
        ({"image_url": {"url": "data:image/svg+xml;utf8,<svg/>"}}, None),
        ({"image_url": {"url": ""}}, None),
        ({"image_url": {"url": 7}}, None),
        ({"image_url": None}, None),
        (7, None),
    ],
)
def test_an_image_of_an_answer_is_read_in_every_form_that_servers_give_it(part, found):
    assert parts.image_in(part) == found


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: parts.image_part(b"hello"), "no image"),
        (lambda: parts.image_part(7), "got int"),  # type: ignore[arg-type] # the mistake
        (lambda: parts.image_part(b""), "empty"),
        (lambda: parts.image_part(PNG, max_bytes=4), "16 bytes; at most 4"),
        (lambda: parts.image_part("cat.png"), r"attachments\.image"),
        (lambda: parts.image_part("x" * 99), f"got '{'x' * 60}'\\."),
        (lambda: parts.image_part("data:text/plain,x"), "no image"),
        (lambda: parts.image_part("data:image/png;base64," + "A" * 400, max_bytes=10), "at most 10"),
        (lambda: parts.audio_part(b"????"), "format"),
        (lambda: parts.audio_part(b"????0000WAVE"), "format"),
        (lambda: parts.audio_part(b"RIFF0000AVI "), "format"),
        (lambda: parts.image_part(b"????0000WEBP"), "no image"),
        (lambda: parts.image_part(b"RIFF0000WAVE"), "no image"),
        (lambda: parts.image_part(b"0000ftypM4A "), "no image"),
        (lambda: parts.image_part(b"????????avif"), "no image"),
        (lambda: parts.image_part("data:image/png"), "no image"),
        (lambda: parts.image_part(data_url(1200), max_bytes=1000), r"^image: 1,2\d\d bytes; at most 1,000"),
        (lambda: parts.file_part(b"x" * 9, "a.pdf", max_bytes=8), "at most 8"),
        (lambda: parts.file_part("x", "a.pdf"), "expected bytes"),  # type: ignore[arg-type] # the mistake
    ],
)
def test_attachments_that_cannot_be_sent_are_refused(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"ID3.", "mp3"),
        (b"\xff\xfb..", "mp3"),
        (b"\xff\xf3..", "mp3"),
        (b"\xff\xf2..", "mp3"),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"0000ftypM4A ", "m4a"),
        (b"RIFF0000WAVEfmt ", "wav"),
    ],
)
def test_the_format_of_a_recording_is_found_from_its_bytes(data, form):
    assert parts.audio_part(data)["input_audio"]["format"] == form


def test_the_format_of_a_recording_may_be_named():
    assert parts.audio_part(b"ID3.", form="aac")["input_audio"]["format"] == "aac"


def test_audio_and_files_are_parts():
    assert parts.audio_part(b"RIFF0000WAVE") == {
        "type": "input_audio",
        "input_audio": {"data": "UklGRjAwMDBXQVZF", "format": "wav"},
    }
    assert parts.file_part(b"%PDF", "a.pdf") == {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
    }


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TEXT_AND_IMAGE = [{"type": "text", "text": "one"}, IMAGE]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([user("one"), user("two"), user("three")], [user("one\n\ntwo\n\nthree")]),
        ([system("a"), system("b"), user("c")], [system("a\n\nb"), user("c")]),
        ([user("q"), assistant("a"), assistant("b"), user("r")], [user("q"), assistant("a\n\nb"), user("r")]),
        ([user("one"), user([IMAGE])], [user(TEXT_AND_IMAGE)]),
        ([user([IMAGE]), user("one")], [user(TEXT_AND_IMAGE[::-1])]),
        ([user([IMAGE]), user([IMAGE])], [user([IMAGE, IMAGE])]),
        ([user(""), user("one"), user("")], [user("one")]),
        ([user(""), user([IMAGE])], [user([IMAGE])]),
    ],
)
def test_neighbours_of_one_role_become_one_message(given, sent):
    before = deepcopy(given)
    assert joined(check_messages(given)) == sent
    assert given == before


@pytest.mark.parametrize(
    "messages",
    [
        [user("one"), assistant("a"), user("two")],
        [{**user("one"), "name": "ann"}, {**user("two"), "name": "bob"}],
        [user("one"), {**user("two"), "cache_control": {"type": "ephemeral"}}],
        [assistant("a"), {**assistant("b"), "prefix": True}],
        [assistant("a"), {"role": "assistant", "content": None, "tool_calls": [CALL]}, tool_result("a", "r")],
    ],
)
def test_what_has_more_than_a_role_and_a_content_stays_a_message_of_its_own(messages):
    assert joined(check_messages(messages)) == messages


@pytest.mark.parametrize(
    ("arguments", "sent"), [({"city": "北京"}, '{"city": "北京"}'), (None, "{}"), ('{"a":1}', '{"a":1}')]
)
def test_a_stored_call_is_sent_with_its_arguments_as_text_whatever_they_were_stored_as(arguments, sent):
    stored = {"id": "c", "type": "function", "index": 0, "function": {"name": "f", "arguments": arguments}, "kept": 1}
    assert ToolCall.from_wire(stored).extra == {"kept": 1}
    assert ToolCall.from_wire(stored).to_wire() == {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": sent},
        "kept": 1,
    }


def test_a_stored_call_may_lack_anything():
    assert ToolCall.from_wire({}) == ToolCall("", "", "{}")

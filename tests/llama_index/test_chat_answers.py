"""What `XDMChat` returns: every shape that servers send, complete and streamed."""

from __future__ import annotations

import base64
import gzip
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import AudioBlock, ImageBlock, TextBlock, ThinkingBlock, ToolCallBlock
from llama_index.core.llms import ChatMessage, ChatResponse

from tests.llama_index.conftest import METHODS, STREAMS, World
from tests.scripted import DONE, HANG, USAGE, http, piece, stream
from tests.unit.chat import shapes
from tests.wire.chat import answer, calling, chat_stream, counts, delta, tool_call, tool_delta
from xdm_integrations import StreamInterruptedError, XDMError

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer
    from xdm_integrations.llama_index import XDMChat

ASKED = [ChatMessage("hi")]
complete = pytest.mark.parametrize("row", shapes.COMPLETE, ids=[row.name for row in shapes.COMPLETE])
streamed = pytest.mark.parametrize("row", shapes.STREAMS, ids=[row.name for row in shapes.STREAMS])


def events(body: bytes) -> list[Any]:
    head = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head + piece(body) + b"0\r\n\r\n"]


def is_row(llm: XDMChat, response: ChatResponse, row: shapes.Row) -> None:
    """Check what LlamaIndex's readers look at: blocks, selections, the dictionary beside, and the raw answer."""
    message = response.message
    kinds = [block.block_type for block in message.blocks if block.block_type not in {"image", "audio"}]
    assert kinds == [*(["thinking"] * bool(row.reasoning)), "text", *(["tool_call"] * len(row.calls))]
    assert message.content == row.text
    assert "".join(block.content for block in message.blocks if isinstance(block, ThinkingBlock)) == row.reasoning
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    assert [(call.tool_name, call.tool_kwargs) for call in calls] == row.calls
    beside = message.additional_kwargs.get("tool_calls", [])
    assert [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in beside] == row.calls
    assert [one["id"] for one in beside] == [call.tool_call_id for call in calls]
    assert all(call.tool_call_id for call in calls)
    if row.ids:
        assert [call.tool_call_id for call in calls] == row.ids
    if row.invalid:
        with pytest.raises(ValueError, match="can't be carried out"):
            llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    else:
        chosen = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        assert [(one.tool_name, one.tool_kwargs) for one in chosen] == row.calls
        assert [one.tool_id for one in chosen] == [call.tool_call_id for call in calls]
    assert (response.raw["choices"][0]["finish_reason"] or "") == row.finish
    if row.usage:
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        assert tuple(response.raw["usage"][name] for name in names) == row.usage
        assert tuple(response.additional_kwargs[name] for name in names) == row.usage
    assert not message.additional_kwargs.keys() & {"usage", "prompt_tokens", "images"}
    assert ChatMessage.model_validate_json(message.model_dump_json()).blocks == message.blocks
    response.model_dump_json()


@complete
def test_every_shape_of_a_complete_answer(world: World, server: ScriptedServer, chat: XDMChat, row: shapes.Row) -> None:
    server.script = [http(shapes.body(row))]
    if row.error:
        with pytest.raises(XDMError):
            world.call(chat, "chat", ASKED)
        return
    is_row(chat, world.call(chat, "chat", ASKED), row)
    assert world.call(chat, "complete", "hi").text == row.text


@streamed
def test_every_shape_of_a_stream(world: World, server: ScriptedServer, chat: XDMChat, row: shapes.Row) -> None:
    server.script = [events(shapes.stream(row))]
    if row.error:
        with pytest.raises(XDMError) as caught:
            world.items(chat, "stream_chat", ASKED)
        assert caught.value.text == row.text
        return
    items = world.items(chat, "stream_chat", ASKED)
    is_row(chat, items[-1], row)
    assert "".join(item.delta for item in items) == row.text
    assert "".join(item.additional_kwargs.get("thinking_delta", "") for item in items) == row.reasoning
    thoughts = ["".join(b.content for b in item.message.blocks if isinstance(b, ThinkingBlock)) for item in items]
    assert all(later.startswith(earlier) for earlier, later in pairwise(thoughts))
    for item in items[:-1]:
        assert item.message.role.value == "assistant"
        assert item.raw["choices"][0]["finish_reason"] is None
        assert item.raw["usage"] is None
        for one in chat.get_tool_calls_from_response(item, error_on_no_tool_call=False):
            assert isinstance(one.tool_kwargs, dict)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("lead", ["", "\ufeff", ": PING\n\n", "event: message\nid: 1\nretry: 5\n"])
def test_every_framing_of_a_stream(world: World, server: ScriptedServer, chat: XDMChat, end: str, lead: str) -> None:
    row = shapes.Row("", [shapes.delta({"content": "é"}), shapes.delta({"content": "a"}, fin="stop")])
    data = lead.replace("\n", end).encode() + shapes.stream(row, end)
    head = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.script = [[head, *(piece(data[i : i + 1]) for i in range(len(data))), b"0\r\n\r\n"]]
    assert world.items(chat, "stream_chat", ASKED)[-1].message.content == "éa"


@pytest.mark.parametrize("change", ["no blank", "no last line break", "two lines"])
def test_loose_framings_of_a_stream(world: World, server: ScriptedServer, chat: XDMChat, change: str) -> None:
    row = shapes.Row("", [shapes.delta({"content": "é"}), shapes.delta({"content": "a"}, fin="stop")])
    data = shapes.stream(row)
    if change == "no blank":
        data = data.replace(b"data: ", b"data:")
    elif change == "two lines":
        data = data.replace(b', "choices"', b',\ndata: "choices"')
        assert data.count(b"data: ") == 4
    else:
        data = data.partition(b"data: [DONE]")[0].rstrip(b"\n")
    server.script = [events(data)]
    assert world.items(chat, "stream_chat", ASKED)[-1].message.content == "éa"


@pytest.mark.parametrize("method", ["complete", "chat"])
@pytest.mark.parametrize("oddity", ["a mark", "heartbeats", "another type", "compressed", "nulls"])
def test_odd_wrappings_of_a_complete_answer(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, oddity: str
) -> None:
    nulls = dict.fromkeys(("refusal", "audio", "annotations", "function_call", "tool_calls", "reasoning_content"))
    body = json.dumps(answer("hi", **nulls if oddity == "nulls" else {})).encode()
    headers = {"another type": {"Content-Type": "text/plain"}, "compressed": {"Content-Encoding": "gzip"}}.get(oddity)
    wrapped = {"a mark": b"\xef\xbb\xbf" + body, "heartbeats": b"\n\n  \n" + body, "compressed": gzip.compress(body)}
    server.script = [http(wrapped.get(oddity, body), headers=headers)]
    response = world.ask(chat, method)
    assert (response.text if method == "complete" else response.message.content) == "hi"


SAID = {"error": {"message": "The model is asleep.", "type": "server_error"}}


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize(
    "event",
    [
        SAID,
        f"event: error\ndata: {json.dumps(SAID)}\n\n",
        json.dumps(SAID) + "\n",
        'event: error\ndata: {"type": "error", "error": {"type": "api_error", "message": "The model is asleep."}}\n\n',
        {**delta(finish="error"), **SAID},
        "data: The model is asleep.\n\n",
    ],
    ids=["an object", "an event", "a bare line", "Anthropic's", "OpenRouter's", "text"],
)
@pytest.mark.parametrize("before", [[], [delta("half")]], ids=["first", "later"])
def test_an_error_in_a_stream_raises_in_the_servers_words_with_the_text_so_far(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, method: str, event: Any, before: list[Any]
) -> None:
    server.script = [stream(*before, event, delta(finish="stop"), DONE)]
    with pytest.raises(XDMError, match=r"The model is asleep\.") as caught:
        world.ask(chat, method)
    assert caught.value.text == ("half" if before else "")


@streamed
def test_a_stream_in_answer_to_a_complete_request_is_read(
    world: World, server: ScriptedServer, chat: XDMChat, row: shapes.Row
) -> None:
    server.script = [events(shapes.stream(row))]
    if row.error:
        with pytest.raises(XDMError):
            world.call(chat, "chat", ASKED)
        return
    is_row(chat, world.call(chat, "chat", ASKED), row)


@complete
def test_a_complete_answer_to_a_stream_request_is_read(
    world: World, server: ScriptedServer, chat: XDMChat, row: shapes.Row
) -> None:
    server.script = [http(shapes.body(row))]
    if row.error or not row.finish:
        with pytest.raises(XDMError):
            world.items(chat, "stream_chat", ASKED)
        return
    is_row(chat, world.items(chat, "stream_chat", ASKED)[-1], row)


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_holds_text_counts_finish_and_ids(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    script = chat_stream("al", "pha") if method in STREAMS else http(answer("alpha"))
    server.script = [script]
    response = world.ask(chat, method)
    assert (response.text if method.endswith("complete") else response.message.content) == "alpha"
    assert response.raw["usage"] == USAGE
    assert response.additional_kwargs == USAGE
    assert response.raw["choices"][0]["finish_reason"] == "stop"
    assert response.raw["choices"][0]["message"]["content"] == "alpha"
    assert (response.raw["id"], response.raw["model"]) == ("chatcmpl-1", "served-model")


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("place", ["of its own", "with the finish", "before the end", "in the choice", "none"])
def test_the_last_item_is_the_complete_answer_wherever_the_counts_come(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, place: str
) -> None:
    last = delta(finish="stop")
    if place == "in the choice":
        last["choices"][0]["usage"] = USAGE
    elif place == "with the finish":
        last["usage"] = USAGE
    first = [{**delta("pha"), "usage": USAGE}] if place == "before the end" else [delta("pha")]
    server.script = [stream(delta("al"), *first, last, *([counts()] if place == "of its own" else []), DONE)]
    asked: Any = ASKED if method == "stream_chat" else "hi"
    items = world.items(chat, method, asked)
    texts = [item.message.content if method == "stream_chat" else item.text for item in items]
    assert texts == ["al", "alpha", "alpha"]
    assert [item.delta for item in items] == ["al", "pha", ""]
    assert items[-1].raw["usage"] == (None if place == "none" else USAGE)
    assert items[-1].raw["choices"][0]["finish_reason"] == "stop"


def test_items_are_never_changed_after_they_were_handed_on(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    server.script = [calling(tool_call("add", {"a": 1, "b": 2}), tool_call("add", {"a": 3}, "call_2"), text="I add.")]
    copies: list[str] = []

    def kept(items: Any) -> list[Any]:
        copied = []
        for item in items:
            copies.append(item.model_dump_json())
            copied.append(item)
        return copied

    if world.is_async:

        async def consume() -> list[Any]:
            items = []
            async for item in await chat.astream_chat(ASKED):
                copies.append(item.model_dump_json())
                items.append(item)
            return items

        items = world.run(consume())
    else:
        items = kept(chat.stream_chat(ASKED))
    assert [item.model_dump_json() for item in items] == copies
    assert len(items) > 4


def test_calls_grow_as_agents_read_them(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    opening = tool_delta('{"city": "Pa', name="weather", call_id="c1")
    server.script = [chat_stream(opening, tool_delta('ris"}'), finish="tool_calls")]
    items = world.items(chat, "stream_chat", ASKED)
    calls = [chat.get_tool_calls_from_response(item)[0] for item in items]
    assert [call.tool_kwargs for call in calls] == [{"city": "Pa"}, {"city": "Paris"}, {"city": "Paris"}]
    assert {(call.tool_id, call.tool_name) for call in calls} == {("c1", "weather")}
    assert [item.message.blocks[-1].tool_kwargs for item in items] == [
        '{"city": "Pa',
        '{"city": "Paris"}',
        {"city": "Paris"},
    ]


def test_the_first_item_is_there_before_the_second_is_sent(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    server.script = [stream(delta("al"), HANG, end=False)]
    if world.is_async:

        async def first() -> Any:
            items = await chat.astream_chat(ASKED)
            item = await items.__anext__()
            await items.aclose()
            return item

        assert world.run(first()).delta == "al"
    else:
        items = chat.stream_chat(ASKED)
        assert next(items).delta == "al"
        items.close()
    assert server.wait_until(lambda: bool(server.disconnects))


@pytest.mark.parametrize("method", METHODS)
def test_several_choices_stand_in_raw_and_the_first_is_the_answer(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    two = answer("a0")
    two["choices"].append({**answer("b0")["choices"][0], "index": 1})
    parts = [delta("a"), delta("b", index=1), delta("0"), delta("0", index=1)]
    ends = [delta(finish="stop"), delta(finish="stop", index=1)]
    server.script = [stream(*parts, *ends, counts(), DONE) if method in STREAMS else http(two)]
    response = world.ask(chat, method, n=2)
    assert (response.text if method.endswith("complete") else response.message.content) == "a0"
    assert [choice["message"]["content"] for choice in response.raw["choices"]] == ["a0", "b0"]


@pytest.mark.parametrize("method", STREAMS)
def test_the_answer_that_came_is_delivered_where_the_first_one_never_does(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    parts = [delta(reasoning_content="hm", index=1), delta("al", index=1), delta("pha", index=1)]
    server.script = [stream(*parts, delta(finish="stop", index=1), counts(), DONE)]
    items = world.items(chat, method, ASKED if method == "stream_chat" else "hi", n=2)
    assert "".join(item.delta for item in items) == "alpha"
    assert (items[-1].text if method == "stream_complete" else items[-1].message.content) == "alpha"
    assert items[-1].additional_kwargs["thinking_delta"] == "hm"


def test_several_choices_of_one_number_are_one_answer(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    two = answer("al")
    two["choices"] += answer("pha")["choices"]
    server.script = [http(two)]
    assert world.call(chat, "chat", ASKED).message.content == "alpha"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("top", [[], [{"token": "no", "logprob": -2.0}, {"token": "hi", "logprob": -0.1}]])
def test_log_probabilities(world: World, server: ScriptedServer, chat: XDMChat, method: str, top: list[Any]) -> None:
    given = {"content": [{"token": "hi", "logprob": -0.1, "bytes": None, "top_logprobs": top}]}
    whole, part = answer("hi"), delta("hi")
    whole["choices"][0]["logprobs"] = part["choices"][0]["logprobs"] = given
    server.script = [chat_stream(part) if method in STREAMS else http(whole)]
    response = world.ask(chat, method, logprobs=True)
    assert [[(one.token, one.logprob) for one in position] for position in response.logprobs] == [
        [("hi", -0.1), *([("no", -2.0)] if top else [])]
    ]


HALF = {"token": "\ufffd", "logprob": -0.1, "bytes": [226, 130]}
OTHER_HALF = {"token": "\ufffd", "logprob": -0.3, "bytes": [240, 159]}
NO_BYTES = {"token": "\ufffd", "logprob": -0.1}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("sampled", "top", "expected"),
    [
        (HALF, [OTHER_HALF, HALF], [(-0.1, [226, 130]), (-0.3, [240, 159])]),
        (HALF, [NO_BYTES, OTHER_HALF], [(-0.1, [226, 130]), (-0.3, [240, 159])]),
        (NO_BYTES, [HALF], [(-0.1, [239, 191, 189])]),
        ({**HALF, "bytes": "x"}, [], [(-0.1, [239, 191, 189])]),
        ({**HALF, "bytes": ["x"]}, [], [(-0.1, [239, 191, 189])]),
    ],
)
def test_bytes_tell_tokens_apart_that_are_half_a_character(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, method: str, sampled: Any, top: Any, expected: Any
) -> None:
    whole, part = answer("hi"), delta("hi")
    given = {"content": [{**sampled, "top_logprobs": top}]}
    whole["choices"][0]["logprobs"] = part["choices"][0]["logprobs"] = given
    server.script = [chat_stream(part) if method in STREAMS else http(whole)]
    [position] = world.ask(chat, method, logprobs=True).logprobs
    assert [(one.logprob, one.bytes) for one in position] == expected


def test_images_and_audio_of_an_answer_become_blocks(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(20)
    urls = ["data:image/png;base64," + base64.b64encode(png).decode(), "https://a.example/b.png"]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    wav = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
    audio = {"id": "audio_1", "data": base64.b64encode(wav).decode(), "transcript": "hi"}
    server.script = [http(answer("see", images=images, audio=audio)), http(answer("ok"))]
    message = world.call(chat, "chat", ASKED).message
    pictures = [block for block in message.blocks if isinstance(block, ImageBlock)]
    assert pictures[0].resolve_image().read() == png
    assert pictures[0].image_mimetype == "image/png"
    assert str(pictures[1].url) == urls[1]
    (sound,) = (block for block in message.blocks if isinstance(block, AudioBlock))
    assert sound.resolve_audio().read() == wav
    assert message.content == "see"
    world.call(chat, "chat", [*ASKED, message])
    assert server.requests[1].json["messages"][1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "see"}, *images],
        "audio": {"id": "audio_1"},
    }


@pytest.mark.parametrize(
    "given",
    [
        {"images": [{"image_url": {"url": "data:image/png;base64,x"}}, {"image_url": {"url": "no address"}}, 3]},
        {"images": [{"image_url": None}], "audio": {"data": "x"}},
        {"images": [{"image_url": {"url": "data:image/png;base64,@@@"}}], "audio": {"data": "@@@"}},
        {"images": [7], "audio": {"data": 7}},
    ],
)
def test_images_that_can_not_be_read_cost_no_answer(
    world: World, server: ScriptedServer, chat: XDMChat, given: dict[str, Any]
) -> None:
    server.script = [http(answer("see", **given))]
    response = world.call(chat, "chat", ASKED)
    assert response.message.blocks == [TextBlock(text="see")]
    assert response.raw["choices"][0]["message"]["images"] == given["images"]
    world.call(chat, "chat", [*ASKED, response.message])
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": "see"}


@pytest.mark.parametrize(("arguments", "sent_back"), [('{"a": 1}', '{"a": 1}'), ('{"a": 1', "{}")])
def test_a_signature_comes_back_after_the_message_was_stored(
    world: World, server: ScriptedServer, chat: XDMChat, arguments: str, sent_back: str
) -> None:
    call = tool_call("add", arguments, extra_content={"google": {"thought_signature": "c2ln"}})
    server.script = [calling(call), http(answer("ok"))]
    response = world.items(chat, "stream_chat", ASKED)[-1]
    assert response.raw["choices"][0]["message"]["tool_calls"] == [call]
    stored = ChatMessage.model_validate_json(response.message.model_dump_json())
    result = ChatMessage("1", role="tool", additional_kwargs={"tool_call_id": "call_1"})
    world.call(chat, "chat", [*ASKED, stored, result])
    call["function"]["arguments"] = sent_back
    assert server.requests[1].json["messages"][1]["tool_calls"] == [call]


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_what_a_server_adds_to_a_message_goes_back_after_it_was_stored(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    thoughts = {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]}  # LiteLLM, of Claude
    call = tool_call("add", {"a": 1})
    begun = delta(tool_calls=[{"index": 0, **call}], **thoughts)
    whole = http(answer(None, tool_calls=[call], finish="tool_calls", **thoughts))
    server.script = [whole if method == "chat" else stream(begun, delta(finish="tool_calls"), DONE), http(answer("ok"))]
    message = world.ask(chat, method).message
    stored = ChatMessage.model_validate_json(message.model_dump_json())
    result = ChatMessage("1", role="tool", additional_kwargs={"tool_call_id": "call_1"})
    world.call(chat, "chat", [*ASKED, stored, result])
    sent_back = {"role": "assistant", "content": None, "tool_calls": [call], **thoughts}
    assert server.requests[1].json["messages"][1] == sent_back


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize(
    "events",
    [
        [delta("half"), "data: [DONE]\n\n"],
        [delta("half")],
        [delta("half"), 'data: {"id": "x", "choi'],
        [delta("half"), tool_delta('{"a": 1', name="add", call_id="c")],
    ],
    ids=["no finish", "end", "within JSON", "within arguments"],
)
def test_a_cut_stream_raises_with_the_text_so_far(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, events: list[Any]
) -> None:
    server.script = [stream(*events)]
    with pytest.raises(StreamInterruptedError) as caught:
        world.ask(chat, method)
    assert caught.value.text == "half"
    assert not caught.value.partial.tool_calls


BLOCKED = {"choices": [], "prompt_filter_results": [{"content_filter_results": {"violence": {"filtered": True}}}]}


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("events", [[delta("", role="assistant"), DONE], [DONE], [": PING\n\n"], [BLOCKED, DONE]])
def test_a_stream_without_an_answer_is_an_error(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, events: list[Any]
) -> None:
    server.script = [stream(*events)]
    with pytest.raises(XDMError):
        world.ask(chat, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "body", ["", "<html>hi</html>", "[]", "null", '{"choices": []}', '{"error": {"message": "no"}}', '{"id": ']
)
def test_a_200_that_is_no_answer_is_an_error(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, body: str
) -> None:
    server.script = [http(body)]
    with pytest.raises(XDMError):
        world.ask(chat, method)


@pytest.mark.parametrize("method", STREAMS)
def test_a_server_that_sends_no_finish_reason_is_taken_at_its_word_where_told(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    chat.require_finish_reason = False
    server.script = [stream(delta("alpha"), DONE)]
    response = world.ask(chat, method)
    assert (response.text if method.endswith("complete") else response.message.content) == "alpha"


def test_a_refusal_is_kept_beside_the_message_and_goes_back(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    server.script = [http(answer(None, refusal="I won't."))]
    message = world.call(chat, "chat", ASKED).message
    assert message.additional_kwargs == {"refusal": "I won't."}
    assert message.blocks == [TextBlock(text="")]
    world.call(chat, "chat", [*ASKED, message, *ASKED])
    sent_back = {"role": "assistant", "content": "", "refusal": "I won't."}  # as from the client and from ChatXDM
    assert server.requests[1].json["messages"][1] == sent_back


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_citations_are_kept_beside_the_message_and_do_not_go_back(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    source = {"type": "url_citation", "url_citation": {"url": "https://a.example"}}
    events = stream(delta("See this"), delta(annotations=[source]), delta(finish="stop"), DONE)
    server.script = [events if method == "stream_chat" else http(answer("See this", annotations=[source]))]
    message = world.ask(chat, method).message
    assert message.additional_kwargs == {"annotations": [source]}
    assert message.blocks == [TextBlock(text="See this")]
    server.script = [http(answer("ok"))]
    world.call(chat, "chat", [*ASKED, message, *ASKED])
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": "See this"}


@pytest.mark.parametrize("method", METHODS)
def test_what_a_server_adds_to_an_answer_or_a_choice_is_shown(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    added: dict[str, Any] = {"timings": {"predicted_ms": 5}}
    body, last = answer("hi") | added, delta(finish="stop") | added
    body["choices"][0]["stop_reason"] = last["choices"][0]["stop_reason"] = 11
    server.script = [stream(delta("hi"), last, DONE) if method.startswith("stream") else http(body)]
    response = world.ask(chat, method)
    assert response.raw["choices"][0]["stop_reason"] == 11
    assert response.raw["timings"] == added["timings"]
    shown = response.additional_kwargs
    assert {name: shown.get(name) for name in (*added, "stop_reason")} == {**added, "stop_reason": 11}

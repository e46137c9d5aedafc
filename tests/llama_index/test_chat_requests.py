"""What `XDMChat` sends: parameters, roles, blocks, histories; and what it refuses before any byte."""

from __future__ import annotations

import asyncio
import base64
import copy
import io
import itertools
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from pydantic import BaseModel

from tests.llama_index.conftest import METHODS, STREAMS, World
from tests.scripted import http
from tests.wire.chat import answer, chat_stream, delta, talking
from xdm_integrations import ConfigurationError
from xdm_integrations.core.chat.parameters import PARAMETERS
from xdm_integrations.llama_index import XDMChat

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scripted import ScriptedServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def sent(world: World, server: ScriptedServer, llm: XDMChat, *messages: ChatMessage, **kwargs: Any) -> Any:
    """Return the messages that a call has sent."""
    world.call(llm, "chat", list(messages), **kwargs)
    return server.requests[-1].json["messages"]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_posts_to_the_chat_endpoint(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    chat.api_key = "a-key"
    world.ask(chat, method)
    request = server.requests[0]
    assert (request.method, request.path, request.headers["authorization"]) == (
        "POST",
        "/v1/chat/completions",
        "Bearer a-key",
    )
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if method in STREAMS else {}
    assert request.json == {"model": "m", "messages": [{"role": "user", "content": "hi"}], **streaming}


@pytest.mark.parametrize("method", METHODS)
def test_any_text_arrives_as_it_is(world: World, server: ScriptedServer, chat: XDMChat, method: str) -> None:
    text = " a\n\t\u2028\x00😀 <|im_end|> {x} " + "长" * 100_000
    world.ask(chat, method, text)
    assert server.requests[0].json["messages"] == [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("role", "goes"),
    [
        ("user", "user"),
        ("system", "system"),
        ("developer", "system"),
        ("assistant", "assistant"),
        ("chatbot", "assistant"),
        ("model", "assistant"),
    ],
)
@pytest.mark.parametrize("model", ["m", "o1", "gpt-5", "o3-mini"])
def test_roles_are_those_that_every_relay_knows(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, role: str, goes: str, model: str
) -> None:
    assert sent(world, server, chat, ChatMessage("a", role=role), model=model) == [{"role": goes, "content": "a"}]


def test_texts_are_one_string_without_the_other_keys_of_a_message(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    message = ChatMessage(
        blocks=[TextBlock(text="a"), CachePoint(cache_control=CacheControl(type="ephemeral")), TextBlock(text="b")],
        additional_kwargs={
            "name": "x",
            "refusal": None,
            "audio": None,
            "usage": {"prompt_tokens": 1},
            "tool_calls": None,
        },
    )
    assert sent(world, server, chat, message) == [{"role": "user", "content": "ab"}]


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


IMAGES: list[tuple[str, Any, Any]] = [
    ("an address", lambda _: ImageBlock(url="https://a.example/b.png?c=d"), {"url": "https://a.example/b.png?c=d"}),
    (
        "a detail",
        lambda _: ImageBlock(url="https://a.example/b.png", detail="low"),
        {"url": "https://a.example/b.png", "detail": "low"},
    ),
    ("bytes", lambda _: ImageBlock(image=PNG), {"url": PNG_URL}),
    ("base64", lambda _: ImageBlock(image=base64.b64encode(PNG)), {"url": PNG_URL}),
    ("a data URL", lambda _: ImageBlock(url=PNG_URL), {"url": PNG_URL}),
    ("a path", lambda folder: ImageBlock(path=_file(folder, "a.png", PNG)), {"url": PNG_URL}),
    ("a path without suffix", lambda folder: ImageBlock(path=_file(folder, "a", PNG)), {"url": PNG_URL}),
    ("a path whose suffix lies", lambda folder: ImageBlock(path=_file(folder, "a.jpg", PNG)), {"url": PNG_URL}),
    (
        "a path of a kind that only its suffix tells",
        lambda folder: ImageBlock(path=_file(folder, "a.ico", b"abc")),
        {"url": "data:image/x-icon;base64,YWJj"},
    ),
    (
        "a declared type",
        lambda _: ImageBlock(image=PNG, image_mimetype="image/x-own"),
        {"url": PNG_URL.replace("image/png", "image/x-own")},
    ),
    (
        "a declared type of a path",
        lambda folder: ImageBlock(path=_file(folder, "a.png", PNG), image_mimetype="image/x-own"),
        {"url": PNG_URL.replace("image/png", "image/x-own")},
    ),
]


@pytest.mark.parametrize(("make", "url"), [row[1:] for row in IMAGES], ids=[row[0] for row in IMAGES])
def test_images(world: World, server: ScriptedServer, chat: XDMChat, tmp_path: Path, make: Any, url: Any) -> None:  # noqa: PLR0913, PLR0917 - parameters of a test
    message = ChatMessage(blocks=[TextBlock(text="a"), make(tmp_path), TextBlock(text="b")])
    before = message.model_dump()
    assert sent(world, server, chat, message)[0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": url},
        {"type": "text", "text": "b"},
    ]
    assert message.model_dump() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
@pytest.mark.parametrize(
    ("method", "place"),
    [
        *itertools.product(["astructured_predict", "astream_structured_predict"], ["alone", "citable"]),
        *itertools.product(["achat", "astream_chat"], ["alone", "citable", "cited"]),  # templates copy what is cited
    ],
)
def test_no_event_loop_waits_for_a_file(
    server: ScriptedServer, chat: XDMChat, tmp_path: Path, method: str, place: str
) -> None:
    """The file has become a pipe, into which nothing is written until the loop has gone on."""
    server.script = talking('{"title": "a"}')
    pipe, went_on = _file(tmp_path, "a.png", PNG), threading.Event()
    image = ImageBlock(path=pipe)
    pipe.unlink()
    os.mkfifo(pipe)

    def write() -> bool:
        in_time = went_on.wait(10)
        pipe.write_bytes(PNG)
        return in_time

    async def ask() -> Any:
        blocks = {
            "alone": image,
            "citable": CitableBlock(title="t", source="s", content=[image]),
            "cited": CitationBlock(title="t", source="s", cited_content=image, additional_location_info={}),
        }
        message = ChatMessage(blocks=[TextBlock(text="a"), blocks[place]])
        asked: tuple[Any, ...] = (Title, ChatPromptTemplate([message])) if "structured" in method else ([message],)
        answered = await getattr(chat, method)(*asked)
        return [item async for item in answered] if method.startswith("astream") else answered

    async def main() -> bool:
        writing = asyncio.ensure_future(asyncio.to_thread(write))
        asking = asyncio.ensure_future(ask())
        asyncio.get_running_loop().call_later(0.01, went_on.set)
        try:
            await asking
        finally:
            os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))  # else a writer without a reader waits for ever
        return await writing

    assert asyncio.run(main())
    assert server.requests[0].json["messages"][-1]["content"][-1]["image_url"] == {"url": PNG_URL}


class Title(BaseModel):
    title: str


def url_of(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


OTHERS: list[tuple[str, Any, Any]] = [
    (
        "audio",
        AudioBlock(audio=WAV, format="wav"),
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}},
    ),
    (
        "audio of unknown format",
        AudioBlock(audio=WAV),
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}},
    ),
    (
        "a document",
        DocumentBlock(data=b"%PDF-1.4", title="a.pdf", document_mimetype="application/pdf"),
        {"type": "file", "file": {"filename": "a.pdf", "file_data": url_of("application/pdf", b"%PDF-1.4")}},
    ),
    (
        "a text document",
        DocumentBlock(data=b"hello", title="a.txt"),
        {"type": "file", "file": {"filename": "a.txt", "file_data": url_of("text/plain", b"hello")}},
    ),
    (
        "a video",
        VideoBlock(video=b"abc", video_mimetype="video/mp4"),
        {"type": "video_url", "video_url": {"url": url_of("video/mp4", b"abc")}},
    ),
    (
        "a video's address",
        VideoBlock(url="https://a.example/b.mp4"),
        {"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}},
    ),
]


DOCUMENTS: list[tuple[Any, str, bytes]] = [
    (DocumentBlock(url="data:text/html;charset=utf-8;base64,PGI+"), "text/html", b"<b>"),
    (DocumentBlock(url="data:text/html;base64,PGI+", document_mimetype="text/x-own"), "text/x-own", b"<b>"),
    (DocumentBlock(data="长 and more".encode()), "text/plain", "长 and more".encode()),
    (DocumentBlock(data=b"abc\xff"), "application/pdf", b"abc\xff"),
    (DocumentBlock(data=b"abc\0"), "application/pdf", b"abc\0"),
    (DocumentBlock(data=io.BytesIO(b"%PDF-1.4")), "application/pdf", b"%PDF-1.4"),
]


@pytest.mark.parametrize(("block", "kind", "data"), DOCUMENTS)
def test_a_document_that_has_no_name_is_of_its_declared_type_or_of_that_of_its_bytes(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, block: Any, kind: str, data: bytes
) -> None:
    assert sent(world, server, chat, ChatMessage(blocks=[block]))[0]["content"] == [
        {"type": "file", "file": {"filename": "input_document", "file_data": url_of(kind, data)}}
    ]


@pytest.mark.parametrize(("block", "part"), [row[1:] for row in OTHERS], ids=[row[0] for row in OTHERS])
def test_other_blocks(world: World, server: ScriptedServer, chat: XDMChat, block: Any, part: Any) -> None:
    assert sent(world, server, chat, ChatMessage(blocks=[block]))[0]["content"] == [part]


def test_cited_content_is_sent(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    cited = CitationBlock(cited_content="b", source="s", title="t", additional_location_info={})
    message = ChatMessage(blocks=[CitableBlock(title="t", source="s", content="a"), cited])
    assert sent(world, server, chat, message)[0]["content"] == "ab"


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_an_image_is_sent_in_every_role(world: World, server: ScriptedServer, chat: XDMChat, role: str) -> None:
    calling = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c", tool_name="f")])
    message = ChatMessage(role=role, blocks=[ImageBlock(image=PNG)], additional_kwargs={"tool_call_id": "c"})
    content = sent(world, server, chat, calling, message)[1]["content"]
    assert content == [{"type": "image_url", "image_url": {"url": PNG_URL}}]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (ImageBlock(image=b"no image"), "no image"),
        (AudioBlock(url="https://a.example/b.mp3"), "pass its bytes"),
        (DocumentBlock(url="https://a.example/b.pdf"), "pass its bytes"),
        (ImageBlock(url="file:///a.png"), "pass the block a path"),
        (VideoBlock(url="file:///a.mp4"), "pass the block a path"),
        (ImageBlock(), "zero bytes|No valid source"),
        (AudioBlock(audio=b"x" * 20), "format"),
    ],
)
def test_what_can_not_be_sent_is_refused_by_the_number_of_its_message(
    world: World, server: ScriptedServer, chat: XDMChat, block: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=rf"message 2 \(user\)[^\n]*({said})"):
        world.call(chat, "chat", [ChatMessage("a"), ChatMessage(blocks=[block])])
    assert not server.requests


def history(call: Any, thinking: Any = None, **kept: Any) -> list[ChatMessage]:
    blocks = [*([thinking] if thinking else []), TextBlock(text="I add."), *([call] if call else [])]
    return [
        ChatMessage("1 + 2?"),
        ChatMessage(role="assistant", blocks=blocks, additional_kwargs=kept),
        ChatMessage(
            role="tool", blocks=[TextBlock(text="3"), TextBlock(text="!")], additional_kwargs={"tool_call_id": "c"}
        ),
    ]


def test_a_history_with_calls_and_results(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    call = ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs={"a": "é"})
    messages = history(call, ThinkingBlock(content="hm"))
    before = [message.model_dump() for message in messages]
    assert sent(world, server, chat, *messages)[1:] == [
        {
            "role": "assistant",
            "content": "I add.",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": "é"}'}}],
            "reasoning_content": "hm",
        },
        {"role": "tool", "tool_call_id": "c", "content": "3!"},
    ]
    assert [message.model_dump() for message in messages] == before


def test_an_empty_result_is_a_string_and_foreign_keys_stay_at_home(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    call = ToolCallBlock(tool_call_id="c", tool_name="add")
    messages = history(call, refusal=None, audio=None, usage={"prompt_tokens": 1}, prompt_tokens=1, tool_call_id="c")
    messages[2] = ChatMessage(role="tool", additional_kwargs={"tool_call_id": "c", "name": "add"})
    _, assistant, result = sent(world, server, chat, *messages)
    assert assistant.keys() == {"role", "content", "tool_calls"}
    assert result == {"role": "tool", "tool_call_id": "c", "content": ""}


@pytest.mark.parametrize("arguments", ["", "null", '{"a": ', "[1]", "3"])
@pytest.mark.parametrize("stored", ["block", "dictionary"])
def test_arguments_of_a_history_are_always_an_object(
    world: World, server: ScriptedServer, chat: XDMChat, arguments: str, stored: str
) -> None:
    if stored == "block":
        messages = history(ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs=arguments))
    else:
        call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": arguments}}
        messages = history(None, tool_calls=[call])
    call = sent(world, server, chat, *messages)[1]["tool_calls"]
    assert [one["function"]["arguments"] for one in call] == ["{}"]


def test_stored_calls_go_out_once_with_the_servers_own_keys(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    signature = {"extra_content": {"google": {"thought_signature": "s"}}}
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}, **signature}
    block = ToolCallBlock(tool_call_id="c", tool_name="add")
    for messages in (history(block, tool_calls=[call]), history(None, tool_calls=[call])):
        assert sent(world, server, chat, *messages)[1]["tool_calls"] == [call]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_goes_back_beside_calls_under_the_name_it_came_in(
    world: World, server: ScriptedServer, chat: XDMChat, field: str
) -> None:
    call = [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}]
    server.script = [http(answer("x", tool_calls=call, **{field: "hm"})), http(answer("y", **{field: "done"}))]
    first = world.call(chat, "chat", [ChatMessage("a")]).message
    result = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "c"})
    second = world.call(chat, "chat", [ChatMessage("a"), first, result]).message
    assert server.requests[1].json["messages"][1][field] == "hm"
    world.call(chat, "chat", [ChatMessage("a"), first, result, second, ChatMessage("b")])
    assert server.requests[2].json["messages"][3] == {"role": "assistant", "content": "y"}


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}], {}),
        ("<think>hm</think>", {"think_tags": True}),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_reasoning_that_came_in_no_field_goes_back_in_none(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, content: Any, settings: Any, streamed: bool
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    given = {"tool_calls": [{**call, "index": 0}]}
    reply = chat_stream(delta(content=content, **given)) if streamed else http(answer(content, **given))
    server.script = [reply, http(answer("y"))]
    if streamed:
        first = world.items(chat, "stream_chat", [ChatMessage("a")], **settings)[-1].message
    else:
        first = world.call(chat, "chat", [ChatMessage("a")], **settings).message
    assert first.blocks[0].content == "hm"
    stored = ChatMessage.model_validate_json(first.model_dump_json())
    result = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "c"})
    world.call(chat, "chat", [ChatMessage("a"), stored, result])
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [call]}


def test_reasoning_in_parts_goes_back_beside_calls_as_it_came(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}]
    call = [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}]
    server.script = [http(answer("x", tool_calls=call, reasoning="hm", reasoning_details=details)), http(answer("y"))]
    first = world.call(chat, "chat", [ChatMessage("a")]).message
    stored = ChatMessage.model_validate_json(first.model_dump_json())
    world.call(
        chat, "chat", [ChatMessage("a"), stored, ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "c"})]
    )
    sent_back = server.requests[1].json["messages"][1]
    assert (sent_back["reasoning"], sent_back["reasoning_details"]) == ("hm", details)


@pytest.mark.parametrize("method", METHODS)
def test_none_is_not_given_for_every_parameter(world: World, server: ScriptedServer, method: str) -> None:
    server.script = talking("hi")
    nothing = dict.fromkeys(set(PARAMETERS) - {"model", "metadata"})
    world.ask(XDMChat(model="m", api_base=server.url, **nothing), method, **nothing, metadata=None, model=None)
    assert set(server.requests[0].json) - {"stream", "stream_options"} == {"model", "messages"}


@pytest.mark.parametrize("name", sorted(set(PARAMETERS) - {"model"}))
def test_every_parameter_is_sent_from_a_field_and_from_a_call(world: World, server: ScriptedServer, name: str) -> None:
    server.script = talking("hi")
    value, beside = VALUES[name]
    expected = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **beside, name: value}
    method = "stream_chat" if name == "stream_options" else "chat"
    if name != "metadata":  # LlamaIndex has the name
        field = type(XDMChat()).model_fields[name]
        assert field.description
        world.ask(XDMChat(model="m", api_base=server.url, **beside, **{name: value}), method)
        assert server.requests[-1].json == expected | ({"stream": True} if method == "stream_chat" else {})
    llm = XDMChat(model="m", api_base=server.url, **beside)
    world.ask(llm, method, **{name: value})
    assert server.requests[-1].json == expected | ({"stream": True} if method == "stream_chat" else {})


VALUES: dict[str, tuple[Any, dict[str, Any]]] = {
    "audio": ({"voice": "alloy", "format": "mp3"}, {"modalities": ["text", "audio"]}),
    "frequency_penalty": (0, {}),
    "logit_bias": ({"50256": -100}, {}),
    "logprobs": (False, {}),
    "max_completion_tokens": (5, {}),
    "max_tokens": (5, {}),
    "metadata": ({"a": "b"}, {}),
    "modalities": (["text"], {}),
    "n": (1, {}),
    "parallel_tool_calls": (False, {"tools": [TOOL]}),
    "prediction": ({"type": "content", "content": "a"}, {}),
    "presence_penalty": (0, {}),
    "prompt_cache_key": ("k", {}),
    "reasoning_effort": ("low", {}),
    "response_format": ({"type": "json_object"}, {}),
    "seed": (0, {}),
    "service_tier": ("auto", {}),
    "stop": (["a", "b"], {}),
    "store": (False, {}),
    "stream_options": ({"include_usage": False}, {}),
    "temperature": (0, {}),
    "tool_choice": ("none", {"tools": [TOOL]}),
    "tools": ([TOOL], {}),
    "top_logprobs": (0, {"logprobs": True}),
    "top_p": (0, {}),
    "user": ("u", {}),
    "verbosity": ("low", {}),
    "web_search_options": ({"search_context_size": "low"}, {}),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("source", ["field", "call"])
@pytest.mark.parametrize(("given", "goes"), [("a", "a"), (["a"], "a"), (["a", "b"], ["a", "b"])])
def test_one_stop_is_a_string_and_several_are_a_list(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, method: str, source: str, given: Any, goes: Any
) -> None:
    if source == "field":
        chat.stop = given
    world.ask(chat, method, **({"stop": given} if source == "call" else {}))
    assert server.requests[0].json["stop"] == goes


@pytest.mark.parametrize("method", METHODS)
def test_the_call_wins_over_additional_kwargs_and_those_over_fields(
    world: World, server: ScriptedServer, method: str
) -> None:
    server.script = talking("hi")
    more = {"temperature": 0.5, "top_p": 0.5, "top_k": 1, "model": "more"}
    llm = XDMChat(
        model="m", api_base=server.url, temperature=1, top_p=1, seed=1, additional_kwargs=more, extra_body={"seed": 9}
    )
    world.ask(llm, method, temperature=0)
    body = server.requests[0].json
    assert [body[name] for name in ("model", "temperature", "top_p", "top_k", "seed")] == ["more", 0, 0.5, 1, 9]
    world.ask(llm, method, model="call", top_p=None, extra_body={"seed": 10})
    body = server.requests[1].json
    assert [body[name] for name in ("model", "temperature", "top_p", "seed")] == ["call", 0.5, 0.5, 10]


def test_of_the_two_names_of_the_limit_the_one_that_wins_is_sent(world: World, server: ScriptedServer) -> None:
    server.script = talking("hi")
    llm = XDMChat(api_base=server.url, max_tokens=5)
    world.ask(llm, "chat", max_completion_tokens=7)
    assert (server.requests[0].json.get("max_tokens"), server.requests[0].json["max_completion_tokens"]) == (None, 7)
    llm.additional_kwargs = {"max_completion_tokens": 8}
    world.ask(llm, "chat")
    assert (server.requests[1].json.get("max_tokens"), server.requests[1].json["max_completion_tokens"]) == (None, 8)
    with pytest.raises(ConfigurationError, match="one of the two"):
        world.ask(XDMChat(api_base=server.url, max_tokens=5, max_completion_tokens=6), "chat")
    with pytest.raises(ConfigurationError, match="one of the two"):
        world.ask(llm, "chat", max_tokens=5, max_completion_tokens=6)


@pytest.mark.parametrize("model", ["o1", "o3-mini", "gpt-5", "deepseek-reasoner"])
def test_the_models_name_changes_no_parameter(world: World, server: ScriptedServer, model: str) -> None:
    server.script = talking("hi")
    world.ask(XDMChat(model=model, api_base=server.url, temperature=0.3, max_tokens=5), "chat")
    body = server.requests[0].json
    assert (body["model"], body["temperature"], body["max_tokens"]) == (model, 0.3, 5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temprature": 0}, "temperature"),
        ({"is_chat_model": True}, "leave it out"),
        ({"audio_config": {}}, "Did you mean 'audio'"),
        ({"max_token": 1}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n:"),
        ({"logprobs": 3}, "logprobs"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"model": ""}, "model"),
        ({"context_window": 0}, "context_window"),
        ({"additional_kwargs": {"temperature": 3}}, "temperature"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        XDMChat(**settings)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"temprature": 0}, "temperature"),
        ({"stream": True}, "method decides"),
        ({"top_p": 2}, "top_p"),
        ({"extra_body": {"x": [{1}]}}, r"extra_body\['x'\]\[0\]: can't be written as JSON"),
    ],
)
def test_wrong_arguments_are_refused_before_any_byte(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, method: str, kwargs: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        world.ask(chat, method, **kwargs)
    assert not server.requests


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("asked", [None, 1, [1], [{"role": "user", "content": "a"}], []])
@pytest.mark.usefixtures("traced")
def test_what_is_no_prompt_and_no_message_is_refused(
    world: World, server: ScriptedServer, chat: XDMChat, method: str, asked: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"prompt|messages"):
        world.ask_messages(chat, method, asked)
    assert not server.requests


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
@pytest.mark.usefixtures("traced")
def test_a_prompt_in_place_of_messages_is_refused_with_the_advice(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"got str\. For a prompt call `complete`\."):
        world.ask_messages(chat, method, "hi")
    assert not server.requests


@pytest.mark.parametrize("method", METHODS)
def test_words_about_tools_are_sent_only_with_tools(world: World, server: ScriptedServer, method: str) -> None:
    server.script = talking("hi")
    llm = XDMChat(api_base=server.url, tool_choice="auto", parallel_tool_calls=False)
    world.ask(llm, method)
    assert not server.requests[0].json.keys() & {"tools", "tool_choice", "parallel_tool_calls"}
    world.ask(llm, method, tools=[TOOL])
    assert server.requests[1].json["tool_choice"] == "auto"


@pytest.mark.parametrize("method", STREAMS)
def test_a_stream_asks_for_counts_unless_told_or_refused(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    chat.stream_usage = False
    world.ask(chat, method)
    assert "stream_options" not in server.requests[0].json
    chat.stream_usage = True
    refusal = http({"error": {"message": "Unknown parameter: stream_options"}}, status=400)
    server.script = lambda seen: refusal if "stream_options" in seen.json else chat_stream("hi")
    for _ in range(2):
        world.ask(chat, method)
    assert ["stream_options" in seen.json for seen in server.requests[1:]] == [True, False, False]


PROMPT = PromptTemplate("about {x}")


@pytest.mark.parametrize("method", ["predict", "stream"])
def test_the_system_prompt_comes_first_and_once(
    world: World, server: ScriptedServer, chat: XDMChat, method: str
) -> None:
    chat.system_prompt = "Be brief."
    if method == "predict":
        assert world.call(chat, method, PROMPT, x="tea") == "hi"
    else:
        assert "".join(world.items(chat, method, PROMPT, x="tea")) == "hi"
    assert server.requests[0].json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "about tea"},
    ]


def test_what_the_caller_gave_is_left_alone(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    given: dict[str, Any] = {"tools": [copy.deepcopy(TOOL)], "extra_body": {"a": {"b": [1]}}, "logit_bias": {"1": 1}}
    before = copy.deepcopy(given)
    messages = [ChatMessage("a", additional_kwargs={"x": [1]})]
    world.call(chat, "chat", messages, **given)
    assert given == before
    assert messages == [ChatMessage("a", additional_kwargs={"x": [1]})]


@pytest.mark.parametrize(
    ("settings", "window", "output"),
    [
        ({"model": "gpt-4o-2024-08-06"}, 128_000, 256),
        ({"model": "deepseek-ai/DeepSeek-V3.1"}, 131_072, 256),
        ({"model": "never-heard-of"}, 32_768, 256),
        ({"model": "gpt-4o", "context_window": 5000, "max_tokens": 100}, 5000, 100),
        ({"model": "x", "additional_kwargs": {"model": "gpt-4", "max_tokens": 7}}, 8192, 7),
        ({"max_completion_tokens": 9}, 128_000, 9),
    ],
)
def test_metadata_is_what_is_known_and_asks_nobody(settings: dict[str, Any], window: int, output: int) -> None:
    metadata = XDMChat(api_base="http://127.0.0.1:9/v1", **settings).metadata
    assert (metadata.context_window, metadata.num_output) == (window, output)
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model

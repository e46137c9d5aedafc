"""What `ChatXDM` sends: settings, parameters, and messages of every kind."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from langchain_core.prompts import ChatPromptTemplate
from pydantic import SecretStr

from tests.scripted import http
from tests.wire.chat import answer, chat_stream, delta, talking
from xdm_integrations import ConfigurationError
from xdm_integrations.langchain import ChatXDM
from xdm_integrations.langchain.fields import CHAT as PARAMETERS

VALUES = {
    "audio": {"voice": "a", "format": "wav"},
    "frequency_penalty": 0.0,
    "logit_bias": {7: -100},
    "logprobs": True,
    "max_tokens": 5,
    "modalities": ["text", "audio"],
    "model": "another",
    "n": 1,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "a"},
    "presence_penalty": 0.5,
    "prompt_cache_key": "k",
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "seed": 0,
    "service_tier": "flex",
    "stop": ["a", "b"],
    "store": False,
    "temperature": 0.0,
    "tool_choice": "auto",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_logprobs": 0,
    "top_p": 1.0,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
}
SENT = {**VALUES, "logit_bias": {"7": -100}}
CALL = {"id": "c1", "name": "f", "args": {"x": "é"}, "type": "tool_call"}
WIRE_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": "é"}'}}
SUMMARY = [{"type": "summary_text", "text": "hm"}]
RESULT = ToolMessage("done", tool_call_id="c1")
PNG = "data:image/png;base64,QUJD"


@pytest.fixture
def server(server):
    server.script = talking("hi")
    return server


def sent(world, server, messages, **kwargs):
    """Return the messages of the body that a conversation becomes."""
    world.invoke(world.chat(server), messages, **kwargs)
    return server.requests[-1].json["messages"]


def body(server):
    return {name: value for name, value in server.requests[-1].json.items() if name != "messages"}


# Parameters


def test_a_body_holds_the_model_the_messages_and_nothing_that_was_not_set(world, server):
    world.invoke(world.chat(server), "hello")
    assert server.requests[0].json == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    assert server.requests[0].path == "/v1/chat/completions"


def test_none_is_not_given_for_every_parameter(world, server):
    nothing = dict.fromkeys(PARAMETERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chat = world.chat(server, **{**nothing, "model": "m"}, streaming=None, timeout=None)
        world.invoke(chat, "x", **nothing)
        world.stream(chat, "x", **nothing)
    assert [set(seen.json) - {"stream", "stream_options"} for seen in server.requests] == [{"model", "messages"}] * 2


def test_every_parameter_is_a_field_and_an_argument_of_calls(world, server):
    assert set(VALUES) | {"max_completion_tokens", "stream_options"} == set(PARAMETERS) <= set(ChatXDM.model_fields)
    world.invoke(world.chat(server, **VALUES), "x")
    assert body(server) == SENT
    world.invoke(world.chat(server), "x", **VALUES)
    assert body(server) == SENT
    world.stream(world.chat(server), "x", **VALUES)
    assert body(server) == {**SENT, "stream": True, "stream_options": {"include_usage": True}}
    world.stream(world.chat(server), "x", stream_options={"include_usage": False})
    assert body(server)["stream_options"] == {"include_usage": False}


def test_the_call_comes_before_bind_before_model_kwargs_before_the_field_and_nothing_sticks(world, server):
    chat = world.chat(server, temperature=0.1, model_kwargs={"temperature": 0.2, "top_k": 5, "metadata": {"a": "b"}})
    bound = chat.bind(temperature=0.3)
    for runnable, kwargs, expected in ((bound, {"temperature": 0.4}, 0.4), (bound, {}, 0.3), (chat, {}, 0.2)):
        world.invoke(runnable, "x", **kwargs)
        assert body(server) == {"model": "m", "temperature": expected, "top_k": 5, "metadata": {"a": "b"}}


def test_a_misspelt_name_is_refused_before_anything_is_sent(world, server):
    with pytest.raises(ConfigurationError, match="temperature"):
        ChatXDM(temperatur=1)
    chat = world.chat(server)
    for call in (
        lambda: world.invoke(chat, "x", temperatur=1),
        lambda: world.stream(chat.bind(temperatur=1), "x"),
        lambda: setattr(chat, "temperatur", 1),
    ):
        with pytest.raises(ConfigurationError, match="temperature"):
            call()
    assert server.requests == []


@pytest.mark.parametrize("name", ["think_tags", "streaming", "max_concurrency", "stream_usage", "cache"])
def test_a_setting_is_none_of_calls_and_says_where_it_belongs(world, server, name):
    with pytest.raises(ConfigurationError, match=f"^{name}: unknown parameter. It is a setting of all calls"):
        world.invoke(world.chat(server), "x", **{name: True})
    assert server.requests == []


def test_extra_body_of_the_call_goes_over_that_of_the_constructor(world, server):
    chat = world.chat(server, extra_body={"a": 1, "b": 1})
    world.invoke(chat, "x", extra_body={"b": 2})
    assert body(server) == {"model": "m", "a": 1, "b": 2}


@pytest.mark.parametrize(
    ("field", "call", "expected"),
    [
        ("a", None, "a"),
        (("a", "b"), None, ["a", "b"]),
        (["a"], ["b", "c"], ["b", "c"]),
        ([], None, None),
        (None, [], None),
    ],
)
def test_stop_comes_in_every_form(world, server, field, call, expected):
    world.invoke(world.chat(server, stop=field), "x", stop=call)
    assert body(server).get("stop") == expected


def test_stop_sequences_is_another_name_of_stop_and_bind_wins(world, server):
    chat = world.chat(server, stop_sequences=["a"])
    world.invoke(chat, "x")
    assert body(server)["stop"] == "a"
    world.invoke(chat.bind(stop=["b"]), "x")
    assert body(server)["stop"] == "b"


def test_the_limit_of_tokens_goes_out_under_one_name(world, server):
    chat = world.chat(server, max_tokens=5)
    world.invoke(chat, "x")
    world.invoke(chat, "x", max_completion_tokens=6)
    world.invoke(world.chat(server, max_completion_tokens=7), "x", max_tokens=8)
    world.invoke(world.chat(server, max_completion_tokens=7, model_kwargs={"max_tokens": 9}), "x")
    assert [set(seen.json.items() - {("model", "m")}) for seen in map(_flat, server.requests)] == [
        {("max_tokens", 5)},
        {("max_completion_tokens", 6)},
        {("max_tokens", 8)},
        {("max_tokens", 9)},
    ]
    with pytest.raises(ConfigurationError, match="one of the two"):
        world.invoke(chat, "x", max_tokens=8, max_completion_tokens=6)


def _flat(seen):
    return type("Seen", (), {"json": {k: v for k, v in seen.json.items() if k != "messages"}})


# Connection


@pytest.mark.parametrize("kind", ["text", "secret", "function", "environment", "coroutine"])
def test_a_key_comes_from_anywhere(world, server, monkeypatch, kind):
    if kind == "coroutine" and not world.is_async:
        pytest.skip("a coroutine needs a loop")
    keys = iter(["one", "two"])

    async def later():
        return next(keys)

    if kind == "environment":
        monkeypatch.setenv("XDM_API_KEY", "one")
    key = {"text": "one", "secret": SecretStr("one"), "function": lambda: next(keys), "coroutine": later}.get(kind)
    chat = world.chat(server, api_key=key)
    world.invoke(chat, "x")
    world.invoke(chat, "x")
    second = "two" if kind in ("function", "coroutine") else "one"
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer one", f"Bearer {second}"]


def test_a_missing_key_names_the_variable(world):
    with pytest.raises(ConfigurationError, match="XDM_API_KEY"):
        world.invoke(world.chat(base_url="https://gateway.example/v1"), "x")


def test_the_address_comes_with_a_slash_by_its_alias_or_from_the_environment(world, server, monkeypatch):
    world.invoke(world.chat(base_url=server.url + "/"), "x")
    world.invoke(world.chat(xdm_api_base=server.url), "x")
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    world.invoke(world.chat(), "x")
    assert {seen.path for seen in server.requests} == {"/v1/chat/completions"}


def test_headers_say_who_asks(world, server):
    chat = world.chat(server, api_key="k", default_headers={"X-Team": "t"})
    world.invoke(chat, "x", extra_headers={"X-Call": "c"})
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer k"
    assert headers["content-type"] == "application/json"
    assert (headers["x-team"], headers["x-call"]) == ("t", "c")
    assert headers["user-agent"].startswith("xdm-integrations/")


def test_the_model_of_a_call_reaches_the_wire_and_the_names_are_readable(world, server):
    chat = world.chat(server)
    world.invoke(chat, "x", model="other")
    assert body(server)["model"] == "other"
    assert (chat.model, chat.model_name, chat._llm_type) == ("m", "m", "xdm-chat")


# Messages


def test_inputs_of_every_form_become_the_same_body(world, server):
    chat = world.chat(server)
    forms = [
        "x",
        [HumanMessage("x")],
        [("human", "x")],
        [{"role": "user", "content": "x"}],
        ChatPromptTemplate.from_messages([("human", "{it}")]).invoke({"it": "x"}),
    ]
    for form in forms:
        world.invoke(chat, form)
        world.stream(chat, form)
    assert {str(seen.json["messages"]) for seen in server.requests} == {"[{'role': 'user', 'content': 'x'}]"}


def test_texts_among_blocks_are_sent_and_thoughts_of_a_person_are_not(world, server):
    thought = {"type": "reasoning", "reasoning": "hm"}
    asked = [HumanMessage(["u", thought]), AIMessage(["a", {"type": "text", "text": "b"}]), HumanMessage("x")]
    assert [message["content"] for message in sent(world, server, asked)] == ["u", "ab", "x"]


def test_a_message_that_is_none_is_refused_by_its_place(world, server):
    with pytest.raises(ConfigurationError, match="message 2: a RemoveMessage can't be sent"):
        world.invoke(world.chat(server), [HumanMessage("x"), RemoveMessage("all")])
    assert server.requests == []


def test_roles_order_and_names_are_kept(world, server):
    conversation = [
        SystemMessage("s"),
        {"role": "developer", "content": "d"},
        HumanMessage("u", name="ann"),
        AIMessage("a", name="bot"),
        AIMessage("", tool_calls=[CALL]),
        RESULT,
        FunctionMessage(content="r", name="f"),
        ChatMessage(content="c", role="critic"),
        ChatMessage(content="u2", role="user"),
    ]
    assert sent(world, server, conversation) == [
        {"role": "system", "content": "s\n\nd"},  # relays' channels refuse "developer"
        {"role": "user", "content": "u", "name": "ann"},
        {"role": "assistant", "content": "a", "name": "bot"},
        {"role": "assistant", "content": None, "tool_calls": [WIRE_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        {"role": "function", "name": "f", "content": "r"},
        {"role": "critic", "content": "c"},
        {"role": "user", "content": "u2"},
    ]


IMAGE = {"type": "image_url", "image_url": {"url": PNG}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}}
PDF = {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,QUJD"}}
BLOCKS = [
    ("a text", {"type": "text", "text": "t", "id": "b1", "index": 0}, {"type": "text", "text": "t"}),
    ("an image by URL", {"type": "image_url", "image_url": PNG}, IMAGE),
    (
        "an image with its detail",
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ),
    (
        "an image of version 0",
        {"type": "image", "source_type": "base64", "data": "QUJD", "mime_type": "image/png"},
        IMAGE,
    ),
    ("an image of version 1", {"type": "image", "base64": "QUJD", "mime_type": "image/png"}, IMAGE),
    ("an image's URL of version 1", {"type": "image", "url": PNG}, IMAGE),
    (
        "an image of Anthropic's",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
        IMAGE,
    ),
    ("an image's URL of version 0", {"type": "image", "source_type": "url", "url": PNG}, IMAGE),
    ("an image's URL of Anthropic's", {"type": "image", "source": {"type": "url", "url": PNG}}, IMAGE),
    (
        "an image of version 1 with its detail",
        {"type": "image", "url": PNG, "extras": {"detail": "low"}},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ),
    (
        "a sound whose format isn't said",
        {"type": "input_audio", "input_audio": {"data": "QUJD"}},
        {"type": "input_audio", "input_audio": {"data": "QUJD"}},
    ),
    (
        "a file without a name, as LangChain wraps what it doesn't know",
        {"type": "non_standard", "value": {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD"}}},
        PDF,
    ),
    ("a sound", {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}}, AUDIO),
    (
        "a sound of version 0",
        {"type": "audio", "source_type": "base64", "data": "QUJD", "mime_type": "audio/mpeg"},
        AUDIO,
    ),
    ("a sound of version 1", {"type": "audio", "base64": "QUJD", "mime_type": "audio/mpeg"}, AUDIO),
    ("a nameless file", {"type": "file", "base64": "QUJD", "mime_type": "application/pdf"}, PDF),
    (
        "a file of OpenAI's",
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
    ),
    (
        "a file of version 0",
        {"type": "file", "source_type": "base64", "data": "QUJD", "mime_type": "application/pdf", "filename": "a.pdf"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
    ),
    (
        "a nameless file of OpenAI's",
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD"}},
        PDF,
    ),
    (
        "a named file of version 1",
        {"type": "file", "base64": "QUJD", "mime_type": "application/pdf", "extras": {"filename": "a.pdf"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
    ),
    ("a file by its id", {"type": "file", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
    (
        "a file by its id of version 0",
        {"type": "file", "source_type": "id", "id": "f1"},
        {"type": "file", "file": {"file_id": "f1"}},
    ),
    (
        "a video",
        {"type": "video", "url": "https://v.example/a"},
        {"type": "video_url", "video_url": {"url": "https://v.example/a"}},
    ),
    ("a plain text", {"type": "text-plain", "text": "t", "mime_type": "text/plain"}, {"type": "text", "text": "t"}),
    ("a plain text by its id", {"type": "text-plain", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
    (
        "a plain text as base64",
        {"type": "text-plain", "base64": "QUJD", "mime_type": "text/plain"},
        {"type": "file", "file": {"filename": "document.txt", "file_data": "data:text/plain;base64,QUJD"}},
    ),
    (
        "a document of Anthropic's",
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}},
        PDF,
    ),
    (
        "a document's id of Anthropic's",
        {"type": "document", "source": {"type": "file", "file_id": "f1"}},
        {"type": "file", "file": {"file_id": "f1"}},
    ),
    (
        "a document's text of Anthropic's",
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "t"}},
        {"type": "text", "text": "t"},
    ),
    (
        "an image of version 0 with its detail",
        {"type": "image", "source_type": "url", "url": PNG, "metadata": {"detail": "low"}},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ),
    (
        "a file of version 0 with its name in the metadata",
        {
            "type": "file",
            "source_type": "base64",
            "data": "QUJD",
            "mime_type": "application/pdf",
            "metadata": {"name": "a.pdf"},
        },
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
    ),
    ("an image without a detail", {"type": "image_url", "image_url": {"url": PNG, "detail": None}}, IMAGE),
    ("what b64encode returns", {"type": "image", "base64": b"QUJD", "mime_type": "image/png"}, IMAGE),
    (
        "a provider's own",
        {"type": "video_url", "video_url": {"url": "u"}},
        {"type": "video_url", "video_url": {"url": "u"}},
    ),
    (
        "a provider's own with a value",
        {"type": "chart", "value": {"type": "text", "text": "a"}},
        {"type": "chart", "value": {"type": "text", "text": "a"}},
    ),
]


@pytest.mark.parametrize(("block", "part"), [row[1:] for row in BLOCKS], ids=[row[0] for row in BLOCKS])
def test_blocks_of_every_version_become_parts(world, server, block, part):
    before = copy.deepcopy(block)
    (message,) = sent(world, server, [HumanMessage(["look: ", IMAGE, block])])
    assert message["content"] == [{"type": "text", "text": "look: "}, IMAGE, part]
    assert block == before


@pytest.mark.parametrize(
    "block",
    [
        {"type": "file", "url": "https://f.example/a.pdf"},
        {"type": "document", "source": {"type": "url", "url": "https://f.example/a.pdf"}},
        {"type": "text-plain", "url": "https://f.example/a.txt"},
        {"type": "audio", "url": "https://f.example/a.wav"},
        {"type": "image", "file_id": "f1"},
        {"type": "image_url"},
        {"text": "no type"},
    ],
)
def test_what_chat_has_no_form_for_is_refused_before_sending(world, server, block):
    with pytest.raises(ConfigurationError, match="message 1, part 1"):
        world.invoke(world.chat(server), [HumanMessage([block])])
    assert server.requests == []


def test_blocks_that_are_nothing_but_text_go_as_one_text(world, server):
    blocks = ["a", {"type": "text", "text": "b", "id": "1", "index": 3}]
    assert sent(world, server, [HumanMessage(blocks)]) == [{"role": "user", "content": "ab"}]


def test_calls_of_tools_go_back(world, server):
    call = {"function": {"name": "f", "arguments": '{"x": "é"}'}, "id": "c1", "type": "function"}
    for ai in (
        AIMessage("t", tool_calls=[CALL]),
        AIMessage("t", additional_kwargs={"tool_calls": [call]}),
        AIMessage([{"type": "text", "text": "t"}, CALL], tool_calls=[CALL]),
    ):
        messages = sent(world, server, [HumanMessage("x"), ai, RESULT])
        assert messages[1] == {"role": "assistant", "content": "t", "tool_calls": [WIRE_CALL]}
    assert "é" in server.requests[-1].body.decode()


def test_calls_that_could_not_be_read_go_back_with_their_id(world, server):
    broken = {"id": "c1", "name": "f", "args": '{"x": ', "error": None, "type": "invalid_tool_call"}
    messages = sent(world, server, [HumanMessage("x"), AIMessage("", invalid_tool_calls=[broken]), RESULT])
    assert messages[1]["tool_calls"] == [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_blocks_of_other_providers_are_no_content(world, server):
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "s"},
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "t"},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": "é"}},
        {"type": "function_call", "name": "f"},
        CALL,
    ]
    messages = sent(world, server, [HumanMessage("x"), AIMessage(blocks, tool_calls=[CALL]), RESULT])
    expected = {"role": "assistant", "content": "t", "tool_calls": [WIRE_CALL], "reasoning_content": "hmhm"}
    assert messages[1] == expected


def test_results_of_tools_go_without_what_is_langchains_own(world, server):
    result = ToolMessage(["r", IMAGE], tool_call_id="c1", name="f", status="error", artifact=object(), id="i")
    messages = sent(world, server, [HumanMessage("x"), AIMessage("", tool_calls=[CALL]), result])
    assert messages[2] == {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}, IMAGE]}


@pytest.mark.parametrize(
    ("ai", "field"),
    [
        (AIMessage("", tool_calls=[CALL], additional_kwargs={"reasoning_content": "hm"}), {"reasoning_content": "hm"}),
        (AIMessage([{"type": "reasoning", "reasoning": "hm"}], tool_calls=[CALL]), {"reasoning_content": "hm"}),
        (
            AIMessage(
                "",
                tool_calls=[CALL],
                additional_kwargs={"reasoning_content": "hm"},
                response_metadata={"reasoning_field": "reasoning"},
            ),
            {"reasoning": "hm"},
        ),
        (
            AIMessage(
                [{"type": "reasoning", "reasoning": "hm"}],
                tool_calls=[CALL],
                response_metadata={"reasoning_field": "reasoning"},
            ),
            {"reasoning": "hm"},
        ),
        (AIMessage([{"type": "reasoning", "summary": SUMMARY}], tool_calls=[CALL]), {"reasoning_content": "hm"}),
        (
            AIMessage([{"type": "reasoning_content", "reasoning_content": {"text": "hm"}}], tool_calls=[CALL]),
            {"reasoning_content": "hm"},
        ),
        (
            AIMessage("", tool_calls=[CALL], additional_kwargs={"reasoning": {"id": "r1", "summary": SUMMARY}}),
            {"reasoning": "hm"},
        ),
        (AIMessage("", tool_calls=[CALL], additional_kwargs={"reasoning": {"id": "r1", "summary": []}}), {}),
        (AIMessage("a", additional_kwargs={"reasoning_content": "hm"}), {}),
    ],
)
def test_reasoning_goes_back_beside_calls_and_only_there(world, server, ai, field):
    rest = [RESULT] if ai.tool_calls else [HumanMessage("y")]
    message = sent(world, server, [HumanMessage("x"), ai, *rest])[1]
    assert {name: value for name, value in message.items() if "reasoning" in name} == field


def test_a_refusal_that_is_a_block_goes_back(world, server):
    refused = AIMessage([{"type": "refusal", "refusal": "I won't."}])
    messages = sent(world, server, [HumanMessage("x"), refused, HumanMessage("y")])
    assert messages[1] == {"role": "assistant", "content": "", "refusal": "I won't."}


def test_an_answer_goes_back_as_it_came_with_what_only_the_server_understands(world, server):
    call = {**WIRE_CALL, "extra_content": {"signature": "s"}}
    reply = answer(None, tool_calls=[call], reasoning="hm", note="n")
    chat = world.chat(server)
    for version in (None, "v1"):
        server.script = talking(http(reply), "done")
        with_calls = world.invoke(world.chat(server, output_version=version), "x")
        world.invoke(chat, [HumanMessage("x"), with_calls, RESULT])
        back = server.requests[-1].json["messages"][1]
        assert back == {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "hm", "note": "n"}


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize(
    "kept",
    [
        lambda message: loads(dumps(message), allowed_objects=[AIMessage, AIMessageChunk]),
        lambda message: pickle.loads(pickle.dumps(message)),  # noqa: S301 - just made here
        lambda message: messages_from_dict(messages_to_dict([message]))[0],
    ],
    ids=["as LangChain's JSON", "pickled", "as dictionaries"],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_was_kept_elsewhere_goes_back_as_it_came(world, server, kept, version, streamed):
    call = {**WIRE_CALL, "extra_content": {"signature": "s"}}
    half = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"x": '}}
    fields = {"tool_calls": [call, half], "reasoning": "hm", "note": "n"}
    event = delta("t", **{**fields, "tool_calls": [{**one, "index": at} for at, one in enumerate([call, half])]})
    server.script = [chat_stream(event) if streamed else http(answer("t", **fields)), http(answer("done"))]
    chat = world.chat(server, output_version=version)
    got = kept(sum_of(world.stream(chat, "x")) if streamed else world.invoke(chat, "x"))
    world.invoke(chat, [HumanMessage("x"), got, RESULT, ToolMessage("no", tool_call_id="c2")])
    half["function"]["arguments"] = "{}"
    back = {"role": "assistant", "content": "t", "tool_calls": [call, half], "reasoning": "hm", "note": "n"}
    assert server.requests[1].json["messages"][1] == back


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, {}),
        ({"content": "<think>hm</think>"}, {"think_tags": True}),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_reasoning_that_came_in_no_field_goes_back_in_none(world, server, message, settings, version, streamed):  # noqa: PLR0913, PLR0917 - each is varied
    given = {"tool_calls": [{**WIRE_CALL, "index": 0}]}
    reply = chat_stream(delta(**message, **given)) if streamed else http(answer(message["content"], **given))
    server.script = [reply, http(answer("done"))]
    chat = world.chat(server, output_version=version, **settings)
    with_calls = sum_of(world.stream(chat, "x")) if streamed else world.invoke(chat, "x")
    assert with_calls.content_blocks[0]["reasoning"] == "hm"
    world.invoke(chat, [HumanMessage("x"), with_calls, RESULT])
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [WIRE_CALL]}


def sum_of(chunks):
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return total


def test_summed_chunks_are_history(world, server):
    first = AIMessageChunk("a", tool_call_chunks=[{"index": 0, "id": "c1", "name": "f", "args": '{"x":'}])
    total = first + AIMessageChunk("b", tool_call_chunks=[{"index": 0, "id": None, "name": None, "args": ' "é"}'}])
    messages = sent(world, server, [HumanMessage("x"), total, RESULT])
    assert messages[1] == {"role": "assistant", "content": "ab", "tool_calls": [WIRE_CALL]}


def test_refusals_sounds_and_old_function_calls_go_back(world, server):
    kwargs = [
        {"refusal": "no"},
        {"audio": {"id": "a1", "data": "..."}},
        {"function_call": {"name": "f", "arguments": "{}"}},
    ]
    conversation = [message for one in kwargs for message in (HumanMessage("x"), AIMessage("", additional_kwargs=one))]
    messages = sent(world, server, [*conversation, HumanMessage("y")])
    assert messages[1] == {"role": "assistant", "content": "", "refusal": "no"}
    assert messages[3] == {"role": "assistant", "content": None, "audio": {"id": "a1"}}
    assert messages[5] == {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize("stored", ["x", None, 1])
def test_a_stored_call_that_is_none_is_refused(world, server, stored):
    with pytest.raises(ConfigurationError, match="tool_calls: a stored call is a "):
        sent(world, server, [HumanMessage("x"), AIMessage("", additional_kwargs={"tool_calls": [stored]})])
    assert not server.requests


def test_inputs_are_never_changed(world, server):
    conversation = [
        SystemMessage([{"type": "text", "text": "s"}]),
        HumanMessage([{"type": "image", "base64": "QUJD", "mime_type": "image/png"}]),
        AIMessage([{"type": "text", "text": "t"}], tool_calls=[CALL], additional_kwargs={"reasoning_content": "hm"}),
        RESULT,
    ]
    before = copy.deepcopy(conversation)
    chat = world.chat(server)
    world.invoke(chat, conversation)
    world.stream(chat, conversation)
    assert conversation == before


@pytest.mark.parametrize("text", ["😀 漢字 \u2028 \x00\x07", "x" * 2**20], ids=["characters", "a megabyte"])
def test_any_text_arrives_as_it_is(world, server, text):
    assert sent(world, server, text) == [{"role": "user", "content": text}]


@pytest.mark.parametrize("ask", ["invoke", "stream"])
def test_what_is_no_json_is_named_before_sending(world, server, ask):
    asked = [HumanMessage("a"), HumanMessage([{"type": "text", "text": "b"}, {"type": "odd", "x": {1}}])]
    with pytest.raises(ConfigurationError, match=r"^messages\[1\]\['content'\]\[1\]\['x'\]: can't be written as JSON"):
        getattr(world, ask)(world.chat(server), asked)
    with pytest.raises(ConfigurationError, match=r"^extra_body\['x'\]: can't be written as JSON"):
        getattr(world, ask)(world.chat(server, model_kwargs={"x": {1}}), "a")
    assert server.requests == []


def test_a_conversation_without_messages_is_refused(world, server):
    with pytest.raises(ConfigurationError, match="there are none"):
        world.invoke(world.chat(server), [])

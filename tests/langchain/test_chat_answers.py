"""What `ChatXDM` makes of complete answers, and of the same answers streamed."""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from tests.scripted import DONE, http, stream
from tests.wire.chat import HEAD, answer, chat_stream, counts, delta, tool_call
from xdm_integrations import APIResponseError, XDMError

USAGE = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
COUNTED = {"input_tokens": 5, "output_tokens": 4, "total_tokens": 9}


def summed(chunks):
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return total


@pytest.fixture(params=["whole", "streamed"])
def ask(request, world, server):
    """Ask for an answer with these fields of its message, whole or streamed, and return the message."""

    def asked(content="hi", *, settings=None, usage=USAGE, headers=None, finish=None, **message):
        logprobs = message.pop("logprobs", None)
        body = answer(content, usage=usage, finish=finish, **message)
        choice = body["choices"][0]
        if logprobs is not None:
            choice["logprobs"] = logprobs
        chat = world.chat(server, **(settings or {}))
        if request.param == "whole":
            server.script = [http(body, headers=headers)]
            return world.invoke(chat, "x")
        event = {**HEAD, "choices": [{**choice, "delta": choice["message"], "finish_reason": None}]}
        del event["choices"][0]["message"]
        end = delta(finish=choice["finish_reason"])
        server.script = [stream(event, end, counts(usage), DONE, headers=headers)]
        return summed(world.stream(chat, "x"))

    return asked


def about(message):
    """Return its metadata, without what is for tracers: older versions of langchain-core leave that in."""
    return {name: value for name, value in message.response_metadata.items() if name != "lc_gateway_metadata"}


@pytest.mark.parametrize("header", ["X-Oneapi-Request-Id", "X-Request-Id"])
def test_metadata_says_who_answered_and_how_it_ended(ask, header):
    message = ask(headers={header: "r1"})
    assert message.content == "hi"
    assert about(message) == {
        "model_name": "served-model",
        "model_provider": "xdm",
        "finish_reason": "stop",
        "id": "chatcmpl-1",
        "created": 1700000000,
        "system_fingerprint": "fp_1",
        "request_id": "r1",
        "token_usage": USAGE,
    }
    assert message.usage_metadata == COUNTED
    assert message.id.startswith("lc_run--")
    assert message.additional_kwargs == {}


@pytest.mark.parametrize(
    ("more", "details"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 3}}, {"input_token_details": {"cache_read": 3}}),
        ({"prompt_tokens_details": {"audio_tokens": 2}}, {"input_token_details": {"audio": 2}}),
        ({"completion_tokens_details": {"reasoning_tokens": 2}}, {"output_token_details": {"reasoning": 2}}),
        ({"completion_tokens_details": {"audio_tokens": 2}}, {"output_token_details": {"audio": 2}}),
        ({"prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 2}, {"input_token_details": {"cache_read": 3}}),
        ({"cache_creation_input_tokens": 3}, {"input_token_details": {"cache_creation": 3}}),
        ({"prompt_tokens_details": None, "cost": 0.5}, {}),
    ],
)
def test_details_of_the_counts_stand_under_langchains_names(ask, more, details):
    assert ask(usage={**USAGE, **more}).usage_metadata == {**COUNTED, **details}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [(None, None), ({}, None), ({"prompt_tokens": 5}, {"input_tokens": 5, "output_tokens": 0, "total_tokens": 5})],
)
def test_counts_may_be_missing(ask, usage, expected):
    assert ask(usage=usage).usage_metadata == expected


def test_a_refusal_is_kept_and_has_no_key_where_there_is_none(ask):
    assert ask("", refusal="I won't.").additional_kwargs == {"refusal": "I won't."}
    assert ask("hi", refusal=None).additional_kwargs == {}


def test_citations_stand_beside_the_text(ask):
    sources = [{"type": "url_citation", "url_citation": {"url": f"https://{host}.example"}} for host in "ab"]
    message = ask("See this", annotations=sources)
    assert message.content == "See this"
    assert message.additional_kwargs == {"annotations": sources}


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_a_refusal_is_a_block_of_its_own(ask, version):
    message = ask("", refusal="I won't.", reasoning_content="hm", settings={"output_version": version})
    assert [without_index(block) for block in message.content_blocks] == [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "refusal", "refusal": "I won't."},
    ]
    assert message.text == ""


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_block_of_its_own_whatever_field_it_came_in(ask, field):
    message = ask("hi", **{field: "hm"})
    assert message.content == "hi"
    assert message.additional_kwargs == {"reasoning_content": "hm"}
    assert message.content_blocks == [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "hi"}]


def test_reasoning_in_both_fields_counts_once(ask):
    assert ask("hi", reasoning="hm", reasoning_content="hm").additional_kwargs["reasoning_content"] == "hm"


def test_tags_around_a_thought_are_taken_for_reasoning_on_request(ask):
    message = ask("<think>hm</think>hi", settings={"think_tags": True})
    assert (message.content, message.additional_kwargs["reasoning_content"]) == ("hi", "hm")
    assert ask("<think>hm</think>hi").content == "<think>hm</think>hi"


def test_log_probabilities_have_the_form_of_chat(ask):
    entry = {"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": [{"token": "ho", "logprob": -1.5}]}
    message = ask(logprobs={"content": [entry]}, settings={"logprobs": True})
    assert message.response_metadata["logprobs"] == {"content": [entry]}


@pytest.mark.parametrize("reason", ["stop", "length", "STOP", "eos_token", "content_filter"])
def test_a_finish_reason_is_kept_as_it_is_spelt(ask, reason):
    assert ask(finish=reason).response_metadata["finish_reason"] == reason


def test_images_sounds_and_citations_are_kept(ask):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    message = ask("hi", images=[image], annotations=[{"type": "url_citation"}], audio={"id": "a1", "data": "QUJD"})
    block = {"type": "image", "base64": "QUJD", "mime_type": "image/png"}
    assert message.content == ["hi", block]
    assert message.content_blocks == [{"type": "text", "text": "hi"}, block]
    assert message.additional_kwargs == {
        "annotations": [{"type": "url_citation"}],
        "audio": {"id": "a1", "data": "QUJD"},
    }


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize(
    ("image", "block"),
    [
        ("https://a.example/b.png", {"type": "image", "url": "https://a.example/b.png"}),
        ("data:image/png;base64,QUJD", {"type": "image", "base64": "QUJD", "mime_type": "image/png"}),
        (7, {"type": "non_standard", "value": {"image": 7}}),
        (None, {"type": "non_standard", "value": {"image": None}}),
        ({"data": "QUJD"}, {"type": "non_standard", "value": {"data": "QUJD"}}),
    ],
)
def test_an_image_in_any_form_is_a_block(ask, image, block, version):
    message = ask("hi", images=[image], settings={"output_version": version})
    assert [without_index(block) for block in message.content_blocks] == [{"type": "text", "text": "hi"}, block]


def test_blocks_of_version_1_come_in_their_order(ask):
    call = tool_call("f", {"x": 1})
    message = ask("hi", reasoning_content="hm", tool_calls=[call], settings={"output_version": "v1"})
    assert [without_index(block) for block in message.content] == [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "hi"},
        {"type": "tool_call", "id": "call_1", "name": "f", "args": {"x": 1}},
    ]
    assert message.content_blocks == message.content
    assert message.response_metadata["output_version"] == "v1"
    assert message.text == "hi"


def without_index(block):
    return {name: value for name, value in block.items() if name != "index"}


# Calls


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (tool_call("f", '{"x": 1}'), {"x": 1}),
        ({"id": "c", "function": {"name": "f", "arguments": {"x": 1}}}, {"x": 1}),
        ({"id": "c", "function": {"name": "f", "arguments": ' {"x": 1} '}}, {"x": 1}),
        (tool_call("f", ""), {}),
        ({"id": "c", "type": "function", "function": {"name": "f", "arguments": None}}, {}),
        ({"id": "c", "type": "function", "function": {"name": "f"}}, {}),
    ],
)
def test_arguments_are_read_in_every_form(ask, call, args):
    message = ask(None, tool_calls=[call])
    assert [(one["name"], one["args"]) for one in message.tool_calls] == [("f", args)]
    assert message.tool_calls[0]["id"]
    assert message.invalid_tool_calls == []


def test_a_call_without_id_gets_one_that_its_result_can_name(ask):
    first, second = ask(None, tool_calls=[{"function": {"name": n, "arguments": "{}"}} for n in "fg"]).tool_calls
    assert first["id"].startswith("call_")
    assert first["id"] != second["id"]


@pytest.mark.parametrize("arguments", ['{"x": 1', "not json", "[1]", '"text"', "5"])
def test_what_is_no_json_object_is_an_invalid_call_and_the_good_ones_survive(ask, arguments):
    message = ask(None, tool_calls=[tool_call("f", arguments), tool_call("g", {"y": 2}, "call_2")])
    assert [(one["name"], one["args"]) for one in message.tool_calls] == [("g", {"y": 2})]
    (broken,) = message.invalid_tool_calls
    assert (broken["name"], broken["id"]) == ("f", "call_1")
    assert broken["args"].startswith(arguments)


def test_a_call_that_the_limit_cut_is_no_call(ask):
    message = ask(None, tool_calls=[tool_call("pay", '{"amount": 1')], finish="length")
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["name"] == "pay"
    assert message.response_metadata["finish_reason"] == "length"


def test_an_invalid_call_of_a_complete_answer_says_what_is_wrong(world, server):
    server.script = [http(answer(None, tool_calls=[tool_call("f", '{"x": ')]))]
    (broken,) = world.invoke(world.chat(server), "x").invalid_tool_calls
    assert (broken["args"], broken["error"]) == ('{"x": ', "The arguments aren't a JSON object.")


def test_legacy_function_calls_are_calls(ask):
    message = ask(None, function_call={"name": "f", "arguments": '{"x": 1}'})
    assert [(call["name"], call["args"]) for call in message.tool_calls] == [("f", {"x": 1})]


# Complete answers only


@pytest.mark.parametrize("content", [None, "missing", [{"type": "text", "text": "hi"}]])
@pytest.mark.parametrize("role", ["assistant", None, "", "model", "missing"])
def test_content_and_role_come_in_every_form(world, server, content, role):
    message = {"role": role, "content": content, "reasoning_content": "hm"}
    message = {name: value for name, value in message.items() if value != "missing"}
    server.script = [http({**HEAD, "choices": [{"message": message, "finish_reason": "stop"}]})]
    got = world.invoke(world.chat(server), "x")
    assert type(got) is AIMessage
    assert got.content == ("hi" if isinstance(content, list) else "")


def test_several_answers_come_by_their_index_and_are_counted_once(world, server):
    choices = [{"index": i, "message": {"content": f"t{i}"}, "finish_reason": "stop"} for i in (2, 0, 1)]
    server.script = [http({**HEAD, "choices": choices, "usage": USAGE})]
    result = world.call(world.chat(server, n=3), "generate", [[HumanMessage("x")]])
    generations = result.generations[0]
    assert [one.text for one in generations] == ["t0", "t1", "t2"]
    assert [one.message.usage_metadata for one in generations] == [COUNTED, None, None]


def test_a_finish_reason_may_be_missing_and_the_model_is_then_the_one_asked_for(world, server):
    server.script = [http({"choices": [{"message": {"content": "hi"}}]})]
    message = world.invoke(world.chat(server), "x")
    assert message.content == "hi"
    assert about(message) == {"model_name": "m", "model_provider": "xdm"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"<html>hello</html>",
        b"[]",
        b"{}",
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": ""}}]}',
    ],
)
def test_what_is_no_answer_is_an_error(world, server, body):
    server.script = [http(body)]
    with pytest.raises(APIResponseError):
        world.invoke(world.chat(server, max_retries=0), "x")


def test_an_error_with_status_200_is_told_in_the_servers_words(world, server):
    server.script = [http({"error": {"message": "The model is asleep."}})]
    with pytest.raises(XDMError, match=r"The model is asleep\."):
        world.invoke(world.chat(server, max_retries=0), "x")


@pytest.mark.parametrize(
    "make",
    [
        lambda body: http(b"\xef\xbb\xbf" + body),
        lambda body: http(b"\n\n  \n" + body),
        lambda body: http(body, headers={"Content-Type": "text/plain"}),
    ],
)
def test_marks_heartbeats_and_odd_types_change_nothing(world, server, make):
    server.script = [make(json.dumps(answer("hi")).encode())]
    assert world.invoke(world.chat(server), "x").content == "hi"


def test_a_stream_in_place_of_a_whole_answer_is_read(world, server):
    server.script = [chat_stream("al", "pha")]
    assert world.invoke(world.chat(server), "x").content == "alpha"


@pytest.mark.parametrize("streamed", [False, True])
def test_fields_that_a_server_adds_are_kept_and_none_is_taken_for_langchains(world, server, streamed):
    body = answer("hi") | {"timings": {"ms": 1}, "usage_metadata": {"promptTokenCount": 1}}
    body["choices"][0] |= {"stop_reason": 128009, "token_ids": [1, 2], "choices": "theirs"}
    pieces = [delta("hi"), delta(finish="stop") | {"timings": {"ms": 1}, "usage_metadata": {"promptTokenCount": 1}}]
    pieces[0]["choices"][0]["token_ids"] = [1]
    pieces[1]["choices"][0] |= {"stop_reason": 128009, "token_ids": [2], "choices": "theirs"}
    server.script = [stream(*pieces, DONE) if streamed else http(body)]
    chat = world.chat(server)
    if streamed:
        first, *rest = world.stream(chat, "x")
        message = sum(rest, first)
    else:
        message = world.invoke(chat, "x")
    about = message.response_metadata
    assert (about["stop_reason"], about["token_ids"], about["timings"]) == (128009, [1, 2], {"ms": 1})
    assert not {"usage_metadata", "choices"} & about.keys()

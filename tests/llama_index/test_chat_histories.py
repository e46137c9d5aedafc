"""Histories that other models' classes have stored, as `XDMChat` sends them on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import AudioBlock, TextBlock, ToolCallBlock
from llama_index.core.llms import ChatMessage

from tests.wire.chat import tool_call
from xdm_integrations import ConfigurationError

if TYPE_CHECKING:
    from tests.llama_index.conftest import World
    from tests.scripted import ScriptedServer
    from xdm_integrations.llama_index import XDMChat


def sent(world: World, server: ScriptedServer, llm: XDMChat, *messages: ChatMessage) -> list[dict[str, Any]]:
    """Return the messages that a call has sent; a stream sends the same."""
    asked = [ChatMessage("a"), *messages]
    before = [message.model_dump() for message in asked]
    world.call(llm, "chat", asked)
    world.items(llm, "stream_chat", asked)
    assert [message.model_dump() for message in asked] == before
    one, other = (seen.json["messages"] for seen in server.requests[-2:])
    assert one == other
    return one[1:]


def answer_of(*blocks: Any, **kept: Any) -> ChatMessage:
    return ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=kept)


def result(text: str, **kept: Any) -> ChatMessage:
    return ChatMessage(text, role="tool", additional_kwargs=kept)


def calls_and_results(messages: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tools that were called, and the results, by their ids."""
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    results = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    return {call["id"]: call["function"]["name"] for call in calls}, results


@pytest.mark.parametrize("call_id", [None, ""])
@pytest.mark.parametrize(
    "ids",
    [
        [{"tool_call_id": "f"}, {"tool_call_id": "g"}],
        [{"tool_call_id": "g"}, {"tool_call_id": "f"}],
        [{"tool_call_id": ""}, {"tool_call_id": ""}],
        [{"tool_call_id": None}, {}],
    ],
    ids=["by their tools", "by their tools, the last one first", "by nothing", "by no key"],
)
@pytest.mark.parametrize("stored", ["blocks", "dictionaries"])
def test_calls_without_an_id_get_one_that_their_results_name(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, call_id: str | None, ids: list[dict[str, Any]], stored: str
) -> None:
    if stored == "blocks":
        turn = answer_of(*(ToolCallBlock(tool_call_id=call_id, tool_name=name) for name in "fg"))
    else:
        turn = answer_of(tool_calls=[{"function": {"name": name, "arguments": {}}} for name in "fg"])
    results = [result(str(given.get("tool_call_id") or name), **given) for name, given in zip("fg", ids, strict=True)]
    messages = sent(world, server, chat, turn, *results, ChatMessage("b"), turn, *results)
    assert all(message["tool_calls"][0]["id"] for message in (messages[0], messages[4]))
    calls, answers = calls_and_results(messages)
    assert len(calls) == 4
    assert answers == calls


def test_several_calls_of_one_tool_that_have_its_name_for_an_id_are_told_apart(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    turn = answer_of(*(ToolCallBlock(tool_call_id="f", tool_name="f", tool_kwargs={"a": i}) for i in range(2)))
    results = [result(str(i), tool_call_id="f") for i in range(2)]
    messages = sent(world, server, chat, turn, *results, ChatMessage("b"), turn, *results)
    asked = [call for message in messages for call in message.get("tool_calls", ())]
    answers = [message for message in messages if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in answers] == [call["id"] for call in asked]
    assert len({call["id"] for call in asked}) == 4
    assert [message["content"] for message in answers] == ["0", "1"] * 2


def test_a_call_with_an_id_keeps_it_beside_one_without(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    turn = answer_of(ToolCallBlock(tool_name="f"), ToolCallBlock(tool_call_id="g", tool_name="f"))
    calls, answers = calls_and_results(
        sent(world, server, chat, turn, result("of g", tool_call_id="g"), result("of f", tool_call_id="f"))
    )
    made = next(iter(calls))
    assert answers == {"g": "of g", made: "of f"}


def test_a_call_that_was_never_answered_takes_no_result_of_a_later_one(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    turn = answer_of(ToolCallBlock(tool_name="f"))
    messages = sent(world, server, chat, turn, ChatMessage("b"), turn, result("r", tool_call_id="f"))
    assert messages[3]["tool_call_id"] == messages[2]["tool_calls"][0]["id"] != messages[0]["tool_calls"][0]["id"]


def test_a_result_that_no_call_asked_for_is_refused(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    turn = answer_of(ToolCallBlock(tool_name="f"))
    with pytest.raises(ConfigurationError, match="message 3"):
        sent(world, server, chat, turn, result("r", tool_call_id="other"))
    assert not server.requests


@pytest.mark.parametrize("beside", [True, False])
def test_calls_that_were_stored_in_anthropics_form_are_calls(
    world: World, server: ScriptedServer, chat: XDMChat, beside: bool
) -> None:
    call = {"id": "c", "type": "tool_use", "name": "f", "input": {"a": 1}}
    blocks = [ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs={"a": 1})] if beside else []
    turn, _ = sent(world, server, chat, answer_of(*blocks, tool_calls=[call]), result("r", tool_call_id="c"))
    assert turn["tool_calls"] == [tool_call("f", {"a": 1}, "c")]


def test_arguments_that_json_has_no_word_for_are_sent_as_text(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    call = ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs={"day": dt.date(2026, 1, 2)})
    turn, _ = sent(world, server, chat, answer_of(call), result("r", tool_call_id="c"))
    assert turn["tool_calls"] == [tool_call("f", {"day": "2026-01-02"}, "c")]


@pytest.mark.parametrize("stored", [["x"], [None], {"id": "c"}, [{"id": "c", "function": "f"}], [{"id": "c"}]])
def test_a_stored_call_that_is_none_is_refused_by_the_number_of_its_message(
    world: World, server: ScriptedServer, chat: XDMChat, stored: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"message 2.* call"):
        sent(world, server, chat, answer_of(TextBlock(text="b"), tool_calls=stored))
    assert not server.requests


def test_a_call_of_the_years_before_tools_and_its_result(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    call = {"name": "f", "arguments": "{}"}
    outcome = ChatMessage("r", role="function", additional_kwargs={"name": "f"})
    assert sent(world, server, chat, answer_of(function_call=call), outcome) == [
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "f", "content": "r"},
    ]


def test_an_answer_in_sound_alone_goes_back_without_a_text(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    spoken = answer_of(TextBlock(text=""), AudioBlock(audio=b"abc", format="mp3"), reference_audio_id="audio_1")
    assert sent(world, server, chat, spoken) == [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}]

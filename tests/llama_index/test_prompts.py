"""Which prompt goes over the wire: templates, conversations, system prompts, and what isn't text."""

# ruff: noqa: PLR0913, PLR0917 # fixtures and parameters of a test

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ImageBlock, TextBlock, ThinkingBlock, ToolCallBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer

from tests.llama_index.conftest import METHODS, World
from xdm_integrations import ConfigurationError
from xdm_integrations.llama_index import XDM

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer


def prompts_of(server: ScriptedServer) -> list[str]:
    return [seen.json["prompt"] for seen in server.requests]


def test_a_second_turn_has_only_what_was_said(world: World, server: ScriptedServer, llm: XDM) -> None:
    first = world.call(llm, "chat", [ChatMessage("one")])
    world.call(llm, "chat", [ChatMessage("one"), first.message, ChatMessage("two")])
    assert prompts_of(server)[1] == "user: one\nassistant: <user: one\nassistant:>\nuser: two\nassistant:"


@pytest.mark.parametrize("streaming", [False, True])
def test_three_turns_of_a_chat_engine(world: World, server: ScriptedServer, llm: XDM, streaming: bool) -> None:
    from tests.scripted import completion, http, tokens

    server.script = lambda seen: tokens("yes") if seen.json.get("stream") else http(completion("yes"))
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    engine = SimpleChatEngine.from_defaults(llm=llm, system_prompt="Be brief.", memory=memory)
    for text in ("one", "two", "three"):
        if not streaming:
            assert str(world.call(engine, "chat", text)) == "yes"
        elif world.is_async:

            async def turn(text: str = text) -> str:
                response = await engine.astream_chat(text)
                return "".join([token async for token in response.async_response_gen()])

            assert world.loop.run_until_complete(turn()) == "yes"
        else:
            assert "".join(engine.stream_chat(text).response_gen) == "yes"
    assert prompts_of(server)[-1] == (
        "system: Be brief.\nuser: one\nassistant: yes\nuser: two\nassistant: yes\nuser: three\nassistant:"
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_users_templates_are_applied_once(world: World, server: ScriptedServer, method: str) -> None:
    llm = XDM(
        api_base=server.url,
        messages_to_prompt=lambda messages: "|".join(str(m.content) for m in messages),
        completion_to_prompt=lambda prompt: f"[{prompt}]",
    )
    world.ask(llm, method)
    assert prompts_of(server) == ["hi" if method.endswith("chat") else "[hi]"]


def test_a_formatted_prompt_is_sent_as_it_is(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, completion_to_prompt=lambda prompt: f"[{prompt}]")
    world.call(llm, "complete", "hi", formatted=True)
    assert prompts_of(server) == ["hi"]


@pytest.mark.parametrize("method", ["predict", "stream"])
def test_predict_applies_the_template_once_and_adds_the_system_prompt(
    world: World, server: ScriptedServer, method: str
) -> None:
    llm = XDM(api_base=server.url, completion_to_prompt=lambda prompt: f"[{prompt}]", system_prompt="Be brief.")
    prompt = PromptTemplate("About {topic}")
    if method == "stream":
        assert "".join(world.items(llm, "stream", prompt, topic="bees")) == "<Be brief.\n\n[About bees]>"
    else:
        assert world.call(llm, "predict", prompt, topic="bees") == "<Be brief.\n\n[About bees]>"
    assert prompts_of(server) == ["Be brief.\n\n[About bees]"]


def test_the_default_prompt_of_a_chat_ends_without_a_space(world: World, server: ScriptedServer, llm: XDM) -> None:
    messages = [
        ChatMessage("Be brief.", role="system"),
        ChatMessage(blocks=[TextBlock(text="a"), TextBlock(text="b")]),
        ChatMessage(role="assistant", additional_kwargs={"prompt_tokens": 7}),
        ChatMessage("so?"),
    ]
    world.call(llm, "chat", messages)
    assert prompts_of(server) == ["system: Be brief.\nuser: a\nb\nassistant:\nuser: so?\nassistant:"]


IMAGE = ImageBlock(image=b"iVBORw0KGgo=")


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
@pytest.mark.parametrize(
    ("message", "what"),
    [
        (lambda: ChatMessage(blocks=[TextBlock(text="see"), IMAGE]), "image"),
        (lambda: ChatMessage(role="assistant", additional_kwargs={"tool_calls": [{"id": "1"}]}), "tool_calls"),
        (lambda: ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_name="add")]), "tool_call"),
    ],
)
def test_what_is_not_text_is_a_clear_error(
    world: World, server: ScriptedServer, llm: XDM, method: str, message: Any, what: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"message 1 .*'{what}'.*only text"):
        world.ask_messages(llm, method, [ChatMessage("hi"), message()])
    assert server.requests == []


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
@pytest.mark.parametrize(
    ("messages", "kind"), [(None, "NoneType"), (["hi"], "str"), ("hi", r"str\. For a prompt call `complete`\.")]
)
@pytest.mark.usefixtures("traced")
def test_what_are_no_messages_is_refused_by_name(
    world: World, server: ScriptedServer, llm: XDM, method: str, messages: Any, kind: str
) -> None:
    llm.messages_to_prompt = str
    with pytest.raises(ConfigurationError, match=f"messages: expected a list of LlamaIndex's ChatMessage, got {kind}"):
        world.ask_messages(llm, method, messages)
    assert server.requests == []


def test_thoughts_of_another_model_are_left_out(world: World, server: ScriptedServer, llm: XDM) -> None:
    message = ChatMessage(role="assistant", blocks=[ThinkingBlock(content="hm"), TextBlock(text="yes")])
    world.call(llm, "chat", [message])
    assert prompts_of(server) == ["assistant: yes\nassistant:"]


# What LlamaIndex's own tests ask of every LLM (tests/llms/test_callbacks.py of llama-index-core).


@pytest.mark.parametrize("method", ["complete", "stream_complete"])
def test_a_prompt_may_be_positional_or_named(world: World, server: ScriptedServer, llm: XDM, method: str) -> None:
    run = world.items if method.startswith("stream") else world.call
    run(llm, method, "hi")
    run(llm, method, prompt="hi")
    assert prompts_of(server) == ["hi", "hi"]
    with pytest.raises(TypeError):
        run(llm, method, "hi", prompt="hi")
    with pytest.raises(ValueError, match="prompt") as caught:
        run(llm, method)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("method", ["complete", "stream_complete"])
@pytest.mark.parametrize("wrong", [["a", "b"], [1, 2], 3])
def test_several_prompts_are_sent_to_complete_batch(
    world: World, server: ScriptedServer, llm: XDM, method: str, wrong: Any
) -> None:
    run = world.items if method.startswith("stream") else world.call
    with pytest.raises(ConfigurationError, match="complete_batch"):
        run(llm, method, wrong)
    assert server.requests == []

"""Tools: how they are sent, how calls are chosen, what is never carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from tests.scripted import http
from tests.wire.chat import answer, chat_stream, delta, talking, tool_call, tool_delta
from xdm_integrations import ConfigurationError

if TYPE_CHECKING:
    from tests.llama_index.conftest import Arguments, World
    from tests.scripted import ScriptedServer
    from xdm_integrations.llama_index import XDMChat

# LlamaIndex's agents and its workflows use what their dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RAN: list[tuple[int, int]] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    RAN.append((a, b))
    return a + b


def fail(a: int) -> int:
    """Fail."""
    raise RuntimeError(f"no {a}")


ADD = FunctionTool.from_defaults(add)
TOOLS = [ADD, FunctionTool.from_defaults(fail)]
WAYS = ["chat_with_tools", "stream_chat_with_tools"]
CALL = tool_call("add", {"a": 1, "b": 2})
TWO = [CALL, tool_call("add", {"a": 3, "b": 4}, "call_2")]


def ask(world: World, llm: XDMChat, way: str, *args: Any, **kwargs: Any) -> Any:
    if way.startswith("stream"):
        return world.items(llm, way, *args, **kwargs)[-1]
    return world.call(llm, way, *args, **kwargs)


@pytest.mark.parametrize("way", WAYS)
def test_tools_are_sent_with_their_schemas_and_the_history_before_the_message(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    server.script = talking([CALL])
    history = [ChatMessage("Be brief.", role="system")]
    long = FunctionTool.from_defaults(add, description="x" * 5000)
    response = ask(world, chat, way, [long], user_msg="1 + 2?", chat_history=history, temperature=0)
    body = server.requests[0].json
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 2?"}]
    assert history == [ChatMessage("Be brief.", role="system")]
    (tool,) = body["tools"]
    assert (tool["type"], tool["function"]["name"], tool["function"]["description"]) == ("function", "add", "x" * 5000)
    schema = tool["function"]["parameters"]
    assert schema["properties"]["b"] == {"default": 0, "title": "B", "type": "integer"}
    assert schema["required"] == ["a"]
    assert (body["temperature"], body["parallel_tool_calls"]) == (0, False)
    assert "tool_choice" not in body
    (call,) = chat.get_tool_calls_from_response(response)
    assert (call.tool_id, call.tool_name, call.tool_kwargs) == ("call_1", "add", {"a": 1, "b": 2})
    assert response.raw["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"tool_choice": "auto"}, "auto"),
        ({"tool_choice": "none"}, "none"),
        ({"tool_choice": "required"}, "required"),
        ({"tool_choice": "add"}, {"type": "function", "function": {"name": "add"}}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            {"type": "function", "function": {"name": "add"}},
        ),
        ({"tool_required": True}, "required"),
        ({"tool_required": True, "tool_choice": "auto"}, "auto"),
    ],
)
def test_the_choice_of_a_tool(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, way: str, given: dict[str, Any], sent: Any
) -> None:
    ask(world, chat, way, TOOLS, "1 + 2?", **given)
    assert server.requests[0].json["tool_choice"] == sent


@pytest.mark.parametrize("way", WAYS)
def test_a_choice_of_no_tool_that_is_there_is_refused(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    with pytest.raises(ConfigurationError, match="multiply"):
        ask(world, chat, way, TOOLS, "1 + 2?", tool_choice="multiply")
    assert not server.requests


@pytest.mark.parametrize("way", [*WAYS, "predict_and_call"])
@pytest.mark.parametrize("tool", [add, {"type": "function", "function": {"name": "add"}}])
def test_what_is_no_tool_of_llamaindex_is_refused_with_the_advice(
    world: World, server: ScriptedServer, chat: XDMChat, way: str, tool: Any
) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"got {type(tool).__name__}\. Make one .*FunctionTool\.from_defaults"
    ):
        ask(world, chat, way, [tool], "1 + 2?")
    assert not server.requests


@pytest.mark.parametrize("way", WAYS)
def test_without_tools_nothing_is_said_of_them(world: World, server: ScriptedServer, chat: XDMChat, way: str) -> None:
    ask(world, chat, way, [], "hi", tool_required=True, tool_choice="add")
    assert server.requests[0].json.keys() <= {"model", "messages", "stream", "stream_options"}


class Node(BaseModel):
    value: int
    children: list[Node] = []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("strict", [False, True])
def test_a_tool_whose_arguments_are_a_recursive_class_has_them_in_its_schema(
    world: World, server: ScriptedServer, chat: XDMChat, way: str, strict: bool
) -> None:
    tree = {"value": 1, "children": [{"value": 2, "children": []}]}
    server.script = talking([tool_call("plant", tree)])
    tool = FunctionTool.from_defaults(lambda **_: "", name="plant", description="Plant.", fn_schema=Node)
    response = ask(world, chat, way, [tool], "Plant a tree.", strict=strict)
    schema = server.requests[0].json["tools"][0]["function"]["parameters"]
    assert (schema["type"], schema["properties"].keys()) == ("object", {"value", "children"})
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert schema.get("additionalProperties", True) is not strict
    assert chat.get_tool_calls_from_response(response)[0].tool_kwargs == tree


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", ["call", "field"])
def test_strict_is_sent_with_a_schema_that_is_fit_for_it(
    world: World, server: ScriptedServer, chat: XDMChat, way: str, source: str
) -> None:
    chat.strict = source == "field"
    ask(world, chat, way, [ADD], "1 + 2?", **({"strict": True} if source == "call" else {}))
    function = server.requests[0].json["tools"][0]["function"]
    assert function["strict"] is True
    assert function["parameters"]["additionalProperties"] is False
    assert function["parameters"]["required"] == ["a", "b"]


@pytest.mark.parametrize("way", WAYS)
def test_one_call_is_taken_where_no_more_is_wanted(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    server.script = talking(TWO, "3")
    response = ask(world, chat, way, TOOLS, "?")
    first = response.message
    assert [block.tool_call_id for block in first.blocks if isinstance(block, ToolCallBlock)] == ["call_1"]
    assert [call["id"] for call in first.additional_kwargs["tool_calls"]] == ["call_1"]
    assert [call.tool_id for call in chat.get_tool_calls_from_response(response)] == ["call_1"]
    result = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "call_1"})
    world.call(chat, "chat", [ChatMessage("?"), first, result])
    assert [call["id"] for call in server.requests[1].json["messages"][1]["tool_calls"]] == ["call_1"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("parallel", [False, True])
def test_a_cut_call_that_nobody_wanted_stops_no_other_one(
    world: World, server: ScriptedServer, chat: XDMChat, way: str, parallel: bool
) -> None:
    both = [CALL, tool_call("add", '{"a": 3, "b', "call_2")]
    parts = [{**call, "index": index} for index, call in enumerate(both)]
    server.script = [
        chat_stream(delta(tool_calls=parts), finish="length")
        if way.startswith("stream")
        else http(answer(None, tool_calls=both, finish="length"))
    ]
    response = ask(world, chat, way, TOOLS, "1 + 2? 3 + 4?", allow_parallel_tool_calls=parallel)
    if parallel:
        with pytest.raises(ValueError, match="cut by its limit"):
            chat.get_tool_calls_from_response(response)
    else:
        assert [call.tool_id for call in chat.get_tool_calls_from_response(response)] == ["call_1"]
        assert response.message.additional_kwargs == {"tool_calls": [CALL]}


@pytest.mark.parametrize("way", WAYS)
def test_several_calls_at_once(world: World, server: ScriptedServer, chat: XDMChat, way: str) -> None:
    server.script = talking(TWO)
    response = ask(world, chat, way, TOOLS, "?", allow_parallel_tool_calls=True)
    assert "parallel_tool_calls" not in server.requests[0].json
    assert [call.tool_kwargs["a"] for call in chat.get_tool_calls_from_response(response)] == [1, 3]
    assert len(response.message.additional_kwargs["tool_calls"]) == 2


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_in_words_is_no_call(world: World, server: ScriptedServer, chat: XDMChat, way: str) -> None:
    server.script = talking("I can't add.")
    response = ask(world, chat, way, TOOLS, "?")
    assert chat.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="I can't add"):
        chat.get_tool_calls_from_response(response)


@pytest.mark.parametrize(
    ("message", "kwargs"),
    [
        (ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_name="add", tool_kwargs={"a": 1})]), {"a": 1}),
        (ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_name="add", tool_kwargs='{"a": 1}')]), {"a": 1}),
        (ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_name="add", tool_kwargs="")]), {}),
        (ChatMessage("", role="assistant", additional_kwargs={"tool_calls": [tool_call("add", '{"a": 1}')]}), {"a": 1}),
    ],
)
def test_calls_of_answers_from_elsewhere(chat: XDMChat, message: ChatMessage, kwargs: dict[str, Any]) -> None:
    (call,) = chat.get_tool_calls_from_response(ChatResponse(message=message))
    assert (call.tool_name, call.tool_kwargs) == ("add", kwargs)


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "3", '"x"'])
def test_arguments_that_are_no_object_are_no_call(chat: XDMChat, arguments: str) -> None:
    block = ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs=arguments)
    with pytest.raises(ValueError, match="'add' can't be carried out"):
        chat.get_tool_calls_from_response(ChatResponse(message=ChatMessage(role="assistant", blocks=[block])))


CUT = ['{"a": 1', '{"a": 1, "b": 2', '{"a": ', "{", "[1]", ""]


@pytest.mark.parametrize("arguments", CUT)
@pytest.mark.parametrize("way", WAYS)
def test_cut_arguments_never_reach_a_tool(
    world: World, server: ScriptedServer, chat: XDMChat, way: str, arguments: str
) -> None:
    broken = tool_call("add", arguments)
    if way.startswith("stream"):
        server.script = [chat_stream(tool_delta(arguments, name="add", call_id="call_1"), finish="length")]
    else:
        server.script = [http(answer(None, tool_calls=[broken], finish="length"))]
    response = ask(world, chat, way, TOOLS, "?")
    assert not [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    assert response.raw["choices"][0]["finish_reason"] == "length"
    for strict in (True, False):
        with pytest.raises(ValueError, match="raise `max_tokens`"):
            chat.get_tool_calls_from_response(response, error_on_no_tool_call=strict)


@pytest.mark.parametrize("arguments", CUT)
def test_predict_and_call_runs_no_cut_call(world: World, server: ScriptedServer, chat: XDMChat, arguments: str) -> None:
    server.script = [http(answer(None, tool_calls=[tool_call("add", arguments)], finish="length"))]
    with pytest.raises(ValueError, match="can't be carried out"):
        world.call(chat, "predict_and_call", TOOLS, "?")
    assert not RAN


def test_a_broken_call_that_was_answered_goes_back_as_an_empty_one(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    server.script = [http(answer("x", tool_calls=[tool_call("add", '{"a": ')], finish="length")), http(answer("ok"))]
    message = world.call(chat, "chat", [ChatMessage("?")]).message
    result = ChatMessage("Try again.", role="tool", additional_kwargs={"tool_call_id": "call_1"})
    world.call(chat, "chat", [ChatMessage("?"), message, result])
    assert server.requests[1].json["messages"][1]["tool_calls"] == [tool_call("add", {})]
    world.call(chat, "chat", [ChatMessage("?"), message, ChatMessage("Go on.")])
    assert server.requests[2].json["messages"][1] == {"role": "assistant", "content": "x"}


PREDICTED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("one", [CALL], {}, "3"),
    ("of two the first", TWO, {}, "3"),
    ("two", TWO, {"allow_parallel_tool_calls": True}, "3\n\n7"),
    ("required", [CALL], {"tool_required": True}, "3"),
    ("chosen", [CALL], {"tool_choice": "add"}, "3"),
    ("in words", "no", {"error_on_no_tool_call": False}, "no"),
    ("an error of the tool", [tool_call("fail", {"a": 1})], {}, "Encountered error: no 1"),
]


@pytest.mark.parametrize(("turn", "given", "said"), [row[1:] for row in PREDICTED], ids=[row[0] for row in PREDICTED])
def test_predict_and_call(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, turn: Any, given: dict[str, Any], said: str
) -> None:
    server.script = talking(turn)
    assert said in str(world.call(chat, "predict_and_call", TOOLS, "?", **given))
    if "tool_required" in given:
        assert server.requests[0].json["tool_choice"] == "required"


def test_spans_of_predict_and_call_show_no_options(
    world: World, server: ScriptedServer, chat: XDMChat, arguments: Arguments
) -> None:
    secret = "nobody-may-see"
    options: dict[str, Any] = {"extra_headers": {"X-Secret": secret}, "extra_body": {"token": secret}, "timeout": 50}
    server.script = talking([CALL])
    assert str(world.call(chat, "predict_and_call", TOOLS, "?", **options)) == "3"
    assert (server.requests[0].headers["x-secret"], server.requests[0].json["token"]) == (secret, secret)
    assert any("predict_and_call" in text for text in arguments.seen)
    assert secret not in repr(arguments.seen)


def test_errors_of_predict_and_call(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    server.script = talking("I'd rather not.", [tool_call("fail", {"a": 1})], [tool_call("multiply", {})])
    with pytest.raises(ValueError, match="rather not"):
        world.call(chat, "predict_and_call", TOOLS, "?")
    with pytest.raises(ValueError, match="no 1"):
        world.call(chat, "predict_and_call", TOOLS, "?", error_on_tool_error=True)
    with pytest.raises(KeyError, match="multiply"):  # LlamaIndex's own word for a tool that isn't there
        world.call(chat, "predict_and_call", TOOLS, "?")


def test_a_model_that_takes_no_tools_is_asked_by_text(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    chat.is_function_calling_model = False
    assert not chat.metadata.is_function_calling_model
    server.script = talking('Thought: I need a tool.\nAction: add\nAction Input: {"a": 2, "b": 3}')
    assert str(world.call(chat, "predict_and_call", [ADD], "2 + 3?")) == "5"
    assert "tools" not in server.requests[0].json

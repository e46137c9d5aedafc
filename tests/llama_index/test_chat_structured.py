"""Objects out of chat: the four forms of `structured_predict`, what servers refuse and what models ignore."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel, Field, ValidationError, model_validator

from tests.llama_index.conftest import Arguments, Recorder, Spans, World, counting
from tests.scripted import CLOSE, ScriptedServer, http, stream, tokens
from tests.wire.chat import answer, calling, chat_stream, delta, talking, tool_call, tool_delta
from xdm_integrations import APIResponseError, ContentFilterError, RateLimitError, StreamInterruptedError, XDMError

if TYPE_CHECKING:
    from xdm_integrations.llama_index import XDM, XDMChat

T = TypeVar("T")


class Dog(BaseModel):
    """A dog."""

    name: str
    age: int


class Kind(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Kennel(BaseModel):
    dogs: list[Dog]
    best: Dog | None = None
    kind: Kind
    open: Literal["yes", "no"]
    tags: dict[str, int] = Field(default_factory=dict)
    größe: float = 0  # noqa: PLC2401 - such names exist


class Node(BaseModel):
    value: int
    next: Node | None = None


class Box(BaseModel, Generic[T]):
    content: T


ANN = {"name": "Ann", "age": 5}
OBJECTS: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (Dog, ANN),
    (
        Kennel,
        {
            "dogs": [ANN, {"name": "Bo 犬", "age": 2}],
            "best": ANN,
            "kind": "small",
            "open": "no",
            "tags": {"a": 1},
            "größe": 1.5,
        },
    ),
    (Node, {"value": 1, "next": {"value": 2, "next": None}}),
    (Box[Dog], {"content": ANN}),
]
PROMPT = PromptTemplate("Who is {x}?")
WAYS = ["structured_predict", "stream_structured_predict"]


def predicted(world: World, llm: XDMChat, way: str, cls: type[Any], prompt: Any = PROMPT, **kwargs: Any) -> Any:
    """Return the object, or the last of a stream."""
    if way.startswith("stream"):
        return world.items(llm, way, cls, prompt, **kwargs)[-1]
    return world.call(llm, way, cls, prompt, **kwargs)


def writing(text: str) -> Any:
    """A server whose model writes this, in the way that it is asked: as a call of the tool, or as its text."""

    def script(seen: Any) -> Any:
        body = seen.json
        if "tools" not in body:
            parts = [text[i : i + 7] for i in range(0, len(text), 7)]
            return chat_stream(*parts) if body.get("stream") else http(answer(text))
        call = tool_call(body["tools"][0]["function"]["name"], text)
        return calling(call) if body.get("stream") else http(answer(None, tool_calls=[call]))

    return script


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("cls", "value"), OBJECTS, ids=[cls.__name__ for cls, _ in OBJECTS])
@pytest.mark.parametrize("by_schema", [None, True, False])
def test_objects_of_every_kind_in_one_request(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, way: str, cls: type[BaseModel], value: Any, by_schema: Any
) -> None:
    chat.should_use_structured_outputs = by_schema
    server.script = writing(json.dumps(value, ensure_ascii=False))
    assert predicted(world, chat, way, cls, x="Ann") == cls.model_validate(value)
    (request,) = server.requests
    body = request.json
    assert body["messages"] == [{"role": "user", "content": "Who is Ann?"}]
    if by_schema is False:
        (tool,) = body["tools"]
        name, schema = tool["function"]["name"], tool["function"]["parameters"]
        assert body["tool_choice"] == {"type": "function", "function": {"name": name}}
    else:
        name, schema = (body["response_format"]["json_schema"][key] for key in ("name", "schema"))
    assert name.replace("_", "").isalnum()
    assert name.isascii()
    assert schema["type"] == "object"
    assert schema["properties"].keys() == value.keys()


@pytest.mark.parametrize("by_schema", [True, False])
def test_an_object_grows(world: World, server: ScriptedServer, chat: XDMChat, by_schema: bool) -> None:
    chat.should_use_structured_outputs = by_schema
    parts = [
        '{"dogs": [{"na',
        'me": "Ann", "age": 5}',
        ', {"name": "Bo", "age": 2}]',
        ', "kind": "small", "open": "yes"}',
    ]
    events = [tool_delta(parts[0], name="Kennel", call_id="c"), *map(tool_delta, parts[1:])]
    server.script = [chat_stream(*(parts if by_schema else events))]
    items = world.items(chat, "stream_structured_predict", Kennel, PROMPT, x="Ann")
    assert [len(item.dogs or ()) for item in items] == [1, 1, 2, 2, 2]
    assert items[1].dogs == [ANN]
    assert items[-1] == Kennel(dogs=[Dog(name="Ann", age=5), Dog(name="Bo", age=2)], kind=Kind.SMALL, open="yes")


def test_braces_in_front_of_an_object_do_it_no_harm(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    """They may be prose, as long as the object hasn't begun: nothing is shown, and nothing raised."""
    chat.should_use_structured_outputs = True
    server.script = [chat_stream("For {Ann}", ": ", json.dumps(ANN))]
    items = world.items(chat, "stream_structured_predict", Dog, PROMPT, x="Ann")
    assert items[-1] == Dog(name="Ann", age=5)


class Whole(Dog):
    @model_validator(mode="before")
    @classmethod
    def need_all(cls, value: Any) -> Any:
        """Fail at half an object by an error that Pydantic lets through."""
        return {name: value[name] for name in ("name", "age")}


def test_a_class_may_refuse_half_an_object_by_any_error(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    server.script = writing(json.dumps(ANN))
    first, *_, last = world.items(chat, "stream_structured_predict", Whole, PROMPT, x="Ann")
    assert (first.name, first.age) == ("Ann", None)
    assert last == Whole(name="Ann", age=5)


@pytest.mark.parametrize("way", WAYS)
def test_templates_of_chat_braces_and_the_system_prompt(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    chat.system_prompt = "Be brief."
    server.script = writing(json.dumps(ANN))
    template = ChatPromptTemplate([ChatMessage("You know dogs.", role="system"), ChatMessage("Who is {x}?")])
    assert predicted(world, chat, way, Dog, template, x="{Ann}") == Dog(name="Ann", age=5)
    assert [(one["role"], one["content"]) for one in server.requests[0].json["messages"]] == [
        ("system", "Be brief.\n\nYou know dogs."),
        ("user", "Who is {Ann}?"),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_parameters_reach_the_body_and_stay_the_callers(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    server.script = writing(json.dumps(ANN))
    given = {"temperature": 0, "tool_choice": "auto", "extra_body": {"top_k": 1}}
    predicted(world, chat, way, Dog, llm_kwargs=given, x="Ann")
    assert given == {"temperature": 0, "tool_choice": "auto", "extra_body": {"top_k": 1}}
    body = server.requests[0].json
    assert (body["temperature"], body["top_k"]) == (0, 1)
    assert "tool_choice" not in body


REFUSALS = {
    "response_format": "'response_format' of type 'json_schema' is not supported with this model",
    "tools": "registry.ollama.ai/library/x does not support tools",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("refused", "tries"), [(["response_format"], 2), (["tools"], 1), (["response_format", "tools"], 4)]
)
def test_what_a_server_refuses_is_asked_for_in_another_way_and_remembered(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, way: str, refused: list[str], tries: int
) -> None:
    good = writing(f"Here: {json.dumps(ANN)}" if len(refused) > 1 else json.dumps(ANN))

    def script(seen: Any) -> Any:
        told = next((name for name in refused if name in seen.json), None)
        return good(seen) if told is None else http({"error": {"message": REFUSALS[told]}}, status=400)

    server.script = script
    for count in (tries, tries + 1):
        assert predicted(world, chat, way, Dog, x="Ann") == Dog(name="Ann", age=5)
        assert len(server.requests) == count
    assert "Ann" in json.dumps(server.requests[-1].json["messages"])


@pytest.mark.parametrize("way", WAYS)
def test_a_way_that_a_channel_drops_in_silence_is_followed_by_the_next(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    script = writing(json.dumps(ANN))
    words = talking("She is a good dog.")
    server.script = lambda seen: words(seen) if "response_format" in seen.json else script(seen)
    for requests in (2, 3):
        assert predicted(world, chat, way, Dog, x="Ann") == Dog(name="Ann", age=5)
        assert len(server.requests) == requests


@pytest.mark.parametrize("way", WAYS)
def test_an_error_that_passes_is_raised_and_teaches_nothing(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    script = writing(json.dumps(ANN))
    busy = http({"error": {"message": "Rate limit reached"}}, status=429)
    server.script = lambda seen: busy if len(server.requests) == 1 else script(seen)
    with pytest.raises(RateLimitError):
        predicted(world, chat, way, Dog, x="Ann")
    predicted(world, chat, way, Dog, x="Ann")
    assert "response_format" in server.requests[1].json


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("mode", "key"),
    [
        (PydanticProgramMode.FUNCTION, "tools"),
        (PydanticProgramMode.LLM, None),
        (PydanticProgramMode.DEFAULT, "response_format"),
    ],
)
def test_the_mode_of_programs_is_obeyed(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, way: str, mode: PydanticProgramMode, key: str | None
) -> None:
    chat.pydantic_program_mode = mode
    server.script = writing(json.dumps(ANN))
    assert predicted(world, chat, way, Dog, x="Ann") == Dog(name="Ann", age=5)
    body = server.requests[0].json
    assert body.keys() & {"tools", "response_format"} == ({key} if key else set())
    if key is None:
        assert '"required": ["name", "age"]' in body["messages"][0]["content"]


@pytest.mark.parametrize("way", WAYS)
def test_a_mode_of_other_models_says_what_it_needs(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    chat.pydantic_program_mode = PydanticProgramMode.LM_FORMAT_ENFORCER
    with pytest.raises(ImportError):
        predicted(world, chat, way, Dog, x="Ann")
    assert not server.requests


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_takes_no_tools_gets_the_schema_in_its_prompt(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    chat.is_function_calling_model = False
    server.script = writing(json.dumps(ANN))
    assert predicted(world, chat, way, Dog, x="Ann") == Dog(name="Ann", age=5)
    assert not server.requests[0].json.keys() & {"tools", "response_format"}


WRONG: list[tuple[str, Any, Any, type[Exception], str]] = [
    ("words", "I can't say.", None, APIResponseError, "I can't say"),
    ("a wrong type", '{"name": "Ann", "age": "old"}', None, APIResponseError, '"age": "old"'),
    ("half an object", '{"name": "Ann", "ag', None, APIResponseError, '"Ann", "ag'),
    ("cut", '{"name": "Ann", "ag', "length", APIResponseError, "max_tokens"),
    ("filtered", '{"name": "Ann"', "content_filter", ContentFilterError, "filtered"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by_schema", [True, False])
@pytest.mark.parametrize(("text", "finish", "error", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_does_not_fit_is_an_error_with_the_models_words(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World,
    server: ScriptedServer,
    chat: XDMChat,
    way: str,
    by_schema: bool,
    text: str,
    finish: str | None,
    error: type[Exception],
    said: str,
) -> None:
    chat.should_use_structured_outputs = by_schema
    tool = not by_schema and text[0] == "{"
    if way.startswith("stream"):
        event = tool_delta(text, name="Dog", call_id="c") if tool else text
        server.script = [chat_stream(event, finish=finish or "stop")]
    else:
        message = {"tool_calls": [tool_call("Dog", text)]} if tool else {}
        server.script = [http(answer(None if tool else text, finish=finish or "stop", **message))]
    with pytest.raises(error, match=said):
        predicted(world, chat, way, Dog, x="Ann")
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_an_error_that_says_it(world: World, server: ScriptedServer, chat: XDMChat, way: str) -> None:
    refusing = {"refusal": "I won't talk of dogs."}
    part = chat_stream(delta(**refusing))
    server.script = lambda seen: part if seen.json.get("stream") else http(answer(None, **refusing))
    with pytest.raises(ContentFilterError, match="won't talk of dogs"):
        predicted(world, chat, way, Dog, x="Ann")


class Old(BaseModel):
    age: int = Field(ge=100)


@pytest.mark.parametrize("way", WAYS)
def test_what_the_class_itself_refuses_is_a_value_error(
    world: World, server: ScriptedServer, chat: XDMChat, way: str
) -> None:
    server.script = writing('{"age": 5}')
    with pytest.raises(ValidationError, match="100"):
        predicted(world, chat, way, Old, x="Ann")


def test_a_stream_of_objects_that_is_cut_raises_after_what_came(
    world: World, server: ScriptedServer, chat: XDMChat
) -> None:
    server.script = [stream(delta('{"name": "Ann", '), delta('"age": '))]
    with pytest.raises(StreamInterruptedError):
        world.items(chat, "stream_structured_predict", Dog, PROMPT, x="Ann")
    assert len(server.requests) == 1


def test_nothing_is_asked_again_once_a_part_was_shown(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    server.script = [chat_stream('{"name": "Ann", "age": "?"}')]
    with pytest.raises(XDMError, match="no object that fits"):
        world.items(chat, "stream_structured_predict", Dog, PROMPT, x="Ann")
    assert len(server.requests) == 1


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # StructuredLLM.stream_chat calls it
@pytest.mark.parametrize("method", ["complete", "chat", "stream_chat"])
def test_as_structured_llm(world: World, server: ScriptedServer, chat: XDMChat, method: str) -> None:
    server.script = writing(json.dumps(ANN))
    structured = chat.as_structured_llm(Dog)
    response = world.ask(structured, method, "who?")
    assert response.raw == Dog(name="Ann", age=5)
    assert json.loads(response.text if method == "complete" else response.message.content) == ANN


@pytest.mark.parametrize("way", WAYS)
def test_events_and_counts_of_an_object(
    world: World, server: ScriptedServer, chat: XDMChat, way: str, seen: Recorder
) -> None:
    server.script = writing(json.dumps(ANN))
    counter = counting()
    chat.callback_manager.add_handler(counter)
    predicted(world, chat, way, Dog, x="Ann")
    names = seen.names()
    for name in (
        "LLMStructuredPredictStartEvent",
        "LLMStructuredPredictEndEvent",
        "LLMChatStartEvent",
        "LLMChatEndEvent",
    ):
        assert names.count(name) == 1, name
    assert ("LLMStructuredPredictInProgressEvent" in names) == way.startswith("stream")
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (7, 3)


REFUSED = http({"error": {"message": "no"}}, status=400)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", ["refused", "cut", "words"])
def test_tracers_are_told_once_why_there_is_no_object(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, seen: Recorder, spans: Spans, way: str, fault: str
) -> None:
    chat.should_use_structured_outputs = True
    cut = stream(delta('{"name": "A'), CLOSE, end=False)
    if not way.startswith("stream"):
        cut = [http(answer("a" * 99))[0][:-9], CLOSE]
    server.script = {"refused": lambda _: REFUSED, "cut": lambda _: cut, "words": writing("I can't say.")}[fault]
    with pytest.raises(XDMError) as caught:
        predicted(world, chat, way, Dog, x="Ann")
    told = [event.exception for event in seen.events if event.class_name() == "ExceptionEvent"]
    dropped = [span.id_.rpartition(".")[2].partition("-")[0] for span in spans.dropped_spans]
    if way.startswith("stream"):
        assert (told, dropped) == ([caught.value], [])
    else:
        assert (told, dropped) == ([], [world.prefix * world.is_async + way])


def test_tracers_are_told_that_the_stream_of_a_text_model_holds_no_object(
    world: World, server: ScriptedServer, llm: XDM, seen: Recorder
) -> None:
    server.script = lambda _: tokens("I can't say.")
    with pytest.raises(ValueError, match="can't say") as caught:
        world.items(llm, "stream_structured_predict", Dog, PromptTemplate("Who is {x}?"), x="Ann")
    assert [event.exception for event in seen.events if event.class_name() == "ExceptionEvent"] == [caught.value]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["by name", "by position"])
def test_events_and_spans_of_an_object_show_no_options(  # noqa: PLR0913, PLR0917 - parameters of a test
    world: World, server: ScriptedServer, chat: XDMChat, way: str, seen: Recorder, arguments: Arguments, place: str
) -> None:
    server.script = writing(json.dumps(ANN))
    secret = "nobody-may-see"
    options = {"extra_headers": {"X-Secret": secret}, "extra_body": {"a": secret}, "temperature": 0}
    prompt = PromptTemplate("Who is {x} in {timeout}?")
    if place == "by name":
        predicted(world, chat, way, Dog, prompt, llm_kwargs=options, x="Ann", timeout="May")
    elif way.startswith("stream"):
        world.items(chat, way, Dog, prompt, options, x="Ann", timeout="May")
    else:
        world.call(chat, way, Dog, prompt, options, x="Ann", timeout="May")
    assert (server.requests[0].headers["x-secret"], server.requests[0].json["a"]) == (secret, secret)
    assert server.requests[0].json["messages"][-1]["content"] == "Who is Ann in May?"
    assert any("structured_predict" in text for text in arguments.seen)
    assert secret not in repr(seen.events) + repr(arguments.seen)
    starts = [event for event in seen.events if event.class_name() == "LLMChatStartEvent"]
    assert [event.additional_kwargs for event in starts] == [{"temperature": 0}]

"""Indexes, query engines, chat engines, structured answers, pipelines: real use."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Document, PromptTemplate, SummaryIndex, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate
from pydantic import BaseModel

from tests.llama_index.conftest import Arguments, World, counting, joined
from tests.scripted import ScriptedServer, completion, http, tokens
from xdm_integrations.llama_index import XDM

if TYPE_CHECKING:
    from llama_index.core.base.base_query_engine import BaseQueryEngine

MODES = [
    "compact",
    "refine",
    "tree_summarize",
    "simple_summarize",
    "accumulate",
    "compact_accumulate",
    "generation",
]


class Song(BaseModel):
    """A song."""

    title: str
    length: int


SONG = '{"title": "Bees", "length": 3}'


def saying(text: str) -> Any:
    """A server that always says this, streamed where that is asked for."""
    return lambda seen: tokens(text) if seen.json.get("stream") else http(completion(text))


def vector_index(*texts: str) -> VectorStoreIndex:
    return VectorStoreIndex.from_documents([Document(text=t) for t in texts], embed_model=MockEmbedding(3))


def memory_of(llm: XDM) -> Any:
    """A memory without a database: LlamaIndex leaves the connection of its default one open."""
    return ChatMemoryBuffer.from_defaults(llm=llm)


def query(world: World, engine: BaseQueryEngine, streaming: bool) -> str:
    response = world.call(engine, "query", "what?")
    if not streaming:
        return str(response)
    if world.is_async:
        return world.loop.run_until_complete(joined(response.async_response_gen()))
    return "".join(response.response_gen)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["vector", "summary"])
def test_every_response_mode(world: World, server: ScriptedServer, llm: XDM, mode: str, kind: str) -> None:
    server.script = saying("an answer")
    texts = ["about bees", "about tea"]
    index: Any = (
        vector_index(*texts) if kind == "vector" else SummaryIndex.from_documents([Document(text=t) for t in texts])
    )
    assert "an answer" in query(world, index.as_query_engine(llm=llm, response_mode=mode), streaming=False)


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize", "generation"])
def test_streaming_query_engines(world: World, server: ScriptedServer, llm: XDM, mode: str) -> None:
    server.script = saying("an answer")
    engine = vector_index("about bees").as_query_engine(llm=llm, response_mode=mode, streaming=True)
    assert query(world, engine, streaming=True) == "an answer"
    assert server.requests[-1].json["stream"] is True


@pytest.mark.parametrize("mode", ["simple", "context", "condense_question", "condense_plus_context", "best"])
@pytest.mark.parametrize("streaming", [False, True])
def test_chat_engines_over_three_turns_with_clean_prompts(
    world: World, server: ScriptedServer, llm: XDM, mode: str, streaming: bool
) -> None:
    if mode == "best" and streaming and world.is_async:
        mode = "condense_plus_context"  # what "best" stands for with such a model
    server.script = saying("an answer")
    engine = vector_index("about bees").as_chat_engine(llm=llm, chat_mode=mode, memory=memory_of(llm))
    for text in ("one", "two", "three"):
        if not streaming:
            assert "an answer" in str(world.call(engine, "chat", text))
        elif world.is_async:

            async def turn(text: str = text) -> str:
                response = await engine.astream_chat(text)
                return await joined(response.async_response_gen())

            assert "an answer" in world.loop.run_until_complete(turn())
        else:
            assert "an answer" in "".join(engine.stream_chat(text).response_gen)
    assert not [seen for seen in server.requests if "tokens" in seen.json["prompt"] or "None" in seen.json["prompt"]]


def test_four_nodes_are_four_requests_at_once(server: ScriptedServer, llm: XDM) -> None:
    """No answer comes before all four requests have."""
    import asyncio

    all_here = threading.Barrier(4, timeout=60)
    server.script = lambda _seen: [lambda: all_here.wait() and None, *http(completion("an answer"))]
    index = SummaryIndex.from_documents([Document(text=t) for t in "abcd"])
    engine = index.as_query_engine(llm=llm, response_mode="accumulate", use_async=True)
    response = asyncio.run(engine.aquery("what?"))
    assert str(response).count("an answer") == 4
    assert len(server.requests) == 4


@pytest.mark.parametrize("mode", ["compact", "tree_summarize", "refine", "accumulate"])
def test_query_engines_with_an_output_class(world: World, server: ScriptedServer, llm: XDM, mode: str) -> None:
    server.script = saying(f"Here it is:\n```json\n{SONG}\n```")
    engine = vector_index("about bees").as_query_engine(llm=llm, response_mode=mode, output_cls=Song)
    response = world.call(engine, "query", "which song?")
    assert "Bees" in str(response)
    if mode != "accumulate":
        assert response.response == Song(title="Bees", length=3)
    assert '{"description": "A song."' in server.requests[0].json["prompt"]


@pytest.mark.parametrize(
    "template", [PromptTemplate("Sing of {topic}"), ChatPromptTemplate([ChatMessage("Sing of {topic}")])]
)
def test_structured_predict(world: World, server: ScriptedServer, llm: XDM, template: Any) -> None:
    server.script = saying(f"Sure: {SONG}")
    song = world.call(llm, "structured_predict", Song, template, llm_kwargs={"max_tokens": 9}, topic="bees")
    assert song == Song(title="Bees", length=3)
    sent = server.requests[0].json
    assert sent["max_tokens"] == 9
    assert "Sing of bees" in sent["prompt"]
    start = sent["prompt"].index('{"description"')
    schema, _ = json.JSONDecoder().raw_decode(sent["prompt"][start:])
    assert schema == Song.model_json_schema()
    assert template.output_parser is None
    if isinstance(template, PromptTemplate):
        assert "".join(llm.stream(template, topic="bees")) == f"Sure: {SONG}"


@pytest.mark.parametrize("method", ["structured_predict", "stream_structured_predict"])
def test_spans_of_an_object_show_no_options(
    world: World, server: ScriptedServer, llm: XDM, arguments: Arguments, method: str
) -> None:
    secret = "nobody-may-see"
    server.script = [tokens(SONG) if method.startswith("stream") else http(completion(SONG))]
    given = {"extra_headers": {"X-Secret": secret}, "extra_body": {"token": secret}}
    call = world.items if method.startswith("stream") else world.call
    call(llm, method, Song, PromptTemplate("Sing of {timeout}"), llm_kwargs=given, timeout="bees")
    assert (server.requests[0].headers["x-secret"], server.requests[0].json["token"]) == (secret, secret)
    assert "Sing of bees" in server.requests[0].json["prompt"]
    assert any(method in text for text in arguments.seen)
    assert secret not in repr(arguments.seen)


def test_streamed_structured_predict(world: World, server: ScriptedServer, llm: XDM) -> None:
    server.script = [tokens('{"title": "Be', 'es", "len', 'gth": 3}')]
    template = PromptTemplate("Sing of {topic}")
    found = world.items(llm, "stream_structured_predict", Song, template, llm_kwargs={"top_p": 0.5}, topic="bees")
    assert (found[-1].title, found[-1].length) == ("Bees", 3)
    assert server.requests[0].json["top_p"] == 0.5
    assert "{{" not in server.requests[0].json["prompt"]
    assert template.output_parser is None


CHATTY = [
    f'<think>Perhaps {{"title": "Wasps", "length": 1}}?</think>{SONG}',
    f'First a draft: {{"title": "Wasps", "length": 1}}. Better:\n```json\n{SONG}\n```\nI like {{braces}}.',
    f"The schema is {json.dumps(Song.model_json_schema())}, so: {SONG}",
    f'{SONG} {{"note": "that was a song"}}',
    '{"title": "Bees", "length": "3"}',
]


@pytest.mark.parametrize("method", ["structured_predict", "stream_structured_predict"])
@pytest.mark.parametrize("answer", CHATTY)
def test_the_answer_is_the_last_complete_object_that_fits(
    world: World, server: ScriptedServer, llm: XDM, method: str, answer: str
) -> None:
    server.script = saying(answer)
    if method.startswith("stream"):
        *partial, song = world.items(llm, method, Song, PromptTemplate("Sing"))
        assert all(set(dict(one)) & {"title", "length"} for one in partial)
    else:
        song = world.call(llm, method, Song, PromptTemplate("Sing"))
    assert song == Song(title="Bees", length=3)


class Wish(BaseModel):
    """Nothing of it is required."""

    colour: str | None = None


@pytest.mark.parametrize("method", ["structured_predict", "stream_structured_predict"])
@pytest.mark.parametrize(
    "answer", ["no idea", '{"title": "Be', '{"name": "Bees"}', json.dumps(Wish.model_json_schema())]
)
def test_an_answer_without_such_an_object_is_an_error_at_the_end(
    world: World, server: ScriptedServer, llm: XDM, method: str, answer: str
) -> None:
    server.script = saying(answer)
    ask = world.items if method.startswith("stream") else world.call
    for output_cls in (Song, Wish):
        with pytest.raises(ValueError, match=output_cls.__name__):
            ask(llm, method, output_cls, PromptTemplate("Sing"))


def test_prompts_of_structured_answers_have_template_and_system_prompt(world: World, server: ScriptedServer) -> None:
    llm = XDM(api_base=server.url, completion_to_prompt=lambda prompt: f"[{prompt}]", system_prompt="Be brief.")
    server.script = saying(SONG)
    world.call(llm, "structured_predict", Song, PromptTemplate("Sing"))
    prompt = server.requests[0].json["prompt"]
    assert prompt.startswith("Be brief.\n\n[Sing")
    assert prompt.count("[Sing") == 1
    assert prompt.endswith("]")


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # StructuredLLM.stream_chat calls it
@pytest.mark.parametrize("method", ["complete", "chat", "stream_chat"])
def test_as_structured_llm(world: World, server: ScriptedServer, method: str) -> None:
    server.script = saying(SONG)
    llm = XDM(api_base=server.url, messages_to_prompt=lambda messages: "|".join(str(m.content) for m in messages))
    last = world.ask(llm.as_structured_llm(Song), method, "Sing")
    assert (last.raw.title, last.raw.length) == ("Bees", 3)
    assert server.requests[0].json["prompt"].startswith("Sing\n")


def test_router_query_engine(world: World, server: ScriptedServer, llm: XDM) -> None:
    from llama_index.core.query_engine import RouterQueryEngine
    from llama_index.core.selectors import LLMSingleSelector
    from llama_index.core.tools import QueryEngineTool

    choice = '[{"choice": 2, "reason": "it is about tea"}]'
    server.script = lambda seen: http(completion(choice if "choice" in seen.json["prompt"] else "green"))
    tools = [
        QueryEngineTool.from_defaults(vector_index(text).as_query_engine(llm=llm), name=text, description=text)
        for text in ("bees", "tea")
    ]
    engine = RouterQueryEngine(selector=LLMSingleSelector.from_defaults(llm=llm), query_engine_tools=tools, llm=llm)
    assert str(world.call(engine, "query", "which tea?")) == "green"
    assert "tea" in server.requests[-1].json["prompt"].split("Query")[0]


def test_sub_question_query_engine(world: World, server: ScriptedServer, llm: XDM) -> None:
    from llama_index.core.query_engine import SubQuestionQueryEngine
    from llama_index.core.question_gen import LLMQuestionGenerator
    from llama_index.core.response_synthesizers import get_response_synthesizer
    from llama_index.core.tools import QueryEngineTool

    questions = json.dumps({"items": [{"sub_question": f"{name}?", "tool_name": name} for name in ("bees", "tea")]})
    server.script = lambda seen: http(
        completion(f"```json\n{questions}\n```" if "tool_name" in seen.json["prompt"] else "both")
    )
    tools = [
        QueryEngineTool.from_defaults(vector_index(text).as_query_engine(llm=llm), name=text, description=text)
        for text in ("bees", "tea")
    ]
    engine = SubQuestionQueryEngine.from_defaults(
        query_engine_tools=tools,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm=llm),
        llm=llm,
        verbose=False,
        use_async=True,
    )
    assert str(world.call(engine, "query", "bees or tea?")) == "both"
    assert len(server.requests) == 4


def test_an_ingestion_pipeline_with_extractors(world: World, server: ScriptedServer, llm: XDM) -> None:
    from llama_index.core.extractors import KeywordExtractor, SummaryExtractor
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter

    server.script = saying("bees, honey")
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(),
            KeywordExtractor(llm=llm, show_progress=False),
            SummaryExtractor(llm=llm, show_progress=False),
        ],
        disable_cache=True,
    )
    documents = [Document(text="Bees make honey."), Document(text="Tea is a drink.")]
    nodes = (
        world.call(pipeline, "run", documents=documents)
        if not world.is_async
        else world.loop.run_until_complete(pipeline.arun(documents=documents))
    )
    assert [node.metadata["excerpt_keywords"] for node in nodes] == ["bees, honey"] * 2
    assert [node.metadata["section_summary"] for node in nodes] == ["bees, honey"] * 2
    assert len(server.requests) == 4


def test_an_extractor_is_stored_and_loaded_with_its_llm(server: ScriptedServer, llm: XDM) -> None:
    from llama_index.core.extractors import KeywordExtractor

    loaded = KeywordExtractor.from_dict(KeywordExtractor(llm=llm, keywords=3).to_dict())
    assert isinstance(loaded.llm, XDM)
    assert loaded.llm.api_base == server.url


@pytest.mark.parametrize("answer", ["YES", "NO"])
def test_an_evaluator(server: ScriptedServer, world: World, llm: XDM, answer: str) -> None:
    from llama_index.core.evaluation import FaithfulnessEvaluator

    server.script = saying(answer)
    evaluator = FaithfulnessEvaluator(llm=llm)
    result = world.call(evaluator, "evaluate", response="Bees make honey.", contexts=["Bees make honey."])
    assert result.passing is (answer == "YES")


@pytest.mark.parametrize("streaming", [False, True])
def test_the_real_engine_answers_from_an_index(world: World, engine: Any, streaming: bool) -> None:
    from pathlib import Path

    from llama_index.core import Settings
    from llama_index.core.callbacks import CallbackManager

    counter = counting()
    Settings.callback_manager = CallbackManager([counter])
    llm = XDM(api_base=engine.base_url, model="tiny", temperature=0, max_tokens=80)
    text = (Path(__file__).parents[2] / "examples" / "data" / "bees.md").read_text(encoding="utf-8")
    query_engine = vector_index(text).as_query_engine(llm=llm, streaming=streaming)
    assert query(world, query_engine, streaming).strip()
    (counted,) = counter.llm_token_counts
    assert counted.prompt_token_count > 20
    assert 0 < counted.completion_token_count <= 80


def test_token_counts_of_several_requests_add_up(world: World, server: ScriptedServer, llm: XDM) -> None:
    from llama_index.core import Settings
    from llama_index.core.callbacks import CallbackManager

    counter = counting()
    Settings.callback_manager = CallbackManager([counter])
    server.script = saying("an answer")
    index = SummaryIndex.from_documents([Document(text=t) for t in "abc"])
    query(world, index.as_query_engine(llm=llm, response_mode="accumulate"), streaming=False)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (21, 9)

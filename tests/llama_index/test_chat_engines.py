"""Engines, selectors, rerankers, extractors, evaluators and memory over `XDMChat`: real use."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Document, PropertyGraphIndex, Settings, SummaryIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, ChatSummaryMemoryBuffer
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool

from tests.llama_index.conftest import World, counting, joined
from tests.llama_index.test_query import MODES, SONG, Song, query, vector_index
from tests.scripted import http
from tests.wire.chat import answer, chat_stream, talking, tool_call
from xdm_integrations.llama_index import XDMChat

if TYPE_CHECKING:
    from tests.scripted import ScriptedServer

# LlamaIndex's workflows use what their dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def prompt_of(seen: Any) -> str:
    return json.dumps(seen.json["messages"])


def choosing(*rules: tuple[str, str], otherwise: str = "an answer") -> Any:
    """A server that answers by what stands in the request."""

    def script(seen: Any) -> Any:
        text = next((text for word, text in rules if word in prompt_of(seen)), otherwise)
        return chat_stream(text) if seen.json.get("stream") else http(answer(text))

    return script


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["vector", "summary"])
def test_every_response_mode(world: World, server: ScriptedServer, chat: XDMChat, mode: str, kind: str) -> None:
    server.script = talking("an answer")
    texts = ["about bees", "about tea"]
    index: Any = (
        vector_index(*texts) if kind == "vector" else SummaryIndex.from_documents([Document(text=t) for t in texts])
    )
    assert "an answer" in query(world, index.as_query_engine(llm=chat, response_mode=mode), streaming=False)
    assert {one.path for one in server.requests} == {"/v1/chat/completions"}


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize", "generation"])
def test_streaming_query_engines(world: World, server: ScriptedServer, chat: XDMChat, mode: str) -> None:
    server.script = talking("an answer")
    engine = vector_index("about bees").as_query_engine(llm=chat, response_mode=mode, streaming=True)
    assert query(world, engine, streaming=True) == "an answer"


@pytest.mark.parametrize("mode", ["compact", "tree_summarize", "refine", "accumulate"])
def test_query_engines_with_an_output_class(world: World, server: ScriptedServer, chat: XDMChat, mode: str) -> None:
    server.script = talking(SONG)
    engine = vector_index("about bees").as_query_engine(llm=chat, response_mode=mode, output_cls=Song)
    response = world.call(engine, "query", "which song?")
    assert "Bees" in str(response)
    assert server.requests[0].json["response_format"]["json_schema"]["name"] == "Song"


def test_a_long_text_is_cut_to_the_window_of_the_model(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    chat.context_window, chat.max_tokens = 2000, 100
    Settings.llm = chat  # llama-index-core 0.14.23 looks for the window of no other
    index = SummaryIndex.from_documents([Document(text="bees make honey. " * 2000)])
    assert query(world, index.as_query_engine(llm=chat, response_mode="compact"), streaming=False) == "hi"
    assert len(server.requests) > 3
    assert max(len(prompt_of(one)) for one in server.requests) < 2000 * 6


@pytest.mark.parametrize("mode", ["simple", "context", "condense_question", "condense_plus_context", "best"])
@pytest.mark.parametrize("streaming", [False, True])
def test_chat_engines_over_three_turns(
    world: World, server: ScriptedServer, chat: XDMChat, mode: str, streaming: bool
) -> None:
    server.script = talking("an answer")
    memory = ChatMemoryBuffer.from_defaults(llm=chat)
    asked: dict[str, Any] = {} if mode == "condense_question" else {"system_prompt": "Be brief."}
    engine = vector_index("about bees").as_chat_engine(llm=chat, chat_mode=mode, memory=memory, **asked)
    for text in ("one", "two", "three"):
        if not streaming:
            assert str(world.call(engine, "chat", text)) == "an answer"
        elif world.is_async:

            async def turn(text: str = text) -> str:
                response = await engine.astream_chat(text)
                return await joined(response.async_response_gen())

            assert world.run(turn()) == "an answer"
        else:
            assert "".join(engine.stream_chat(text).response_gen) == "an answer"
    if asked:
        systems = [
            sum("Be brief." in str(message["content"]) for message in one.json["messages"]) for one in server.requests
        ]
        assert max(systems) == 1
    history = [message for message in memory.get_all() if message.role == "assistant"]
    assert [message.content for message in history] == ["an answer"] * 3


def test_four_nodes_are_four_requests_at_once(server: ScriptedServer, chat: XDMChat) -> None:
    """No answer comes before all four requests have."""
    all_here = threading.Barrier(4, timeout=60)
    server.script = lambda _seen: [lambda: all_here.wait() and None, *http(answer("an answer"))]
    index = SummaryIndex.from_documents([Document(text=t) for t in "abcd"])
    engine = index.as_query_engine(llm=chat, response_mode="accumulate", use_async=True)
    assert str(asyncio.run(engine.aquery("what?"))).count("an answer") == 4


@pytest.mark.parametrize("streaming", [False, True])
def test_the_counts_of_a_query_are_the_servers(
    world: World, server: ScriptedServer, chat: XDMChat, streaming: bool
) -> None:
    counter = counting()
    Settings.callback_manager = CallbackManager([counter])
    server.script = talking("an answer")
    query(world, vector_index("about bees").as_query_engine(llm=chat, streaming=streaming), streaming)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (7, 3)


def tools_of(chat: XDMChat) -> list[QueryEngineTool]:
    return [
        QueryEngineTool.from_defaults(vector_index(text).as_query_engine(llm=chat), name=text, description=text)
        for text in ("bees", "tea")
    ]


@pytest.mark.parametrize("kind", ["text", "pydantic"])
def test_a_router(world: World, server: ScriptedServer, chat: XDMChat, kind: str) -> None:
    from llama_index.core.query_engine import RouterQueryEngine
    from llama_index.core.selectors import LLMSingleSelector, PydanticSingleSelector

    choice = {"index": 1, "reason": "it is about tea"}
    if kind == "text":
        server.script = choosing(("choices", '[{"choice": 2, "reason": "it is about tea"}]'), otherwise="green")
        selector: Any = LLMSingleSelector.from_defaults(llm=chat)
    else:
        server.script = talking([tool_call("SingleSelection", choice)], "green")
        selector = PydanticSingleSelector.from_defaults(llm=chat)
    engine = RouterQueryEngine(selector=selector, query_engine_tools=tools_of(chat), llm=chat)
    assert str(world.call(engine, "query", "which tea?")) == "green"
    assert "tea" in prompt_of(server.requests[-1])
    if kind == "pydantic":
        assert server.requests[0].json["tool_choice"] == "required"


@pytest.mark.parametrize("kind", ["text", "pydantic"])
def test_sub_questions(world: World, server: ScriptedServer, chat: XDMChat, kind: str) -> None:
    from llama_index.core.query_engine import SubQuestionQueryEngine
    from llama_index.core.question_gen import LLMQuestionGenerator
    from llama_index.core.response_synthesizers import get_response_synthesizer

    questions = {"items": [{"sub_question": f"{name}?", "tool_name": name} for name in ("bees", "tea")]}
    server.script = choosing(("tool_name", f"```json\n{json.dumps(questions)}\n```"), otherwise="both")
    engine = SubQuestionQueryEngine.from_defaults(
        query_engine_tools=tools_of(chat),
        question_gen=LLMQuestionGenerator.from_defaults(llm=chat),
        response_synthesizer=get_response_synthesizer(llm=chat),
        llm=chat,
        verbose=False,
        use_async=kind == "pydantic",
    )
    assert str(world.call(engine, "query", "bees or tea?")) == "both"
    assert len(server.requests) == 4


def nodes(*texts: str) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in texts]


@pytest.mark.parametrize("kind", ["text", "structured"])
def test_rerankers(world: World, server: ScriptedServer, chat: XDMChat, kind: str) -> None:
    from llama_index.core.postprocessor import LLMRerank, StructuredLLMRerank

    if kind == "text":
        server.script = talking("Doc: 2, Relevance: 9\nDoc: 1, Relevance: 2")
        reranker: Any = LLMRerank(llm=chat, top_n=1)
    else:
        documents = [{"document_number": 2, "relevance": 9}, {"document_number": 1, "relevance": 2}]
        server.script = talking(json.dumps({"documents": documents}))
        reranker = StructuredLLMRerank(llm=chat, top_n=1)
    best = world.call(reranker, "postprocess_nodes", nodes("bees", "tea"), QueryBundle("which tea?"))
    assert [node.node.get_content() for node in best] == ["tea"]


def test_several_queries_are_fused(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    from llama_index.core.retrievers import QueryFusionRetriever

    server.script = talking("which tea?\nwhat is tea?")
    retriever = QueryFusionRetriever(
        [vector_index("about tea").as_retriever()], llm=chat, num_queries=3, use_async=world.is_async
    )
    found = world.call(retriever, "retrieve", "tea?")
    assert [node.node.get_content() for node in found] == ["about tea"]
    assert len(server.requests) == 1


def test_a_graph_is_extracted(server: ScriptedServer, chat: XDMChat) -> None:
    from llama_index.core.indices.property_graph import SimpleLLMPathExtractor

    server.script = talking("(Bees, make, Honey)")
    index = PropertyGraphIndex.from_documents(
        [Document(text="Bees make honey.")],
        kg_extractors=[SimpleLLMPathExtractor(llm=chat, num_workers=1)],
        embed_kg_nodes=False,
        embed_model=MockEmbedding(3),
        llm=chat,
    )
    triplets = index.property_graph_store.get_triplets(entity_names=["Bees"])
    assert [(one.id, relation.label, other.id) for one, relation, other in triplets] == [("Bees", "Make", "Honey")]


def test_extractors(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    from llama_index.core.extractors import (
        KeywordExtractor,
        QuestionsAnsweredExtractor,
        SummaryExtractor,
        TitleExtractor,
    )
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter

    server.script = talking("bees, honey")
    kinds: list[Any] = [KeywordExtractor, SummaryExtractor, TitleExtractor, QuestionsAnsweredExtractor]
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(), *(kind(llm=chat, show_progress=False) for kind in kinds)],
        disable_cache=True,
    )
    documents = [Document(text="Bees make honey.")]
    (node,) = world.run(pipeline.arun(documents=documents)) if world.is_async else pipeline.run(documents=documents)
    names = ("excerpt_keywords", "section_summary", "document_title", "questions_this_excerpt_can_answer")
    assert [node.metadata[name] for name in names] == ["bees, honey"] * 4


def test_an_extractor_is_stored_and_loaded_with_its_llm(server: ScriptedServer, chat: XDMChat) -> None:
    from llama_index.core.extractors import KeywordExtractor

    loaded = KeywordExtractor.from_dict(KeywordExtractor(llm=chat, keywords=3).to_dict())
    assert isinstance(loaded.llm, XDMChat)
    assert loaded.llm.api_base == server.url


@pytest.mark.parametrize("kind", ["FaithfulnessEvaluator", "RelevancyEvaluator", "AnswerRelevancyEvaluator"])
def test_evaluators(world: World, server: ScriptedServer, chat: XDMChat, kind: str) -> None:
    from llama_index.core import evaluation

    server.script = talking("Feedback:\nGood.\n\n[RESULT] 2" if kind.startswith("Answer") else "YES")
    evaluator = getattr(evaluation, kind)(llm=chat)
    asked = {"query": "What do bees make?", "response": "Honey.", "contexts": ["Bees make honey."]}
    result = world.call(evaluator, "evaluate", **asked)
    assert result.score == 1.0


def test_a_guideline_is_judged_by_an_object(world: World, server: ScriptedServer, chat: XDMChat) -> None:
    from llama_index.core.evaluation import GuidelineEvaluator

    server.script = talking(json.dumps({"passing": True, "feedback": "good"}))
    result = world.call(GuidelineEvaluator(llm=chat), "evaluate", query="a", response="b", contexts=["c"])
    assert (result.passing, result.feedback) == (True, "good")


def test_a_memory_that_sums_up(server: ScriptedServer, chat: XDMChat) -> None:
    server.script = talking("They spoke of bees.")
    memory = ChatSummaryMemoryBuffer.from_defaults(llm=chat, token_limit=30)
    for number in range(4):
        memory.put(ChatMessage(f"{number}: " + "bees make honey " * 5))
        memory.put(ChatMessage("Indeed. " * 5, role="assistant"))
    assert "They spoke of bees." in str(memory.get()[0].content)
    assert server.requests


def test_a_memory_of_facts(server: ScriptedServer, chat: XDMChat) -> None:
    from llama_index.core.memory import FactExtractionMemoryBlock

    server.script = talking("<facts><fact>The user keeps bees.</fact></facts>")
    block = FactExtractionMemoryBlock(llm=chat)
    asyncio.run(block.aput([ChatMessage("I keep bees.")]))
    assert "keeps bees" in str(asyncio.run(block.aget()))


def test_a_workflow_of_ones_own(server: ScriptedServer, chat: XDMChat) -> None:
    from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step

    class Asking(Workflow):
        @step
        async def ask(self, event: StartEvent) -> StopEvent:
            tools = [FunctionTool.from_defaults(len, name="length", description="Counts.")]
            response = await chat.achat_with_tools(tools, event.get("text"), tool_required=True)
            (call,) = chat.get_tool_calls_from_response(response)
            return StopEvent(result=call.tool_kwargs)

    Asking.__module__ = __name__
    server.script = talking([tool_call("length", {"obj": "bees"})])

    async def main() -> Any:
        return await Asking(timeout=30).run(text="How long is bees?")

    assert asyncio.run(main()) == {"obj": "bees"}
    assert server.requests[0].json["tool_choice"] == "required"


@pytest.mark.parametrize("streaming", [False, True])
def test_the_real_engine_answers_from_an_index(world: World, engine: Any, streaming: bool) -> None:
    counter = counting()
    Settings.callback_manager = CallbackManager([counter])
    llm = XDMChat(api_base=engine.base_url, model="tiny", temperature=0, max_tokens=80)
    text = (Path(__file__).parents[2] / "examples" / "data" / "bees.md").read_text(encoding="utf-8")
    query_engine = vector_index(text).as_query_engine(llm=llm, streaming=streaming)
    assert query(world, query_engine, streaming).strip()
    (counted,) = counter.llm_token_counts
    assert counted.prompt_token_count > 20
    assert 0 < counted.completion_token_count <= 80


def test_the_real_engine_calls_a_tool_where_it_must(world: World, engine: Any) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    llm = XDMChat(api_base=engine.base_url, model="tiny", temperature=0, max_tokens=120)
    tools = [FunctionTool.from_defaults(add)]
    whole = world.call(llm, "chat_with_tools", tools, "What is 2 + 3?", tool_required=True)
    last = world.items(llm, "stream_chat_with_tools", tools, "What is 2 + 3?", tool_required=True)[-1]
    for response in (whole, last):
        (call,) = llm.get_tool_calls_from_response(response)
        assert call.tool_name == "add"
        assert call.tool_kwargs.keys() == {"a", "b"}


@pytest.mark.parametrize("way", ["structured_predict", "stream_structured_predict"])
@pytest.mark.parametrize("by_schema", [True, False])
def test_the_real_engine_fills_a_class(world: World, engine: Any, way: str, by_schema: bool) -> None:
    from llama_index.core.prompts import PromptTemplate

    llm = XDMChat(
        api_base=engine.base_url, model="tiny", temperature=0, max_tokens=200, should_use_structured_outputs=by_schema
    )
    prompt = PromptTemplate("Name a song about {x}.")
    if way.startswith("stream"):
        song = world.items(llm, way, Song, prompt, x="bees")[-1]
    else:
        song = world.call(llm, way, Song, prompt, x="bees")
    assert isinstance(song, Song)

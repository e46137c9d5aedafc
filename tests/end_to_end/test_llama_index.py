"""LlamaIndex programs on a real engine: a query engine, a chat engine, an agent, interruptions."""

from __future__ import annotations

import asyncio
import math
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from local_engine import MODEL, running_engine

from tests.end_to_end.engine_state import ENDLESS, LONG, is_freed_by_cancelling, is_freed_early, tokens_of
from tests.ports import port_to_use_twice
from xdm_integrations import StreamInterruptedError
from xdm_integrations.llama_index import XDM

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.base.llms.types import CompletionResponse

DATA = Path(__file__).parents[2] / "examples" / "data"
QUESTIONS = {
    "What causes the tides?": "Mainly the gravity of the Moon.",
    "What is a canal lock?": "A chamber with a gate at each end that lifts or lowers boats.",
    "指南针的核心是什么？": "一根可以自由转动的磁针。",  # noqa: RUF001 - Chinese punctuation
}


class Words(BaseEmbedding):
    """An embedding without a model: each word is hashed to a place."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.0] * 1024
        for word in set(re.findall(r"[a-z0-9]{3,}|[\u4e00-\u9fff]", text.lower())):
            vector[zlib.crc32(word.rstrip("s").encode()) % 1024] = len(word) ** 0.5
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def made(engine: Any, **settings: Any) -> XDM:
    given = {"api_base": engine.base_url, "model": MODEL, "context_window": 4096, "temperature": 0, **settings}
    return XDM(**given)


@pytest.fixture
def llm(engine: Any) -> XDM:
    return made(engine)


@pytest.fixture(scope="module")
def index() -> VectorStoreIndex:
    documents = [Document(text=path.read_text("utf-8").strip(), id_=path.name) for path in sorted(DATA.glob("*.md"))]
    return VectorStoreIndex.from_documents(documents, embed_model=Words())


async def _texts(pieces: Any) -> list[str]:
    return [piece.delta async for piece in await pieces]


@pytest.mark.parametrize("is_async", [False, True])
def test_each_method_says_the_same(engine: Any, llm: XDM, is_async: bool) -> None:
    messages = [ChatMessage(role="user", content="What is the capital of France?")]
    if is_async:
        whole = asyncio.run(llm.acomplete("Count to ten:"))
        pieces = asyncio.run(_texts(llm.astream_complete("Count to ten:")))
        answer = asyncio.run(llm.achat(messages)).message.content
        parts = asyncio.run(_texts(llm.astream_chat(messages)))
    else:
        whole = llm.complete("Count to ten:")
        pieces = [piece.delta or "" for piece in llm.stream_complete("Count to ten:")]
        answer = llm.chat(messages).message.content
        parts = [piece.delta or "" for piece in llm.stream_chat(messages)]
    assert whole.text == "".join(pieces) == " 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    assert answer == "".join(parts)
    assert answer
    assert whole.raw["usage"]["prompt_tokens"] == len(tokens_of(engine, "Count to ten:"))


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def ask(llm: XDM, request: pytest.FixtureRequest) -> Callable[..., CompletionResponse]:
    """`complete`, in each world."""
    if not request.param:
        return llm.complete
    return lambda prompt, **params: asyncio.run(llm.acomplete(prompt, **params))


def test_n_answers_are_all_in_raw(ask: Callable[..., CompletionResponse]) -> None:
    response = ask("Once upon a time", n=3, temperature=1.7, seed=5, max_tokens=12)
    texts = [choice["text"] for choice in response.raw["choices"]]
    assert len(texts) == 3
    assert len(set(texts)) > 1
    assert response.text == texts[0]


def test_the_same_seed_gives_the_same_text_and_another_gives_another(ask: Callable[..., CompletionResponse]) -> None:
    texts = [ask("Once upon a time", temperature=1.8, seed=seed, max_tokens=24).text for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_stop_ends_the_answer_before_it(ask: Callable[..., CompletionResponse]) -> None:
    response = ask("Count to ten:", stop=[", 4", "nine"])
    assert (response.text, response.raw["choices"][0]["finish_reason"]) == (" 1, 2, 3", "stop")


def test_max_tokens_ends_the_answer(ask: Callable[..., CompletionResponse]) -> None:
    response = ask("Count to ten:", max_tokens=5)
    assert response.raw["choices"][0]["finish_reason"] == "length"
    assert response.additional_kwargs["completion_tokens"] == 5


def test_logprobs_agree_with_temperature_0(ask: Callable[..., CompletionResponse]) -> None:
    """The likeliest token is the one that was taken, the tokens spell the text, and the chances sum up to 1 at most."""
    response = ask("Say this is a test", logprobs=3)
    logprobs = response.logprobs or []
    assert "".join(candidates[0].token for candidates in logprobs) == response.text
    assert len(logprobs) == response.additional_kwargs["completion_tokens"]
    for candidates in logprobs:
        values = [candidate.logprob for candidate in candidates]
        assert len(values) == len({candidate.token for candidate in candidates}) == 3
        assert values == sorted(values, reverse=True)
        assert sum(map(math.exp, values)) <= 1 + 1e-6


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_of_many_keeps_each_answer_with_its_prompt(llm: XDM, is_async: bool) -> None:
    answers = {"France": " Paris.", "Japan": " Tokyo.", "Italy": " Rome.", "Spain": " Madrid.", "Germany": " Berlin."}
    prompts = [f"The capital of {country} is" for country in answers] * 8
    options: dict[str, Any] = {"batch_size": 3, "max_concurrency": 4, "max_tokens": 8}
    batch = asyncio.run(llm.acomplete_batch(prompts, **options)) if is_async else llm.complete_batch(prompts, **options)
    assert [response.text for response in batch] == list(answers.values()) * 8


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("question", "answer"), QUESTIONS.items(), ids=["tides", "lock", "compass"])
def test_a_query_engine_answers_from_the_documents(
    llm: XDM, index: VectorStoreIndex, question: str, answer: str, is_async: bool
) -> None:
    engine = index.as_query_engine(llm=llm, similarity_top_k=1)
    reply = asyncio.run(engine.aquery(question)) if is_async else engine.query(question)
    assert str(reply).strip() == answer


def test_a_query_engine_streams(llm: XDM, index: VectorStoreIndex) -> None:
    reply: Any = index.as_query_engine(llm=llm, similarity_top_k=1, streaming=True).query("What is a canal lock?")
    assert isinstance(reply, StreamingResponse)
    # Before 0.14.25 LlamaIndex collects the stream of its LLM before it hands it on, so pieces aren't counted.
    assert "".join(reply.response_gen).strip() == QUESTIONS["What is a canal lock?"]


def test_a_chat_engine_remembers(llm: XDM) -> None:
    chat = SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults(llm=llm))
    first = str(chat.chat("Hello"))
    second = "".join(chat.stream_chat("Hello").response_gen)
    assert first
    assert second
    history = [(message.role.value, message.content) for message in chat.chat_history]
    assert [role for role, _ in history] == ["user", "assistant"] * 2
    assert history[1][1] == first


STEP = (
    r'root ::= "Thought: I must look it up.\nAction: capital\n'
    r'Action Input: {\"country\": \"" ("France" | "Japan") "\"}"'
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own
def test_an_agent_acts_on_what_the_engine_says(engine: Any) -> None:
    """The model is too small to know the ReAct form, so that the engine's grammar holds it to it."""
    answers = {"France": "Paris", "Japan": "Tokyo"}
    asked: list[str] = []

    def capital(country: str) -> str:
        """Know the capital of a country."""
        asked.append(country)
        return answers[country]

    tool = FunctionTool.from_defaults(capital, return_direct=True)
    llm = made(engine, additional_kwargs={"grammar": STEP})

    async def main() -> Any:
        # A memory of its own: the default one leaves a database connection to the garbage collector.
        memory = ChatMemoryBuffer.from_defaults(llm=llm)
        return await ReActAgent(tools=[tool], llm=llm, streaming=True).run("What is the capital?", memory=memory)

    reply = asyncio.run(main())
    assert asked
    assert answers[asked[0]] in str(reply)


def test_leaving_a_stream_frees_the_slot() -> None:
    with running_engine(slots=1) as engine:
        llm = made(engine, context_window=8192)
        for _ in llm.stream_complete(LONG, **ENDLESS):
            break
        assert is_freed_early(engine)
        assert llm.complete("Say this is a test").text == "\n\nThis is indeed a test"


def test_cancelling_a_task_frees_the_slot() -> None:
    with running_engine(slots=1) as engine:
        llm = made(engine, context_window=8192)

        async def main() -> str:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in await llm.astream_complete(LONG, **ENDLESS):
                    begun.set()

            assert await is_freed_by_cancelling(read, begun, engine)
            return (await llm.acomplete("Say this is a test")).text

        assert asyncio.run(main()) == "\n\nThis is indeed a test"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_killed_engine_is_an_interruption_and_the_llm_goes_on_with_the_next(is_async: bool) -> None:
    texts: list[str] = []
    with running_engine(slots=1, port=port_to_use_twice()) as first:
        llm = made(first, max_retries=0)

        def heard(text: str | None) -> None:
            texts.append(text or "")
            if len(texts) == 10:
                first.kill()

        def hear_all() -> None:
            for piece in llm.stream_complete(LONG, **ENDLESS):
                heard(piece.delta)

        async def ahear_all() -> None:
            async for piece in await llm.astream_complete(LONG, **ENDLESS):
                heard(piece.delta)

        with pytest.raises(StreamInterruptedError) as caught:
            asyncio.run(ahear_all()) if is_async else hear_all()
        assert caught.value.text == "".join(texts)
    with running_engine(slots=1, port=first.port):
        answer = asyncio.run(llm.acomplete("Say this is a test")) if is_async else llm.complete("Say this is a test")
        assert answer.text == "\n\nThis is indeed a test"
